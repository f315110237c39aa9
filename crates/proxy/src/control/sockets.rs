//! Sockets the proxy opens itself because the table asks for them, and that its supervisor keeps for it.
//!
//! Opening is separate from using: a swap first opens everything it needs, and only when that worked is anything changed.

use crate::error::SwapError;
use crate::listener::Listeners;
use landfall_model::route::RouteTable;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

const BACKLOG: i32 = 1024;

/// Open sockets, by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// Stand for services.
    pub(crate) internal: HashMap<SocketAddr, TcpListener>,
    /// Answer name questions.
    pub(crate) names: HashMap<IpAddr, NamePair>,
    /// Handed over by the supervisor, not asked for by a table yet.
    inherited: Vec<Inherited>,
    names_port: u16,
}

/// The two sockets of one network.
#[derive(Debug)]
pub(crate) struct NamePair {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
}

#[derive(Debug)]
enum Inherited {
    Internal(TcpListener),
    NamesUdp(UdpSocket),
    NamesTcp(TcpListener),
}

/// What a table needs that is not open yet, opened.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) internal: HashMap<SocketAddr, TcpListener>,
    pub(crate) names: HashMap<IpAddr, NamePair>,
    /// Of these, the names of those the supervisor does not have yet.
    pub(crate) unknown: BTreeSet<String>,
}

impl Sockets {
    /// Starts with what the supervisor handed over. `names_port` is 53 but for tests.
    pub(crate) fn new(listeners: Listeners, names_port: u16) -> Self {
        let internal = listeners.internal.into_iter().map(Inherited::Internal);
        let udp = listeners.names_udp.into_iter().map(Inherited::NamesUdp);
        let tcp = listeners.names_tcp.into_iter().map(Inherited::NamesTcp);
        Self { inherited: internal.chain(udp).chain(tcp).collect(), names_port, ..Self::default() }
    }

    /// Opens what `table` needs and is not open. What cannot be opened goes to `refused`; if that says to give up, everything is as before.
    pub(crate) fn open_missing(
        &mut self,
        table: &RouteTable,
        refused: impl FnMut(SwapError) -> Result<(), SwapError>,
    ) -> Result<Opened, SwapError> {
        let mut opened = Opened::default();
        match self.open_into(&mut opened, table, refused) {
            Ok(()) => Ok(opened),
            Err(error) => {
                self.put_back(opened);
                Err(error)
            }
        }
    }

    /// Something that `table` needs is not open.
    pub(crate) fn misses(&self, table: &RouteTable) -> bool {
        let internal = table.internal.iter().any(|listener| !self.internal.contains_key(&listener.address));
        internal || table.names.iter().any(|scope| !self.names.contains_key(&scope.listen))
    }

    fn open_into(
        &mut self,
        opened: &mut Opened,
        table: &RouteTable,
        mut refused: impl FnMut(SwapError) -> Result<(), SwapError>,
    ) -> Result<(), SwapError> {
        for listener in &table.internal {
            let address = listener.address;
            if self.internal.contains_key(&address) || opened.internal.contains_key(&address) {
                continue;
            }
            match self.open_internal(address, &mut opened.unknown) {
                Ok(socket) => drop(opened.internal.insert(address, socket)),
                Err(error) => refused(error)?,
            }
        }
        for scope in &table.names {
            if self.names.contains_key(&scope.listen) || opened.names.contains_key(&scope.listen) {
                continue;
            }
            match self.open_names(scope.listen, &mut opened.unknown) {
                Ok(pair) => drop(opened.names.insert(scope.listen, pair)),
                Err(error) => refused(error)?,
            }
        }
        Ok(())
    }

    /// Keeps what was handed over for the next table: the supervisor still holds it, so nobody could open it anew.
    fn put_back(&mut self, opened: Opened) {
        let kept = |name: &String| !opened.unknown.contains(name);
        let internal = opened.internal.into_iter().filter(|(address, _)| kept(&internal_name(*address)));
        self.inherited.extend(internal.map(|(_, socket)| Inherited::Internal(socket)));
        for (listen, pair) in opened.names {
            self.inherited.extend(Some(pair.udp).filter(|_| kept(&names_udp_name(listen))).map(Inherited::NamesUdp));
            self.inherited.extend(Some(pair.tcp).filter(|_| kept(&names_tcp_name(listen))).map(Inherited::NamesTcp));
        }
    }

