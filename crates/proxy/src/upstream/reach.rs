//! Where a replica is reached, and by no other way than its own.
//!
//! The address of a container means something only in its network. While the bridge of that network is not there (after a boot, or when
//! somebody took it away), the kernel would send to the same address by the default route, to whoever has it out there; so the socket is bound
//! to the bridge. A loopback address goes nowhere else.

use landfall_model::name::InterfaceName;
use landfall_model::route::Endpoint;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// For a connection to be made.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// No such device: what the kernel says of an interface that is not there, and what is said here of an address that no interface leads to directly.
const NO_DEVICE: i32 = 19;
/// Of a route in `/proc/net/route` and `/proc/net/ipv6_route`: it is in use, and it goes by a gateway.
const UP: u32 = 1;
const GATEWAY: u32 = 2;

/// An address, and the interface it is behind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reach {
    pub(crate) address: SocketAddr,
    /// Absent for loopback, and for networks that have no bridge.
    pub(crate) interface: Option<InterfaceName>,
}

impl From<&Endpoint> for Reach {
    fn from(endpoint: &Endpoint) -> Self {
        Self { address: endpoint.address, interface: endpoint.interface.clone() }
    }
}

impl Reach {
    /// A connection, made within [`CONNECT_LIMIT`].
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = tokio::time::timeout(CONNECT_LIMIT, self.open()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn open(&self) -> io::Result<TcpStream> {
        let ip = self.address.ip();
        if ip.is_loopback() {
            return TcpStream::connect(self.address).await;
        }
        let socket = if ip.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        match &self.interface {
            Some(interface) => match socket.bind_device(Some(interface.as_str().as_bytes())) {
                // Linux before 5.7 wants a capability for it that the proxy does not have.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => check(ip, Some(interface))?,
                bound => bound?,
            },
            None => check(ip, None)?,
        }
        socket.connect(self.address).await
    }
}

/// True if the network of the address is not there.
pub(crate) fn is_away(error: &io::Error) -> bool {
    error.raw_os_error() == Some(NO_DEVICE)
}

/// An address that is not on a network this machine is directly in, by that interface if one is named, is not for us.
fn check(ip: IpAddr, interface: Option<&InterfaceName>) -> io::Result<()> {
    let by = match ip {
        IpAddr::V4(ip) => way4(&fs::read_to_string("/proc/net/route")?, ip),
        IpAddr::V6(ip) => way6(&fs::read_to_string("/proc/net/ipv6_route")?, ip),
    };
    match by {
        Some(by) if interface.is_none_or(|wanted| wanted.as_str() == by) => Ok(()),
        _ => Err(io::Error::from_raw_os_error(NO_DEVICE)),
    }
}

/// The interface by which an address is reached directly. `/proc/net/route`: interface, destination, gateway, flags, …, mask in the eighth column;
/// addresses as the machine's own words, which is how the kernel keeps them.
fn way4(routes: &str, ip: Ipv4Addr) -> Option<String> {
    let address = u32::from_ne_bytes(ip.octets());
    let read = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |index: usize| u32::from_str_radix(words.get(index)?, 16).ok();
        let (destination, flags, mask) = (number(1)?, number(3)?, number(7)?);
        (address & mask == destination && flags & UP != 0).then(|| (mask.count_ones(), flags, words[0].to_owned()))
    };
    // Of equals the kernel takes the first.
    let best = routes.lines().skip(1).filter_map(read).reduce(|best, other| if other.0 > best.0 { other } else { best });
    best.filter(|(_, flags, _)| flags & GATEWAY == 0).map(|(_, _, by)| by)
}

/// The same for `/proc/net/ipv6_route`: destination, its length, …, flags in the ninth column, interface in the tenth.
fn way6(routes: &str, ip: Ipv6Addr) -> Option<String> {
    let read = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let destination = u128::from_str_radix(words.first()?, 16).ok()?;
        let length = u32::from_str_radix(words.get(1)?, 16).ok()?;
        let flags = u32::from_str_radix(words.get(8)?, 16).ok()?;
        let differs = (u128::from(ip) ^ destination).checked_shr(128_u32.checked_sub(length)?).unwrap_or(0);
        (differs == 0 && flags & UP != 0).then(|| (length, flags, words.get(9).copied().unwrap_or_default().to_owned()))
    };
    let best = routes.lines().filter_map(read).reduce(|best, other| if other.0 > best.0 { other } else { best });
    best.filter(|(_, flags, _)| flags & GATEWAY == 0).map(|(_, _, by)| by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(ip: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(ip))
    }

    fn table(lines: &[(&str, [u8; 4], u32, u32)]) -> String {
        let line = |(by, to, flags, length): &(&str, [u8; 4], u32, u32)| {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0).to_be_bytes();
            format!("{by}\t{}\t00000000\t{flags:04X}\t0\t0\t0\t{}\t0\t0\t0\n", word(*to), word(mask))
        };
        lines.iter().fold("Iface\tDestination\tGateway …\n".to_owned(), |text, each| text + &line(each))
    }

    #[test]
    fn the_longest_route_decides_and_a_gateway_leads_to_strangers() {
        let ip = Ipv4Addr::new(172, 18, 0, 3);
        let boot = table(&[("eth0", [0, 0, 0, 0], 3, 0), ("eth0", [192, 0, 2, 0], 1, 24)]);
        assert_eq!(way4(&boot, ip), None, "before the bridge: by the default route");
        let up = table(&[("eth0", [0, 0, 0, 0], 3, 0), ("br-1", [172, 18, 0, 0], 1, 16)]);
        assert_eq!(way4(&up, ip).as_deref(), Some("br-1"));
        let taken = table(&[("br-1", [172, 18, 0, 0], 1, 16), ("eth1", [172, 18, 0, 0], 3, 24)]);
        assert_eq!(way4(&taken, ip), None, "a longer route by a gateway wins");
        let down = table(&[("br-1", [172, 18, 0, 0], 0, 16)]);
        assert_eq!(way4(&down, ip), None);
        assert_eq!(way4("", ip), None);
        assert_eq!(way4("Iface\nnonsense\nx y z\n", ip), None);
    }

    #[test]
    fn the_same_for_the_longer_addresses() {
        let ip: Ipv6Addr = "fd00::3".parse().unwrap();
        let line = |to: &str, length: u32, flags: u32, by: &str| {
            let to = u128::from(to.parse::<Ipv6Addr>().unwrap());
            format!("{to:032x} {length:02x} {:032x} 00 {:032x} 00000400 00000001 00000000 {flags:08x} {by:>8}\n", 0, 0)
        };
        let boot = line("::", 0, 3, "eth0");
        assert_eq!(way6(&boot, ip), None);
        assert_eq!(way6(&(boot.clone() + &line("fd00::", 64, 1, "br-1")), ip).as_deref(), Some("br-1"));
        assert_eq!(way6(&(line("fd00::", 64, 1, "br-1") + &line("fd00::3", 128, 3, "eth1")), ip), None);
    }

    #[tokio::test]
    async fn an_address_behind_an_interface_that_is_not_there_is_not_reached() {
        let interface = Some("br-landfall-no".parse().unwrap());
        let error = Reach { address: "192.0.2.1:9".parse().unwrap(), interface }.connect().await.unwrap_err();
        assert!(is_away(&error), "{error}");
    }
}
