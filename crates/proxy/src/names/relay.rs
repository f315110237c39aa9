//! Asks the host's own name servers, as `/etc/resolv.conf` lists them, what is no name of ours.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// For all servers together.
const LIMIT: Duration = Duration::from_secs(5);
/// For one server, when there is another.
const SERVER_LIMIT: Duration = Duration::from_secs(2);
/// What resolvers commonly use of the list.
const MAX_SERVERS: usize = 3;
/// Suffixes that are looked at.
const MAX_SEARCH: usize = 32;
const DNS_PORT: u16 = 53;
const MAX_FILE: usize = 64 * 1024;

/// Where questions that are not about the app go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameServers {
    /// To the servers this file lists, which is written like resolv.conf(5) and read again when it changes.
    File(PathBuf),
    /// To these, in order.
    List(Vec<SocketAddr>),
}

/// The name servers as of now.
#[derive(Debug)]
pub(crate) struct Servers {
    source: NameServers,
    changed: Option<SystemTime>,
    list: Vec<SocketAddr>,
    search: Vec<String>,
}

impl Servers {
    pub(crate) fn new(source: NameServers) -> Self {
        Self { source, changed: None, list: Vec::new(), search: Vec::new() }
    }

    /// Suffixes of the host, which its containers inherit.
    pub(crate) fn search(&mut self) -> &[String] {
        self.look();
        &self.search
    }

    fn look(&mut self) {
        match &self.source {
            NameServers::List(list) => self.list.clone_from(list),
            NameServers::File(file) => {
                let changed = std::fs::metadata(file).and_then(|meta| meta.modified()).ok();
                if changed.is_none() || changed != self.changed {
                    self.changed = changed;
                    (self.list, self.search) = read(file);
                }
            }
        }
    }

    /// The servers in order, without `own`, an address that we answer at ourselves.
    pub(crate) fn list(&mut self, own: SocketAddr) -> Vec<SocketAddr> {
        self.look();
        self.list.iter().filter(|server| **server != own).copied().collect()
    }
}

fn read(file: &Path) -> (Vec<SocketAddr>, Vec<String>) {
    let text =
        std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_FILE)]).into_owned()).unwrap_or_default();
    let list = parse(&text);
    // resolv.conf(5): without any, the name server of the local machine.
    let list = if list.is_empty() { vec![SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT))] } else { list };
    (list, searched(&text))
}

/// The suffixes of the last `search` or `domain` line, as resolv.conf(5) has it.
fn searched(text: &str) -> Vec<String> {
    let words = |line: &str| {
        let (key, rest) = line.trim_start().split_once(char::is_whitespace)?;
        let suffix = |word: &str| Some(word.trim_matches('.').to_ascii_lowercase()).filter(|w| !w.is_empty());
        matches!(key, "search" | "domain").then(|| rest.split_whitespace().filter_map(suffix).take(MAX_SEARCH).collect())
    };
    text.lines().filter_map(words).next_back().unwrap_or_default()
}

/// The `nameserver` lines.
pub(super) fn parse(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let ip = (words.next() == Some("nameserver")).then(|| words.next()).flatten()?;
        let ip = ip.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(ip, DNS_PORT))
    };
    text.lines().filter_map(server).take(MAX_SERVERS).collect()
}

/// Asks `servers` in turn until one answers.
pub(crate) async fn ask(servers: Vec<SocketAddr>, question: &[u8], tcp: bool) -> io::Result<Vec<u8>> {
    let last = servers.len().saturating_sub(1);
    let all = async {
        for (i, server) in servers.into_iter().enumerate() {
            let limit = if i == last { LIMIT } else { SERVER_LIMIT };
            let asked = async { if tcp { ask_tcp(server, question).await } else { ask_udp(server, question).await } };
            if let Ok(Ok(answer)) = tokio::time::timeout(limit, asked).await {
                return Ok(answer);
            }
        }
        Err(io::Error::from(io::ErrorKind::HostUnreachable))
    };
    tokio::time::timeout(LIMIT, all).await?
}

async fn ask_udp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A new port chosen by the kernel each time; connected, so that only this server is heard.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut answer).await?;
        if length >= 12 && answer[..2] == question[..2] {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn ask_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_the_resolver_reads_them() {
        let text =
            "# x\nsearch example.com\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver x\nnameserver ::1\nnameserver 10.0.0.3\n";
        assert_eq!(parse(text), ["10.0.0.2:53", "[fe80::1]:53", "[::1]:53"].map(|s| s.parse().unwrap()));
        assert_eq!(searched("domain a.test\nsearch Corp.test. b.test\n#search c\n"), ["corp.test", "b.test"]);
        assert_eq!(
            Servers::new(NameServers::File("/nonexistent".into())).list("10.0.0.1:53".parse().unwrap()),
            ["127.0.0.1:53".parse().unwrap()]
        );
    }
}
