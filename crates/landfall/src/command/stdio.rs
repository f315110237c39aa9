//! `landfall agent-stdio`: what `ssh` runs on a server. Joins each stream that comes over standard input and output to a connection of the agent's socket.
//!
//! It is the only command that is ever run over SSH for an agent, so a key may be bound to it: `restrict,command="landfall agent-stdio"` in authorized_keys, or to some
//! apps with `--app NAME`: then every connection to the agent begins with those names, before a byte of the client's, and the agent refuses whatever is
//! about another app. It decides nothing itself and lets through what comes. It tells the agent which key and address sshd says it speaks for.

use super::Context;
use crate::cli::AgentStdio;
use crate::client::{self, ClientError};
use crate::error::{Explain as _, Outcome, Plain};
use crate::settings::Home;
use crate::ssh::{CONNECTION_WINDOW, MAX_STREAMS, PING, STREAM_WINDOW};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use landfall_model::api::VERSION;
use landfall_model::hello::{Caller, Hello, MAX_SCOPE, PROTOCOL, Versions};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::io::Read as _;
use std::net::IpAddr;
use std::process::ExitCode;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};

/// Longest file in which sshd says how somebody logged in.
const MAX_AUTHENTICATION: u64 = 64 * 1024;

/// Until standard input ends.
pub async fn run(context: &Context, args: AgentStdio) -> Outcome<ExitCode> {
    if args.apps.len() > MAX_SCOPE {
        return Err(Plain::usage("too-many-apps", format!("a key can be bound to at most {MAX_SCOPE} apps")).into());
    }
    let ended = |e: std::io::Error| Plain::failed("no-output", "standard output cannot be written to").because(e);
    let mut stdout = tokio::io::stdout();
    let versions = Versions { version: env!("CARGO_PKG_VERSION").to_owned(), api: VERSION };
    stdout.write_all(&Hello { protocol: PROTOCOL, versions }.encode()).await.map_err(ended)?;
    stdout.flush().await.map_err(ended)?;
    let (home, caller) = (context.settings.home.clone(), caller(|name| std::env::var(name).ok()));
    let caller = Caller { apps: (!args.apps.is_empty()).then(|| args.apps.into_iter().collect()), ..caller };
    let answer = move |request: Request<Incoming>| {
        let (home, caller) = (home.clone(), caller.clone());
        async move { Ok::<_, Infallible>(join(request, &home, &caller).await) }
    };
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(4096)
        .serve_connection(TokioIo::new(tokio::io::join(tokio::io::stdin(), stdout)), service_fn(answer));
    // Cut off or ended properly: there is nobody left to tell.
    let _ = connection.await;
    Ok(ExitCode::SUCCESS)
}

/// Answers a CONNECT when the agent is connected to, and carries bytes from then on.
async fn join(request: Request<Incoming>, home: &Home, caller: &Caller) -> Response<Full<Bytes>> {
    if request.method() != Method::CONNECT {
        return refused(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
    }
    let agent = async {
        let mut agent = client::connect(home).await?;
        agent.write_all(caller.line().as_bytes()).await.map_err(ClientError::cut)?;
        Ok::<_, ClientError>(agent)
    };
    let mut agent = match agent.await {
        Ok(agent) => agent,
        Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, serde_json::to_vec(&error.failure()).unwrap_or_default().into()),
    };
    tokio::spawn(async move {
        if let Ok(stream) = hyper::upgrade::on(request).await {
            // Whichever side ends it, the other finds out by its own end.
            let _ = copy_bidirectional(&mut TokioIo::new(stream), &mut agent).await;
        }
    });
    Response::new(Full::default())
}

fn refused(status: StatusCode, reason: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reason));
    *response.status_mut() = status;
    response
}

/// What sshd says of who logged in: SSH_CONNECTION always, the key where `ExposeAuthInfo yes` is set (sshd_config(5)).
fn caller(variable: impl Fn(&str) -> Option<String>) -> Caller {
    let from = variable("SSH_CONNECTION").and_then(|text| text.split(' ').next()?.parse::<IpAddr>().ok()).map(|ip| ip.to_string());
    let mut text = String::new();
    if let Some(Ok(file)) = variable("SSH_USER_AUTH").map(std::fs::File::open) {
        // What cannot be read is not known; that is no reason to turn somebody away.
        let _ = file.take(MAX_AUTHENTICATION).read_to_string(&mut text);
    }
    Caller { key: text.lines().find_map(fingerprint), from, apps: None }
}

/// Of a line `publickey ssh-ed25519 AAAA…`, as `ssh-keygen -l` writes it.
fn fingerprint(line: &str) -> Option<String> {
    let mut words = line.strip_prefix("publickey ")?.split_ascii_whitespace();
    let (_kind, key) = (words.next()?, words.next()?);
    let digest = Sha256::digest(STANDARD.decode(key).ok()?);
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshd_says_who_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "password\npublickey ssh-ed25519 AAAA\n").unwrap();
        let path = file.path().display().to_string();
        let said = caller(|name| match name {
            "SSH_CONNECTION" => Some("203.0.113.7 50000 203.0.113.9 22".to_owned()),
            _ => Some(path.clone()),
        });
        assert_eq!(said.from.as_deref(), Some("203.0.113.7"));
        assert!(said.key.is_some_and(|key| key.len() == "SHA256:".len() + 43));
        assert_eq!(caller(|_| None), Caller::default());
        assert_eq!(caller(|_| Some("-v; $(id)".to_owned())), Caller::default());
    }
}
