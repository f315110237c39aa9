//! Clients that mean harm, against a proxy in a process of its own, whose memory and time the kernel counts.
//!
//! Each flood goes on until the proxy ends it or a bound is reached, and begins again for a while; meanwhile a usual client is served. The process has a
//! limit on its memory, so that a test that fails takes nothing else with it.

use crate::harness::{Options, application, ask_at, listener, start_with};
use crate::http2::wire::{
    Client, code, continuation, data, fields, flag, frame, get, headers, integer, kind, ping, post, request, reset, setting, settings,
    text, window,
};
use crate::tls::{Authority, secured_table};
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use landfall_model::control::{Answer, Ask};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

/// What it may use at most.
const MOST_MEMORY: u64 = 64 << 20;
/// What it could use before it is stopped: addresses, of which threads alone take many.
const ADDRESSES: u64 = 2 << 30;
/// Each flood goes on until a usual client has been answered so often.
const SERVED: usize = 20;
/// Bytes of one connection's flood, if nobody ends it before.
const BYTES: usize = 16 << 20;
const HOME: &str = "FLOODED_PROXY_HOME";

/// A proxy in a process of its own, ended when dropped.
struct Proxy {
    child: Child,
    https: SocketAddr,
    authority: Authority,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    async fn start(home: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "floods::the_proxy_of_the_floods", "--ignored", "--nocapture"]).env(HOME, home);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told = lines.filter_map(|line| line.split_once("listens on ").map(|(_, told)| told.to_owned())).next().unwrap();
        let (https, home) = told.split_once(" at ").map(|(https, home)| (https.parse().unwrap(), Path::new(home))).unwrap();
        let proxy = Self { child, https, authority: Authority::new() };
        let application = application(|request| async move {
            let length = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
            let _ = request.into_body().collect().await;
            Response::new(Full::from(Bytes::from(vec![b'x'; length])))
        });
        let table = secured_table(home, &proxy.authority, application.await);
        assert_eq!(ask_at(home, &Ask::Swap { table }).await, Answer::Swapped { generation: 1 });
        proxy
    }

    async fn client(&self, values: &[(u16, u32)]) -> Client {
        Client::with(self.https, &self.authority, values).await
    }

    /// Bytes it has ever used at once.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Time it has spent, as the kernel counts it: in hundredths of a second.
    fn spent(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

/// Not a test: the process that the floods meet. It ends with its parent, which holds the other end of its standard input.
#[test]
#[ignore = "run by the floods"]
fn the_proxy_of_the_floods() {
    let Some(home) = std::env::var_os(HOME) else { return };
    setrlimit(Resource::As, Rlimit { current: Some(ADDRESSES), maximum: Some(ADDRESSES) }).unwrap();
    let https = listener();
    let address = https.local_addr().unwrap();
    let mut options = Options::default();
    options.listeners.https.push(https);
    let directory = tempfile::Builder::new().prefix("flooded").tempdir_in(home).unwrap();
    let running = start_with(directory, options);
    println!("listens on {address} at {}", running.home.path().display());
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// What a flood is made of.
struct Flood {
    name: &'static str,
    settings: Vec<(u16, u32)>,
    /// Sent once.
    start: Vec<u8>,
    /// Sent over and over; streams are counted on from the number given.
    again: Box<dyn Fn(u32) -> Vec<u8>>,
    /// Answers are read.
    reads: bool,
}

fn flood(name: &'static str, start: Vec<u8>, again: impl Fn(u32) -> Vec<u8> + 'static) -> Flood {
    Flood { name, settings: Vec::new(), start, again: Box::new(again), reads: true }
}

fn floods() -> Vec<Flood> {
    let bulky = [&[0x40][..], &text("x-bulk"), &text(&"y".repeat(4_000))].concat();
    let bomb = move |stream| {
        let more = if stream == 1 { bulky.clone() } else { Vec::new() };
        headers(stream, flag::ALL, &[&request("GET", "/0", &[]), &more[..], &[0xbe; 12_000]].concat())
    };
    let open = headers(1, flag::END_STREAM, &fields(&[(":method", "GET")]));
    let all_windows = vec![(setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1)];
    let many = |path: &'static str| (0..250).flat_map(move |i| get(1 + 2 * i, path)).collect::<Vec<u8>>();
    let opened = || [window(0, 0x7fff_0000 - 65_535), many("/1000000")].concat();
    vec![
        flood("rapid reset", Vec::new(), |stream| [get(stream, "/0"), reset(stream, code::CANCEL)].concat()),
        flood("streams the server has to reset", Vec::new(), |stream| [post(stream, "/0"), window(stream, 0)].concat()),
        flood("CONTINUATION without end", open.clone(), |_| continuation(1, flag::NONE, &[])),
        flood("CONTINUATION that says something", open, |_| continuation(1, flag::NONE, &fields(&[("x", &"y".repeat(100))]))),
        flood("empty DATA", post(1, "/0"), |_| data(1, flag::NONE, b"")),
        flood("DATA of padding", post(1, "/0"), |_| data(1, flag::PADDED, &[255; 1].into_iter().chain([0; 255]).collect::<Vec<u8>>())),
        flood("PING", Vec::new(), |_| ping(b"12345678")),
        Flood { reads: false, ..flood("PING whose answers nobody reads", Vec::new(), |_| ping(b"12345678")) },
        flood("SETTINGS", Vec::new(), |_| settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)])),
        Flood { reads: false, ..flood("SETTINGS whose answers nobody reads", Vec::new(), |_| settings(&[])) },
        flood("PRIORITY", Vec::new(), |stream| frame(kind::PRIORITY, 0, stream, &[0, 0, 0, 0, 1])),
        flood("WINDOW_UPDATE", post(1, "/0"), |_| window(1, 1)),
        flood("frames nobody knows", Vec::new(), |_| frame(0xBE, 0, 0, b"")),
        flood("HPACK bomb", Vec::new(), bomb),
        flood("a number without end", Vec::new(), |stream| headers(stream, flag::ALL, &integer(0x80, 7, usize::MAX >> 1))),
        Flood { settings: all_windows.clone(), reads: false, ..flood("answers nobody reads", opened(), |_| Vec::new()) },
        Flood { settings: vec![(setting::INITIAL_WINDOW_SIZE, 0)], ..flood("windows of 0", many("/1000000"), |_| Vec::new()) },
        Flood { settings: vec![(setting::INITIAL_WINDOW_SIZE, 1)], ..flood("windows of 1", many("/1000000"), |_| Vec::new()) },
    ]
}

