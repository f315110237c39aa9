//! A connection and what was read from it too early.

use super::space::Space;
use crate::stream::early::Early;
use bytes::{Bytes, BytesMut};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

/// Read at once; grows to what is left of a chunk.
pub(super) const SMALL_READ: usize = 8 * 1024;
pub(super) const LARGE_READ: usize = 256 * 1024;

/// A connection to an application that speaks another protocol from here on.
pub(crate) type Switched = Early<TcpStream>;

/// A connection to an application, between two requests or in the middle of one.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) stream: TcpStream,
    /// Read and not used yet.
    pub(super) input: BytesMut,
    /// For bodies.
    space: Arc<Space>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, space: &Arc<Space>) -> Self {
        Self { stream, input: BytesMut::new(), space: Arc::clone(space) }
    }

    /// Open and silent. An application that ends the connection, or speaks without being asked, cannot be asked any more.
    pub(crate) fn is_usable(&self) -> bool {
        // Costs a system call only if something happened.
        self.input.is_empty() && self.stream.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// For another protocol than HTTP, with what came right behind the head of the answer.
    pub(super) fn switched(self) -> Switched {
        Early::new(self.stream, self.input.freeze())
    }

    /// Gives memory back that only a large answer needed.
    pub(crate) fn rest(&mut self) {
        if self.input.capacity() > SMALL_READ {
            self.input = BytesMut::new();
        }
    }

    /// Reads what there is of a body, at most `most` bytes; none at the end. Nothing that was read before may be left.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<Bytes>> {
        self.space.poll_read(&mut self.stream, cx, most)
    }

    /// Reads what there is, at most about `room` bytes; 0 is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.input.reserve(room.clamp(SMALL_READ, LARGE_READ));
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input)
    }
}
