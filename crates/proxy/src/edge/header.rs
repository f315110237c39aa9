//! Which headers may pass.
//!
//! Hop-by-hop headers end here in both directions (RFC 9110 §7.6.1). What says who the client is, or which path is asked for, gets deleted and, where
//! that is known, written anew. Some applications read `X_Forwarded_For` as `X-Forwarded-For`, some any other sign in the place of `-`: so names with
//! `_` are dropped unless the route lets them pass, and a name that only looks like one of ours never passes.

use crate::edge::target::Host;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use landfall_model::filter::UpgradeName;
use landfall_model::route::Protocol;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const NAMES_TE: HeaderValue = HeaderValue::from_static("te");

/// Who the client is, as its own socket or a trusted proxy says.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: HeaderValue,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// The host a trusted proxy was asked for, if it says so.
    pub(crate) host: Option<HeaderValue>,
}

/// True if a list header has this token.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// True if who says this wants nothing more on the connection.
pub(crate) fn says_close(headers: &HeaderMap) -> bool {
    let tokens = headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.map(<[u8]>::trim_ascii).any(|token| token.eq_ignore_ascii_case(b"close"))
}

/// True if the client asks for a WebSocket.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && has_token(headers, &header::CONNECTION, "upgrade")
}

/// The protocol the client asks for, if it asks for one alone and that is one of `names`.
pub(crate) fn asks_for_one_of(headers: &HeaderMap, names: &[UpgradeName]) -> Option<HeaderValue> {
    let mut values = headers.get_all(header::UPGRADE).iter();
    let value = values.next().filter(|_| values.next().is_none() && has_token(headers, &header::CONNECTION, "upgrade"))?;
    let name = value.to_str().ok()?.split('/').next()?;
    names.iter().any(|known| known.as_str().eq_ignore_ascii_case(name)).then(|| value.clone())
}

/// True if the client asks for another protocol than WebSocket, and not for one that only offers HTTP in another way: clients that offer
/// `h2c` with their first request, as Java's does, or TLS, take an answer without it.
pub(crate) fn asks_for_other_protocol(headers: &HeaderMap) -> bool {
    let offers_http = |name: &str| {
        let name = name.split('/').next().unwrap_or_default().trim();
        ["websocket", "h2c", "h2", "http", "tls"].iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    let names = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut names = names.map(str::trim).filter(|name| !name.is_empty()).peekable();
    names.peek().is_some() && has_token(headers, &header::CONNECTION, "upgrade") && !names.any(offers_http)
}

/// True unless `Expect` says something that is not `100-continue`: what a server makes of that, and of the body after it, is anyone's guess.
pub(crate) fn expects_nothing_else(headers: &HeaderMap) -> bool {
    headers.get_all(header::EXPECT).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Removes what concerns only one connection.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
        headers.remove(header::CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, header::TE, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
}

/// Headers that `Connection` lists, except those that no hop may take away.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    const USUAL: [&str; 3] = ["keep-alive", "close", "upgrade"];
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !USUAL.iter().any(|usual| usual.eq_ignore_ascii_case(name)))
        .filter_map(|name| name.parse::<HeaderName>().ok())
        .filter(|name| ![header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::COOKIE, header::AUTHORIZATION].contains(name))
        .collect()
}

/// What a request's headers are prepared by.
pub(crate) struct Terms<'a> {
    pub(crate) host: &'a Host,
    /// Absent for calls between services, which are carried as they are.
    pub(crate) peer: Option<&'a Peer>,
    /// What the application speaks.
    pub(crate) protocol: Protocol,
    /// Headers by which the proxy alone tells the applications of this site who somebody is.
    pub(crate) identity: &'a [HeaderName],
    /// Names with `_` that may pass.
    pub(crate) underscored: &'a [HeaderName],
}

