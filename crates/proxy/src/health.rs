//! Asks every endpoint of the table how it is, and tells the workers by a flag.
//!
//! Two failures in a row take an endpoint out of the choice, one success brings it back; a failed connect in a worker takes it out at once.
//! When none is healthy all are used: a check that is wrong must not take a service away.

use crate::table::Compiled;
use crate::table::endpoint::EndpointState;
use crate::upstream::probe::probe;
use crate::upstream::reach::Reach;
use futures_util::StreamExt;
use landfall_model::control::{HttpProbe, Probe, Probed};
use landfall_model::route::Protocol;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const PERIOD: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(2);
/// Whom a check says it is from.
const AGENT: &str = "landfall";
const FAILURES: u32 = 2;
/// Checks at the same time.
const CONCURRENT: usize = 64;

/// One endpoint to ask.
struct Check {
    state: Arc<EndpointState>,
    reach: Reach,
    protocol: Protocol,
    path: Option<String>,
    host: Option<String>,
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
        let asked = futures_util::stream::iter(checks).map(async |check| (ask(&check).await, check));
        // Judged as they come, so that one that hangs keeps no other from coming back.
        let mut results = pin!(asked.buffer_unordered(CONCURRENT));
        while let Some((probed, check)) = results.next().await {
            judge(&probed, &check, failures.entry(check.state.id.clone()).or_default());
        }
    }
}

fn judge(probed: &Probed, check: &Check, failures: &mut u32) {
    let (answered, seen) = match probed {
        // Whoever lacks the means to ask knows nothing: were its replicas sick for that, one flood would make all of them so.
        Probed::Exhausted { seen } => return tracing::warn!(endpoint = check.state.id, seen, "cannot be asked how it is"),
        Probed::Ready => (true, "it is ready"),
        Probed::Refused { seen } | Probed::Failed { seen } => (false, seen.as_str()),
    };
    *failures = if answered { 0 } else { failures.saturating_add(1) };
    let certain = answered || *failures >= FAILURES;
    if certain && check.state.set_healthy(answered) {
        tracing::info!(endpoint = check.state.id, healthy = answered, seen, "health changed");
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
                let (reach, host) = (reach.clone(), upstream.health_host.clone());
                checks.push(Check { state: Arc::clone(state), reach, protocol: upstream.protocol, path, host });
            }
        }
    }
    checks
}

async fn ask(check: &Check) -> Probed {
    let Reach { address, interface } = check.reach.clone();
    let http = check.path.clone().map(|path| HttpProbe {
        path,
        host: check.host.clone().unwrap_or_else(|| address.to_string()),
        protocol: check.protocol,
    });
    probe(&Probe { address, interface, http }, (AGENT, LIMIT)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::endpoint::Endpoints;

    #[test]
    fn two_failures_take_it_out_and_one_success_brings_it_back() {
        let reach = Reach { address: "127.0.0.1:1".parse().unwrap(), interface: None };
        let state = Endpoints::new(1).state("a", &reach);
        let check = Check { state: Arc::clone(&state), reach, protocol: Protocol::Http1, path: None, host: None };
        let mut failures = 0;
        for (answered, healthy) in [(false, true), (false, false), (false, false), (true, true), (false, true), (true, true)] {
            judge(&if answered { Probed::Ready } else { Probed::Refused { seen: "no".into() } }, &check, &mut failures);
            assert_eq!(state.is_healthy(), healthy);
        }
        for _ in 0..5 {
            judge(&Probed::Exhausted { seen: "no descriptor".into() }, &check, &mut failures);
        }
        assert!(state.is_healthy(), "what the proxy lacks is not the replica's fault");
        // A worker that cannot connect does not wait for a second failure.
        state.set_healthy(false);
        judge(&Probed::Ready, &check, &mut failures);
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
        let check = Check {
            state: Endpoints::new(1).state("a", &reach),
            reach,
            protocol: Protocol::Http1,
            path: Some("/health".to_owned()),
            host: None,
        };
        for _ in 0..200 {
            for expected in [true, true, false, false] {
                assert_eq!(ask(&check).await == Probed::Ready, expected);
            }
        }
        server.abort();
    }
}
