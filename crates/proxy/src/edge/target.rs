//! Host and path of a request, canonicalised once. What is decided on is what is forwarded.
//!
//! Two spellings of one path that a router and an application read differently are how access rules are walked around (`field/
//! reliability.md` §2 J). So: unreserved characters are decoded (RFC 3986 §6.2.2.2), and what could still mean two things (encoded slashes,
//! backslashes, control characters, dot segments) is refused rather than repaired.

use crate::edge::refusal::Refusal;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Uri, Version};
use std::borrow::Cow;
use std::net::IpAddr;

/// A canonical host: lower case, no trailing dot; the port is kept for the application.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    value: HeaderValue,
    name: usize,
}

impl Host {
    /// The host of a request, from the URI (HTTP/2, absolute form) or the `Host` header; both must agree.
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap, version: Version) -> Result<Self, Refusal> {
        let mut named = headers.get_all(HOST).iter();
        let header = named.next();
        if named.next().is_some() {
            return Err(Refusal::Ambiguous("more than one Host"));
        }
        match (uri.authority(), header) {
            // RFC 9112 §3.2: HTTP/1.1 has a Host even if the target names it too.
            (_, None) if version == Version::HTTP_11 => Err(Refusal::Ambiguous("no Host")),
            (Some(authority), None) => Self::parse_authority(authority),
            (Some(authority), Some(header)) => {
                let host = Self::parse_authority(authority)?;
                if Self::parse(header)?.value != host.value {
                    return Err(Refusal::Ambiguous("Host differs from the request's target"));
                }
                Ok(host)
            }
            (None, Some(header)) => Self::parse(header),
            (None, None) if version == Version::HTTP_10 => Ok(Self { value: HeaderValue::from_static(""), name: 0 }),
            (None, None) => Err(Refusal::Ambiguous("no Host")),
        }
    }

    fn parse_authority(authority: &Authority) -> Result<Self, Refusal> {
        let value = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::Ambiguous("host"))?;
        Self::parse(&value)
    }

    fn parse(value: &HeaderValue) -> Result<Self, Refusal> {
        let bytes = value.as_bytes();
        let end = name_end(bytes).ok_or(Refusal::Ambiguous("host"))?;
        let port = port_of(&bytes[end..]).ok_or(Refusal::Ambiguous("port of the host"))?;
        let name = bytes[..end].strip_suffix(b".").unwrap_or(&bytes[..end]);
        let canonical = name.len() + port.len() == bytes.len() && !name.iter().any(u8::is_ascii_uppercase);
        if canonical {
            return Ok(Self { value: value.clone(), name: name.len() });
        }
        let text = [&name.to_ascii_lowercase(), port].concat();
        let value = HeaderValue::from_bytes(&text).map_err(|_| Refusal::Ambiguous("host"))?;
        Ok(Self { value, name: name.len() })
    }

    /// The address that was asked, where no host was named, which HTTP/1.0 allows: neither a program nor a redirect can do with an empty one.
    pub(crate) fn or_address(self, local: IpAddr) -> Self {
        if self.name > 0 {
            return self;
        }
        let text = if local.is_ipv4() { local.to_string() } else { format!("[{local}]") };
        let name = text.len();
        HeaderValue::try_from(text).map_or(self, |value| Self { value, name })
    }

    /// Without port.
    pub(crate) fn name(&self) -> &str {
        // Only ASCII letters, digits and punctuation pass `parse`.
        self.value.to_str().map_or("", |text| &text[..self.name])
    }

    /// With the port the client gave.
    pub(crate) fn value(&self) -> &HeaderValue {
        &self.value
    }
}

/// It could be the host of a request.
pub(crate) fn is_host(value: &HeaderValue) -> bool {
    Host::parse(value).is_ok()
}

/// Where the host's name ends and its port begins; nothing if it is no host.
fn name_end(bytes: &[u8]) -> Option<usize> {
    if bytes.len() > 261 {
        return None;
    }
    let (end, valid) = if bytes.first() == Some(&b'[') {
        let end = bytes.iter().position(|b| *b == b']')? + 1;
        (end, end > 3 && bytes[1..end - 1].iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')))
    } else {
        let end = bytes.iter().position(|b| *b == b':').unwrap_or(bytes.len());
        let dots = bytes[..end].first() == Some(&b'.') || bytes[..end].windows(2).any(|w| w == b"..");
        (end, !dots && end > 0 && bytes[..end].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')))
    };
    valid.then_some(end)
}

/// `:port` if there is one; nothing if what follows the name is no port.
fn port_of(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [] | [b':'] => Some(&[]),
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).is_ok_and(|text| text.parse::<u16>().is_ok()).then_some(rest)
        }
        _ => None,
    }
}

/// The request's target in origin form with a canonical path. The query is left as it is.
pub(crate) fn canonical_target(uri: &Uri) -> Result<PathAndQuery, Refusal> {
    if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Refusal::Ambiguous("a target that is not of HTTP"));
    }
    let given = uri.path_and_query().ok_or(Refusal::Ambiguous("no path"))?;
    match canonical_path(given.path())? {
        Cow::Borrowed(_) => Ok(given.clone()),
        Cow::Owned(path) => {
            let text = match given.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            PathAndQuery::try_from(text).map_err(|_| Refusal::Ambiguous("path"))
        }
    }
}

