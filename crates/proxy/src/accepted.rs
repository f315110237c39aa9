//! A connection from its acceptance to its end, as it counts with its worker and its client.

use crate::edge::quota::Share;
use crate::worker::Worker;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

/// A connection's place among those accepted.
pub(crate) struct Accepted {
    worker: Rc<Worker>,
    /// Absent for calls between services, and until it is known whose it is.
    share: Option<Share>,
}

impl Accepted {
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        let count = &worker.counters().connections;
        count.store(count.load(Relaxed) + 1, Relaxed);
        Self { worker: Rc::clone(worker), share: None }
    }

    /// Counts it as one of `client`'s; false if that has as many as it may.
    pub(crate) fn claim(&mut self, client: IpAddr) -> bool {
        self.share = self.worker.quota.take(client);
        self.share.is_some()
    }

    /// Whose.
    pub(crate) fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        let count = &self.worker.counters().connections;
        count.store(count.load(Relaxed) - 1, Relaxed);
    }
}
