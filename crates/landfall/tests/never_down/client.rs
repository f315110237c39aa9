//! Clients that ask without pause over every kind of connection and read every answer to its end.
//!
//! A request is lost if it fails, or if its answer is not exactly the one meant for it. It is asked again only where the protocols let every client do so,
//! and that is counted: an HTTP/1.1 connection that had served before and was closed without a byte of an answer (RFC 9112 §9.3.1), an HTTP/2 stream that the
//! connection's end says was not processed (RFC 9113 §8.7). The application's ledger shows whether that was true.

use super::application::{Application, all_bodies, body_of};
use super::dial::{Dial, H1, H2, PLAIN, SECURE};
use super::stage::Stage;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::task::LocalSet;

/// For one request, whatever happens to the proxy meanwhile.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How often a request is asked again at most.
const MAX_REPEATS: usize = 5;
/// Clients of each kind; those of HTTP/2 share connections.
const KEPT: usize = 6;
const FRESH: usize = 2;
/// Of those that speak only now and then, on kept connections.
const QUIET: usize = 12;
const H2_CONNECTIONS: usize = 2;
const H2_STREAMS: usize = 6;

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    next: AtomicU64,
    stop: AtomicBool,
    pub(crate) answered: AtomicU64,
    pub(crate) over_h2: AtomicU64,
    pub(crate) connections: AtomicU64,
    /// Kept connections that were closed before a byte of an answer.
    pub(crate) closed_idle: AtomicU64,
    /// Streams that the proxy said it had not begun.
    pub(crate) not_begun: Mutex<Vec<u64>>,
    pub(crate) lost: Mutex<Vec<String>>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.lost.lock().unwrap();
        write!(
            f,
            "{} requests answered ({} over HTTP/2) on {} connections, {} lost; asked again: {} on a connection closed while idle, {} on a stream not begun",
            self.answered.load(Relaxed),
            self.over_h2.load(Relaxed),
            self.connections.load(Relaxed),
            lost.len(),
            self.closed_idle.load(Relaxed),
            self.not_begun.lock().unwrap().len(),
        )?;
        lost.iter().take(20).try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Clients at work.
pub(crate) struct Load {
    pub(crate) tally: Arc<Tally>,
    thread: JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(stage: &Stage) -> Self {
        let tally = Arc::new(Tally::default());
        let (dial, shared) = (Dial::new(stage), Arc::clone(&tally));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let local = LocalSet::new();
            let client = Rc::new(Client { dial, tally: shared, bodies: all_bodies() });
            for index in 0..KEPT + FRESH {
                local.spawn_local(Rc::clone(&client).asks_h1(index % 2 == 0, index < KEPT, Duration::ZERO));
            }
            for index in 0..QUIET {
                let pause = Duration::from_millis(250) * index as u32;
                local.spawn_local(Rc::clone(&client).asks_h1(index % 2 == 0, true, pause));
            }
            for _ in 0..H2_CONNECTIONS {
                let shared = Rc::new(tokio::sync::Mutex::new(None));
                for _ in 0..H2_STREAMS {
                    local.spawn_local(Rc::clone(&client).asks_h2(Rc::clone(&shared)));
                }
            }
            runtime.block_on(local);
        });
        Self { tally, thread }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.tally.answered.load(Relaxed)
    }

    /// Lets every request end and judges.
    pub(crate) fn stop(self, application: &Application) -> Arc<Tally> {
        self.tally.stop.store(true, Relaxed);
        self.thread.join().unwrap();
        let tally = self.tally;
        let mut twice: Vec<u64> = (0..tally.next.load(Relaxed)).filter(|id| is_post(*id)).collect();
        twice.extend(tally.not_begun.lock().unwrap().iter());
        twice.retain(|id| application.carried_out(*id) > 1);
        let not_once = twice.into_iter().map(|id| format!("request {id} was carried out {} times", application.carried_out(id)));
        tally.lost.lock().unwrap().extend(not_once);
        tally
    }
}

/// Why a request was not answered.
enum Fault {
    /// It may be asked again.
    Repeat,
    Lost(String),
}

struct Client {
    dial: Dial,
    tally: Arc<Tally>,
    bodies: Bytes,
}

type SharedH2 = Rc<tokio::sync::Mutex<Option<H2>>>;

fn is_post(id: u64) -> bool {
    id % 4 == 3
}

fn length(id: u64) -> usize {
    match id % 64 {
        1 => super::application::LONGEST,
        2..8 => 20_000,
        8..24 => 2_000,
        _ => 100,
    }
}

impl Client {
    fn next(&self) -> Option<u64> {
        (!self.tally.stop.load(Relaxed)).then(|| self.tally.next.fetch_add(1, Relaxed))
    }

