//! Who a request comes from: the connection's peer, or, where that is a proxy the app trusts, whom it names.
//!
//! `X-Forwarded-For` is read from its right end, because everything to the left of the last trusted proxy's entry is whatever a client wrote.
//! `X-Forwarded-Host` only reaches the application: what a request is routed by is its own host.

use crate::edge::connection::{Conn, Origin};
use crate::edge::header::{Peer, X_FORWARDED_FOR, X_FORWARDED_HOST};
use crate::edge::target::is_host;
use http::{HeaderMap, HeaderValue};
use landfall_model::filter::Network;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// Proxies one request may have come through; a longer list is read no further.
const MAX_HOPS: usize = 16;

/// Who asks.
#[derive(Debug)]
pub(crate) struct Client<'c> {
    /// For limits, lists and records.
    pub(crate) address: IpAddr,
    /// What the application is told. Absent for calls between services, which are carried as they are.
    pub(crate) peer: Option<Cow<'c, Peer>>,
    /// It came to us by HTTPS, or to a trusted proxy.
    pub(crate) https: bool,
    /// It came through a trusted proxy, so the ports it knows are not ours.
    pub(crate) proxied: bool,
}

impl<'c> Client<'c> {
    /// Of a request to an app that trusts these proxies.
    pub(crate) fn of(conn: &'c Conn, trusted: &[Network], headers: &HeaderMap) -> Self {
        let own =
            Self { address: conn.client, peer: conn.peer.as_ref().map(Cow::Borrowed), https: conn.origin == Origin::Https, proxied: false };
        match &conn.peer {
            Some(peer) if is_trusted(trusted, conn.client) => own.told(trusted, peer, headers),
            _ => own,
        }
    }

    /// As a trusted proxy tells.
    fn told(self, trusted: &[Network], peer: &Peer, headers: &HeaderMap) -> Self {
        let address = named(trusted, self.address, headers);
        let Ok(shown) = HeaderValue::try_from(address.to_string()) else { return self };
        let https = scheme(headers).unwrap_or(self.https);
        let peer = Peer {
            address: if address == self.address { peer.address.clone() } else { shown },
            scheme: if https { "https" } else { "http" },
            host: headers.get(X_FORWARDED_HOST).filter(|host| is_single(headers) && is_host(host)).cloned(),
        };
        Self { address, peer: Some(Cow::Owned(peer)), https, proxied: true }
    }
}

fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The right-most address that is no trusted proxy's; the left-most if all are, and the last one that can be read if one cannot.
pub(super) fn named(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer;
    let lists = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let entries = lists.flat_map(|list| list.as_bytes().rsplit(|b| *b == b','));
    for entry in entries.take(MAX_HOPS) {
        let Some(address) = std::str::from_utf8(entry).ok().and_then(address) else { break };
        client = address;
        if !is_trusted(trusted, client) {
            break;
        }
    }
    client
}

/// `192.0.2.1`, `2001:db8::1`, and with a port, as some load balancers write it.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(IpAddr::to_canonical(&ip))
}

/// Headers that say `https` or `http`, and those that say `on`, in the order they are believed: the usual one, and what one product or another sends.
const SCHEMES: [&str; 6] =
    ["x-forwarded-proto", "x-forwarded-scheme", "x-forwarded-protocol", "x-url-scheme", "cloudfront-forwarded-proto", "x-scheme"];
const SWITCHES: [&str; 2] = ["x-forwarded-ssl", "front-end-https"];
const CF_VISITOR: &str = "cf-visitor";

/// Whether the trusted proxy was spoken to by HTTPS, if it says so: the last word is its own.
pub(super) fn scheme(headers: &HeaderMap) -> Option<bool> {
    let last = |name: &str| {
        let list = headers.get_all(name).iter().next_back()?;
        Some(list.as_bytes().rsplit(|b| *b == b',').next()?.trim_ascii().to_ascii_lowercase())
    };
    let read = |word: &[u8]| match word {
        b"https" | b"wss" => Some(true),
        b"http" | b"ws" => Some(false),
        _ => None,
    };
    let switch = |word: &[u8]| match word {
        b"on" | b"1" | b"true" => Some(true),
        b"off" | b"0" | b"false" => Some(false),
        _ => None,
    };
    let (usual, others) = SCHEMES.split_first()?;
    let named = |name: &&str| last(name).and_then(|word| read(&word));
    named(usual)
        .or_else(|| last("forwarded").and_then(|element| read(proto(&element)?)))
        .or_else(|| others.iter().find_map(named))
        .or_else(|| SWITCHES.iter().find_map(|name| switch(&last(name)?)))
        // `{"scheme":"https"}`
        .or_else(|| {
            let text = headers.get(CF_VISITOR)?.to_str().ok()?;
            let scheme = serde_json::from_str::<Visitor>(text).ok()?.scheme;
            read(scheme.to_ascii_lowercase().as_bytes())
        })
}

