//! Who listens on a port, as far as /proc tells this user.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    name: String,
    pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (process {})", self.name, self.pid)
    }
}

/// Name of the process that listens on a port, at whatever address.
pub fn listener_of(port: u16) -> Option<String> {
    holder_of(SocketAddr::from(([0, 0, 0, 0], port))).map(|holder| holder.name)
}

/// Ports on which the system's program of that name listens, run by root. Anybody can give a program of his own that name.
pub fn ports_of(name: &str) -> BTreeSet<u16> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let listening = tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(listening);
    let ports = listening.map(|(_, port)| port).collect::<BTreeSet<u16>>();
    ports
        .into_iter()
        .filter(|port| holder_of(SocketAddr::from(([0, 0, 0, 0], *port))).is_some_and(|holder| is_system(holder.pid, name)))
        .collect()
}

/// Whether a process is the system's program of that name, run by root.
pub fn is_system(pid: u32, name: &str) -> bool {
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    let root = std::fs::metadata(&process).is_ok_and(|owner| owner.uid() == 0);
    let program = std::fs::read_link(process.join("exe"));
    // One that was updated and not started again is `sshd (deleted)`.
    let named = |found: &std::ffi::OsStr| found.to_string_lossy().trim_end_matches(" (deleted)") == name;
    root && program.is_ok_and(|program| program.starts_with("/usr/") && program.file_name().is_some_and(named))
}

/// The process that listens on that port at that address or at every address.
pub(super) fn holder_of(address: SocketAddr) -> Option<Holder> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| listening_inode(&std::fs::read_to_string(table).ok()?, address.port()))?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // Another user's descriptors cannot be read; then nobody is named.
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()));
        if holds {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Holder { name: name.trim().to_owned(), pid });
        }
    }
    None
}

/// Inode of a listening socket on that port, in a table of proc_net_tcp(5).
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).filter_map(listening).find(|(_, listens)| *listens == port).map(|(inode, _)| inode)
}

/// Inode and port of a line of such a table, when it is a listening socket.
fn listening(line: &str) -> Option<(u64, u16)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, hex) = fields.get(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(hex, 16).ok().filter(|_| fields.get(3) == Some(&LISTEN))?;
    Some((fields.get(9)?.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = holder_of(listener.local_addr().unwrap()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        drop(listener);
        assert_eq!(listening_inode("nonsense\n a b\n\n: : :", 80), None);
    }
}