    fn open_internal(&mut self, address: SocketAddr, unknown: &mut BTreeSet<String>) -> Result<TcpListener, SwapError> {
        if !address.ip().is_loopback() {
            return Err(SwapError::NotLoopback { address });
        }
        let inherited = |s: &Inherited| matches!(s, Inherited::Internal(s) if is_at(s.local_addr(), address));
        if let Some(Inherited::Internal(socket)) = self.take_inherited(inherited) {
            return Ok(socket);
        }
        unknown.insert(internal_name(address));
        open_tcp(address).map_err(|source| SwapError::PortTaken { address, purpose: "calls between services", source })
    }

    fn open_names(&mut self, listen: IpAddr, unknown: &mut BTreeSet<String>) -> Result<NamePair, SwapError> {
        let address = SocketAddr::new(listen, self.names_port);
        let taken = |source| SwapError::PortTaken { address, purpose: "names of services", source };
        let udp = match self.take_inherited(|s| matches!(s, Inherited::NamesUdp(s) if is_at(s.local_addr(), address))) {
            Some(Inherited::NamesUdp(socket)) => socket,
            _ => {
                unknown.insert(names_udp_name(listen));
                open_udp(address).map_err(taken)?
            }
        };
        let tcp = match self.take_inherited(|s| matches!(s, Inherited::NamesTcp(s) if is_at(s.local_addr(), address))) {
            Some(Inherited::NamesTcp(socket)) => socket,
            _ => {
                unknown.insert(names_tcp_name(listen));
                open_tcp(address).map_err(taken)?
            }
        };
        Ok(NamePair { udp, tcp })
    }

    fn take_inherited(&mut self, wanted: impl Fn(&Inherited) -> bool) -> Option<Inherited> {
        let index = self.inherited.iter().position(wanted)?;
        Some(self.inherited.swap_remove(index))
    }

    /// Closes what was handed over and no table asked for, and answers its names.
    pub(crate) fn drop_inherited(&mut self) -> Vec<String> {
        let name = |socket: &Inherited| match socket {
            Inherited::Internal(s) => s.local_addr().map(internal_name),
            Inherited::NamesUdp(s) => s.local_addr().map(|address| names_udp_name(address.ip())),
            Inherited::NamesTcp(s) => s.local_addr().map(|address| names_tcp_name(address.ip())),
        };
        self.inherited.drain(..).filter_map(|socket| name(&socket).ok()).collect()
    }
}

fn is_at(local: io::Result<SocketAddr>, address: SocketAddr) -> bool {
    local.is_ok_and(|local| local == address)
}

/// `FDNAME`s may not contain colons.
fn plain(ip: IpAddr) -> String {
    ip.to_string().replace(':', "_")
}

pub(crate) fn internal_name(address: SocketAddr) -> String {
    format!("internal-{}-{}", plain(address.ip()), address.port())
}

pub(crate) fn names_udp_name(ip: IpAddr) -> String {
    format!("names-udp-{}", plain(ip))
}

pub(crate) fn names_tcp_name(ip: IpAddr) -> String {
    format!("names-tcp-{}", plain(ip))
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    // A container network comes up after the proxy at boot; its address may be bound before it exists.
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn open_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    Ok(open(address, Type::DGRAM, Protocol::UDP)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::route::InternalListener;

    #[test]
    fn what_was_handed_over_survives_a_table_that_is_refused() {
        let kept = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = kept.local_addr().unwrap();
        let internal = |address| InternalListener { address, upstream: "a/b".into() };
        let mut table = RouteTable { internal: vec![internal(address), internal(taken.local_addr().unwrap())], ..RouteTable::default() };
        let mut sockets = Sockets::new(Listeners { internal: vec![kept], ..Listeners::default() }, 53);
        assert!(sockets.open_missing(&table, Err).is_err());
        table.internal.pop();
        let opened = sockets.open_missing(&table, Err).unwrap();
        assert!(opened.unknown.is_empty() && opened.internal.contains_key(&address));
        assert!(sockets.drop_inherited().is_empty());
    }
}