impl Flood {
    /// Floods over one connection until it ends, or `done`.
    async fn pour(&self, proxy: &Proxy, done: &Notify) {
        let mut client = proxy.client(&self.settings).await;
        if !client.push(&self.start).await {
            return;
        }
        let (mut read, mut write) = client.split();
        let answers = async {
            let mut buffer = [0; 16_384];
            while self.reads && matches!(read.read(&mut buffer).await, Ok(1..)) {}
            if !self.reads {
                std::future::pending::<()>().await;
            }
        };
        let asked = async {
            let (mut stream, mut sent) = (1, 0);
            loop {
                let mut piece = Vec::new();
                while piece.len() < 16_384 && sent < BYTES {
                    let again = (self.again)(stream);
                    if again.is_empty() {
                        break;
                    }
                    stream += 2;
                    piece.extend(again);
                }
                if piece.is_empty() {
                    std::future::pending::<()>().await;
                }
                sent += piece.len();
                if write.write_all(&piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        // Whichever side the server ends first.
        tokio::select! {
            () = answers => {}
            () = asked => {}
            () = done.notified() => done.notify_one(),
        }
    }
}

/// Answers the usual client gets.
async fn serve(usual: &mut Client, stream: &mut u32, flood: &str) {
    for _ in 0..SERVED {
        usual.send(&get(*stream, "/9")).await;
        loop {
            let frame = usual.next().await.unwrap_or_else(|| panic!("{flood}: the usual client is cut off"));
            assert!(frame.kind != kind::HEADERS || frame.status() == 200, "{flood}");
            if frame.stream == *stream && frame.ends_stream() {
                break;
            }
        }
        *stream += 2;
        // Not as fast as it could: the flood is to be met in all its states.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn floods_take_neither_memory_nor_time_from_others() {
    let home = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(home.path()).await;
    let mut usual = proxy.client(&[]).await;
    let mut stream = 1;
    let mut told = Vec::new();
    for flood in floods() {
        let (begun, before, done) = (Instant::now(), proxy.spent(), Notify::new());
        let over = Cell::new(false);
        let pours = async {
            let mut pours = 0;
            while !over.get() {
                flood.pour(&proxy, &done).await;
                pours += 1;
            }
            pours
        };
        let served = async {
            serve(&mut usual, &mut stream, flood.name).await;
            over.set(true);
            done.notify_one();
        };
        let (pours, ()) = tokio::join!(pours, served);
        let (spent, time, memory) = (proxy.spent() - before, begun.elapsed(), proxy.memory());
        told.push(format!(
            "{}: {pours} times in {} ms, {} % of a core, {} MB",
            flood.name,
            time.as_millis(),
            100 * spent.as_millis() / time.as_millis(),
            memory >> 20
        ));
        println!("{}", told.last().unwrap());
        assert!(spent < time, "{told:#?}");
        assert!(memory < MOST_MEMORY, "{told:#?}");
    }
}
