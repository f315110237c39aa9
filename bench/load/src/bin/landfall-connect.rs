//! What `bench/proxy` asks besides requests on kept connections: full TLS handshakes one after another, and many connections that lie idle.
//!
//! Both are closed loops: they find out what a handshake or a connection costs the server, not how it copes with a rate. No session is ever
//! resumed, so every handshake is a whole one. The result is one line of JSON.

use clap::{Parser, Subcommand};
use serde_json::json;
use std::error::Error;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

type Failure = Box<dyn Error>;

/// An answer's head and its kilobyte; more is not asked for.
const MAX_ANSWER: usize = 64 * 1024;
/// Connections of one source address, below the usual 28,000 ports.
const PER_SOURCE: u32 = 1000;

#[derive(Parser)]
#[command(about = "TLS handshakes in a row, or idle TLS connections.")]
struct Arguments {
    /// Where the server listens.
    #[arg(long)]
    connect: SocketAddr,
    /// The name in the handshake and the request.
    #[arg(long)]
    host: String,
    /// The authority to believe, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// Asked for once on each connection.
    #[arg(long, default_value = "/1k")]
    path: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// New connection, request, end; again.
    Handshakes {
        /// At the same time.
        #[arg(long, default_value_t = 16)]
        clients: u32,
        /// How long.
        #[arg(long, default_value_t = 2)]
        seconds: u64,
    },
    /// Opens connections, asks once on each, prints a line, and keeps them until standard input ends.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        connections: u32,
    },
}

struct Client {
    address: SocketAddr,
    name: ServerName<'static>,
    tls: TlsConnector,
    request: Vec<u8>,
}

impl Client {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&arguments.ca)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let (path, host) = (&arguments.path, &arguments.host);
        Ok(Self {
            address: arguments.connect,
            name: ServerName::try_from(host.clone())?,
            tls: TlsConnector::from(Arc::new(config)),
            request: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
        })
    }

    /// A new connection from `source` and one whole answer on it.
    async fn ask(&self, source: IpAddr) -> Result<TlsStream<TcpStream>, Failure> {
        let socket = TcpSocket::new_v4()?;
        socket.set_nodelay(true)?;
        socket.bind(SocketAddr::new(source, 0))?;
        let mut stream = self.tls.connect(self.name.clone(), socket.connect(self.address).await?).await?;
        stream.write_all(&self.request).await?;
        let mut answer = Vec::with_capacity(4096);
        while !is_whole(&answer)? {
            if stream.read_buf(&mut answer).await? == 0 || answer.len() > MAX_ANSWER {
                return Err("the answer is not whole".into());
            }
        }
        Ok(stream)
    }
}

/// True if `answer` is a 200 with as much body as it says.
fn is_whole(answer: &[u8]) -> Result<bool, Failure> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(format!("not 200 but: {}", head.lines().next().unwrap_or_default()).into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).ok_or("the answer has no length")?;
    Ok(answer.len() >= end + 4 + length.trim().parse::<usize>()?)
}

async fn handshakes(client: Rc<Client>, clients: u32, length: Duration) -> Result<serde_json::Value, Failure> {
    let began = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let client = Rc::clone(&client);
            tokio::task::spawn_local(async move {
                let (mut took, mut failed) = (Vec::new(), 0u32);
                while began.elapsed() < length {
                    let start = Instant::now();
                    match client.ask(Ipv4Addr::LOCALHOST.into()).await {
                        Ok(_) => took.push(start.elapsed()),
                        Err(_) => failed += 1,
                    }
                }
                (took, failed)
            })
        })
        .collect();
    let (mut took, mut failed) = (Vec::new(), 0);
    for task in tasks {
        let (more, errors) = task.await?;
        took.extend(more);
        failed += errors;
    }
    let seconds = began.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 100).map(|time| time.as_micros() as u64);
    Ok(json!({ "requests": took.len(), "errors": failed, "seconds": seconds, "p50_us": at(50), "p99_us": at(99) }))
}

async fn idle(client: Rc<Client>, connections: u32) -> Result<(), Failure> {
    let mut open = Vec::new();
    for index in 0..connections {
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 1)) + index / PER_SOURCE);
        open.push(client.ask(source.into()).await?);
    }
    writeln!(std::io::stdout(), "{}", json!({ "open": open.len() }))?;
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let client = Rc::new(Client::new(&arguments)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        match arguments.what {
            What::Handshakes { clients, seconds } => {
                let result = handshakes(client, clients, Duration::from_secs(seconds)).await?;
                writeln!(std::io::stdout(), "{result}")?;
            }
            What::Idle { connections } => idle(client, connections).await?,
        }
        Ok(())
    })
}
