//! Who listens on which ports, read from the kernel's own tables.
//!
//! `/proc/net/tcp` and `/proc/net/tcp6` (and the same under `/proc/<pid>/net` for another network namespace) list every socket in a fixed
//! text form (`Documentation/networking/proc_net_tcp.rst`). Nothing is run and no privilege is needed for one's own namespace. A table
//! that cannot be read counts as empty: what is made of it is a message or a precaution, never a decision that must be right.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Most bytes read of one table: some 100,000 sockets.
const MAX_TABLE: u64 = 16 * 1024 * 1024;

/// State `TCP_LISTEN` as the table writes it.
const LISTEN: &str = "0A";

/// State of a UDP socket that is joined to nobody.
const UNJOINED: &str = "07";

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: IpAddr,
    /// Which.
    pub port: u16,
    /// What `/proc/<pid>/fd/*` calls `socket:[inode]`.
    pub inode: u64,
}

/// A process that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What the kernel calls it.
    pub name: String,
    /// Its number.
    pub pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (process {})", self.name, self.pid)
    }
}

/// The process that has a port at that address or at every address, as far as /proc tells this user. At an address that stands for all, any will do.
pub fn holder_of(address: SocketAddr, udp: bool) -> Option<Holder> {
    let all = sockets(udp).ok()?.into_iter().filter(|socket| socket.port == address.port());
    let (ip, any) = (address.ip(), address.ip().is_unspecified());
    let wanted: Vec<String> = all
        .filter(|socket| any || socket.address == ip || socket.address.is_unspecified())
        .map(|socket| format!("socket:[{}]", socket.inode))
        .collect();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // Another user's descriptors cannot be read; then nobody is named.
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let mut targets = descriptors.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        if targets.any(|to| wanted.iter().any(|wanted| to.as_os_str() == wanted.as_str())) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Holder { name: name.trim().to_owned(), pid });
        }
    }
    None
}

/// Sockets of this process's own namespace that take what anybody sends: TCP ones that listen, or UDP ones that are joined to nobody.
///
/// # Errors
/// The kernel's table cannot be read.
pub fn sockets(udp: bool) -> std::io::Result<Vec<Listener>> {
    let mut found = Vec::new();
    for table in if udp { ["udp", "udp6"] } else { ["tcp", "tcp6"] } {
        match std::fs::File::open(Path::new("/proc/self/net").join(table)) {
            Ok(file) => {
                let mut text = String::new();
                file.take(MAX_TABLE).read_to_string(&mut text)?;
                found.extend(text.lines().skip(1).filter_map(|line| socket(line, if udp { UNJOINED } else { LISTEN })));
            }
            // A kernel without IPv6 has no table of it.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && table.ends_with('6') => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// Listening sockets of the namespace whose tables lie in `net` (`/proc/net`, `/proc/<pid>/net`).
pub(crate) fn listeners(net: &Path) -> Vec<Listener> {
    ["tcp", "tcp6"].iter().flat_map(|table| parse(&read(&net.join(table)))).collect()
}

/// Ports that somebody listens on in this process's own namespace.
pub(crate) fn busy_ports() -> BTreeSet<u16> {
    listeners(Path::new("/proc/net")).into_iter().map(|l| l.port).collect()
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(file) = std::fs::File::open(path) {
        // A table cut off at the bound still tells most of the truth.
        let _ = file.take(MAX_TABLE).read_to_string(&mut text);
    }
    text
}

fn parse(table: &str) -> Vec<Listener> {
    table.lines().skip(1).filter_map(|line| socket(line, LISTEN)).collect()
}

fn socket(line: &str, state: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
    if fields.get(3) != Some(&state) {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    Some(Listener { address: address_of(address)?, port: u16::from_str_radix(port, 16).ok()?, inode: fields.get(9)?.parse().ok()? })
}

/// The kernel prints each 32-bit word of an address in the machine's own byte order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |i: usize| u32::from_str_radix(hex.get(i * 8..i * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (i, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(i)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        \x20  0: 00000000:1FBB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42361 1 0 100 0 0 10 0\n\
        \x20  1: 0100007F:0050 0200007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 42362 1 0 100 0 0 10 0\n\
        \x20  2: broken\n";

    #[test]
    fn only_listening_sockets_are_read_and_broken_lines_are_passed_over() {
        let found = parse(TABLE);
        assert_eq!(found, [Listener { address: IpAddr::from([0, 0, 0, 0]), port: 8123, inode: 42361 }]);
    }

    #[test]
    fn a_socket_of_this_very_process_is_found() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = std::net::TcpListener::bind(bind) else { continue };
            let at = socket.local_addr().unwrap();
            let all = listeners(Path::new("/proc/self/net"));
            assert!(all.iter().any(|l| l.address == at.ip() && l.port == at.port()), "{bind}");
            assert!(busy_ports().contains(&at.port()));
            assert!(sockets(false).unwrap().iter().any(|l| l.address == at.ip() && l.port == at.port()), "{bind}");
        }
    }

    #[test]
    fn a_socket_that_takes_datagrams_of_anybody_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = || sockets(true).unwrap().iter().any(|l| l.port == port);
        assert!(found());
        socket.connect("127.0.0.1:9").unwrap();
        assert!(!found(), "one that is joined takes nothing of others");
    }

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        assert_eq!(holder_of(at, false).unwrap().pid, std::process::id());
        assert_eq!(holder_of(SocketAddr::new([0, 0, 0, 0].into(), at.port()), false).unwrap().pid, std::process::id());
        let everywhere = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = everywhere.local_addr().unwrap().port();
        assert_eq!(holder_of(SocketAddr::new([10, 1, 2, 3].into(), port), true).unwrap().pid, std::process::id());
        drop(everywhere);
        assert_eq!(holder_of(SocketAddr::new([10, 1, 2, 3].into(), port), true), None);
    }

    #[test]
    fn a_missing_table_is_an_empty_one() {
        assert!(listeners(Path::new("/nonexistent")).is_empty());
    }
}