#[derive(serde::Deserialize)]
struct Visitor {
    scheme: String,
}

/// `proto` of one element of `Forwarded` (RFC 7239 §5.4).
fn proto(element: &[u8]) -> Option<&[u8]> {
    let mut pairs = element.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let value = pairs.find_map(|pair| pair.strip_prefix(b"proto="))?;
    Some(value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value))
}

/// Somebody says that the client came by HTTPS, whether they are believed or not.
pub(crate) fn claims_https(headers: &HeaderMap) -> bool {
    scheme(headers) == Some(true)
}

fn is_single(headers: &HeaderMap) -> bool {
    headers.get_all(X_FORWARDED_HOST).iter().nth(1).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lists: &[&str]) -> String {
        let trusted: Vec<Network> = ["10.0.0.0/8", "2001:db8::/32"].iter().map(|n| n.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(list).unwrap());
        }
        named(&trusted, peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_scheme_is_understood_as_products_send_it() {
        let said = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            scheme(&pairs.collect())
        };
        for (name, value) in [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-proto", "http, HTTPS"),
            ("x-forwarded-proto", "wss"),
            ("forwarded", "for=192.0.2.1;proto=https;by=203.0.113.1"),
            ("forwarded", "for=192.0.2.1, for=198.51.100.1; Proto=\"https\""),
            ("cf-visitor", "{\"scheme\":\"https\"}"),
            ("cloudfront-forwarded-proto", "https"),
            ("x-forwarded-ssl", "on"),
            ("front-end-https", "On"),
            ("x-forwarded-scheme", "https"),
            ("x-forwarded-protocol", "https"),
            ("x-url-scheme", "https"),
        ] {
            assert_eq!(said(&[(name, value)]), Some(true), "{name}: {value}");
        }
        assert_eq!(said(&[("x-forwarded-proto", "https, http")]), Some(false), "the last word");
        assert_eq!(said(&[("x-forwarded-proto", "http"), ("x-forwarded-ssl", "on")]), Some(false), "the usual one first");
        assert_eq!(said(&[("x-forwarded-proto", "?"), ("x-forwarded-ssl", "on")]), Some(true));
        for nothing in [("x-forwarded-proto", "ftp"), ("forwarded", "for=1"), ("cf-visitor", "{"), ("x-forwarded-ssl", "maybe")] {
            assert_eq!(said(&[nothing]), None, "{nothing:?}");
        }
    }

    #[test]
    fn the_client_is_whom_the_last_trusted_proxy_names() {
        assert_eq!(client("10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 192.0.2.7"]), "192.0.2.7", "the left is the client's own invention");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 192.0.2.7, 10.9.9.9"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "192.0.2.7", "10.9.9.9"]), "192.0.2.7", "lines are one list");
        assert_eq!(client("10.0.0.1", &["192.0.2.7:1234"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["[2001:db9::1]:1234"]), "2001:db9::1");
        assert_eq!(client("10.0.0.1", &["::ffff:192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "a call from inside");
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        for list in ["", "unknown", "192.0.2.7, _hidden", "192.0.2.7,", "192.0.2.999"] {
            assert_eq!(client("10.0.0.1", &[list]), "10.0.0.1", "{list}");
        }
        assert_eq!(client("10.0.0.1", &["192.0.2.7, junk, 10.0.0.5"]), "10.0.0.5");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        let long = vec!["10.0.0.9"; 100].join(",");
        assert_eq!(client("10.0.0.1", &[&format!("192.0.2.7,{long}")]), "10.0.0.9", "no list is read for ever");
    }

    #[test]
    fn the_last_word_on_the_scheme_is_the_trusted_proxys() {
        let scheme = |lists: &[&str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append("x-forwarded-proto", HeaderValue::from_str(list).unwrap());
            }
            scheme(&headers)
        };
        assert_eq!(scheme(&["https"]), Some(true));
        assert_eq!(scheme(&["https", "http"]), Some(false));
        assert_eq!(scheme(&["http, https"]), Some(true));
        assert_eq!(scheme(&["ftp"]), None);
        assert_eq!(scheme(&[]), None);
    }
}
