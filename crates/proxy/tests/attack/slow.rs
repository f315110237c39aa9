//! Clients that take their time, thousands of them, while one client works as usual: slowhttptest in its four modes and as many idle
//! connections. The usual client asks 500 times a second and must be answered every time. How long it took is printed, not judged: a test
//! has other tests beside it. `bench/attack` sets `ATTACK_CONNECTIONS`, `ATTACK_SECONDS` and `ATTACK_P99`, in milliseconds: that is judged.

use crate::harness::{Options, PATIENCE, Running, application, start, start_with, table, until};
use crate::{http2, setting};
use http::Response;
use http_body_util::{BodyExt, Full};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const CONNECTIONS: u64 = 2000;
/// One alone opens some 200 connections a second, and the first are cut before the last are open.
const ATTACKERS: u64 = 8;
const MODES: [&[&str]; 4] = [
    &["-H", "-i", "2"],
    &["-B", "-i", "2", "-s", "8192"],
    &["-R", "-a", "1", "-b", "3000"],
    &["-X", "-w", "10", "-y", "20", "-n", "2", "-z", "16", "-k", "3"],
];
/// How long each of them takes if the usual clients are answered in time.
const SECONDS: u64 = 5;
const A_SECOND: u32 = 500;
const CLIENTS: u32 = 20;
/// Larger than the kernel keeps for a client that reads slowly.
const LARGE: usize = 120_000;

/// From an address of its own, so that what one address may have is no excuse.
async fn connect(from: &str, proxy: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(proxy).await.unwrap()
}

/// Connections that asked once, were answered, and then say nothing more.
async fn idle(proxy: SocketAddr, count: u64) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for index in 0..count {
        let mut stream = connect(&format!("127.0.1.{}", 1 + index % 40), proxy).await;
        ask(&mut stream).await.unwrap();
        idle.push(stream);
    }
    idle
}

/// One request and its whole answer.
async fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"GET /usual HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = Vec::with_capacity(1024);
    while !answer.ends_with(b"\r\n\r\nusual") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned())) }
}

/// Asks at fixed times until told to stop, whether the last answer came or not; answers how long each took from its time on.
async fn work(index: u32, proxy: SocketAddr, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) -> Vec<Duration> {
    let mut stream = connect("127.0.2.1", proxy).await;
    let every = Duration::from_secs(1) * CLIENTS / A_SECOND;
    let start = Instant::now() + every * index / CLIENTS;
    let mut took = Vec::new();
    for turn in 0.. {
        let due = start + every * turn;
        tokio::time::sleep_until(due.into()).await;
        if stop.load(Relaxed) {
            break;
        }
        ask(&mut stream).await.unwrap_or_else(|error| panic!("request {turn} of client {index}: {error}"));
        took.push(due.elapsed());
        answered.fetch_add(1, Relaxed);
    }
    took
}

