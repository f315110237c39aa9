//! Looks at what stays open: WebSockets are taken, events come when they happen and not when the answer ends.

use super::Asked;
use super::Finding;
use super::target::{Host, Target};
use super::wire::{Dialer, WireError};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;

/// The example of RFC 6455 §1.3: the key decides nothing but the answer, by which a WebSocket server is known.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Every place below a host that was named, or that the file tells of.
pub async fn look(dialer: &Dialer, target: &Target, host: &Host, asked: &Asked, tell: &mut dyn FnMut(Finding)) {
    let first = target.hosts.first().is_some_and(|first| std::ptr::eq(first, host));
    let told =
        host.places.iter().filter(|place| place.websocket && place.open && asked.websockets.is_empty()).map(|place| place.path.as_str());
    let named = asked.websockets.iter().filter(|_| first).map(String::as_str);
    for path in told.chain(named) {
        tell(websocket(dialer, host, target.secure, path).await);
    }
    for path in asked.streams.iter().filter(|_| first) {
        tell(events(dialer, host, target.secure, path).await);
    }
}

/// Without its query, which may be a token.
fn shown(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

async fn websocket(dialer: &Dialer, host: &Host, secure: bool, path: &str) -> Finding {
    let at = host.url(secure, shown(path)).replacen("http", "ws", 1);
    let origin = host.url(secure, "");
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
        ("origin", origin.as_str()),
    ];
    let answer = dialer
        .within(async {
            let mut line = dialer.line(&host.name, host.reach, secure, &host.name).await?;
            line.send(path, &headers).await
        })
        .await;
    const ELSEWHERE: &str = "if its sockets are elsewhere or want a token, say where: `--websocket /ws/PATH?token=…`";
    match answer {
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let accept = answer.headers().get("sec-websocket-accept").and_then(|value| value.to_str().ok());
            if accept == Some(ACCEPT) {
                Finding::good("websocket", at, "opens")
            } else {
                Finding::failed(
                    "websocket",
                    at,
                    "switches protocols, but not as a WebSocket does",
                    "the application's answer has a wrong Sec-WebSocket-Accept",
                )
            }
        }
        Ok(answer) => Finding::failed("websocket", at, format!("is refused with {}", answer.status().as_u16()), ELSEWHERE),
        Err(e) => Finding::failed("websocket", at, e.to_string(), ELSEWHERE),
    }
}

/// The first event comes while the answer still goes on.
async fn events(dialer: &Dialer, host: &Host, secure: bool, path: &str) -> Finding {
    let at = host.url(secure, shown(path));
    let came = dialer
        .within(async {
            let mut line = dialer.line(&host.name, host.reach, secure, &host.name).await?;
            let mut answer = line.send(path, &[("accept", "text/event-stream")]).await?;
            let kind = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            if !answer.status().is_success() || !kind.starts_with("text/event-stream") {
                return Err(WireError::Odd(format!("answers {} with {}, not with events", answer.status().as_u16(), kind.escape_debug())));
            }
            let first = answer.frame().await.transpose()?;
            Ok(first.is_some())
        })
        .await;
    match came {
        Ok(true) => Finding::good("events", at, "come as they happen"),
        Ok(false) => Finding::failed("events", at, "end before the first one", "the application closed the stream"),
        Err(WireError::Late(limit)) => {
            let seen = format!("nothing within {} s: no event happened, or somebody on the way keeps them", limit.as_secs());
            Finding::failed("events", at, seen, "let the application send a comment line (`:`) at once; Landfall keeps nothing back")
        }
        Err(e) => Finding::failed("events", at, e.to_string(), "name the path that sends events: `--stream PATH`"),
    }
}