/// Prepares a request's headers for an application; answers how many the client may not send.
pub(crate) fn to_upstream(headers: &mut HeaderMap, terms: &Terms<'_>) -> u64 {
    let Terms { host, peer, protocol, identity, underscored } = *terms;
    // A hop's own word, which this hop says again because it carries trailers (RFC 9110 §10.1.4).
    let trailers = has_token(headers, &header::TE, "trailers");
    remove_hop_by_hop(headers);
    join_cookies(headers);
    let mut dropped = 0;
    if let Some(peer) = peer {
        dropped = remove_client_claims(headers, identity, underscored);
        headers.insert(X_FORWARDED_FOR, peer.address.clone());
        headers.insert(X_REAL_IP, peer.address.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(peer.scheme));
        headers.insert(X_FORWARDED_HOST, peer.host.as_ref().unwrap_or(host.value()).clone());
    }
    if headers.get(header::HOST) != Some(host.value()) {
        headers.insert(header::HOST, host.value().clone());
    }
    if trailers {
        headers.insert(header::TE, TRAILERS);
        if protocol == Protocol::Http1 {
            headers.insert(header::CONNECTION, NAMES_TE);
        }
    }
    dropped
}

/// Marks a head, of a request or of its answer, as an upgrade.
pub(crate) fn ask_for_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, UPGRADE);
    headers.insert(header::UPGRADE, protocol);
    headers.remove(header::TE);
}

/// Removes what a trailer may not say (RFC 9110 §6.5.1): where a message ends, for whom and from whom it is. Some applications take a trailer's
/// fields for fields of the head.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_client_claims(trailers, &[], &[]);
    for name in [header::HOST, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_TYPE, header::CONTENT_RANGE] {
        trailers.remove(name);
    }
    for name in [header::AUTHORIZATION, header::COOKIE, header::EXPECT, header::RANGE, header::CACHE_CONTROL, header::MAX_FORWARDS] {
        trailers.remove(name);
    }
    for name in [header::TRAILER, header::ORIGIN, header::REFERER, header::IF_MATCH, header::IF_NONE_MATCH, X_REQUEST_ID] {
        trailers.remove(name);
    }
}

/// Fields that `Trailer` announces.
pub(crate) fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let names = headers.get_all(header::TRAILER).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names.filter_map(|name| name.trim().parse().ok()).collect()
}

/// What a client may say behind a body: what it announced, unless a head must say it or it says who somebody is.
#[derive(Debug, Default)]
pub(crate) struct Trailing {
    announced: Vec<HeaderName>,
    identity: Vec<HeaderName>,
}

impl Trailing {
    /// For a request with these headers to a site with these identity headers.
    pub(crate) fn of(headers: &HeaderMap, identity: &[HeaderName]) -> Self {
        let announced = announced(headers);
        // Hardly any request announces one.
        let identity = if announced.is_empty() { Vec::new() } else { identity.to_vec() };
        Self { announced, identity }
    }

    /// Removes all else.
    pub(crate) fn clean(&self, trailers: &mut HeaderMap) {
        clean_trailers(trailers);
        remove_client_claims(trailers, &self.identity, &[]);
        let strange: Vec<HeaderName> = trailers.keys().filter(|name| !self.announced.contains(name)).cloned().collect();
        for name in strange {
            trailers.remove(name);
        }
    }
}

/// Answers how many there were that a client may have meant for the application.
fn remove_client_claims(headers: &mut HeaderMap, identity: &[HeaderName], underscored: &[HeaderName]) -> u64 {
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name, identity, underscored)).cloned().collect();
    let mut dropped = 0;
    for name in claims {
        headers.remove(&name);
        // Every proxy on the way writes these; nobody misses them.
        dropped += u64::from(!is_forwarding(name.as_str()));
    }
    dropped
}

fn is_forwarding(name: &str) -> bool {
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

fn is_claim(name: &HeaderName, identity: &[HeaderName], underscored: &[HeaderName]) -> bool {
    let text = name.as_str();
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return is_own(text) || identity.contains(name);
    }
    // However an application may read it.
    let read: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let looks_like_own = is_own(&read) || read == X_REQUEST_ID.as_str() || identity.iter().any(|own| own.as_str() == read);
    looks_like_own || text.contains('_') && !underscored.contains(name)
}

/// Who the client is, and which path it asks for, is the proxy's to say. To a CGI program `Proxy` is its own proxy (CVE-2016-5385), and some frameworks
/// take a path that is in a header for the request's.
fn is_own(name: &str) -> bool {
    is_forwarding(name) || matches!(name, "proxy" | "x-original-url" | "x-rewrite-url")
}