fn canonical_path(path: &str) -> Result<Cow<'_, str>, Refusal> {
    if !path.starts_with('/') {
        return Err(Refusal::Ambiguous("a path that does not start with `/`"));
    }
    if path.bytes().any(|b| b == b'\\' || b.is_ascii_control()) {
        return Err(Refusal::Ambiguous("a backslash or control character in the path"));
    }
    let path = if path.contains('%') { decode_unreserved(path)? } else { Cow::Borrowed(path) };
    // Some applications cut a segment at `;` before they look for dots.
    let without_parameters = |segment: &'_ str| segment.split(';').next().is_some_and(|name| name == "." || name == "..");
    if path.contains("/.") && path.split('/').any(without_parameters) {
        return Err(Refusal::Ambiguous("a dot segment in the path"));
    }
    Ok(path)
}

fn decode_unreserved(path: &str) -> Result<Cow<'_, str>, Refusal> {
    let bytes = path.as_bytes();
    let mut decoded = String::with_capacity(path.len());
    let mut start = 0;
    while let Some(offset) = bytes[start..].iter().position(|b| *b == b'%') {
        let at = start + offset;
        let code = bytes.get(at + 1..at + 3).and_then(hex_pair).ok_or(Refusal::Ambiguous("a percent sign without two digits"))?;
        decoded.push_str(&path[start..at]);
        match code {
            b'/' | b'\\' => return Err(Refusal::Ambiguous("an encoded slash or backslash in the path")),
            code if code.is_ascii_control() => return Err(Refusal::Ambiguous("an encoded control character in the path")),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => decoded.push(char::from(code)),
            _ => decoded.push_str(&path[at..at + 3]),
        }
        start = at + 3;
    }
    decoded.push_str(&path[start..]);
    Ok(if decoded == path { Cow::Borrowed(path) } else { Cow::Owned(decoded) })
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(text: &str) -> Option<(String, String)> {
        let host = Host::parse(&HeaderValue::from_str(text).unwrap()).ok()?;
        Some((host.name().to_owned(), host.value().to_str().unwrap().to_owned()))
    }

    #[test]
    fn hosts_have_one_spelling() {
        let same = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(host("Tutor.Example.com"), same("tutor.example.com", "tutor.example.com"));
        assert_eq!(host("tutor.example.com.:8080"), same("tutor.example.com", "tutor.example.com:8080"));
        assert_eq!(host("tutor.example.com:"), same("tutor.example.com", "tutor.example.com"));
        assert_eq!(host("[::1]:80"), same("[::1]", "[::1]:80"));
        for bad in ["", ":80", "a b", "user@a", "a/b", "a:b", "a:65536", "a:123456", "[::1", "[x]", "a..b", ".a", "a,b", "a:80:80"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_second_host_or_another_target_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, HeaderValue::from_static("a"));
        let absolute = Uri::from_static("http://b/");
        assert!(Host::of(&absolute, &headers, Version::HTTP_11).is_err());
        assert!(Host::of(&Uri::from_static("http://A/"), &headers, Version::HTTP_11).is_ok());
        headers.append(HOST, HeaderValue::from_static("a"));
        assert!(Host::of(&Uri::from_static("/"), &headers, Version::HTTP_11).is_err());
        assert!(Host::of(&Uri::from_static("/"), &HeaderMap::new(), Version::HTTP_11).is_err());
        assert!(Host::of(&Uri::from_static("/"), &HeaderMap::new(), Version::HTTP_10).is_ok());
    }

    #[test]
    fn paths_have_one_meaning() {
        for (given, canonical) in
            [("/", "/"), ("/%61pi", "/api"), ("/a%20b", "/a%20b"), ("/.well-known/x", "/.well-known/x"), ("/a..b", "/a..b")]
        {
            assert_eq!(canonical_path(given).ok().as_deref(), Some(canonical));
        }
        for bad in [
            "*",
            "",
            "/a%2fb",
            "/a%2Fb",
            "/%5c",
            "/a\\b",
            "/%00",
            "/../a",
            "/a/..",
            "/a/%2e%2E/b",
            "/.",
            "/a/..;x/b",
            "/%0d%0a",
            "/%7f",
            "/%",
            "/%2",
            "/%zz",
        ] {
            assert!(canonical_path(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_path_stays_as_it_is(path in "/[a-zA-Z0-9%/._~!-]{0,40}") {
            if let Ok(once) = canonical_path(&path) {
                let once = once.into_owned();
                // `%2561` decodes to nothing: `%25` is reserved and stays, so a second pass finds nothing to do either.
                let twice = canonical_path(&once).ok().map(Cow::into_owned);
                prop_assert_eq!(twice.as_ref(), Some(&once));
            }
        }
    }
}