fn slowhttptest(mode: &[&str], proxy: SocketAddr, count: u64) -> Child {
    let url = format!("http://localhost:{}/large", proxy.port());
    // All of them within four seconds or so: more at once would be another attack.
    let (connections, rate) = ((count / ATTACKERS).to_string(), (count / ATTACKERS / 4).to_string());
    let mut command = Command::new("setpriv");
    command
        .args([
            "--pdeathsig",
            "KILL",
            "--",
            "slowhttptest",
            "-c",
            &connections,
            "-r",
            &rate,
            "-l",
            "600",
            "-p",
            "30",
            "-u",
            &url,
            "-v",
            "1",
        ])
        .args(mode);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The application, on a thread of its own: what it has to do is not the proxy's time.
fn application_apart() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let address = application(|request| async move {
                let large = request.uri().path() == "/large";
                let _ = request.into_body().collect().await;
                Response::new(Full::from(if large { "x".repeat(LARGE) } else { "usual".to_owned() }))
            });
            tell.send(address.await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

async fn site(max_per_address: Option<u32>) -> Running {
    let address = application_apart();
    let proxy = start_with(tempfile::tempdir().unwrap(), Options { max_per_address, ..Options::default() });
    let mut table = table(1, &[("/", "shop/web", address)]);
    table.sites[0].hosts = vec!["localhost".parse().unwrap()];
    proxy.swap(&table).await;
    proxy
}

#[tokio::test]
async fn slow_clients_keep_no_other_waiting() {
    let proxy = site(Some(u32::MAX)).await;
    let count = setting("ATTACK_CONNECTIONS", CONNECTIONS);
    let seconds = Duration::from_secs(setting("ATTACK_SECONDS", SECONDS));
    let under_attack = seconds.as_secs() * u64::from(A_SECOND);
    let kept = idle(proxy.http, count).await;
    let usual = count + u64::from(CLIENTS);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> =
        (0..CLIENTS).map(|index| tokio::spawn(work(index, proxy.http, Arc::clone(&stop), Arc::clone(&answered)))).collect();
    for mode in MODES {
        let mut attackers: Vec<Child> = (0..ATTACKERS).map(|_| slowhttptest(mode, proxy.http, count)).collect();
        // Heads are cut after ten seconds, so on a busy machine the first are gone before the last are open; and slowhttptest closes connections
        // whose request was answered, as those of the other two modes are.
        let together = match mode[0] {
            "-H" => count / 2,
            "-B" => count,
            _ => 0,
        };
        until("its connections are open", async || proxy.status().await.connections >= usual + together).await;
        let before = answered.load(Relaxed);
        let start = Instant::now();
        while answered.load(Relaxed) < before + under_attack {
            assert!(start.elapsed() < PATIENCE + 10 * seconds, "{}: only {} answers", mode[0], answered.load(Relaxed) - before);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        attackers.iter_mut().for_each(|attacker| attacker.kill().unwrap());
        until("it has ended", || std::future::ready(attackers.iter_mut().all(|attacker| attacker.try_wait().unwrap().is_some()))).await;
        until("its connections are gone", async || proxy.status().await.connections <= usual).await;
    }
    stop.store(true, Relaxed);
    let mut took = Vec::new();
    for client in clients {
        took.extend(client.await.unwrap());
    }
    took.sort();
    let at = |share: usize| took[(took.len() * share / 1000).min(took.len() - 1)];
    println!("{} requests, 0 errors; p50 {:?}, p99 {:?}, most {:?}", took.len(), at(500), at(990), at(1000));
    let limit = Duration::from_millis(setting("ATTACK_P99", u64::MAX));
    assert!(at(990) < limit, "p99 is {:?}", at(990));
    drop(kept);
    proxy.handle.stop().unwrap();
}

/// Says `text` and then a byte a second until the proxy has had enough; answers what it was told.
async fn drip(proxy: SocketAddr, text: &str, byte: u8) -> String {
    let (mut from, mut to) = connect("127.0.3.1", proxy).await.into_split();
    to.write_all(text.as_bytes()).await.unwrap();
    let dripping = tokio::spawn(async move {
        while to.write_all(&[byte]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = Vec::new();
    let end = tokio::time::timeout(ENOUGH, from.read_to_end(&mut answer)).await;
    dripping.abort();
    assert!(end.is_ok(), "still served: {text:?}");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Far beyond every limit that is tried here.
const ENOUGH: Duration = Duration::from_secs(90);

#[tokio::test]
async fn whoever_never_comes_to_an_end_is_cut_in_every_state() {
    let proxy = site(None).await;
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nX: ";
    let body = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
    let grpc = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nContent-Type: application/grpc\r\n\r\n";
    // The first record of a handshake: 512 bytes are announced.
    let hello = "\x16\x03\x01\x02\0\x01";
    let after_one = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nG";
    let all = tokio::join!(
        drip(proxy.http, "", b'G'),
        drip(proxy.http, head, b'x'),
        drip(proxy.http, after_one, b'x'),
        drip(proxy.http, body, b'x'),
        drip(proxy.http, grpc, b'x'),
        drip(proxy.https, "", 0x16),
        drip(proxy.https, hello, 0),
    );
    let (first, slow_head, second, slow_body, no_grpc, tls, slow_tls) = all;
    // An alert at most, for what is no handshake.
    assert!(tls.len() <= 7 && slow_tls.len() <= 7, "{tls:?} {slow_tls:?}");
    assert_eq!((first, slow_head), (String::new(), String::new()));
    assert!(second.starts_with("HTTP/1.1 200 ") && second.matches("HTTP/1.1").count() == 1, "{second}");
    assert!(slow_body.starts_with("HTTP/1.1 408 "), "{slow_body}");
    assert!(no_grpc.starts_with("HTTP/1.1 408 "), "a header alone switches no limit off: {no_grpc}");
    until("nobody is left", async || proxy.status().await.connections == 0).await;
    proxy.handle.stop().unwrap();
}

#[tokio::test]
#[ignore = "a minute; bench/attack runs it"]
async fn an_answer_that_its_http2_client_never_takes_is_given_up() {
    let proxy = start();
    let mut table = table(1, &[("/", "shop/web", application_apart())]);
    table.certificates.push(http2::certificate(proxy.home.path()));
    proxy.swap(&table).await;
    let end = tokio::time::timeout(ENOUGH, http2::take_nothing(&proxy, "/large")).await;
    assert!(end.is_ok(), "still served");
    until("the application's connection is free", async || proxy.endpoint("shop/web").await.is_some_and(|web| web.requests == 0)).await;
    proxy.handle.stop().unwrap();
}