    async fn asks_h1(self: Rc<Self>, tls: bool, keeps: bool, pause: Duration) {
        let mut kept = None;
        while let Some(id) = self.next() {
            let asking = self.over_h1(id, tls, &mut kept);
            self.note(id, tokio::time::timeout(ANSWER_LIMIT, asking).await.unwrap_or_else(|_| Err("no answer".to_owned())));
            if !keeps {
                kept = None;
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn over_h1(&self, id: u64, tls: bool, kept: &mut Option<H1>) -> Result<(), String> {
        for _ in 0..=MAX_REPEATS {
            // Closed by an answer that said so, or while it was idle: nothing was asked on it.
            if let Some(conn) = kept.as_mut()
                && conn.sender.ready().await.is_err()
            {
                *kept = None;
            }
            let conn = match kept {
                Some(conn) => conn,
                None => {
                    self.tally.connections.fetch_add(1, Relaxed);
                    kept.insert(self.dial.h1(tls).await.map_err(|e| format!("connect: {e}"))?)
                }
            };
            match self.once_over_h1(id, tls, conn).await {
                Ok(()) => {
                    conn.used = true;
                    return Ok(());
                }
                Err(fault) => {
                    *kept = None;
                    match fault {
                        Fault::Repeat => self.tally.closed_idle.fetch_add(1, Relaxed),
                        Fault::Lost(why) => return Err(why),
                    };
                }
            }
        }
        Err(format!("closed {MAX_REPEATS} times"))
    }

    async fn once_over_h1(&self, id: u64, tls: bool, conn: &mut H1) -> Result<(), Fault> {
        let before = conn.came.get();
        let request = self.request(id, format!("/{id}/{}", length(id)), if tls { SECURE } else { PLAIN });
        match conn.sender.send_request(request).await {
            Ok(answer) => self.judge(id, answer).await.map_err(Fault::Lost),
            Err(_) if conn.used && conn.came.get() == before => Err(Fault::Repeat),
            Err(error) => Err(Fault::Lost(said(&error))),
        }
    }

    async fn asks_h2(self: Rc<Self>, shared: SharedH2) {
        while let Some(id) = self.next() {
            let asking = self.over_h2(id, &shared);
            let done = tokio::time::timeout(ANSWER_LIMIT, asking).await.unwrap_or_else(|_| Err("no answer".to_owned()));
            if done.is_ok() {
                self.tally.over_h2.fetch_add(1, Relaxed);
            }
            self.note(id, done.map_err(|why| format!("h2: {why}")));
        }
    }

    async fn over_h2(&self, id: u64, shared: &SharedH2) -> Result<(), String> {
        for _ in 0..=MAX_REPEATS {
            let mut sender = self.h2(shared).await.map_err(|e| format!("connect: {e}"))?;
            let url = format!("https://{SECURE}/{id}/{}", length(id));
            match sender.try_send_request(self.request(id, url, SECURE)).await {
                Ok(answer) => return self.judge(id, answer).await,
                // It was not sent at all.
                Err(error) if error.message().is_some() => {}
                Err(error) if is_not_begun(error.error()) => self.tally.not_begun.lock().unwrap().push(id),
                Err(error) => return Err(said(error.error())),
            }
        }
        Err(format!("refused {MAX_REPEATS} times"))
    }

    async fn h2(&self, shared: &SharedH2) -> std::io::Result<H2> {
        let mut shared = shared.lock().await;
        if let Some(sender) = shared.as_mut()
            && sender.ready().await.is_ok()
        {
            return Ok(sender.clone());
        }
        self.tally.connections.fetch_add(1, Relaxed);
        Ok(shared.insert(self.dial.h2().await?).clone())
    }

    fn request(&self, id: u64, uri: String, host: &str) -> Request<Full<Bytes>> {
        let builder = if is_post(id) { Request::post(uri) } else { Request::get(uri) };
        let body = if is_post(id) { body_of(&self.bodies, id, length(id)) } else { Bytes::new() };
        builder.header("host", host).body(Full::new(body)).unwrap()
    }

    async fn judge(&self, id: u64, answer: Response<Incoming>) -> Result<(), String> {
        let status = answer.status();
        let named = answer.headers().get("x-request").and_then(|v| v.to_str().ok()?.parse().ok()) == Some(id);
        let body = answer.into_body().collect().await.map_err(|e| format!("{status}, then {}", said(&e)))?.to_bytes();
        if status != 200 || !named {
            return Err(format!("{status} {:?}", String::from_utf8_lossy(&body[..body.len().min(100)])));
        }
        if body != body_of(&self.bodies, id, length(id)) {
            return Err(format!("another body, of {} bytes", body.len()));
        }
        Ok(())
    }

    fn note(&self, id: u64, done: Result<(), String>) {
        match done {
            Ok(()) => drop(self.tally.answered.fetch_add(1, Relaxed)),
            Err(why) => self.tally.lost.lock().unwrap().push(format!("request {id}: {why}")),
        }
    }
}

/// The proxy's GOAWAY named an earlier stream as the last, or it refused this one.
fn is_not_begun(error: &hyper::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(h2) = error.downcast_ref::<h2::Error>() {
            let graceful = h2.is_go_away() && h2.reason() == Some(h2::Reason::NO_ERROR);
            return h2.is_remote() && (graceful || h2.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        cause = error.source();
    }
    false
}

fn said(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", said(source)))
}
