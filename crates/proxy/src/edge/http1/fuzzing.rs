//! Heads of requests for the fuzz targets.

use super::head::{Bad, Finder, Length};
use bytes::BytesMut;
use http::Request;

/// A head and what it says about the connection.
#[derive(Debug)]
pub struct RequestHead {
    /// The head.
    pub request: Request<()>,
    /// Bytes of the body; nothing if it says itself where it ends.
    pub length: Option<u64>,
    /// The client waits to be told to send it.
    pub expects: bool,
    /// Another request may follow.
    pub keep: bool,
}

/// Takes heads off what arrives.
#[derive(Debug, Default)]
pub struct Requests {
    finder: Finder,
    input: BytesMut,
}

impl Requests {
    /// More has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next head; nothing if it is not whole. The error says whether it is refused for its size.
    pub fn take(&mut self) -> Result<Option<RequestHead>, bool> {
        let head = self.finder.take(&mut self.input).map_err(|bad| bad == Bad::TooLarge)?;
        Ok(head.map(|head| RequestHead {
            length: if let Length::Known(bytes) = head.length { Some(bytes) } else { None },
            request: head.request,
            expects: head.expects,
            keep: head.keep,
        }))
    }

    /// What is not taken.
    pub fn rest(&self) -> &[u8] {
        &self.input
    }
}
