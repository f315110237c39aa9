//! Starting, marking and stopping a load. The generator has a thread and a runtime of its own.

use crate::dial::Dial;
use crate::record::Record;
use crate::report::Report;
use crate::target::Target;
use crate::{request, socket, stream};
use std::error::Error;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_rustls::rustls;

/// Why a load cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The PEM file of the authority.
    #[error("cannot use {} as a certificate authority", file.display())]
    Ca {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The host cannot be asked for in TLS.
    #[error("not a host name: {0}")]
    Host(String),
    /// The TLS library refuses its own defaults.
    #[error("cannot speak TLS")]
    Tls(#[source] rustls::Error),
    /// More than this generator is made for.
    #[error("{asked} {what} are more than {limit}")]
    TooMuch {
        /// Of which.
        what: &'static str,
        /// How many were asked for.
        asked: u32,
        /// How many there may be.
        limit: u32,
    },
    /// Requests are wanted, but there is no path or no kind of connection to ask on.
    #[error("requests are wanted, but nothing to ask or no connection to ask on")]
    NothingToAsk,
    /// The system gives no thread or no runtime.
    #[error("cannot start the generator")]
    Thread(#[source] std::io::Error),
}

/// What every part of the generator needs; lives on its thread.
pub(crate) struct Run {
    pub(crate) target: Target,
    pub(crate) dial: Rc<Dial>,
    pub(crate) record: Arc<Record>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Run {
    /// Returns when the load is to stop.
    pub(crate) async fn stopped(&self) {
        // An error means that the handle is gone, which is a stop too.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }
}

/// Starts loads.
#[derive(Debug)]
pub struct Load;

impl Load {
    /// Starts the load on a thread of its own and returns at once.
    pub fn start(target: Target) -> Result<Handle, StartError> {
        target.check()?;
        let record = Arc::new(Record::new(target.drain));
        let (stop, stopped) = watch::channel(false);
        // Here, so that a bad certificate is an error of the start and not of every request.
        let dial = Dial::new(&target)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let on_thread = Arc::clone(&record);
        let thread = std::thread::Builder::new()
            .name("load".into())
            .spawn(move || {
                let run = Run { target, dial: Rc::new(dial), record: on_thread, stop: stopped };
                LocalSet::new().block_on(&runtime, generate(Rc::new(run)));
            })
            .map_err(StartError::Thread)?;
        Ok(Handle { record, stop, thread: Some(thread) })
    }
}

async fn generate(run: Rc<Run>) {
    let mut parts = tokio::task::JoinSet::new();
    parts.spawn_local(request::drive(Rc::clone(&run)));
    for index in 0..run.target.sockets.count {
        parts.spawn_local(socket::keep_open(Rc::clone(&run), index));
    }
    for _ in 0..run.target.streams.count {
        parts.spawn_local(stream::keep_open(Rc::clone(&run)));
    }
    while parts.join_next().await.is_some() {}
}

/// A load under way. Dropped, it stops without a report.
#[derive(Debug)]
pub struct Handle {
    record: Arc<Record>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Says that the release of `version` (what its answers carry as `x-version`) begins now: from `drain` after this on, what is
    /// still open on other versions may be closed.
    pub fn mark_release(&self, version: &str) {
        self.record.release(version);
    }

    /// What was seen so far.
    pub fn snapshot(&self) -> Report {
        self.record.report()
    }

    /// Waits until the report satisfies `done` and returns it; returns the last one as an error when `limit` has passed. Blocks the
    /// calling thread; looks at every change.
    pub fn wait(&self, limit: Duration, done: impl Fn(&Report) -> bool) -> Result<Report, Box<Report>> {
        self.record.wait(limit, done)
    }

    /// Stops: starts nothing more, waits for the requests under way (as long as the deadline), closes what is open. Blocks the
    /// calling thread for that time.
    pub fn stop(mut self) -> Report {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            // A report of half a load would be taken for a good one.
            std::panic::resume_unwind(panic);
        }
        self.record.report()
    }
}
