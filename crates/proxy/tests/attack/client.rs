//! A client that says exactly what it was told to, over plain TCP.

use crate::case::Case;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// For the whole answer; a proxy that says nothing for so long is reported, not waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends a case's bytes over a new connection and answers the statuses that came back. As soon as there are as many as it expects, the client's
/// end is closed; what else the proxy has to say is read all the same.
pub(crate) async fn send(proxy: SocketAddr, case: &Case) -> Vec<String> {
    let bytes = case.bytes();
    let expected = if case.broken_off { 0 } else { case.answers.len() };
    let stream = TcpStream::connect(proxy).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    // A proxy that has heard enough may close before everything is sent.
    let write = async {
        let _ = to.write_all(&bytes).await;
    };
    let mut answer = Vec::new();
    let read = async {
        while statuses(&answer).len() < expected {
            if !matches!(from.read_buf(&mut answer).await, Ok(1..)) {
                break;
            }
        }
    };
    let both = tokio::time::timeout(LIMIT, async { tokio::join!(write, read) }).await;
    let _ = to.shutdown().await;
    let end = tokio::time::timeout(LIMIT, from.read_to_end(&mut answer)).await;
    let mut statuses = statuses(&answer);
    if both.is_err() || end.is_err() {
        statuses.push("silence".to_owned());
    }
    statuses
}

/// The statuses in `answer`; no server of these tests has a status line in a body.
fn statuses(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answer);
    text.match_indices("HTTP/1.").filter_map(|(at, _)| text.get(at + 9..at + 12)).map(str::to_owned).collect()
}
