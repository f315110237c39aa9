//! Host and path of a request, read once.
//!
//! Two spellings of one path that a router and an application read differently are how access rules are walked around (`field/
//! reliability.md` §2 J). So a route is chosen by a path with unreserved characters decoded (RFC 3986 §6.2.2.2) and slashes merged, and what could
//! still mean two things (encoded slashes, backslashes, control characters, dot segments) is refused. The application gets the path as it was sent:
//! some sign it. What else an application may fold is for guards to know (`table/spelling.rs`).

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

/// What a request asks for: as it was sent, which is what the application gets, and as it was meant, which is what a route is chosen by.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    sent: PathAndQuery,
    /// Absent if it is the path that was sent.
    meant: Option<String>,
    /// An encoded slash or backslash is in its path.
    slash: bool,
}

impl Target {
    /// In origin form. The query is left as it is.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Refusal> {
        if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
            return Err(Refusal::Ambiguous("a target that is not of HTTP"));
        }
        let sent = uri.path_and_query().ok_or(Refusal::Ambiguous("no path"))?;
        let Meant { path, slash } = meant(sent.path())?;
        let meant = match path {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => Some(path),
        };
        Ok(Self { sent: sent.clone(), meant, slash })
    }

    /// With unreserved characters decoded and slashes merged.
    pub(crate) fn path(&self) -> &str {
        self.meant.as_deref().unwrap_or(self.sent.path())
    }

    /// As it was sent.
    pub(crate) fn sent(&self) -> &PathAndQuery {
        &self.sent
    }

    /// Refused where the route does not say that its application reads an encoded slash as none.
    pub(crate) fn admit_encoded_slashes(&self, pass: bool) -> Result<(), Refusal> {
        if self.slash && !pass { Err(Refusal::Ambiguous("an encoded slash or backslash in the path")) } else { Ok(()) }
    }
}

/// How a path is read.
struct Meant<'a> {
    path: Cow<'a, str>,
    slash: bool,
}

fn meant(sent: &str) -> Result<Meant<'_>, Refusal> {
    if !sent.starts_with('/') {
        return Err(Refusal::Ambiguous("a path that does not start with `/`"));
    }
    if sent.bytes().any(|b| b == b'\\' || b.is_ascii_control()) {
        return Err(Refusal::Ambiguous("a backslash or control character in the path"));
    }
    let (path, slash) = if sent.contains('%') { decode_unreserved(sent)? } else { (Cow::Borrowed(sent), false) };
    if slash {
        refuse_dots(&with_slashes(&path))?;
    }
    refuse_dots(&path)?;
    let path = if path.contains("//") { Cow::Owned(merge_slashes(&path)) } else { path };
    Ok(Meant { path, slash })
}

/// Some applications cut a segment at `;` before they look for dots.
fn refuse_dots(path: &str) -> Result<(), Refusal> {
    let without_parameters = |segment: &'_ str| segment.split(';').next().is_some_and(|name| name == "." || name == "..");
    if path.contains("/.") && path.split('/').any(without_parameters) {
        return Err(Refusal::Ambiguous("a dot segment in the path"));
    }
    Ok(())
}

/// As the least exact reader has it.
fn with_slashes(path: &str) -> String {
    ["%2f", "%2F", "%5c", "%5C"].iter().fold(path.to_owned(), |path, escape| path.replace(escape, "/"))
}

fn merge_slashes(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for char in path.chars() {
        if char != '/' || !merged.ends_with('/') {
            merged.push(char);
        }
    }
    merged
}

/// What of a path that was sent follows `prefix`, which is a part of it as it was meant.
pub(crate) fn rest_behind<'p>(sent: &'p str, prefix: &str) -> Option<&'p str> {
    if let Some(rest) = sent.strip_prefix(prefix) {
        return Some(rest);
    }
    let bytes = sent.as_bytes();
    let mut at = 0;
    for wanted in prefix.bytes() {
        let (byte, length) = match (bytes.get(at)?, bytes.get(at + 1..at + 3).and_then(hex_pair)) {
            (b'%', Some(code)) if is_unreserved(code) => (code, 3),
            (byte, _) => (*byte, 1),
        };
        if byte != wanted {
            return None;
        }
        at += length;
        while byte == b'/' && bytes.get(at) == Some(&b'/') {
            at += 1;
        }
    }
    sent.get(at..)
}

/// RFC 3986 §2.3.
fn is_unreserved(code: u8) -> bool {
    code.is_ascii_alphanumeric() || matches!(code, b'-' | b'.' | b'_' | b'~')
}

/// Also whether a slash or backslash is among what stays encoded.
fn decode_unreserved(path: &str) -> Result<(Cow<'_, str>, bool), Refusal> {
    let bytes = path.as_bytes();
    let mut decoded = String::with_capacity(path.len());
    let (mut start, mut slash) = (0, false);
    while let Some(offset) = bytes[start..].iter().position(|b| *b == b'%') {
        let at = start + offset;
        let code = bytes.get(at + 1..at + 3).and_then(hex_pair).ok_or(Refusal::Ambiguous("a percent sign without two digits"))?;
        decoded.push_str(&path[start..at]);
        slash |= matches!(code, b'/' | b'\\');
        match code {
            code if code.is_ascii_control() => return Err(Refusal::Ambiguous("an encoded control character in the path")),
            code if is_unreserved(code) => decoded.push(char::from(code)),
            _ => decoded.push_str(&path[at..at + 3]),
        }
        start = at + 3;
    }
    decoded.push_str(&path[start..]);
    Ok((if decoded == path { Cow::Borrowed(path) } else { Cow::Owned(decoded) }, slash))
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

    fn path(sent: &str) -> Option<(String, bool)> {
        meant(sent).ok().map(|meant| (meant.path.into_owned(), meant.slash))
    }

    #[test]
    fn paths_have_one_meaning() {
        for (sent, meant) in [
            ("/", "/"),
            ("/%61pi", "/api"),
            ("/a%20b", "/a%20b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b", "/a..b"),
            ("//a///b//", "/a/b/"),
            ("/%61//%2d", "/a/-"),
        ] {
            assert_eq!(path(sent), Some((meant.to_owned(), false)));
        }
        for encoded in ["/a%2fb", "/a%2Fb", "/%5c"] {
            assert_eq!(path(encoded), Some((encoded.to_owned(), true)), "a route may let it pass");
        }
        for bad in [
            "*",
            "",
            "/a\\b",
            "/%00",
            "/../a",
            "/a/..",
            "/a/%2e%2E/b",
            "/.",
            "/a/..;x/b",
            "/a%2f..%2fb",
            "/a%5c..",
            "/%2F..;x%2Fb",
            "/%0d%0a",
            "/%7f",
            "/%",
            "/%2",
            "/%zz",
        ] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_follows_a_prefix_is_found_however_it_is_spelled() {
        for (sent, prefix, rest) in [
            ("/api/x", "/api", Some("/x")),
            ("//api//x", "/api", Some("//x")),
            ("/%61pi/%78", "/api", Some("/%78")),
            ("//a///b/c", "/a/b", Some("/c")),
            ("/x", "", Some("/x")),
            ("/ap", "/api", None),
            ("/%2fapi", "/api", None),
        ] {
            assert_eq!(rest_behind(sent, prefix), rest, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn what_is_meant_means_itself(sent in "/[a-zA-Z0-9%/._~!-]{0,40}") {
            if let Some(once) = path(&sent) {
                // `%2561` decodes to nothing: `%25` is reserved and stays, so a second pass finds nothing to do either.
                prop_assert_eq!(path(&once.0), Some(once.clone()));
            }
        }
    }
}
