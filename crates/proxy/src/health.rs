//! Asks every endpoint of the table how it is, and tells the workers by a flag.
//!
//! Two failures in a row take an endpoint out of the choice, one success brings it back; a failed connect in a worker takes it out at once.
//! When none is healthy all are used: a check that is wrong must not take a service away.

use crate::table::Compiled;
use crate::table::endpoint::EndpointState;
use crate::upstream::body::RequestBody;
use crate::upstream::reach::Reach;
use crate::worker::LocalExecutor;
use futures_util::StreamExt;
use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use landfall_model::route::Protocol;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const PERIOD: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(2);
const FAILURES: u32 = 2;
/// Checks at the same time.
const CONCURRENT: usize = 64;

/// One endpoint to ask.
struct Check {
    state: Arc<EndpointState>,
    reach: Reach,
    protocol: Protocol,
    path: Option<String>,
}

/// Checks the endpoints of whatever table `current` holds, for ever.
pub(crate) async fn watch(current: Rc<RefCell<Arc<Compiled>>>) {
    let mut failures: HashMap<String, u32> = HashMap::new();
    let mut turns = interval_at(Instant::now() + PERIOD, PERIOD);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let checks = checks(&current.borrow());
        failures.retain(|id, _| checks.iter().any(|check| check.state.id == *id));
        let asked =
            futures_util::stream::iter(checks).map(async |check| (tokio::time::timeout(LIMIT, ask(&check)).await == Ok(true), check));
        // Judged as they come, so that one that hangs keeps no other from coming back.
        let mut results = pin!(asked.buffer_unordered(CONCURRENT));
        while let Some((answered, check)) = results.next().await {
            judge(answered, &check, failures.entry(check.state.id.clone()).or_default());
        }
    }
}

fn judge(answered: bool, check: &Check, failures: &mut u32) {
    *failures = if answered { 0 } else { failures.saturating_add(1) };
    let certain = answered || *failures >= FAILURES;
    if certain && check.state.set_healthy(answered) {
        tracing::info!(endpoint = check.state.id, healthy = answered, "health changed");
    }
}

/// Every endpoint once, even if several services name it.
fn checks(table: &Compiled) -> Vec<Check> {
    let mut seen = HashSet::new();
    let mut checks = Vec::new();
    for upstream in &table.upstreams {
        for (state, reach) in &upstream.endpoints {
            if seen.insert(state.id.clone()) {
                let path = upstream.health_path.clone();
                checks.push(Check { state: Arc::clone(state), reach: reach.clone(), protocol: upstream.protocol, path });
            }
        }
    }
    checks
}

async fn ask(check: &Check) -> bool {
    let Ok(stream) = check.reach.connect().await else { return false };
    match &check.path {
        None => true,
        Some(path) => get(stream, path, check).await.is_some_and(|status| status.is_success() || status.is_redirection()),
    }
}

async fn get(stream: TcpStream, path: &str, check: &Check) -> Option<StatusCode> {
    let mut request = Request::new(RequestBody::Empty);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("landfall"));
    let io = TokioIo::new(stream);
    match check.protocol {
        Protocol::Http1 => {
            *request.uri_mut() = path.parse().ok()?;
            request.headers_mut().insert(HOST, HeaderValue::try_from(check.reach.address.to_string()).ok()?);
            let (mut sender, connection) = http1::handshake(io).await.ok()?;
            status(sender.send_request(request), connection).await
        }
        Protocol::H2c => {
            *request.uri_mut() = format!("http://{}{path}", check.reach.address).parse().ok()?;
            let (mut sender, connection) = http2::handshake(LocalExecutor, io).await.ok()?;
            status(sender.send_request(request), connection).await
        }
    }
}

async fn status(response: impl Future<Output = hyper::Result<Response<Incoming>>>, connection: impl Future) -> Option<StatusCode> {
    let mut response = pin!(response);
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        // An HTTP/1.0 server answers and closes: the connection may end in the same turn in which it delivers the answer.
        _ = connection => response.await,
    };
    response.ok().map(|response| response.status())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::endpoint::Endpoints;

    #[test]
    fn two_failures_take_it_out_and_one_success_brings_it_back() {
        let reach = Reach { address: "127.0.0.1:1".parse().unwrap(), interface: None };
        let state = Endpoints::new(1).state("a", &reach);
        let check = Check { state: Arc::clone(&state), reach, protocol: Protocol::Http1, path: None };
        let mut failures = 0;
        for (answered, healthy) in [(false, true), (false, false), (false, false), (true, true), (false, true)] {
            judge(answered, &check, &mut failures);
            assert_eq!(state.is_healthy(), healthy);
        }
        // A worker that cannot connect does not wait for a second failure.
        state.set_healthy(false);
        judge(true, &check, &mut failures);
        assert!(state.is_healthy());
    }

    #[tokio::test]
    async fn an_answer_counts_however_its_connection_ends() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let reach = Reach { address: listener.local_addr().unwrap(), interface: None };
        let server = tokio::spawn(async move {
            for status in ["HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.0 503 No", "garbage"].iter().cycle() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await;
                // The answer and the end arrive together.
                stream.write_all(format!("{status}\r\n\r\n").as_bytes()).await.unwrap();
            }
        });
        let check =
            Check { state: Endpoints::new(1).state("a", &reach), reach, protocol: Protocol::Http1, path: Some("/health".to_owned()) };
        for _ in 0..200 {
            for expected in [true, true, false, false] {
                assert_eq!(ask(&check).await, expected);
            }
        }
        server.abort();
    }
}
