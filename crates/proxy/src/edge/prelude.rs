//! What a load balancer says before the client's own bytes: PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt §2.2).
//!
//! Who must say it is known by address and never guessed from bytes: a peer of the configured networks that says nothing, or something else, is
//! cut, and anybody else's prelude is nothing but a bad request. Version 1 is refused: its end has to be searched for.

use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX};
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The fixed part: prefix, version and command, family, length of the rest.
const FIXED: usize = 16;
/// For the whole of it to arrive.
const LIMIT: Duration = Duration::from_secs(5);
/// Bytes after the fixed part: the addresses, and what else a load balancer adds.
const MAX_REST: usize = 2048;

/// Reads it, and not one byte more. Answers whom it names: `peer` itself for the load balancer's own questions, nobody if it is none.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), peer: IpAddr) -> Option<IpAddr> {
    tokio::time::timeout(LIMIT, source(stream, peer)).await.ok().flatten()
}

async fn source(stream: &mut (impl AsyncRead + Unpin), peer: IpAddr) -> Option<IpAddr> {
    let mut bytes = vec![0; FIXED];
    stream.read_exact(&mut bytes).await.ok()?;
    let rest = usize::from(u16::from_be_bytes([*bytes.get(14)?, *bytes.get(15)?]));
    // Who is not speaking this protocol is not waited for.
    if !bytes.starts_with(PROTOCOL_PREFIX) || rest > MAX_REST {
        return None;
    }
    bytes.resize(FIXED + rest, 0);
    stream.read_exact(bytes.get_mut(FIXED..)?).await.ok()?;
    let header = Header::try_from(bytes.as_slice()).ok()?;
    match (header.command, header.addresses) {
        (Command::Local, _) | (Command::Proxy, Addresses::Unspecified) => Some(peer),
        (Command::Proxy, Addresses::IPv4(addresses)) => Some(addresses.source_address.into()),
        (Command::Proxy, Addresses::IPv6(addresses)) => Some(addresses.source_address.into()),
        (Command::Proxy, Addresses::Unix(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn named(after_prefix: &[u8], rest: &[u8]) -> (Option<String>, usize) {
        let bytes = [PROTOCOL_PREFIX, after_prefix, rest].concat();
        let mut stream = bytes.as_slice();
        let found = read(&mut stream, "10.0.0.1".parse().unwrap()).await;
        (found.map(|ip| ip.to_string()), stream.len())
    }

    #[tokio::test]
    async fn the_source_is_read_and_the_clients_bytes_are_left() {
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 1, 2, 1, 187];
        let found = |ip: &str, left| (Some(ip.to_owned()), left);
        assert_eq!(named(&[0x21, 0x11, 0, 12], &[&v4[..], b"GET /"].concat()).await, found("192.0.2.7", 5));
        let tlv = [4, 0, 1, 42];
        assert_eq!(named(&[0x21, 0x11, 0, 16], &[&v4[..], &tlv, b"x"].concat()).await, found("192.0.2.7", 1));
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
        assert_eq!(named(&[0x21, 0x21, 0, 36], &v6).await, found("2001:db8::7", 0));
        assert_eq!(named(&[0x20, 0x00, 0, 0], b"GET /").await, found("10.0.0.1", 5), "a health check of the load balancer's");
        assert_eq!(named(&[0x21, 0x00, 0, 0], b"").await, found("10.0.0.1", 0));
    }

    #[tokio::test]
    async fn anything_else_names_nobody() {
        for (head, rest) in [
            (&[0x11, 0x11, 0, 12][..], &[0; 12][..]),
            (&[0x21, 0x11, 0, 4], &[0; 4]),
            (&[0x21, 0x11, 0xff, 0xff], &[0; 12]),
            (&[0x21, 0x31, 0, 216], &[0; 216]),
            (&[0x22, 0x11, 0, 12], &[0; 12]),
            (&[0x21, 0x41, 0, 12], &[0; 12]),
            (&[0x21, 0x11, 0, 12], &[0; 3]),
        ] {
            assert_eq!(named(head, rest).await.0, None, "{head:?}");
        }
        let mut plain = b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\nGET / HTTP/1.1\r\n\r\n".as_slice();
        assert_eq!(read(&mut plain, "10.0.0.1".parse().unwrap()).await, None);
    }
}
