//! What the fuzz targets (`fuzz/`) reach of what reads bytes of others. Built by cargo-fuzz, and with the tests so that a change here is seen.

pub use crate::edge::fuzzing::*;
pub use crate::names::fuzzing::*;
pub use crate::tls::fuzzing::*;
pub use crate::upstream::http1::fuzzing::*;

use crate::chunked::{Chunked, Piece};
use crate::stream::frame::Follower;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;

/// A part of a body in chunks.
#[derive(Debug, PartialEq, Eq)]
pub enum ChunkPiece {
    /// Nothing whole yet.
    More,
    /// Bytes of the body.
    Data(Bytes),
    /// Its end, with trailers if it has any.
    End(Option<HeaderMap>),
}

/// Reads a body in chunks.
#[derive(Debug, Default)]
pub struct Chunks(Chunked);

impl Chunks {
    /// The next piece.
    pub fn take(&mut self, input: &mut BytesMut) -> Result<ChunkPiece, &'static str> {
        Ok(match self.0.take(input)? {
            Piece::More => ChunkPiece::More,
            Piece::Data(data) => ChunkPiece::Data(data),
            Piece::End(trailers) => ChunkPiece::End(trailers),
        })
    }

    /// Whether what is there of it breaks no rule.
    pub fn is_sound(&self, input: &[u8]) -> bool {
        self.0.is_sound(input)
    }
}

/// One direction of a WebSocket.
#[derive(Debug, Default)]
pub struct WebSocket(Follower);

impl WebSocket {
    /// Follows bytes up to the end of a frame; says how many.
    pub fn follow_frame(&mut self, bytes: &[u8]) -> usize {
        self.0.follow_frame(bytes)
    }

    /// No frame is unfinished.
    pub fn at_boundary(&self) -> bool {
        self.0.at_boundary()
    }

    /// A Close frame went by.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
