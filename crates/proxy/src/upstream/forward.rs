//! Gets a request to some ready replica and its answer back.
//!
//! A request that no application can have seen is sent elsewhere, at most three times, and each time the endpoints come from the table of
//! that moment: during a rollout the replica picked first may be gone by now.

use crate::edge::record::Record;
use crate::edge::refusal::Refusal;
use crate::upstream::balance::LocalTable;
use crate::upstream::body::{RequestBody, Upload};
use crate::upstream::http1::{Answer, Outgoing};
use crate::upstream::pool::{Held, LocalEndpoint};
use crate::upstream::send::{Sent, is_repeatable, send};
use crate::worker::Worker;
use http::Request;
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
}

/// An answer and the place it holds.
pub(crate) struct Inbound {
    pub(crate) answer: Answer,
    pub(crate) held: Held,
}

/// Sends `outbound` to an endpoint of its service.
pub(crate) async fn forward(worker: &Worker, table: &Rc<LocalTable>, outbound: Outbound, record: &mut Record) -> Result<Inbound, Refusal> {
    let Outbound { request, upload, upstream, timeout } = outbound;
    let repeatable = is_repeatable(&request);
    let mut outgoing = Outgoing::new(request);
    let mut failed: Vec<Rc<LocalEndpoint>> = Vec::new();
    for _ in 0..TRIES {
        let endpoint = pick(worker, table, upstream, &failed).ok_or(Refusal::NoEndpoint)?;
        // Counted before the first wait: whoever sees zero may stop the replica.
        let held = Held::request(&endpoint);
        record.sent_to(&endpoint);
        if failed.iter().any(|f| Rc::ptr_eq(f, &endpoint)) {
            tokio::time::sleep(PAUSE).await;
        }
        let taken = match endpoint.take(repeatable).await {
            Ok(taken) => taken,
            Err(error) => {
                if endpoint.state.set_healthy(false) {
                    tracing::info!(endpoint = endpoint.state.id, %error, "cannot be reached");
                }
                failed.push(endpoint);
                continue;
            }
        };
        match send(taken, outgoing, repeatable, upload.as_ref(), timeout).await {
            Sent::Answered(answer) => return Ok(Inbound { answer, held }),
            Sent::Unsent(again) => outgoing = again,
            Sent::TimedOut => return Err(Refusal::Timeout),
            Sent::Lost(_) if upload.as_ref().is_some_and(|upload| upload.is_too_large()) => return Err(Refusal::TooLarge),
            Sent::Lost(_) if upload.as_ref().is_some_and(|upload| upload.failed()) => return Err(Refusal::Unfinished),
            Sent::Lost(error) => {
                tracing::debug!(endpoint = endpoint.state.id, %error, "broke off before answering");
                return Err(Refusal::BadGateway);
            }
        }
    }
    Err(Refusal::BadGateway)
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
