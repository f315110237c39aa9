//! Gets a request to some ready replica and its answer back.
//!
//! A request that no application can have seen is sent elsewhere, at most three times, and each time the endpoints come from the table of
//! that moment: during a rollout the replica picked first may be gone by now.

use crate::edge::record::Record;
use crate::edge::refusal::Refusal;
use crate::upstream::balance::LocalTable;
use crate::upstream::body::RequestBody;
use crate::upstream::call::{Called, Connected, call};
use crate::upstream::coming::Coming;
use crate::upstream::fault::Failed;
use crate::upstream::http1::{Answer, Outgoing, Switched};
use crate::upstream::interim::Interim;
use crate::upstream::pool::{Held, LocalEndpoint};
use crate::upstream::send::{Sent, is_repeatable, send};
use crate::upstream::upload::Upload;
use crate::worker::Worker;
use http::{Request, Response};
use landfall_model::fault::Fault;
use landfall_model::route::Protocol;
use std::io;
use std::rc::Rc;
use std::time::Duration;

const TRIES: usize = 3;
/// Before asking an endpoint again that refused a moment ago: a replica that is being started again needs about that long.
const PAUSE: Duration = Duration::from_millis(100);

/// A request ready to be sent.
pub(crate) struct Outbound {
    /// With canonical target and clean headers.
    pub(crate) request: Request<RequestBody>,
    /// How its body goes, if it has one.
    pub(crate) upload: Option<Rc<Upload>>,
    /// Index of the service in the table the request started with.
    pub(crate) upstream: usize,
    /// For the head of the answer.
    pub(crate) timeout: Duration,
    /// Whom to tell what the application says before its answer.
    pub(crate) interim: Option<Rc<Interim>>,
}

/// What the application answered.
pub(crate) enum Came {
    /// An ordinary answer.
    Http(Response<Coming>),
    /// It speaks another protocol from here on.
    Switched(Response<()>, Switched),
    /// So does a stream of it.
    Connected(Response<()>, Connected),
}

impl From<Answer> for Came {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Http(response) => Came::Http(response.map(Coming::Http1)),
            Answer::Switched(response, upstream) => Came::Switched(response, upstream),
        }
    }
}

/// A request as it goes to endpoints of its service's protocol.
enum Message {
    Http1(Outgoing),
    H2c(Request<RequestBody>),
}

/// An answer and the place it holds.
pub(crate) struct Inbound {
    pub(crate) answer: Came,
    pub(crate) held: Held,
}

