//! The sockets sites are served on: bound here, once, and handed to every proxy.
//!
//! Each address has one socket per core (SO_REUSEPORT), so that the proxy's workers do not wake each other. The kernel would let a second
//! server of the same user join such a group and take half of the connections, so a plain socket is bound first: that fails if anybody
//! listens there.

use crate::cli::ListenArgs;
use crate::error::{Explain, Outcome, Plain};
use landfall_model::filter::Network;
use landfall_runtime::listener::{Holder, holder_of};
use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Connections that may wait to be accepted; also what bridges the moment between two proxies.
const BACKLOG: i32 = 1024;

/// Bound sockets.
#[derive(Debug)]
pub struct Listeners {
    http: Option<Group>,
    https: Option<Group>,
    proxied_by: Vec<Network>,
}

#[derive(Debug)]
struct Group {
    address: SocketAddr,
    sockets: Vec<Socket>,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else does.
    #[error("cannot listen on {address}: it is taken{}", holder.as_ref().map(|h| format!(" by {h}")).unwrap_or_default())]
    Taken {
        /// Which.
        address: SocketAddr,
        /// `--http` or `--https`.
        flag: &'static str,
        /// Who, as far as /proc tells.
        holder: Option<Holder>,
    },
    /// The system does not allow it.
    #[error("cannot listen on {address}")]
    Refused {
        /// Which.
        address: SocketAddr,
        /// `--http` or `--https`.
        flag: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Both are off.
    #[error("there is nothing to listen on: `--http off` and `--https off`")]
    Nothing,
}

impl Explain for ListenError {
    fn code(&self) -> &str {
        match self {
            Self::Taken { .. } => "port-taken",
            Self::Refused { .. } => "port-refused",
            Self::Nothing => "nothing-to-listen-on",
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Taken { address, flag, holder } => {
                let other = SocketAddr::new(address.ip(), address.port().checked_add(1000).unwrap_or(18_443));
                let stop = holder.as_ref().map(|holder| format!("stop {holder}, or ")).unwrap_or_default();
                vec![format!("{stop}listen elsewhere: `{flag} {other}`")]
            }
            Self::Refused { address, flag, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                let free = SocketAddr::new(address.ip(), address.port() + 8000);
                vec![format!("ports below 1024 are for root: run it as root, or listen elsewhere: `{flag} {free}`")]
            }
            Self::Refused { flag, .. } => vec![format!("choose an address of this machine: `{flag} 127.0.0.1:8443`")],
            Self::Nothing => vec!["leave one of them on".to_owned()],
        }
    }
}

impl Listeners {
    /// Binds what was asked for, or nothing.
    pub fn bind(asked: &ListenArgs) -> Outcome<Self> {
        let each = std::thread::available_parallelism().map_or(1, usize::from);
        let bind = |address: Option<SocketAddr>, flag| address.map(|address| Group::bind(address, flag, each)).transpose();
        let listeners =
            Self { http: bind(asked.http.0, "--http")?, https: bind(asked.https.0, "--https")?, proxied_by: asked.proxy_protocol.clone() };
        if listeners.http.is_none() && listeners.https.is_none() {
            return Err(ListenError::Nothing.into());
        }
        Ok(listeners)
    }

    /// The sockets systemd holds for us, by the names of their units (`FileDescriptorName=` of systemd.socket(5)): `http` and `https`. `None` when nobody
    /// handed any over.
    pub fn inherited() -> Outcome<Option<Self>> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed = ListenFd::from_env();
        if handed.len() == 0 {
            return Ok(None);
        }
        let mut listeners = Self { http: None, https: None, proxied_by: Vec::new() };
        for (index, name) in (0..handed.len()).zip(names.split(':')) {
            let unusable =
                |e: io::Error| Plain::failed("bad-socket", format!("the socket `{name}` that was handed over is of no use")).because(e);
            let group = match name {
                "http" => &mut listeners.http,
                "https" => &mut listeners.https,
                _ => return Err(unusable(io::Error::other("it is named neither `http` nor `https`")).into()),
            };
            let socket = handed.take_tcp_listener(index).map_err(unusable)?.ok_or_else(|| unusable(io::ErrorKind::NotFound.into()))?;
            let address = socket.local_addr().map_err(unusable)?;
            group.get_or_insert(Group { address, sockets: Vec::new() }).sockets.push(socket.into());
        }
        Ok(Some(listeners))
    }

