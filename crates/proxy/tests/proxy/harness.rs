//! A running proxy, applications to stand behind it, and clients that say exactly what a test wants said.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use landfall_model::control::{Answer, Ask, EndpointStatus, ProxyStatus};
use landfall_model::filter::{Filters, Network};
use landfall_model::front::Front;
use landfall_model::route::{Endpoint, RouteTable, Site, SiteRoute, Upstream};
use landfall_proxy::{Config, Handle, Listeners, NameServers, Proxy, Settings};
use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// Long enough for a machine with better things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running proxy and its home.
pub(crate) struct Running {
    pub(crate) home: Arc<TempDir>,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) handle: Handle,
}

/// What a test may want to be different.
pub(crate) struct Options {
    pub(crate) drain: Duration,
    pub(crate) listeners: Listeners,
    pub(crate) name_servers: NameServers,
    pub(crate) names_port: u16,
    pub(crate) notify: Option<std::ffi::OsString>,
    pub(crate) max_per_address: Option<u32>,
    pub(crate) max_per_replica: Option<u32>,
    pub(crate) proxied_by: Vec<Network>,
    pub(crate) boot: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(10),
            listeners: Listeners::default(),
            name_servers: NameServers::List(Vec::new()),
            names_port: 53,
            notify: None,
            max_per_address: None,
            max_per_replica: None,
            proxied_by: Vec::new(),
            boot: Some("first".to_owned()),
        }
    }
}

pub(crate) fn listener() -> StdListener {
    StdListener::bind("127.0.0.1:0").unwrap()
}

pub(crate) fn start() -> Running {
    start_with(tempfile::tempdir().unwrap(), Options::default())
}

/// Listens at sockets of its own where `options` brings none.
pub(crate) fn start_with(home: impl Into<Arc<TempDir>>, mut options: Options) -> Running {
    let home = home.into();
    for sockets in [&mut options.listeners.http, &mut options.listeners.https] {
        if sockets.is_empty() {
            sockets.push(listener());
        }
    }
    let address = |sockets: &[StdListener]| sockets[0].local_addr().unwrap();
    let addresses = (address(&options.listeners.http), address(&options.listeners.https));
    let config = Config {
        settings: Settings { home: home.path().to_owned(), drain: options.drain, workers: 2, proxied_by: options.proxied_by },
        listeners: options.listeners,
        notify: options.notify,
        watchdog: None,
        name_servers: options.name_servers,
        names_port: options.names_port,
        signals: false,
        max_per_address: options.max_per_address,
        max_per_replica: options.max_per_replica,
        boot: options.boot,
    };
    let handle = Proxy::start(config).unwrap();
    Running { home, http: addresses.0, https: addresses.1, handle }
}

impl Running {
    pub(crate) async fn ask(&self, ask: &Ask) -> Answer {
        ask_at(self.home.path(), ask).await
    }

    /// Swaps and expects it to work.
    pub(crate) async fn swap(&self, table: &RouteTable) {
        let answer = self.ask(&Ask::Swap { table: table.clone() }).await;
        assert_eq!(answer, Answer::Swapped { generation: table.generation });
    }

    pub(crate) async fn refused(&self, table: &RouteTable) -> String {
        match self.ask(&Ask::Swap { table: table.clone() }).await {
            Answer::Refused { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn status(&self) -> ProxyStatus {
        match self.ask(&Ask::Status).await {
            Answer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn endpoint(&self, id: &str) -> Option<EndpointStatus> {
        self.status().await.endpoints.get(id).copied()
    }

    pub(crate) async fn close(&self, endpoint: &str) {
        let ask = Ask::Close { endpoints: vec![endpoint.to_owned()], jitter_ms: 20 };
        assert_eq!(self.ask(&ask).await, Answer::Closing);
    }

    /// A GET over a new connection.
    pub(crate) async fn get(&self, host: &str, path: &str) -> (StatusCode, String) {
        let text = talk(self.http, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        let status = text.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(StatusCode::IM_A_TEAPOT);
        (status, text)
    }
}

pub(crate) async fn ask_at(home: &Path, ask: &Ask) -> Answer {
    let mut stream = UnixStream::connect(home.join("run/proxy.sock")).await.unwrap();
    let text = serde_json::to_vec(ask).unwrap();
    stream.write_all(&u32::try_from(text.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(&text).await.unwrap();
    let mut frame = vec![0; stream.read_u32().await.unwrap() as usize];
    stream.read_exact(&mut frame).await.unwrap();
    serde_json::from_slice(&frame).unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Fails instead of hanging.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// Says `text` over a new connection and reads to its end.
pub(crate) async fn talk(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

/// What is said from the answer on, whatever came before it with a status below 200.
pub(crate) fn final_answer(mut text: &str) -> &str {
    while let Some((interim, rest)) = text.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with("HTTP/1.1 1")) {
        assert!(!interim.starts_with("HTTP/1.1 101"));
        text = rest;
    }
    text
}

/// Everything until the connection ends, well or badly.
pub(crate) async fn read_to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads up to and including `mark`, and nothing after it.
pub(crate) async fn read_until(stream: &mut (impl tokio::io::AsyncRead + Unpin), mark: &str) -> String {
    let mut bytes = Vec::new();
    soon(async {
        while !bytes.ends_with(mark.as_bytes()) {
            match stream.read_u8().await {
                Ok(byte) => bytes.push(byte),
                Err(error) => panic!("{error} before {mark:?}: {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
    })
    .await;
    String::from_utf8(bytes).unwrap()
}

/// Reads a request's head; false if the connection ends before, as those of health checks do.
pub(crate) async fn read_head(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// An application that answers every request with `answer`.
pub(crate) async fn application<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// An application that says its name and the path it was asked for.
pub(crate) async fn named(name: &'static str) -> SocketAddr {
    application(move |request| async move {
        let path = request.uri().to_string();
        let _ = request.into_body().collect().await;
        Response::new(Full::from(format!("{name} {path}")))
    })
    .await
}

/// An application that gets each connection raw.
pub(crate) async fn raw<F, R>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A table with one app `shop` at `shop.example`, plain HTTP, whose routes go to upstreams of one endpoint each.
pub(crate) fn table(generation: u64, routes: &[(&str, &str, SocketAddr)]) -> RouteTable {
    let mut table = RouteTable { generation, ..RouteTable::default() };
    let mut site = Site {
        app: "shop".into(),
        hosts: vec!["shop.example".parse().unwrap()],
        redirect_hosts: vec!["www.shop.example".parse().unwrap()],
        https: false,
        routes: Vec::new(),
        front: Front::default(),
    };
    for (path, id, address) in routes {
        let key = format!("shop{path}");
        site.routes.push(SiteRoute {
            path: path.parse().unwrap(),
            upstream: key.clone(),
            timeout_ms: 20_000,
            idle_timeout_ms: 60_000,
            filters: Filters::default(),
        });
        let upstream: &mut Upstream = table.upstreams.entry(key).or_default();
        upstream.endpoints.push(Endpoint { id: (*id).to_owned(), address: *address, interface: None });
    }
    table.sites.push(site);
    table
}