/// Sends `outbound` to an endpoint of its service.
pub(crate) async fn forward(worker: &Worker, table: &Rc<LocalTable>, outbound: Outbound, record: &mut Record) -> Result<Inbound, Refusal> {
    let Outbound { request, upload, upstream, timeout, interim } = outbound;
    let repeatable = is_repeatable(&request);
    let mut message = match table.compiled.upstreams.get(upstream).map(|upstream| upstream.protocol).unwrap_or_default() {
        Protocol::Http1 => Message::Http1(Outgoing::new(request).telling(interim)),
        Protocol::H2c => Message::H2c(request),
    };
    let mut failed: Vec<Rc<LocalEndpoint>> = Vec::new();
    let mut last = Refusal::BadGateway;
    for _ in 0..TRIES {
        let nobody = || if worker.table().compiled.generation == 0 { Refusal::NoTable } else { Refusal::NoEndpoint };
        let endpoint = pick(worker, table, upstream, &failed).ok_or_else(nobody)?;
        // All others have at least as many. It is not sick, and the client may come again.
        if endpoint.load() >= worker.max_per_replica() {
            return Err(Refusal::Busy);
        }
        // Counted before the first wait: whoever sees zero may stop the replica.
        let held = Held::request(&endpoint);
        record.sent_to(&endpoint);
        if failed.iter().any(|f| Rc::ptr_eq(f, &endpoint)) {
            tokio::time::sleep(PAUSE).await;
        }
        let sent = match message {
            Message::Http1(outgoing) if endpoint.protocol == Protocol::Http1 => match endpoint.take(repeatable).await {
                Ok(taken) => send(taken, outgoing, repeatable, upload.as_ref(), timeout).await.into(),
                Err(error) => Tried::Unreached(Message::Http1(outgoing), error),
            },
            Message::H2c(request) if endpoint.protocol == Protocol::H2c => match endpoint.place().await {
                Ok(place) => call(place, request, upload.as_ref(), timeout).await.into(),
                Err(error) => Tried::Unreached(Message::H2c(request), error),
            },
            // The service speaks something else since a moment ago.
            _ => return Err(Refusal::BadGateway),
        };
        match sent {
            Tried::Answered(answer) => return Ok(Inbound { answer, held }),
            Tried::Unsent(again) => message = again,
            Tried::Unreached(again, error) => {
                let reason = Failed::unreached(&error);
                last = refusal(reason.fault);
                if reason.fault == Fault::Exhausted {
                    if let Some(times) = endpoint.starved.again() {
                        tracing::warn!(endpoint = endpoint.state.id, times, %reason, "no connection to a replica; it is not taken for sick");
                    }
                } else if endpoint.state.set_healthy(false) {
                    tracing::info!(endpoint = endpoint.state.id, %reason, "cannot be reached");
                }
                record.failed(reason);
                failed.push(endpoint);
                message = again;
            }
            Tried::NoTunnel => return Err(Refusal::Protocol),
            Tried::TimedOut => return Err(fail(record, Failed::timed_out(timeout))),
            Tried::Lost(_) if upload.as_ref().is_some_and(|upload| upload.is_too_large()) => return Err(Refusal::TooLarge),
            Tried::Lost(_) if upload.as_ref().is_some_and(|upload| upload.failed()) => return Err(Refusal::Unfinished),
            Tried::Lost(reason) => {
                tracing::debug!(endpoint = endpoint.state.id, %reason, "gave no answer that can be passed on");
                return Err(fail(record, reason));
            }
        }
    }
    Err(last)
}

/// Keeps the reason where the owner finds it; the client hears less.
pub(crate) fn fail(record: &mut Record, reason: Failed) -> Refusal {
    let refusal = refusal(reason.fault);
    record.failed(reason);
    refusal
}

fn refusal(fault: Fault) -> Refusal {
    match fault {
        Fault::Unreachable => Refusal::BadGateway,
        Fault::NoNetwork | Fault::Exhausted => Refusal::NoEndpoint,
        Fault::Closed => Refusal::NoAnswer,
        Fault::Malformed | Fault::TooLarge | Fault::Upgrade => Refusal::Unreadable,
        Fault::Timeout => Refusal::Timeout,
    }
}

/// How one try went.
enum Tried {
    Answered(Came),
    Unsent(Message),
    /// No connection could be made.
    Unreached(Message, io::Error),
    Lost(Failed),
    /// It takes no WebSockets.
    NoTunnel,
    TimedOut,
}

impl From<Sent> for Tried {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Answered(answer) => Tried::Answered(answer.into()),
            Sent::Unsent(outgoing) => Tried::Unsent(Message::Http1(outgoing)),
            Sent::Lost(failure) => Tried::Lost(Failed::lost(&failure)),
            Sent::TimedOut => Tried::TimedOut,
        }
    }
}

impl From<Called> for Tried {
    fn from(called: Called) -> Self {
        match called {
            Called::Answered(response) => Tried::Answered(Came::Http(response)),
            Called::Connected(response, connected) => Tried::Answered(Came::Connected(response, connected)),
            Called::NoTunnel => Tried::NoTunnel,
            Called::Unsent(request) => Tried::Unsent(Message::H2c(request)),
            Called::Lost(error) => Tried::Lost(Failed::lost_h2c(&error)),
            Called::Malformed(words) => Tried::Lost(Failed::malformed(words)),
            Called::TimedOut => Tried::TimedOut,
        }
    }
}

/// Picks from the table in use now, which is the request's own unless a swap came between.
fn pick(worker: &Worker, table: &Rc<LocalTable>, upstream: usize, failed: &[Rc<LocalEndpoint>]) -> Option<Rc<LocalEndpoint>> {
    let current = worker.table();
    if Rc::ptr_eq(&current, table) {
        return table.upstreams[upstream].pick(failed);
    }
    let index = current.compiled.upstream(&table.compiled.upstreams[upstream].key)?;
    current.upstreams[index].pick(failed)
}
