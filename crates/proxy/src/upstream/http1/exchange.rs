//! One request and its answer on one connection.
//!
//! Both directions go on at the same time: an application may answer before it has read the request, and then the rest of the request is still sent
//! while the answer is relayed, by whoever polls the answer's body.

use super::connection::{Connection, LARGE_READ, SMALL_READ, Switched};
use super::head::{self, Head, Length};
use super::outgoing::{Outgoing, Unsent};
use super::space::LITTLE;
use crate::chunked::{Chunked, Piece};
use crate::upstream::body::BodyError;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Frame;
use std::io;
use std::task::{Context, Poll, ready};

/// Heads with a status below 200 before the one that counts.
const MAX_INTERIM: u32 = 16;

/// A request under way.
pub(crate) struct Exchange {
    connection: Connection,
    outgoing: Outgoing,
    /// Why no more of the request can be sent; an answer may come all the same, saying why.
    broken: Option<io::Error>,
    interim: u32,
    /// Something came back.
    heard: bool,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The client did not send its part.
    #[error(transparent)]
    Client(BodyError),
    /// The connection broke or ended.
    #[error("the connection broke")]
    Broken {
        /// How.
        #[source]
        cause: io::Error,
        /// The application sent nothing before.
        silent: bool,
        /// The application got nothing.
        untouched: bool,
    },
    /// It is no answer.
    #[error("the answer is no HTTP/1.1: {0}")]
    Malformed(&'static str),
}

/// The head of an answer with what its body is read from.
#[derive(Debug)]
pub(crate) enum Answer {
    /// An ordinary one.
    Http(Response<AnswerBody>),
    /// The application speaks another protocol from here on.
    Switched(Response<()>, Switched),
}

impl Exchange {
    pub(crate) fn new(connection: Connection, outgoing: Outgoing) -> Self {
        Self { connection, outgoing, broken: None, interim: 0, heard: false }
    }

    /// The request, to try it elsewhere.
    pub(crate) fn into_outgoing(self) -> Outgoing {
        self.outgoing
    }

    /// Sends, and reads the head of the answer.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Failure>> {
        if let Err(body) = self.send(cx) {
            return Poll::Ready(Err(Failure::Client(body)));
        }
        loop {
            match head::take(&mut self.connection.input, self.outgoing.head_only).map_err(Failure::Malformed)? {
                Some(Head { response, .. }) if is_interim(response.status()) => {
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        return Poll::Ready(Err(Failure::Malformed("interim answers without end")));
                    }
                    if response.status() == StatusCode::CONTINUE {
                        self.outgoing.go();
                        if let Err(body) = self.send(cx) {
                            return Poll::Ready(Err(Failure::Client(body)));
                        }
                    } else {
                        self.outgoing.tell(&response);
                    }
                }
                Some(head) => return Poll::Ready(Ok(head)),
                None => match ready!(self.connection.poll_fill(cx, SMALL_READ)) {
                    Ok(0) => return Poll::Ready(Err(self.failure(io::ErrorKind::UnexpectedEof.into()))),
                    Ok(_) => self.heard = true,
                    Err(error) => return Poll::Ready(Err(self.failure(error))),
                },
            }
        }
    }

    /// What the connection and the answer's head have become.
    pub(crate) fn answer(self, head: Head) -> Answer {
        let Head { response, length, keep } = head;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Answer::Switched(response, self.connection.switched());
        }
        let rest = match length {
            Length::Known(0) => Rest::Ended,
            Length::Known(left) => Rest::Known(left),
            Length::Chunked => Rest::Chunked(Chunked::Size),
            Length::UntilClose => Rest::UntilClose,
        };
        let exchange = Box::new(self);
        Answer::Http(response.map(|()| AnswerBody { exchange: Some(exchange), rest, keep }))
    }

    /// Sends what can be sent. The error is the client's; what goes wrong with the application shows when it is read from.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        if self.broken.is_some() || self.outgoing.is_sent() {
            return Ok(());
        }
        match self.outgoing.poll_send(&mut self.connection.stream, cx) {
            Poll::Ready(Err(Unsent::Body(error))) => Err(error),
            Poll::Ready(Err(Unsent::Io(error))) => {
                self.broken = Some(error);
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn failure(&mut self, cause: io::Error) -> Failure {
        let cause = self.broken.take().unwrap_or(cause);
        Failure::Broken { cause, silent: !self.heard, untouched: self.outgoing.is_untouched() }
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// What is left of an answer's body.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Known(u64),
    Chunked(Chunked),
    UntilClose,
    Ended,
}

/// The body of an answer, read as it is asked for.
pub(crate) struct AnswerBody {
    /// Boxed, because answers are moved about; gone when it was given back.
    exchange: Option<Box<Exchange>>,
    rest: Rest,
    keep: bool,
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").field("rest", &self.rest).field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl AnswerBody {
    /// Nothing more comes.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.rest, Rest::Ended)
    }

    /// Bytes still to come, if they are known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self.rest {
            Rest::Known(left) => Some(left),
            Rest::Ended => Some(0),
            Rest::Chunked(_) | Rest::UntilClose => None,
        }
    }

    /// The connection, if another request may follow on it: everything was said, and nothing else.
    pub(crate) fn take_connection(&mut self) -> Option<Connection> {
        let exchange = self.exchange.take_if(|_| matches!(self.rest, Rest::Ended))?;
        let clean = self.keep && exchange.broken.is_none() && exchange.outgoing.is_sent() && exchange.connection.input.is_empty();
        clean.then_some(exchange.connection)
    }

    /// The next piece.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(exchange) = self.exchange.as_deref_mut() else { return Poll::Ready(None) };
        if let Err(error) = exchange.send(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            let input = &mut exchange.connection.input;
            let room = match &mut self.rest {
                Rest::Ended => return Poll::Ready(None),
                Rest::Known(left) if input.is_empty() && *left < LITTLE as u64 => *left,
                Rest::Known(left) if input.is_empty() => {
                    let piece = ready!(exchange.connection.poll_body(cx, *left)).map_err(BodyError::Upstream)?;
                    if piece.is_empty() {
                        return Poll::Ready(Some(Err(BodyError::Short)));
                    }
                    // No more was read than was left.
                    *left -= piece.len() as u64;
                    if *left == 0 {
                        self.rest = Rest::Ended;
                    }
                    return data(piece);
                }
                Rest::Known(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    *left -= here as u64;
                    if *left == 0 {
                        self.rest = Rest::Ended;
                    }
                    return data(input.split_to(here).freeze());
                }
                Rest::UntilClose if input.is_empty() => {
                    let piece = ready!(exchange.connection.poll_body(cx, u64::MAX)).map_err(BodyError::Upstream)?;
                    if piece.is_empty() {
                        self.rest = Rest::Ended;
                        return Poll::Ready(None);
                    }
                    return data(piece);
                }
                Rest::UntilClose => return data(input.split().freeze()),
                Rest::Chunked(chunked) => match chunked.take(input).map_err(BodyError::Malformed)? {
                    Piece::More => chunked.left(),
                    Piece::Data(piece) => return data(piece),
                    Piece::End(trailers) => {
                        self.rest = Rest::Ended;
                        return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                    }
                },
            };
            let room = usize::try_from(room).unwrap_or(LARGE_READ);
            match ready!(exchange.connection.poll_fill(cx, room)) {
                Ok(0) => return Poll::Ready(Some(Err(BodyError::Short))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(BodyError::Upstream(error)))),
            }
        }
    }
}

fn data(bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    Poll::Ready(Some(Ok(Frame::data(bytes))))
}
