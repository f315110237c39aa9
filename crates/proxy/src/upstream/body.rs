//! Bodies on their way through. Nothing is buffered: a frame is forwarded as it comes, and who does not read is not read for.
//!
//! A body that ends too early ends as an error on the other side too (the connection is aborted, the HTTP/2 stream reset): a short answer
//! must never look like a whole one.

use crate::edge::file::FileBody;
use crate::edge::filter::{Compressed, throw_away};
use crate::edge::header::clean_trailers;
use crate::edge::record::{self, Record};
use crate::edge::watch::InFlight;
use crate::stream::StreamGuard;
use crate::upstream::http1::AnswerBody;
use crate::upstream::pace::Pace;
use crate::upstream::pool::Held;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::cell::Cell;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

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
    /// It could not be read from its file.
    #[error("the file could not be read to its end")]
    File(#[source] std::io::Error),
    /// The application ended the connection before the body's end.
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
    incoming: Incoming,
    upload: Rc<Upload>,
    pace: Pace,
    /// Bytes that may still come.
    left: u64,
}

/// What became of a request's body.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    ended: Cell<Option<Instant>>,
    failed: Cell<bool>,
    too_large: Cell<bool>,
    bytes: Cell<u64>,
}

impl Upload {
    /// When its last byte was taken.
    pub(crate) fn ended(&self) -> Option<Instant> {
        self.ended.get()
    }

    /// Its last byte was taken now.
    pub(crate) fn end(&self) {
        self.ended.set(Some(Instant::now()));
    }

    /// What was taken so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// The client sent more than it may.
    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large.get()
    }

    /// The client broke off or stalled.
    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }
}

impl RequestBody {
    /// Wraps what the client sends, at most `limit` bytes; the second value tells how it goes and is absent when there is no body.
    pub(crate) fn new(incoming: Incoming, limit: u64, http2: bool) -> (Self, Option<Rc<Upload>>) {
        if incoming.is_end_stream() {
            return (RequestBody::Empty, None);
        }
        let upload = Rc::new(Upload::default());
        let pace = Pace::new(http2 && incoming.size_hint().exact().is_none());
        let body = ClientBody { incoming, upload: Rc::clone(&upload), pace, left: limit };
        (RequestBody::Client(Box::new(body)), Some(upload))
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, RequestBody::Empty)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let RequestBody::Client(body) = this else { return Poll::Ready(None) };
        let frame = match Pin::new(&mut body.incoming).poll_frame(cx) {
            Poll::Ready(Some(frame)) => Some(frame.map(clean).map_err(BodyError::from)),
            Poll::Ready(None) => None,
            Poll::Pending => {
                ready!(body.pace.poll_exceeded(cx));
                Some(Err(BodyError::Stalled))
            }
        };
        let length = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()).map_or(0, |data| data.len() as u64);
        body.pace.received(length);
        let Some(left) = body.left.checked_sub(length) else {
            body.upload.failed.set(true);
            body.upload.too_large.set(true);
            if let RequestBody::Client(body) = std::mem::replace(this, RequestBody::Empty) {
                throw_away(body.incoming);
            }
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        };
        body.left = left;
        body.upload.bytes.set(body.upload.bytes.get() + length);
        match &frame {
            Some(Err(_)) => body.upload.failed.set(true),
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

/// What a client says behind a body, as far as an application may hear it.
fn clean(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        clean_trailers(trailers);
    }
    frame
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
}

/// An application's body and everything that is held until it ends.
pub(crate) struct Relay {
    /// What comes.
    pub(crate) incoming: AnswerBody,
    /// Without a byte.
    pub(crate) idle: IdleLimit,
    /// The endpoint's counter.
    pub(crate) held: Option<Held>,
    /// Present for an event stream, which can be asked to end.
    pub(crate) stream: Option<StreamGuard>,
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
        if let Some(record) = &mut self.record {
            record.completed();
        }
    }

    /// The next frame.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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
                Poll::Ready(frame)
            }
            Poll::Pending => {
                ready!(self.idle.poll_exceeded(cx));
                Poll::Ready(Some(Err(BodyError::Stalled)))
            }
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
        let (ended, place) = match self {
            ResponseBody::Relay(relay) => (relay.incoming.is_ended(), &mut relay.record),
            ResponseBody::File(file) => (file.left() == 0, &mut file.record),
            ResponseBody::Compressed(compressed) => (false, compressed.record()),
            ResponseBody::Text(text) => {
                record.sent(text.as_ref().map_or(0, Bytes::len));
                return record.completed();
            }
        };
        if ended {
            record.completed();
        }
        *place = Some(record);
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
        match self.get_mut() {
            ResponseBody::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            ResponseBody::Relay(relay) => match relay.last_words.take() {
                Some(error) => Poll::Ready(Some(Err(error))),
                None => {
                    let frame = ready!(relay.poll_frame(cx));
                    record::count(&mut relay.record, &frame);
                    relay.last_words.hold(cx, frame)
                }
            },
            ResponseBody::File(file) => {
                let frame = ready!(file.poll_last(cx));
                record::count(&mut file.record, &frame);
                Poll::Ready(frame)
            }
            ResponseBody::Compressed(compressed) => {
                let frame = ready!(compressed.poll_frame(cx));
                record::count(compressed.record(), &frame);
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Text(text) => text.is_none(),
            ResponseBody::Relay(relay) => relay.incoming.is_ended(),
            ResponseBody::File(file) => file.left() == 0,
            ResponseBody::Compressed(compressed) => compressed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            ResponseBody::Relay(relay) => relay.incoming.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            ResponseBody::File(file) => SizeHint::with_exact(file.left()),
            ResponseBody::Compressed(_) => SizeHint::default(),
        }
    }
}

/// Ends a wait in which nothing happens. The timer is made at the first wait, so a body that arrives at once costs none.
pub(crate) struct IdleLimit {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    progressed: bool,
}

impl IdleLimit {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None, progressed: false }
    }

    /// Something came; the next wait starts anew.
    pub(crate) fn progress(&mut self) {
        self.progressed = true;
    }

    /// Ready when the present wait has lasted too long.
    pub(crate) fn poll_exceeded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if std::mem::take(&mut self.progressed) {
            timer.as_mut().reset(tokio::time::Instant::now() + self.limit);
        }
        timer.as_mut().poll(cx)
    }
}
