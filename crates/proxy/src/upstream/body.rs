//! Bodies on their way through. Nothing is buffered: a frame is forwarded as it comes, and who does not read is not read for.
//!
//! A body that ends too early ends as an error on the other side too (the connection is aborted, the HTTP/2 stream reset): a short answer
//! must never look like a whole one.

use crate::edge::filter::{Compressed, throw_away};
use crate::edge::header;
use crate::edge::watch::{InFlight, Room};
use crate::stream::StreamGuard;
use crate::upstream::patience::IdleLimit;
use crate::upstream::pool::{Held, Sender};
use crate::upstream::upload::Upload;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Without a byte of a request's body.
const UPLOAD_IDLE: Duration = Duration::from_secs(60);

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side broke off or broke a rule.
    #[error("the body ended early")]
    Broken(#[from] hyper::Error),
    /// Nothing came for too long.
    #[error("the body stalled")]
    Stalled,
    /// It is larger than the route takes.
    #[error("the body is too large")]
    TooLarge,
    /// It could not be compressed.
    #[error("the body could not be compressed")]
    Encoder(#[source] std::io::Error),
}

/// A request's body on its way to the application.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// Forwarded as it comes.
    Client(Box<ClientBody>),
}

pub(crate) struct ClientBody {
    incoming: Incoming,
    upload: Rc<Upload>,
    idle: IdleLimit,
    limits: Limits,
}

/// What a request's body may be.
pub(crate) struct Limits {
    /// In all.
    pub(crate) bytes: u64,
    /// Without a byte, once there is an answer and both sides speak when they like.
    pub(crate) idle: Duration,
    /// That is so from the beginning.
    pub(crate) streams: bool,
    /// The client may say who it is, being a service itself.
    pub(crate) claims: bool,
}

impl RequestBody {
    /// Wraps what the client sends; the second value tells how it goes and is absent when there is no body.
    pub(crate) fn new(incoming: Incoming, limits: Limits) -> (Self, Option<Rc<Upload>>) {
        if incoming.is_end_stream() {
            return (RequestBody::Empty, None);
        }
        let upload = Rc::new(Upload::default());
        let idle = IdleLimit::new(if limits.streams { limits.idle } else { UPLOAD_IDLE });
        let body = ClientBody { incoming, upload: Rc::clone(&upload), idle, limits };
        (RequestBody::Client(Box::new(body)), Some(upload))
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, RequestBody::Empty)
    }
}

impl ClientBody {
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.upload.poll_go(cx).is_ready()
            && let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx)
        {
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        loop {
            ready!(self.idle.poll_exceeded(cx));
            match self.upload.patience(self.limits.idle) {
                Some(longer) => self.idle.extend(longer),
                None => return Poll::Ready(Some(Err(BodyError::Stalled))),
            }
        }
    }
}

/// The trailers, if that is what came.
fn trailers_of(frame: &mut Option<Result<Frame<Bytes>, BodyError>>) -> Option<&mut HeaderMap> {
    frame.as_mut()?.as_mut().ok()?.trailers_mut()
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let RequestBody::Client(body) = this else { return Poll::Ready(None) };
        let mut frame = ready!(body.poll_incoming(cx));
        body.idle.progress();
        body.upload.hear_client();
        if let Some(trailers) = trailers_of(&mut frame) {
            header::trailers(trailers);
            if !body.limits.claims {
                header::remove_client_claims(trailers);
            }
        }
        let length = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()).map_or(0, |data| data.len() as u64);
        let Some(left) = body.limits.bytes.checked_sub(length) else {
            body.upload.exceed();
            if let RequestBody::Client(body) = std::mem::replace(this, RequestBody::Empty) {
                throw_away(body.incoming);
            }
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        };
        body.limits.bytes = left;
        match &frame {
            Some(Err(_)) => body.upload.fail(),
            Some(Ok(_)) if !body.incoming.is_end_stream() => {}
            _ => body.upload.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Client(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Client(body) => body.incoming.size_hint(),
        }
    }
}

