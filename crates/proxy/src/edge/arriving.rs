//! A request's body as it arrives, by whichever protocol its client speaks.

use crate::edge::http1::Http1Body;
use crate::upstream::body::BodyError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What arrives.
pub(crate) enum Arriving {
    /// There is none.
    Nothing,
    /// On a connection that has no other request.
    Http1(Http1Body),
    /// Among others.
    Http2(Incoming),
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Arriving::Nothing => Poll::Ready(None),
            Arriving::Http1(body) => body.poll_frame(cx),
            Arriving::Http2(incoming) => Pin::new(incoming).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(BodyError::from))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Arriving::Nothing => true,
            Arriving::Http1(body) => body.left() == Some(0),
            Arriving::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Arriving::Nothing => SizeHint::with_exact(0),
            Arriving::Http1(body) => body.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Arriving::Http2(incoming) => incoming.size_hint(),
        }
    }
}
