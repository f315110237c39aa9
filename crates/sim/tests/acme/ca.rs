//! A real certificate authority (pebble), a made-up DNS beside it, and a front before it that can be told to misbehave.

use crate::wire::{Root, connect, get, identity, until};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Which ports the authority asks on, and how it behaves.
#[derive(Clone, Copy)]
pub(crate) struct Behaviour {
    pub(crate) http: u16,
    pub(crate) https: u16,
    /// Per cent of good nonces that are refused.
    pub(crate) nonce_reject: u32,
}

/// What the front does instead of passing a request on.
#[derive(Clone)]
pub(crate) struct Trouble {
    /// Requests whose path contains this.
    pub(crate) path: &'static str,
    /// So many of them.
    pub(crate) times: u32,
    pub(crate) answer: Answer,
}

#[derive(Clone)]
pub(crate) enum Answer {
    /// Status, `Retry-After`, body.
    With(u16, Option<&'static str>, &'static str),
    /// The authority gets it and does it; whoever asked never hears.
    Never,
}

/// Authority, DNS and front; all end with it.
pub(crate) struct Ca {
    children: Vec<Child>,
    /// Certificates are to lead to this one.
    pub(crate) issues: Root,
    front: SocketAddr,
    dns: SocketAddr,
    state: Arc<Mutex<State>>,
    dir: tempfile::TempDir,
}

#[derive(Default)]
struct State {
    seen: Vec<String>,
    troubles: Vec<Trouble>,
    /// The window in which it suggests to renew; pebble suggests nothing.
    window: Option<(&'static str, &'static str)>,
}

impl Drop for Ca {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Ca {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root, leaf) = identity();
        std::fs::write(dir.path().join("leaf.pem"), &leaf.chain).unwrap();
        std::fs::write(dir.path().join("leaf.key"), &leaf.key).unwrap();
        std::fs::write(dir.path().join("root.pem"), &root.pem).unwrap();
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (directory, management, dns_port, dns) = (local(free_port()), local(free_port()), free_port(), local(free_port()));
        let config = serde_json::json!({ "pebble": {
            "listenAddress": directory.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": dir.path().join("leaf.pem"),
            "privateKey": dir.path().join("leaf.key"),
            "httpPort": behaviour.http,
            "tlsPort": behaviour.https,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        std::fs::write(dir.path().join("pebble.json"), config.to_string()).unwrap();
        let mut names = program("pebble-challtestsrv", dir.path());
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
        names.args(["-dns01", &format!("127.0.0.1:{dns_port}"), "-management", &dns.to_string()]);
        let mut pebble = program("pebble", dir.path());
        pebble.args(["-config", &dir.path().join("pebble.json").display().to_string(), "-dnsserver", &format!("127.0.0.1:{dns_port}")]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        pebble.env("PEBBLE_WFE_NONCEREJECT", behaviour.nonce_reject.to_string());
        let spawned = |command: &mut Command| command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}: install pebble, or run ./test"));
        let children = vec![spawned(&mut names), spawned(&mut pebble)];
        for address in [directory, management, dns] {
            until("the authority listens", || async move { tokio::net::TcpStream::connect(address).await.is_ok() }).await;
        }
        let issues = Root { pem: get(management, "/roots/0", Some(&root)).await };
        let state = Arc::new(Mutex::new(State::default()));
        let front = front(directory, &root, &leaf, Arc::clone(&state)).await;
        Self { children, issues, front, dns, state, dir }
    }

    /// Address of its directory, by way of the front.
    pub(crate) fn directory(&self) -> String {
        format!("https://{}/dir", self.front)
    }

    pub(crate) fn root_file(&self) -> std::path::PathBuf {
        self.dir.path().join("root.pem")
    }

    pub(crate) fn trouble(&self, path: &'static str, times: u32, answer: Answer) {
        self.state.lock().unwrap().troubles.push(Trouble { path, times, answer });
    }

    /// From now on it suggests to renew within a window (RFC 9773).
    pub(crate) fn suggest(&self, start: &'static str, end: &'static str) {
        self.state.lock().unwrap().window = Some((start, end));
    }

    pub(crate) fn calm(&self) {
        self.state.lock().unwrap().troubles.clear();
    }

    /// Requests so far whose path contains this.
    pub(crate) fn seen(&self, path: &str) -> usize {
        self.state.lock().unwrap().seen.iter().filter(|p| p.contains(path)).count()
    }

    /// Tells the made-up DNS something, or what it was asked.
    pub(crate) async fn dns(&self, path: &str, body: serde_json::Value) -> String {
        crate::wire::post(self.dns, path, &body.to_string()).await
    }

    /// Where the made-up DNS is told of records.
    pub(crate) fn dns_address(&self) -> SocketAddr {
        self.dns
    }

    /// The authority, cut off.
    pub(crate) fn kill(&mut self) {
        let pebble = &mut self.children[1];
        pebble.kill().unwrap();
        pebble.wait().unwrap();
    }
}

fn program(name: &str, dir: &Path) -> Command {
    let log = std::fs::File::create(dir.join(format!("{name}.log"))).unwrap();
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir(dir);
    command
}

async fn front(directory: SocketAddr, root: &Root, leaf: &crate::wire::Leaf, state: Arc<Mutex<State>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(leaf.server());
    let root = root.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, root, state) = (acceptor.clone(), root.clone(), Arc::clone(&state));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| pass(request, directory, root.clone(), Arc::clone(&state)));
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn pass(
    request: Request<Incoming>,
    directory: SocketAddr,
    root: Root,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let window = state.lock().unwrap().window;
    let suggests = format!("https://{}/suggestions", request.headers()["host"].to_str().unwrap());
    let trouble = {
        let mut state = state.lock().unwrap();
        let path = request.uri().path().to_owned();
        state.seen.push(path.clone());
        let trouble = state.troubles.iter_mut().find(|t| t.times > 0 && path.contains(t.path));
        trouble.map(|trouble| {
            trouble.times -= 1;
            trouble.answer.clone()
        })
    };
    if let Some(Answer::With(status, retry_after, body)) = trouble {
        let mut response = Response::builder().status(status).header("content-type", "application/problem+json");
        if let Some(after) = retry_after {
            response = response.header("retry-after", after);
        }
        return Ok(response.body(Full::from(body)).unwrap());
    }
    let path = request.uri().path().to_owned();
    if let (true, Some((start, end))) = (path.starts_with("/suggestions/"), window) {
        let body = format!(r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}}}}"#);
        return Ok(Response::builder().header("retry-after", "21600").body(Full::from(body)).unwrap());
    }
    let Some(stream) = connect(directory, "localhost", &root, &[]).await.ok() else {
        return Ok(Response::builder().status(502).body(Full::default()).unwrap());
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    // The authority builds its addresses from the host it is asked for, so all that follows comes this way too.
    let response = sender.send_request(Request::from_parts(head, Full::new(body))).await.unwrap();
    let (mut head, body) = response.into_parts();
    head.headers.remove("content-length");
    let mut body = body.collect().await.unwrap().to_bytes();
    if path == "/dir" && window.is_some() {
        let mut known: serde_json::Value = serde_json::from_slice(&body).unwrap();
        known["renewalInfo"] = suggests.into();
        body = Bytes::from(known.to_string());
    }
    if trouble.is_some() {
        std::future::pending::<()>().await;
    }
    Ok(Response::from_parts(head, Full::new(body)))
}
