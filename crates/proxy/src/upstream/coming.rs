//! An answer on its way from the application, by whichever protocol it speaks.

use crate::upstream::body::{BodyError, FrameResult};
use crate::upstream::http1::{AnswerBody, Connection};
use crate::upstream::multiplex::Place;
use http_body::Body as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What comes.
pub(crate) enum Coming {
    /// Over a connection that is its own for the time.
    Http1(AnswerBody),
    /// Among others; the place is given up with it.
    H2c(Incoming, Option<Place>),
}

impl Coming {
    /// Nothing more comes.
    pub(crate) fn is_ended(&self) -> bool {
        match self {
            Coming::Http1(body) => body.is_ended(),
            Coming::H2c(incoming, _) => incoming.is_end_stream(),
        }
    }

    /// Bytes still to come, if that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Coming::Http1(body) => body.left(),
            Coming::H2c(incoming, _) => incoming.size_hint().exact(),
        }
    }

    /// The connection, when the answer has ended as it should and it can be used again. A place is given up.
    pub(crate) fn take_connection(&mut self) -> Option<Connection> {
        match self {
            Coming::Http1(body) => body.take_connection(),
            Coming::H2c(_, place) => {
                *place = None;
                None
            }
        }
    }

    /// The next frame.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        match self {
            Coming::Http1(body) => body.poll_frame(cx),
            Coming::H2c(incoming, _) => Pin::new(incoming).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(BodyError::from))),
        }
    }
}