/// An answer's body on its way to the client.
pub(crate) enum ResponseBody {
    /// The proxy's own words.
    Text(Option<Bytes>),
    /// The application's.
    Relay(Box<Relay>),
    /// The application's, made smaller.
    Compressed(Box<Compressed>),
    /// There is none: what follows is a WebSocket's.
    Tunnel,
}

/// An application's body and everything that is held until it ends.
pub(crate) struct Relay {
    /// What comes.
    pub(crate) incoming: Incoming,
    /// Without a byte.
    pub(crate) idle: IdleLimit,
    /// The endpoint's counter.
    pub(crate) held: Option<Held>,
    /// The connection, kept for the next request if the body ends as it should.
    pub(crate) sender: Option<Sender>,
    /// Present for an event stream, which can be asked to end.
    pub(crate) stream: Option<StreamGuard>,
    /// The request's body, if it has not ended yet.
    pub(crate) upload: Option<Rc<Upload>>,
    /// For a client whose connection carries other answers too.
    pub(crate) room: Option<Room>,
    /// The client takes trailers.
    pub(crate) trailers: bool,
    /// The client's connection is busy as long as this lives.
    pub(crate) in_flight: Option<InFlight>,
}

impl Relay {
    fn ended(&mut self) {
        let held = self.held.take();
        if let (Some(sender), Some(held)) = (self.sender.take(), &held) {
            held.endpoint().give_back(sender);
        }
        self.stream = None;
        self.in_flight = None;
    }

    /// The next frame.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut frame = ready!(self.poll_incoming(cx));
        if let Some(trailers) = trailers_of(&mut frame) {
            header::trailers(trailers);
            if !self.trailers {
                frame = None;
            }
        }
        match &frame {
            None => self.ended(),
            Some(Ok(_)) if self.incoming.is_end_stream() => self.ended(),
            // The connection is not worth keeping; everything else is released with the body.
            Some(Err(_)) => self.sender = None,
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(stream) = &self.stream
            && stream.poll_asked(cx).is_ready()
        {
            // Between two chunks: the client sees a whole answer and, if it is an EventSource, comes back.
            self.sender = None;
            return Poll::Ready(None);
        }
        if let Some(room) = &mut self.room {
            ready!(room.poll(cx));
        }
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.idle.progress();
                if let Some(upload) = &self.upload {
                    upload.hear_application();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
            }
            Poll::Pending => loop {
                ready!(self.idle.poll_exceeded(cx));
                match self.upload.as_ref().and_then(|upload| upload.patience(self.idle.limit())) {
                    Some(longer) => self.idle.extend(longer),
                    None => return Poll::Ready(Some(Err(BodyError::Stalled))),
                }
            },
        }
    }
}

impl ResponseBody {
    /// The proxy's own words.
    pub(crate) fn text(text: Bytes) -> Self {
        ResponseBody::Text((!text.is_empty()).then_some(text))
    }

    /// Forwards `relay`; one without a body has ended already.
    pub(crate) fn relay(mut relay: Relay) -> Self {
        if relay.incoming.is_end_stream() {
            relay.ended();
        }
        ResponseBody::Relay(Box::new(relay))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            ResponseBody::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            ResponseBody::Relay(relay) => relay.poll_frame(cx),
            ResponseBody::Compressed(compressed) => compressed.poll_frame(cx),
            ResponseBody::Tunnel => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Text(text) => text.is_none(),
            ResponseBody::Relay(relay) => relay.incoming.is_end_stream(),
            ResponseBody::Compressed(compressed) => compressed.is_end_stream(),
            ResponseBody::Tunnel => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            ResponseBody::Relay(relay) => relay.incoming.size_hint(),
            ResponseBody::Compressed(_) => SizeHint::default(),
            ResponseBody::Tunnel => SizeHint::with_exact(0),
        }
    }
}
