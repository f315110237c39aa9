//! A connection's TLS without its socket, for the fuzz targets.

use super::buffers::{Buffers, PARTIAL};
use super::session::Session;
use rustls::ServerConfig;
use std::io::{self, IoSlice};
use std::sync::Arc;
use tokio::io::ReadBuf;

/// What one connection may keep of what it received.
pub const MOST_KEPT: usize = PARTIAL;

/// The server's end.
pub struct TlsEnd {
    session: Session,
    buffers: Buffers,
}

impl TlsEnd {
    /// Of a new connection.
    pub fn new(config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self { session: Session::new(config)?, buffers: Buffers::new() })
    }

    /// Takes in what arrived; decrypted bytes go to `plain`, `room` of them at a time.
    pub fn receive(&mut self, bytes: &[u8], room: usize, plain: &mut Vec<u8>) -> io::Result<()> {
        let mut input = self.buffers.input();
        let before = self.session.partial().len();
        input[..before].copy_from_slice(self.session.partial());
        input[before..before + bytes.len()].copy_from_slice(bytes);
        let mut space = vec![0; room];
        let mut into = ReadBuf::new(&mut space);
        let result = self.session.take_in(&mut input[..before + bytes.len()], &mut into);
        plain.extend_from_slice(into.filled());
        loop {
            into.clear();
            if room == 0 || !self.session.give(&mut into) {
                return result;
            }
            plain.extend_from_slice(into.filled());
        }
    }

    /// What is to be sent for `plain`, behind what was to be sent before; says how much of it was taken.
    pub fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> io::Result<usize> {
        self.unsent(wire);
        let mut output = self.buffers.output();
        let (taken, sealed) = self.session.seal(&[IoSlice::new(plain)], &mut output)?;
        wire.extend_from_slice(&output.sealed[..sealed]);
        Ok(taken)
    }

    /// What is to be sent.
    pub fn unsent(&mut self, wire: &mut Vec<u8>) {
        let unsent = self.session.unsent();
        wire.extend_from_slice(unsent.rest());
        let count = unsent.rest().len();
        unsent.advance(count);
    }

    /// Bytes of memory it keeps.
    pub fn kept(&self) -> usize {
        self.session.kept()
    }

    /// The handshake is under way.
    pub fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }
}
