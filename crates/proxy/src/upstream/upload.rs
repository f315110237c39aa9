//! What is known of a request's body while it is on its way, by those who carry the answer.

use crate::upstream::patience::IdleLimit;
use std::cell::{Cell, RefCell};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How long an application may leave a client waiting that asked with `Expect: 100-continue`. Many never answer the question, and a client does not
/// wait for ever either.
const CONTINUE_LIMIT: Duration = Duration::from_secs(1);

/// What became of a request's body.
#[derive(Default)]
pub(crate) struct Upload {
    ended: Cell<Option<Instant>>,
    failed: Cell<bool>,
    too_large: Cell<bool>,
    bytes: Cell<u64>,
    /// When each side spoke last, from the answer's head on.
    client_spoke: Cell<Option<Instant>>,
    application_spoke: Cell<Option<Instant>>,
    hold: RefCell<Option<IdleLimit>>,
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

    /// So much was taken.
    pub(crate) fn took(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// The client sent more than it may.
    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large.get()
    }

    /// The client sends more than it may.
    pub(crate) fn exceed(&self) {
        self.too_large.set(true);
        self.fail();
    }

    /// The client broke off or stalled.
    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// The client breaks off or stalls.
    pub(crate) fn fail(&self) {
        self.failed.set(true);
    }

    /// The answer's head came before the end of the request: from here on either side may be silent while the other speaks.
    pub(crate) fn answered(&self) {
        let now = Some(Instant::now());
        self.client_spoke.set(now);
        self.application_spoke.set(now);
    }

    /// The application speaks.
    pub(crate) fn hear_application(&self) {
        self.application_spoke.set(Some(Instant::now()));
    }

    /// The client speaks.
    pub(crate) fn hear_client(&self) {
        if self.client_spoke.get().is_some() {
            self.client_spoke.set(Some(Instant::now()));
        }
    }

    /// How much longer a side may be silent because the other one, or itself, spoke within `limit`. Nothing before the answer, or after the
    /// request's end.
    pub(crate) fn patience(&self, limit: Duration) -> Option<Duration> {
        if self.ended.get().is_some() {
            return None;
        }
        let last = self.client_spoke.get().max(self.application_spoke.get())?;
        limit.checked_sub(last.elapsed()).filter(|left| !left.is_zero())
    }

    /// The client waits to be told to go on (RFC 9110 §10.1.1): its body is not asked for before the application does.
    pub(crate) fn hold(&self) {
        *self.hold.borrow_mut() = Some(IdleLimit::new(CONTINUE_LIMIT));
    }

    /// The application tells it to.
    pub(crate) fn go(&self) {
        *self.hold.borrow_mut() = None;
    }

    /// Ready when the body may be asked for. After an answer there is no need.
    pub(crate) fn poll_go(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut hold = self.hold.borrow_mut();
        if let Some(limit) = hold.as_mut() {
            if limit.poll_exceeded(cx).is_pending() || self.application_spoke.get().is_some() {
                return Poll::Pending;
            }
            *hold = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_excused_while_the_other_side_speaks() {
        let upload = Upload::default();
        assert_eq!(upload.patience(Duration::MAX), None, "not before the answer");
        upload.hear_client();
        assert_eq!(upload.patience(Duration::MAX), None);
        upload.answered();
        assert!(upload.patience(Duration::from_secs(3600)).is_some());
        assert_eq!(upload.patience(Duration::ZERO), None);
        upload.end();
        assert_eq!(upload.patience(Duration::MAX), None, "not after the request's end");
    }
}
