//! One question to one replica: is it ready? For the agent's gate and for the health checks.
//!
//! It is asked over the same connections and judged by the same reader as requests are, so an answer that passes here can be passed on, and one
//! that would only give 502 does not pass.

use crate::upstream::body::RequestBody;
use crate::upstream::call::{Called, call};
use crate::upstream::coming::Coming;
use crate::upstream::fault::Failed;
use crate::upstream::http1::{Answer, Connection, Outgoing};
use crate::upstream::multiplex::Multiplex;
use crate::upstream::pool::Taken;
use crate::upstream::reach::Reach;
use crate::upstream::send::{Sent, send};
use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use landfall_model::control::{HttpProbe, Probe, Probed};
use landfall_model::fault::Fault;
use landfall_model::route::Protocol;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Of an answer's body that is read; one that goes on is good as far as it came.
const MAX_BODY: usize = 64 * 1024;
/// How long its body is waited for. An event stream does not end.
const BODY_LIMIT: Duration = Duration::from_secs(1);

/// Asks once, as the program `agent`, and waits so long.
pub(crate) async fn probe(asked: &Probe, (agent, limit): (&'static str, Duration)) -> Probed {
    let reach = Reach { address: asked.address, interface: asked.interface.clone() };
    let answered = async {
        match &asked.http {
            None => reach.connect().await.map(drop).map_err(|error| unreached(&reach, &error)),
            Some(http) => ask(&reach, http, (agent, limit)).await,
        }
    };
    match (timeout(limit, answered).await, &asked.http) {
        (Ok(Ok(())), _) => Probed::Ready,
        (Ok(Err(probed)), _) => probed,
        (Err(_), Some(http)) => failed(format!("GET {} gets no answer within {} s", http.path, limit.as_secs())),
        (Err(_), None) => failed(format!("port {} does not answer within {} s", asked.address.port(), limit.as_secs())),
    }
}

fn failed(seen: String) -> Probed {
    Probed::Failed { seen }
}

fn unreached(reach: &Reach, error: &io::Error) -> Probed {
    let port = reach.address.port();
    match Failed::unreached(error) {
        _ if error.kind() == io::ErrorKind::ConnectionRefused => Probed::Refused { seen: format!("nothing listens on port {port}") },
        Failed { fault: Fault::Exhausted, detail } => Probed::Exhausted { seen: detail.into_owned() },
        Failed { detail, .. } => failed(format!("port {port} cannot be reached ({detail})")),
    }
}

/// GET answers 2xx or 3xx, and the answer can be passed on.
async fn ask(reach: &Reach, asked: &HttpProbe, how: (&'static str, Duration)) -> Result<(), Probed> {
    let path = &asked.path;
    let lost = |reason: Failed| match reason.fault {
        Fault::Malformed | Fault::TooLarge => failed(format!("GET {path} gets an answer that cannot be passed on ({})", reason.detail)),
        _ if asked.protocol == Protocol::H2c => failed(format!("GET {path} gets no answer by HTTP/2 ({})", reason.detail)),
        _ => failed(format!("GET {path} gets no HTTP answer ({})", reason.detail)),
    };
    let request = request(asked, how.0).ok_or_else(|| failed(format!("`{path}` cannot be asked for")))?;
    let response = match asked.protocol {
        Protocol::Http1 => {
            let stream = reach.connect().await.map_err(|error| unreached(reach, &error))?;
            let taken = Taken { connection: Connection::new(stream, &Arc::default()), reused: false };
            match send(taken, Outgoing::new(request), true, None, how.1).await {
                Sent::Answered(Answer::Http(response)) => response.map(Coming::Http1),
                Sent::Answered(Answer::Switched(..)) => return Err(lost(Failed::upgrade(StatusCode::SWITCHING_PROTOCOLS))),
                Sent::Lost(failure) => return Err(lost(Failed::lost(&failure))),
                Sent::Unsent(_) => return Err(lost(Failed::unreached(&io::ErrorKind::ConnectionReset.into()))),
                Sent::TimedOut => return Err(lost(Failed::timed_out(how.1))),
            }
        }
        Protocol::H2c => {
            let multiplex = Multiplex::default();
            let place = multiplex.take(reach).await.map_err(|error| unreached(reach, &error))?;
            match call(place, request, None, how.1).await {
                Called::Answered(response) => response,
                Called::Lost(error) => return Err(lost(Failed::lost_h2c(&error))),
                Called::Malformed(words) => return Err(lost(Failed::malformed(words))),
                // The probe asks for no tunnel.
                Called::Unsent(_) | Called::Connected(..) | Called::NoTunnel => {
                    return Err(lost(Failed::unreached(&io::ErrorKind::ConnectionReset.into())));
                }
                Called::TimedOut => return Err(lost(Failed::timed_out(how.1))),
            }
        }
    };
    judge(path, response).await
}

async fn judge(path: &str, response: Response<Coming>) -> Result<(), Probed> {
    let (status, mut body) = (response.status(), response.into_body());
    if !status.is_success() && !status.is_redirection() {
        return Err(failed(format!("GET {path} answers {}", status.as_u16())));
    }
    let whole = async {
        let mut left = MAX_BODY;
        while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
            let length = frame?.data_ref().map_or(0, bytes::Bytes::len);
            match left.checked_sub(length) {
                Some(less) => left = less,
                None => break,
            }
        }
        Ok::<_, crate::upstream::body::BodyError>(())
    };
    match timeout(BODY_LIMIT, whole).await {
        Ok(Err(error)) => Err(failed(format!("GET {path} gets an answer that breaks off ({error})"))),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

fn request(asked: &HttpProbe, agent: &'static str) -> Option<Request<RequestBody>> {
    let mut request = Request::new(RequestBody::Empty);
    *request.uri_mut() = asked.path.parse().ok()?;
    request.headers_mut().insert(HOST, HeaderValue::try_from(&asked.host).ok()?);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(agent));
    Some(request)
}
