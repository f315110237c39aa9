//! How large a request's body may be. A body that says its length is refused before the application hears of it; one that does not is counted on
//! its way (`upstream::body`), and the application sees it break off.

use crate::edge::arriving::Arriving;
use crate::edge::refusal::Refusal;
use http::Request;
use http::header::EXPECT;
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

/// What is read and thrown away of a body nobody wants.
const LINGER_BYTES: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);

pub(crate) fn admit(max: u64, request: &Request<Arriving>) -> Result<(), Refusal> {
    if request.body().size_hint().lower() > max { Err(Refusal::TooLarge) } else { Ok(()) }
}

/// Reads on for a while after a refusal: a client that is still sending when its connection is closed gets a reset in place of the answer.
pub(crate) fn linger(request: Request<Arriving>) {
    // Reading the body would ask for it (RFC 9110 §10.1.1).
    if !request.headers().contains_key(EXPECT) {
        throw_away(request.into_body());
    }
}

/// Likewise for a body that was being read.
pub(crate) fn throw_away(body: Arriving) {
    // In HTTP/1 the connection itself reads what nobody else does.
    let Arriving::Http2(mut body) = body else { return };
    if body.is_end_stream() {
        return;
    }
    tokio::task::spawn_local(async move {
        let mut left = LINGER_BYTES;
        let read = async {
            while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                left = left.saturating_sub(frame.data_ref().map_or(1, bytes::Bytes::len).max(1));
                if left == 0 {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER_TIME, read).await;
    });
}