/// HTTP/2 may split cookies over several fields; HTTP/1.1 may not (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Uri, Version};

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn prepared(pairs: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let host = Host::of(&Uri::from_static("/"), &map(&[("host", "a")]), Version::HTTP_11).ok().unwrap();
        let peer = Peer { address: HeaderValue::from_static("192.0.2.1"), scheme: "https", host: None };
        let identity = [HeaderName::from_static("x-user-id")];
        let underscored = ["api_key", "x_user_id", "x_real_ip"].map(HeaderName::from_static);
        let terms = Terms { host: &host, peer: Some(&peer), protocol: Protocol::Http1, identity: &identity, underscored: &underscored };
        to_upstream(&mut headers, &terms);
        let mut lines: Vec<String> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    const OWN: [&str; 5] =
        ["host: a", "x-forwarded-for: 192.0.2.1", "x-forwarded-host: a", "x-forwarded-proto: https", "x-real-ip: 192.0.2.1"];

    #[test]
    fn what_the_client_claims_is_replaced_by_what_the_socket_says() {
        let claimed = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-prefix", "/x"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("x_forwarded_for", "10.0.0.1"),
            ("host", "A."),
        ];
        assert_eq!(prepared(&claimed), OWN);
    }

    #[test]
    fn nobody_but_the_proxy_says_who_somebody_is_however_it_is_spelled() {
        let claimed = [
            ("x-user-id", "1"),
            ("x_user_id", "1"),
            ("x.user.id", "1"),
            ("x-user_id", "1"),
            ("x_real_ip", "1"),
            ("x.request.id", "1"),
            ("proxy", "evil.example"),
            ("x-original-url", "/admin"),
            ("access_token", "1"),
        ];
        assert_eq!(prepared(&claimed), OWN);
        assert!(prepared(&[("api_key", "5")]).contains(&"api_key: 5".to_owned()), "the route lets it pass");
        let mut trailers = map(&[("x-sum", "1"), ("x-user-id", "1"), ("x-other", "1"), ("authorization", "1")]);
        let head = map(&[("trailer", "X-Sum, X-User-Id, Authorization")]);
        Trailing::of(&head, &[HeaderName::from_static("x-user-id")]).clean(&mut trailers);
        assert_eq!(trailers, map(&[("x-sum", "1")]));
    }

    #[test]
    fn connection_takes_away_what_it_names_but_nothing_that_protects() {
        let lines = prepared(&[
            ("connection", "close, X-Forwarded-For, x-hop, authorization"),
            ("x-hop", "1"),
            ("authorization", "secret"),
            ("te", "gzip"),
            ("keep-alive", "x"),
            ("upgrade", "h2c"),
            ("proxy-connection", "x"),
        ]);
        let mut expected = vec!["authorization: secret"];
        expected.extend(OWN);
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_offer_of_http_is_no_other_protocol() {
        let asks = |upgrade: &'static str| asks_for_other_protocol(&map(&[("connection", "keep-alive, Upgrade"), ("upgrade", upgrade)]));
        for other in ["tailscale-control-protocol", "SPDY/3.1", "tcp", "docker, tcp"] {
            assert!(asks(other), "{other}");
        }
        for http in ["websocket", "WebSocket", "h2c", "TLS/1.2, HTTP/1.1", "HTTP/2.0", "foo, websocket", ""] {
            assert!(!asks(http), "{http}");
        }
        assert!(!asks_for_other_protocol(&map(&[("upgrade", "tcp")])), "without Connection it is only a word");
    }

    #[test]
    fn who_takes_trailers_is_said_again() {
        let lines = prepared(&[("te", "deflate, trailers")]);
        assert!(lines.contains(&"te: trailers".to_owned()) && lines.contains(&"connection: te".to_owned()), "{lines:?}");
    }

    #[test]
    fn a_trailer_says_nothing_that_a_head_must_say() {
        let mut trailers =
            map(&[("content-length", "5"), ("x-forwarded-for", "10.0.0.1"), ("transfer_encoding", "chunked"), ("x-sum", "1")]);
        clean_trailers(&mut trailers);
        assert_eq!(trailers, map(&[("x-sum", "1")]));
    }

    #[test]
    fn cookie_crumbs_are_joined() {
        assert!(prepared(&[("cookie", "a=1"), ("cookie", "b=2")]).contains(&"cookie: a=1; b=2".to_owned()));
    }
}