    /// `http://localhost:8080`, as clients on this machine type it.
    pub fn http_url(&self) -> Option<String> {
        self.http.as_ref().map(|group| url("http", group.address, 80))
    }

    /// `https://localhost:8443`, likewise.
    pub fn https_url(&self) -> Option<String> {
        self.https.as_ref().map(|group| url("https", group.address, 443))
    }

    /// What `landfall proxy` must be told about them.
    pub(super) fn arguments(&self) -> impl Iterator<Item = OsString> {
        self.proxied_by.iter().map(|network| format!("--proxy-protocol={network}").into())
    }

    /// With the names they are handed over under.
    pub(super) fn into_named(self) -> Vec<(String, Arc<OwnedFd>)> {
        let named = |name: &'static str, group: Option<Group>| {
            let sockets = group.map(|group| group.sockets).unwrap_or_default();
            sockets.into_iter().map(move |socket| (name.to_owned(), Arc::new(OwnedFd::from(socket))))
        };
        named("http", self.http).chain(named("https", self.https)).collect()
    }
}

impl Group {
    fn bind(address: SocketAddr, flag: &'static str, each: usize) -> Result<Self, ListenError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::Taken { address, flag, holder: holder_of(address, false) },
            _ => ListenError::Refused { address, flag, source },
        };
        // Port 0 lets the system choose; the group then shares the choice.
        let probe = socket(address, false).map_err(failed)?;
        let chosen =
            probe.local_addr().ok().and_then(|a| a.as_socket()).map_or(address, |bound| SocketAddr::new(address.ip(), bound.port()));
        drop(probe);
        let sockets = (0..each).map(|_| socket(chosen, true)).collect::<io::Result<Vec<Socket>>>().map_err(failed)?;
        Ok(Self { address: chosen, sockets })
    }
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier life in TIME_WAIT are no reason to refuse.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// A host that certificates can be for: `localhost` for this machine's own and unspecified addresses.
fn url(scheme: &str, address: SocketAddr, usual: u16) -> String {
    let host = match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    if address.port() == usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{}", address.port()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ListenAddress;

    fn any() -> ListenAddress {
        ListenAddress(Some(SocketAddr::from(([127, 0, 0, 1], 0))))
    }

    #[test]
    fn a_second_supervisor_does_not_join_the_first_ones_sockets() {
        let first = Listeners::bind(&ListenArgs { http: any(), https: ListenAddress(None), proxy_protocol: Vec::new() }).unwrap();
        let address = first.http.as_ref().unwrap().address;
        let second =
            Listeners::bind(&ListenArgs { http: ListenAddress(Some(address)), https: ListenAddress(None), proxy_protocol: Vec::new() });
        let failure = second.unwrap_err().failure();
        assert_eq!(failure.code, "port-taken");
        assert!(failure.message.contains(&format!("process {}", std::process::id())), "{failure:?}");
        assert!(failure.hints[0].contains("--http"), "{failure:?}");
    }

    #[test]
    fn urls_are_what_people_type() {
        assert_eq!(url("https", "127.0.0.1:8443".parse().unwrap(), 443), "https://localhost:8443");
        assert_eq!(url("https", "0.0.0.0:443".parse().unwrap(), 443), "https://localhost");
        assert_eq!(url("http", "[2001:db8::1]:8080".parse().unwrap(), 80), "http://[2001:db8::1]:8080");
    }
}
