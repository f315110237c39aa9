//! What stands behind the proxy: two servers that answer alike, and remember how often they carried out which request.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// Longest body that is asked for.
pub(crate) const LONGEST: usize = 300_000;

/// Both servers. They run on a thread of their own until the test process ends.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) addresses: [SocketAddr; 2],
    ledger: Arc<Ledger>,
    body: Bytes,
}

#[derive(Default)]
struct Ledger {
    carried_out: Mutex<HashMap<u64, u8>>,
    by: [std::sync::atomic::AtomicU64; 2],
}

impl Application {
    pub(crate) fn start() -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = [0, 1].map(|i: usize| listeners[i].local_addr().unwrap());
        let application = Self { addresses, ledger: Arc::default(), body: all_bodies() };
        let serving = application.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let [a, b] = listeners;
            runtime.block_on(async { tokio::join!(serving.serve(0, a), serving.serve(1, b)) });
        });
        application
    }

    async fn serve(&self, index: usize, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let this = self.clone();
            let service = service_fn(move |request| {
                let this = this.clone();
                async move { Ok::<_, Infallible>(this.answer(index, request).await) }
            });
            tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await });
        }
    }

    /// `/<id>/<length>`: a GET gets the body of that request, a POST gets its own.
    async fn answer(&self, index: usize, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let mut parts = request.uri().path().split('/').skip(1).map(str::parse::<u64>);
        let (Some(Ok(id)), Some(Ok(length))) = (parts.next(), parts.next()) else {
            return Response::builder().status(StatusCode::NOT_FOUND).body(Full::default()).unwrap();
        };
        *self.ledger.carried_out.lock().unwrap().entry(id).or_default() += 1;
        self.ledger.by[index].fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = match *request.method() {
            Method::POST => request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default(),
            _ => body_of(&self.body, id, length as usize),
        };
        Response::builder().header("x-request", id).body(Full::new(body)).unwrap()
    }

    /// How often a request was carried out.
    pub(crate) fn carried_out(&self, id: u64) -> u8 {
        self.ledger.carried_out.lock().unwrap().get(&id).copied().unwrap_or_default()
    }

    /// Requests carried out by each server.
    pub(crate) fn shares(&self) -> [u64; 2] {
        [0, 1].map(|i: usize| self.ledger.by[i].load(std::sync::atomic::Ordering::Relaxed))
    }
}

/// Every body is a piece of this: no piece of eight bytes occurs twice in it, so a wrong or shifted body is seen.
pub(crate) fn all_bodies() -> Bytes {
    (0..LONGEST as u32 * 2 / 4).flat_map(|i| i.wrapping_mul(0x9e37_79b1).to_le_bytes()).collect::<Vec<u8>>().into()
}

/// The body of one request.
pub(crate) fn body_of(all: &Bytes, id: u64, length: usize) -> Bytes {
    let begin = (id.wrapping_mul(7919) % LONGEST as u64) as usize;
    all.slice(begin..begin + length.min(LONGEST))
}
