//! Sockets that take what others send, with the processes behind them.

use super::look::{Seen, files};
use crate::supervise::is_system;
use landfall_runtime::listener;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

/// Most descriptors that are looked at to find out whose a socket is.
const MAX_DESCRIPTORS: usize = 1_000_000;
/// Where binaries of Landfall lie on a server.
const OURS: &str = "/usr/local/lib/landfall/";

/// A socket that takes what others send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) udp: bool,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// Whose it is, as far as this can be seen.
    pub(super) holder: Option<Holder>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) name: String,
    pub(super) pid: u32,
    /// It is Landfall itself.
    pub(super) ours: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// All of this machine's.
pub(super) async fn observe() -> Seen<Vec<Socket>> {
    files(|| {
        let unread = |e: std::io::Error| format!("the kernel's table of sockets: {e}");
        let holders = holders();
        let mut sockets = Vec::new();
        for udp in [false, true] {
            let found = listener::sockets(udp).map_err(unread)?.into_iter();
            sockets.extend(found.map(|socket| Socket {
                udp,
                address: socket.address.to_canonical(),
                port: socket.port,
                holder: holders.get(&socket.inode).cloned(),
            }));
        }
        Ok(sockets)
    })
    .await
}

/// Processes by the inodes of their sockets. Of several the first is taken: a child has its parent's.
fn holders() -> BTreeMap<u64, Holder> {
    let own = std::env::current_exe().ok();
    let mut holders = BTreeMap::new();
    let mut left = MAX_DESCRIPTORS;
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let mut pids: Vec<u32> = pids.collect();
    pids.sort_unstable();
    for pid in pids {
        let process = Path::new("/proc").join(pid.to_string());
        let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let inodes = descriptors.take(left).inspect(|_| left = left.saturating_sub(1)).filter_map(|descriptor| {
            let target = std::fs::read_link(descriptor.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
        });
        let inodes: Vec<u64> = inodes.collect();
        if inodes.is_empty() {
            continue;
        }
        let program = std::fs::read_link(process.join("exe")).ok();
        let ours = program.is_some_and(|program| own.as_deref() == Some(&program) || program.starts_with(OURS));
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned();
        // Anybody can give a program of his own that name; the system's may be open to the world.
        let name = if name == "sshd" && !is_system(pid, "sshd") { "a program called sshd".to_owned() } else { name };
        for inode in inodes {
            holders.entry(inode).or_insert_with(|| Holder { name: name.clone(), pid, ours });
        }
    }
    holders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_socket_is_found_with_its_process() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets = observe().await.unwrap();
        for (is_udp, port) in [(false, tcp.local_addr().unwrap().port()), (true, udp.local_addr().unwrap().port())] {
            let socket = sockets.iter().find(|s| s.udp == is_udp && s.port == port).unwrap();
            assert_eq!(socket.holder.as_ref().unwrap().pid, std::process::id());
        }
    }
}
