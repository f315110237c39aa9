//! What a proxy does with a table of another life of the machine, and with addresses whose network is not there.
//!
//! The second part needs root, because it makes a network namespace of its own: the test starts itself again in one.

use crate::harness::{Options, Running, listener, named, read_until, start_with, table, talk, until};
use landfall_model::route::{InternalListener, Protocol, RouteTable};
use std::io::{BufRead, BufReader, Lines};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

fn at_boot(home: impl Into<Arc<TempDir>>, boot: &str) -> Running {
    start_with(home, Options { boot: Some(boot.to_owned()), names_port: 0, ..Options::default() })
}

/// Counts who connects.
async fn stranger(address: &str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut stream = stream;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
        }
    });
    (address, count)
}

/// Every way of a request to an application: the outside, a WebSocket, HTTP/2 without TLS, a service's own address.
fn every_door(generation: u64, at: SocketAddr, internal: SocketAddr) -> RouteTable {
    let mut table = table(generation, &[("/", "shop/web-1-1", at), ("/rpc", "shop/rpc-1-1", at)]);
    table.upstreams.get_mut("shop/rpc").unwrap().protocol = Protocol::H2c;
    table.upstreams.get_mut("shop/").unwrap().health_path = Some("/health".into());
    table.internal.push(InternalListener { address: internal, upstream: "shop/".into() });
    table
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Each door says 503 and when to come again.
async fn closed_everywhere(proxy: &Running, internal: SocketAddr) {
    for path in ["/", "/rpc"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nCookie: session=SECRET\r\nConnection: close\r\n\r\n");
        let text = talk(proxy.http, &request).await;
        assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("\r\nretry-after: "), "{path}: {text}");
    }
    let text = talk(internal, "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    let mut stream = TcpStream::connect(proxy.http).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, UPGRADE.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}

#[tokio::test]
async fn after_a_boot_no_address_is_used_until_the_agent_confirms_it() {
    let (at, asked) = stranger("127.0.0.1:0").await;
    let internal = listener().local_addr().unwrap();
    let first = at_boot(tempfile::tempdir().unwrap(), "first");
    let mut told = every_door(7, named("web").await, internal);
    for upstream in told.upstreams.values_mut() {
        upstream.endpoints[0].address = at;
    }
    told.names.push(crate::names::scope("", "127.0.0.53".parse().unwrap(), "db", &[at.ip()]));
    first.swap(&told).await;
    let home = first.home;
    first.handle.stop().unwrap();
    let before = asked.load(Ordering::SeqCst);

    let second = at_boot(home, "second");
    closed_everywhere(&second, internal).await;
    let status = second.status().await;
    assert!(status.endpoints.is_empty() && status.generation == 0, "nothing is probed, and the agent tells its own table: {status:?}");
    assert!(UdpSocket::bind("127.0.0.53:53").await.is_ok(), "no name is answered with an address of then");
    assert_eq!(asked.load(Ordering::SeqCst), before, "not a byte, not even a connection");

    // An agent that counts from the beginning.
    let web = named("web").await;
    second.swap(&table(1, &[("/", "shop/web-1-1", web)])).await;
    assert!(second.get("shop.example", "/").await.1.ends_with("web /"));

    // The proxy alone is started again: the agent need not come.
    let home = second.home;
    second.handle.stop().unwrap();
    let third = at_boot(home, "second");
    assert!(third.get("shop.example", "/").await.1.ends_with("web /"));
}

#[tokio::test]
async fn a_port_that_another_program_took_at_boot_is_missed_and_all_else_is_served() {
    let (network, other): (IpAddr, IpAddr) = ("127.0.0.57".parse().unwrap(), "127.0.0.58".parse().unwrap());
    let port = listener().local_addr().unwrap().port();
    let start =
        |home: Arc<TempDir>, boot: &str| start_with(home, Options { boot: Some(boot.to_owned()), names_port: port, ..Options::default() });
    let first = start(Arc::new(tempfile::tempdir().unwrap()), "first");
    let web = named("web").await;
    let told = |generation: u64, networks: &[IpAddr]| {
        let mut table = table(generation, &[("/", "shop/web-1-1", web)]);
        table.names = networks.iter().map(|listen| crate::names::scope("", *listen, "db", &["10.0.0.7".parse().unwrap()])).collect();
        table
    };
    first.swap(&told(1, &[network])).await;
    let home = first.home;
    first.handle.stop().unwrap();

    let strangers = [UdpSocket::bind((network, port)).await.unwrap(), UdpSocket::bind((other, port)).await.unwrap()];
    let second = start(home, "second");
    second.swap(&told(1, &[network])).await;
    assert!(second.get("shop.example", "/").await.1.ends_with("web /"), "what another network misses is no reason to serve nobody");
    assert_eq!(second.refused(&told(2, &[network, other])).await, "port-taken", "what is new is refused");
    second.swap(&told(3, &[network])).await;

    drop(strangers);
    let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    until("names are answered again", async || {
        let _ = asker.send_to(&crate::names::question("db"), (network, port)).await;
        let mut answer = [0; 512];
        tokio::time::timeout(Duration::from_millis(200), asker.recv(&mut answer)).await.is_ok_and(|read| read.is_ok())
    })
    .await;
}

/// Set where the test has started itself.
const INSIDE: &str = "LANDFALL_TEST_INSIDE";
/// Of a container, and of whoever has that address out there.
const CONTAINER: &str = "172.31.99.3";

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "ip {words}");
}

