//! Sockets that were opened by somebody else: the supervisor (or systemd) holds them, so that a restart of the proxy refuses no connection.

use crate::error::ProxyError;
use listenfd::ListenFd;
use std::net::{TcpListener, UdpSocket};

/// Listening sockets handed to the proxy.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Plain HTTP from outside. Several may share a port (`SO_REUSEPORT`); workers share them out.
    pub http: Vec<TcpListener>,
    /// HTTPS from outside, likewise.
    pub https: Vec<TcpListener>,
    /// Opened by an earlier proxy for `RouteTable::internal`.
    pub internal: Vec<TcpListener>,
    /// Opened by an earlier proxy for `RouteTable::names`.
    pub names_udp: Vec<UdpSocket>,
    /// The same over TCP.
    pub names_tcp: Vec<TcpListener>,
}

impl Listeners {
    /// Takes what `LISTEN_FDS` and `LISTEN_FDNAMES` announce (sd_listen_fds(3); a missing `LISTEN_PID` is accepted, a wrong one is not).
    /// Names are `http`, `https`, `internal-…`, `names-udp-…`, `names-tcp-…`; a socket with another name is left alone and logged.
    ///
    /// # Errors
    /// A socket that is not of the kind its name says.
    pub fn from_env() -> Result<Self, ProxyError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut fds = ListenFd::from_env();
        let mut listeners = Listeners::default();
        let mut names = names.split(':');
        for index in 0..fds.len() {
            listeners.take(&mut fds, index, names.next().unwrap_or_default())?;
        }
        Ok(listeners)
    }

    fn take(&mut self, fds: &mut ListenFd, index: usize, name: &str) -> Result<(), ProxyError> {
        let refused = |source| ProxyError::Listener { name: name.to_owned(), source };
        if name.starts_with("names-udp-") {
            self.names_udp.extend(fds.take_udp_socket(index).map_err(refused)?);
            return Ok(());
        }
        let list = match name {
            "http" => &mut self.http,
            "https" => &mut self.https,
            _ if name.starts_with("internal-") => &mut self.internal,
            _ if name.starts_with("names-tcp-") => &mut self.names_tcp,
            _ => {
                tracing::warn!(name, "a socket of this name was handed over, but is not known here");
                return Ok(());
            }
        };
        list.extend(fds.take_tcp_listener(index).map_err(refused)?);
        Ok(())
    }
}

/// Shares `sockets` out: every worker gets one, every socket has at least one worker. Where there are fewer sockets than workers, some
/// workers accept from copies of the same one.
pub(crate) fn share_out(sockets: &[TcpListener], workers: usize) -> std::io::Result<Vec<Vec<TcpListener>>> {
    let mut shares: Vec<Vec<TcpListener>> = std::iter::repeat_with(Vec::new).take(workers).collect();
    if sockets.is_empty() {
        return Ok(shares);
    }
    for turn in 0..sockets.len().max(workers) {
        shares[turn % workers].push(sockets[turn % sockets.len()].try_clone()?);
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_worker_and_every_socket_has_a_share() {
        for (count, workers) in [(1, 3), (3, 3), (5, 2), (2, 3)] {
            let sockets: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
            let shares = share_out(&sockets, workers).unwrap();
            assert!(shares.iter().all(|share| !share.is_empty()));
            let shared: BTreeSet<_> = shares.iter().flatten().map(|s| s.local_addr().unwrap()).collect();
            assert_eq!(shared.len(), count);
        }
        assert!(share_out(&[], 2).unwrap().iter().all(Vec::is_empty));
    }
}
