//! Bodies on their way through. Nothing is buffered: a frame is forwarded as it comes, and who does not read is not read for.
//!
//! A body that ends too early ends as an error on the other side too (the connection is aborted, the HTTP/2 stream reset): a short answer
//! must never look like a whole one.

use crate::edge::arriving::Arriving;
use crate::edge::file::FileBody;
use crate::edge::filter::{Compressed, throw_away};
use crate::edge::header::Trailing;
use crate::edge::record::Record;
use crate::edge::watch::{InFlight, Room};
use crate::stream::StreamGuard;
use crate::upstream::coming::Coming;
use crate::upstream::pace::{Pace, SILENCE};
use crate::upstream::patience::IdleLimit;
use crate::upstream::pool::Held;
use crate::upstream::upload::Upload;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side broke off or broke a rule.
    #[error("the body ended early")]
    Broken(#[from] hyper::Error),
    /// The client's connection broke.
    #[error("the client's connection broke")]
    Client(#[source] std::io::Error),
    /// Nothing came for too long.
    #[error("the body stalled")]
    Stalled,
    /// It is larger than the route takes.
    #[error("the body is too large")]
    TooLarge,
    /// It could not be read from its file.
    #[error("the file could not be read to its end")]
    File(#[source] std::io::Error),
    /// The connection ended before the body's end.
    #[error("the body is shorter than it says")]
    Short,
    /// The application's connection broke.
    #[error("the application's connection broke")]
    Upstream(#[source] std::io::Error),
    /// It is not what HTTP/1.1 says a body is.
    #[error("the body is malformed: {0}")]
    Malformed(&'static str),
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
    incoming: Arriving,
    upload: Rc<Upload>,
    pace: Pace,
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
    /// It is HTTP/2, whose bodies need no length.
    pub(crate) http2: bool,
    /// What may come behind it.
    pub(crate) trailing: Trailing,
}

impl RequestBody {
    /// Wraps what the client sends; the second value tells how it goes and is absent when there is no body.
    pub(crate) fn new(incoming: Arriving, limits: Limits) -> (Self, Option<Rc<Upload>>) {
        if incoming.is_end_stream() {
            return (RequestBody::Empty, None);
        }
        let upload = Rc::new(Upload::default());
        let streams = limits.http2 && incoming.size_hint().exact().is_none();
        let pace = Pace::new(if limits.streams { Some(limits.idle) } else { streams.then_some(SILENCE) });
        let body = ClientBody { incoming, upload: Rc::clone(&upload), pace, limits };
        (RequestBody::Client(Box::new(body)), Some(upload))
    }

    /// The application wants it.
    pub(crate) fn go(&self) {
        if let RequestBody::Client(body) = self {
            body.upload.go();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, RequestBody::Empty)
    }
}

impl ClientBody {
    /// What a client says behind a body, as far as an application may hear it.
    fn clean(&self, mut frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_mut() {
            self.limits.trailing.clean(trailers);
        }
        frame
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        if self.upload.poll_go(cx).is_ready()
            && let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx)
        {
            return Poll::Ready(frame.map(|frame| frame.map(|frame| self.clean(frame))));
        }
        loop {
            ready!(self.pace.poll_exceeded(cx));
            match self.upload.patience(self.limits.idle) {
                Some(longer) => self.pace.extend(longer),
                None => return Poll::Ready(Some(Err(BodyError::Stalled))),
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let RequestBody::Client(body) = this else { return Poll::Ready(None) };
        let frame = ready!(body.poll_incoming(cx));
        let length = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()).map_or(0, |data| data.len() as u64);
        body.pace.received(length);
        body.upload.hear_client();
        let Some(left) = body.limits.bytes.checked_sub(length) else {
            body.upload.exceed();
            if let RequestBody::Client(body) = std::mem::replace(this, RequestBody::Empty) {
                throw_away(body.incoming);
            }
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        };
        body.limits.bytes = left;
        body.upload.took(length);
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

/// A failure told one turn late. hyper forgets what it has not written yet when a body fails, so what came before would never be seen.
#[derive(Debug, Default)]
pub(crate) struct LastWords(Option<BodyError>);

impl LastWords {
    /// A failure that waited for its turn.
    pub(crate) fn take(&mut self) -> Option<BodyError> {
        self.0.take()
    }

    /// Holds a failure back until the next poll, which is asked for.
    pub(crate) fn hold(&mut self, cx: &Context<'_>, frame: FrameResult) -> Poll<FrameResult> {
        match frame {
            Some(Err(error)) => {
                self.0 = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }
}

/// What a body gives when asked for more.
pub(crate) type FrameResult = Option<Result<Frame<Bytes>, BodyError>>;

/// An answer's body on its way to the client.
pub(crate) enum ResponseBody {
    /// The proxy's own words.
    Text(Option<Bytes>),
    /// The application's.
    Relay(Box<Relay>),
    /// A file's.
    File(Box<FileBody>),
    /// The application's or a file's, made smaller.
    Compressed(Box<Compressed>),
    /// There is none: what follows is a WebSocket's.
    Tunnel,
}

/// An application's body and everything that is held until it ends.
pub(crate) struct Relay {
    /// What comes.
    pub(crate) incoming: Coming,
    /// Without a byte.
    pub(crate) idle: IdleLimit,
    /// The endpoint's counter.
    pub(crate) held: Option<Held>,
    /// Present for an event stream, which can be asked to end.
    pub(crate) stream: Option<StreamGuard>,
    /// The request's body, if it has not ended yet.
    pub(crate) upload: Option<Rc<Upload>>,
    /// For a client whose connection carries other answers too.
    pub(crate) room: Option<Room>,
    /// The client's connection is busy as long as this lives.
    pub(crate) in_flight: Option<InFlight>,
    /// How it failed.
    pub(crate) last_words: LastWords,
    /// What is known of the request.
    pub(crate) record: Option<Record>,
}

impl Relay {
    fn ended(&mut self) {
        let held = self.held.take();
        if let (Some(connection), Some(held)) = (self.incoming.take_connection(), &held) {
            held.endpoint().give_back(connection);
        }
        self.stream = None;
        self.in_flight = None;
    }

    /// The next frame.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(room) = &mut self.room {
            ready!(room.poll(cx));
        }
        self.in_flight.iter().for_each(InFlight::asked);
        let frame = ready!(self.poll_incoming(cx));
        self.in_flight.iter().for_each(InFlight::gave);
        match &frame {
            None => self.ended(),
            Some(Ok(_)) if self.incoming.is_ended() => self.ended(),
            // The connection and everything else is released with the body.
            Some(_) => {}
        }
        Poll::Ready(frame)
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(stream) = &self.stream
            && stream.poll_asked(cx).is_ready()
        {
            // Between two chunks: the client sees a whole answer and, if it is an EventSource, comes back.
            return Poll::Ready(None);
        }
        match self.incoming.poll_frame(cx) {
            Poll::Ready(frame) => {
                self.idle.progress();
                if let Some(upload) = &self.upload {
                    upload.hear_application();
                }
                Poll::Ready(frame)
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

    /// Takes the record along until the last byte is sent.
    pub(crate) fn keep(&mut self, mut record: Record) {
        if let ResponseBody::Text(text) = self {
            record.sent(text.as_ref().map_or(0, Bytes::len));
            return record.completed();
        }
        if self.is_end_stream() {
            record.completed();
        }
        if let Some(place) = self.record() {
            *place = Some(record);
        }
    }

    fn record(&mut self) -> Option<&mut Option<Record>> {
        match self {
            ResponseBody::Text(_) | ResponseBody::Tunnel => None,
            ResponseBody::Relay(relay) => Some(&mut relay.record),
            ResponseBody::File(file) => Some(&mut file.record),
            ResponseBody::Compressed(compressed) => Some(&mut compressed.record),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        match self {
            ResponseBody::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            ResponseBody::Relay(relay) => match relay.last_words.take() {
                Some(error) => Poll::Ready(Some(Err(error))),
                None => {
                    let frame = ready!(relay.poll_frame(cx));
                    relay.last_words.hold(cx, frame)
                }
            },
            ResponseBody::File(file) => file.poll_last(cx),
            ResponseBody::Compressed(compressed) => compressed.poll_frame(cx),
            ResponseBody::Tunnel => Poll::Ready(None),
        }
    }

    /// Forwards `relay`; one without a body has ended already.
    pub(crate) fn relay(mut relay: Relay) -> Self {
        if relay.incoming.is_ended() {
            relay.ended();
        }
        relay.in_flight.iter().for_each(InFlight::gave);
        ResponseBody::Relay(Box::new(relay))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = ready!(this.poll_next(cx));
        let ended = frame.is_none() || this.is_end_stream();
        if let Some(Some(record)) = this.record() {
            record.sent(frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()).map_or(0, Bytes::len));
            if ended {
                record.completed();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Text(text) => text.is_none(),
            ResponseBody::Relay(relay) => relay.incoming.is_ended(),
            ResponseBody::File(file) => file.left() == 0,
            ResponseBody::Compressed(compressed) => compressed.is_end_stream(),
            ResponseBody::Tunnel => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            ResponseBody::Relay(relay) => relay.incoming.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            ResponseBody::File(file) => SizeHint::with_exact(file.left()),
            ResponseBody::Compressed(_) => SizeHint::default(),
            ResponseBody::Tunnel => SizeHint::with_exact(0),
        }
    }
}