/// A machine of its own: `out` is its way to strangers, one of whom has the container's address. The bridge of the container's network is not there.
#[test]
fn an_address_is_used_by_the_bridge_of_its_network_and_by_no_other_way() {
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(inside());
    }
    let name = "boot::an_address_is_used_by_the_bridge_of_its_network_and_by_no_other_way";
    let output = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A program that is ended with the test, whatever becomes of it.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Started {
    fn new(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Holds a network namespace of its own.
    async fn machine() -> Self {
        let held = Self::new(Command::new("unshare").args(["--net", "--", "sleep", "600"]).stdout(Stdio::null()));
        let pid = held.0.id();
        until("it has a network of its own", || async move {
            let own = std::fs::read_link("/proc/self/ns/net").unwrap();
            std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|other| other != own)
        })
        .await;
        held
    }

    /// A command in that namespace.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.0.id().to_string(), "-n"]).args(words).stdin(Stdio::null());
        command
    }

    fn ip(&self, words: &str) {
        let words: Vec<&str> = std::iter::once("ip").chain(words.split(' ')).collect();
        assert!(self.command(&words).status().unwrap().success(), "{words:?}");
    }

    /// Answers there at port 8080, and prints a line for whoever comes.
    fn server(&self, answer: &str) -> (Self, Lines<BufReader<ChildStdout>>) {
        let script = format!(
            "import socket\ns=socket.create_server(('0.0.0.0',8080))\nprint('ready',flush=True)\nwhile True:\n c,_=s.accept()\n \
             print('met',flush=True)\n c.recv(9999)\n c.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n{answer}')\n c.close()"
        );
        let mut started = Self::new(self.command(&["python3", "-c", &script]).stdout(Stdio::piped()));
        let mut lines = BufReader::new(started.0.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        (started, lines)
    }
}

async fn inside() {
    ip("link set lo up");
    let out_there = Started::machine().await;
    ip("link add out type veth peer name eth0");
    ip(&format!("link set eth0 netns {}", out_there.0.id()));
    ip("address add 198.51.100.1/24 dev out");
    ip("link set out up");
    out_there.ip("address add 198.51.100.2/24 dev eth0");
    out_there.ip(&format!("address add {CONTAINER}/32 dev eth0"));
    out_there.ip("link set eth0 up");
    ip("route add default via 198.51.100.2");
    let (stranger, mut met) = out_there.server("stranger");
    let at: SocketAddr = format!("{CONTAINER}:8080").parse().unwrap();
    drop(TcpStream::connect(at).await.expect("the kernel itself goes to the stranger"));
    assert_eq!(met.next().unwrap().unwrap(), "met");

    let internal = listener().local_addr().unwrap();
    let proxy = at_boot(tempfile::tempdir().unwrap(), "this");
    let behind = |generation, interface: Option<&str>| {
        let mut table = every_door(generation, at, internal);
        for endpoint in table.upstreams.values_mut().flat_map(|upstream| &mut upstream.endpoints) {
            endpoint.interface = interface.map(|name| name.parse().unwrap());
        }
        table
    };
    for (generation, interface) in [(1, Some("br-landfall")), (2, None)] {
        proxy.swap(&behind(generation, interface)).await;
        closed_everywhere(&proxy, internal).await;
        until("its health was asked for", || async { proxy.endpoint("shop/web-1-1").await.is_some_and(|e| !e.healthy) }).await;
    }

    // The bridge comes, and with it the container. A longer route to the stranger does not matter to who goes by the bridge.
    ip("link add br-landfall type bridge");
    ip("address add 172.31.99.1/24 dev br-landfall");
    ip("link set br-landfall up");
    ip(&format!("route add {CONTAINER}/32 via 198.51.100.2"));
    let container = Started::machine().await;
    ip("link add veth-c type veth peer name c0");
    ip("link set veth-c master br-landfall");
    ip("link set veth-c up");
    ip(&format!("link set c0 netns {}", container.0.id()));
    container.ip(&format!("address add {CONTAINER}/24 dev c0"));
    container.ip("link set c0 up");
    let _app = container.server("container");
    proxy.swap(&behind(3, Some("br-landfall"))).await;
    until("the container answers", || async { proxy.get("shop.example", "/").await.1.contains("container") }).await;
    drop(stranger);
    assert_eq!(met.count(), 0, "the stranger was asked");
}
