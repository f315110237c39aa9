//! Asking the engine whether a registry takes a login (`POST /auth`), which the client library has no word for.
//!
//! The engine speaks to the registry, as it will when it pulls, so what it can reach and whom it trusts is what counts.

use crate::RuntimeError;
use crate::docker::engine::Engine;
use crate::docker::image::pull;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use landfall_model::image::Login;
use landfall_model::name::RegistryHost;
use std::time::Duration;
use tokio::net::UnixStream;

/// For the registry's answer.
const WITHIN: Duration = Duration::from_secs(45);
/// Bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024;
/// Under what the engine knows Docker's own registry.
pub(super) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

pub(super) async fn check(engine: &Engine, host: &RegistryHost, login: &Login) -> Result<(), RuntimeError> {
    engine.client().await?;
    let doing = format!("log in to {host}");
    let late = |_| RuntimeError::TimedOut { doing: format!("login to {host}"), seconds: WITHIN.as_secs() };
    let (status, said) = tokio::time::timeout(WITHIN, ask(engine, host, login)).await.map_err(late)?.map_err(|e| match e {
        Lost::Engine(e) => engine.unreachable(e),
        Lost::Answer(e) => RuntimeError::failed(&doing, e),
    })?;
    // Engines answer 500 when the registry said 401: their words tell more.
    let lower = said.to_ascii_lowercase();
    let refused = ["unauthorized", "denied", "forbidden", "incorrect username"].iter().any(|sign| lower.contains(sign));
    match status {
        200..300 => Ok(()),
        status if refused || matches!(status, 401 | 403) => Err(RuntimeError::LoginRefused { registry: host.to_string(), reason: said }),
        _ => Err(pull::sort(host, &said).unwrap_or_else(|| RuntimeError::failed(doing, said))),
    }
}

enum Lost {
    Engine(std::io::Error),
    Answer(Box<dyn std::error::Error + Send + Sync>),
}

async fn ask(engine: &Engine, host: &RegistryHost, login: &Login) -> Result<(u16, String), Lost> {
    let other = |e: hyper::Error| Lost::Answer(e.into());
    let address = if host.as_str() == "docker.io" { DOCKER_HUB } else { host.as_str() };
    let body = serde_json::json!({ "username": login.user, "password": login.password.reveal(), "serveraddress": address });
    let stream = UnixStream::connect(engine.socket()).await.map_err(Lost::Engine)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(other)?;
    // Ends with the answer.
    tokio::spawn(connection);
    let request = Request::post("/auth").header("host", "docker").header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body.to_string()))).map_err(|e| Lost::Answer(e.into()))?;
    let answer = sender.send_request(request).await.map_err(other)?;
    let status = answer.status().as_u16();
    let bytes = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(Lost::Answer)?.to_bytes();
    let said = serde_json::from_slice::<serde_json::Value>(&bytes).ok().and_then(|v| Some(v["message"].as_str()?.to_owned()));
    Ok((status, said.unwrap_or_else(|| format!("the engine answers {status}"))))
}
