//! HTTP/1 with clients: one request after the other, each carried and answered in the connection's own task.
//!
//! hyper's server keeps two buffers for every idle connection, and reads and writes through layers that the proxy then has to look through (decision 9).
//! What clients say is judged strictly: a request whose end is in doubt is refused, and so is everything behind it.

#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod head;
mod link;
mod reply;

pub(crate) use head::{MAX_FIELDS, MAX_HEAD, decimal};
pub(crate) use link::Http1Body;

use crate::edge::arriving::Arriving;
use crate::edge::carry::carry;
use crate::edge::connection::{Conn, Order};
use crate::edge::header;
use crate::edge::record::Record;
use crate::edge::refusal::{self, Refusal};
use crate::edge::websocket::tunnelled;
use head::{Bad, Head};
use http::header::TE;
use http::{Method, StatusCode, Version};
use link::Link;
use reply::{Asked, Reply};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// What is read and thrown away of a body nobody wants, so that the connection can be used again, or closed without a reset.
const LINGER_BYTES: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);

/// What becomes of a connection after an answer.
enum After {
    /// Another request may come.
    Keep,
    /// It is closed as one does.
    Close,
    /// It is dropped: what was said is not whole, or nobody is there.
    Cut,
    /// It speaks another protocol from here on.
    Tunnel,
}

/// Answers requests until either side has enough.
pub(crate) async fn serve<S>(conn: Conn, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let conn = Rc::new(conn);
    let _listed = conn.worker.list(&conn);
    let link = Rc::new(Link::new(&conn, stream));
    loop {
        let Some(next) = until_cut(&conn, |cx| link.poll_head(&conn, cx)).await else { return };
        let after = match next {
            Some(Ok(head)) => Box::pin(exchange(&conn, &link, head)).await,
            Some(Err(bad)) => refuse(&conn, &link, bad).await,
            None => After::Close,
        };
        match after {
            After::Keep => {}
            After::Close => break,
            After::Cut => return,
            After::Tunnel => return tunnel(&conn, link),
        }
    }
    until_cut(&conn, |cx| link.poll_close(cx)).await;
}

/// What `poll` comes to, unless the connection is to be cut.
async fn until_cut<T>(conn: &Conn, mut poll: impl FnMut(&mut std::task::Context<'_>) -> Poll<T>) -> Option<T> {
    poll_fn(|cx| if conn.poll_order(cx) == Order::Cut { Poll::Ready(None) } else { poll(cx).map(Some) }).await
}

/// Carries one request and sends its answer.
async fn exchange<S>(conn: &Rc<Conn>, link: &Rc<Link<S>>, head: Head) -> After
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let Head { request, length, expects, keep } = head;
    let chunks = request.version() == Version::HTTP_11;
    let asked = Asked {
        head_only: *request.method() == Method::HEAD,
        chunks,
        trailers: header::has_token(request.headers(), &TE, "trailers"),
        keep,
    };
    if !link.begin(length, expects) {
        // Everything of this connection from here on.
        conn.watch.refuse_from(1);
    }
    let request = request.map(|()| link::Http1Body::of(link).map_or(Arriving::Nothing, Arriving::Http1));
    let response = {
        let mut carried = std::pin::pin!(carry(Rc::clone(conn), request));
        let carried = until_cut(conn, |cx| match carried.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => Poll::Ready(Some(response)),
            Poll::Pending => {
                link.say_interim(cx);
                link.poll_left(cx).map(|()| None)
            }
        });
        let Some(Some(response)) = carried.await else { return After::Cut };
        response
    };
    let tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let after = send(conn, link, Reply::new(&conn.worker, asked, response)).await;
    if tunnel && !matches!(after, After::Cut) { After::Tunnel } else { after }
}

/// Sends an answer, and then settles what is left of its request.
async fn send<S>(conn: &Conn, link: &Rc<Link<S>>, mut reply: Reply) -> After
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut left = LINGER_BYTES;
    let sent = until_cut(conn, |cx| {
        let poll = reply.poll_send(link, cx);
        // A client that sends a body nobody reads may not read before it has sent it.
        if poll.is_pending() && Rc::strong_count(link) == 1 && !link.is_read() && !link.is_uninvited() {
            while let Poll::Ready(Ok(taken @ 1..)) = link.poll_discard(cx) {
                left = left.saturating_sub(taken);
                if left == 0 {
                    break;
                }
            }
        }
        poll
    });
    let Some(Ok(())) = sent.await else { return After::Cut };
    let keep = reply.keeps();
    // With it goes what the answer held: the application's connection, the record.
    drop(reply);
    if !link.is_read() {
        if link.is_uninvited() {
            return After::Close;
        }
        let discard = until_cut(conn, |cx| {
            loop {
                match link.poll_discard(cx) {
                    Poll::Ready(Ok(taken @ 1..)) if taken < left => left -= taken,
                    Poll::Ready(Ok(0)) => return Poll::Ready(true),
                    Poll::Ready(_) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        if !matches!(tokio::time::timeout(LINGER_TIME, discard).await, Ok(Some(true))) {
            return After::Close;
        }
    }
    link.end();
    if keep { After::Keep } else { After::Close }
}

/// Answers what is no request.
async fn refuse<S>(conn: &Conn, link: &Rc<Link<S>>, bad: Bad) -> After
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    conn.worker.count_request();
    let refusal = match bad {
        Bad::Ambiguous(what) => Refusal::Ambiguous(what),
        Bad::TooLarge => Refusal::HeadTooLarge,
    };
    let mut response = refusal.response(&refusal::Asked::default());
    let mut record = Record::new(&conn.worker);
    record.unread(conn, None);
    if let Some(reason) = refusal.reason() {
        record.refused(reason);
    }
    record.answered(response.status());
    response.body_mut().keep(record);
    let asked = Asked { head_only: false, chunks: true, trailers: false, keep: false };
    send(conn, link, Reply::new(&conn.worker, asked, response)).await
}

/// Gives the stream to who carries the tunnel.
fn tunnel<S>(conn: &Conn, link: Rc<Link<S>>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    if let (Some(taker), Ok(link)) = (conn.take_tunnel(), Rc::try_unwrap(link).map_err(drop)) {
        let (stream, early) = link.into_stream();
        // Who would have taken it has given up: it is closed.
        let _ = taker.send(tunnelled(stream, early));
    }
}
