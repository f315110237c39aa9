//! The PROXY protocol, held against its specification read word by word: whom it names, and that not one byte of the client's own is taken.

#![no_main]

use landfall_proxy::fuzzing::prelude;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Whom it names and how long it is. Additions behind the addresses must be whole (§2.2).
fn slowly(bytes: &[u8]) -> Option<(IpAddr, usize)> {
    let head: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
    let rest = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let all = bytes.get(16..16 + rest)?;
    if head[..12] != *SIGNATURE || head[12] >> 4 != 2 || rest > 2048 {
        return None;
    }
    let local = match head[12] & 0xf {
        0 => true,
        1 => false,
        _ => return None,
    };
    let known = head[13] & 0xf <= 2;
    let (named, length) = match head[13] >> 4 {
        0 => (Some(PEER), 0),
        1 => (all.get(..4).and_then(|ip| <[u8; 4]>::try_from(ip).ok()).map(|ip| Ipv4Addr::from(ip).into()), 12),
        2 => (all.get(..16).and_then(|ip| <[u8; 16]>::try_from(ip).ok()).map(|ip| Ipv6Addr::from(ip).into()), 36),
        3 => (local.then_some(PEER), 216),
        _ => return None,
    };
    let named = if local { Some(PEER) } else { named };
    (known && all.len() >= length).then_some(())?;
    Some((named?, 16 + rest))
}

landfall_fuzz::fuzz!(|bytes: &[u8]| {
    let mut stream = bytes;
    let named = RUNTIME.block_on(prelude(&mut stream, PEER));
    assert_eq!(named, slowly(bytes).map(|(ip, _)| ip));
    if let Some((_, length)) = slowly(bytes) {
        assert_eq!(stream.len(), bytes.len() - length, "the client's bytes are the client's");
    }
});
