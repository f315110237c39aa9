//! Who listens on a port, as far as /proc tells this user.

use landfall_runtime::listener::{holder_of, sockets};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;

/// Name of the process that listens on a port, at whatever address.
pub fn listener_of(port: u16) -> Option<String> {
    holder_of(SocketAddr::from(([0, 0, 0, 0], port)), false).map(|holder| holder.name)
}

/// Ports on which the system's program of that name listens, run by root. Anybody can give a program of his own that name.
pub fn ports_of(name: &str) -> BTreeSet<u16> {
    let ports = sockets(false).unwrap_or_default().into_iter().map(|socket| socket.port).collect::<BTreeSet<u16>>();
    ports
        .into_iter()
        .filter(|port| holder_of(SocketAddr::from(([0, 0, 0, 0], *port)), false).is_some_and(|holder| is_system(holder.pid, name)))
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
