//! Answers without a foreseeable end: WebSockets and event streams. Each can be asked to end.

pub(crate) mod early;
pub(crate) mod frame;
pub(crate) mod tunnel;

use crate::table::endpoint::EndpointState;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// Every stream of one worker.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: RefCell<HashMap<u64, Rc<Stream>>>,
    next: Cell<u64>,
}

/// One stream.
#[derive(Debug)]
struct Stream {
    endpoint: Arc<EndpointState>,
    asked: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A stream's place in the list; given up when dropped.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    streams: Rc<Streams>,
    id: u64,
    stream: Rc<Stream>,
}

impl Streams {
    /// Lists a stream that is held at `endpoint`.
    pub(crate) fn add(self: &Rc<Self>, endpoint: &Arc<EndpointState>) -> StreamGuard {
        let id = self.next.get();
        self.next.set(id + 1);
        let stream = Rc::new(Stream { endpoint: Arc::clone(endpoint), asked: Cell::new(false), waker: RefCell::default() });
        self.open.borrow_mut().insert(id, Rc::clone(&stream));
        StreamGuard { streams: Rc::clone(self), id, stream }
    }

    /// Nothing is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Asks streams of `endpoints` (all of them if absent) to end, evenly spread over `jitter`, so that their clients do not all come back at once.
    pub(crate) async fn close(self: Rc<Self>, endpoints: Option<HashSet<String>>, jitter: Duration) {
        let wanted = |stream: &Stream| endpoints.as_ref().is_none_or(|ids| ids.contains(&stream.endpoint.id));
        let chosen: Vec<Rc<Stream>> = self.open.borrow().values().filter(|stream| wanted(stream)).cloned().collect();
        drop(self);
        let start = Instant::now();
        let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX).max(1);
        for (i, stream) in (0u32..).zip(chosen) {
            tokio::time::sleep_until(start + jitter.mul_f64(f64::from(i) / f64::from(count))).await;
            stream.asked.set(true);
            if let Some(waker) = stream.waker.take() {
                waker.wake();
            }
        }
    }
}

impl StreamGuard {
    /// Ready when the stream was asked to end.
    pub(crate) fn poll_asked(&self, cx: &Context<'_>) -> Poll<()> {
        if self.stream.asked.get() {
            return Poll::Ready(());
        }
        let mut waker = self.stream.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.streams.open.borrow_mut().remove(&self.id);
    }
}
