//! Forwarded addresses: each line is a field `X-Forwarded-For`; lines behind an empty one are `X-Forwarded-Proto`. Who is named is whom a slow reader names,
//! and nobody outside of the trusted networks can put in anything but his own address.

#![no_main]

use http::{HeaderMap, HeaderValue};
use landfall_model::filter::Network;
use landfall_proxy::fuzzing::forwarded;
use std::net::IpAddr;

landfall_fuzz::fuzz!(|data: &[u8]| {
    let trusted: Vec<Network> = ["10.0.0.0/8", "2001:db8::/32"].iter().map(|text| text.parse().expect("a network")).collect();
    let trusts = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets()[0] == 10,
        IpAddr::V6(ip) => ip.segments()[..2] == [0x2001, 0xdb8],
    };
    let peer: IpAddr = "10.0.0.1".parse().expect("an address");
    let mut headers = HeaderMap::new();
    let mut name = "x-forwarded-for";
    for line in data.split(|b| *b == b'\n') {
        if line.is_empty() {
            name = "x-forwarded-proto";
        } else if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    let (named, https) = forwarded(&trusted, peer, &headers);
    let lists: Vec<Vec<u8>> = headers.get_all("x-forwarded-for").iter().map(|value| value.as_bytes().to_vec()).collect();
    let all = lists.join(&b","[..]);
    let mut expected = peer;
    if !lists.is_empty() {
        let mut entries: Vec<&[u8]> = all.split(|b| *b == b',').collect();
        entries.reverse();
        for entry in entries.into_iter().take(16) {
            let text = String::from_utf8(entry.to_vec()).unwrap_or_default();
            let text = text.trim();
            let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
            let with_port = || text.parse::<std::net::SocketAddr>().map(|address| address.ip());
            let Ok(ip) = bare.parse::<IpAddr>().or_else(|_| with_port()) else { break };
            expected = ip.to_canonical();
            if !trusts(expected) {
                break;
            }
        }
    }
    assert_eq!(named, expected);
    if https.is_some() {
        assert!(headers.contains_key("x-forwarded-proto"));
    }
});
