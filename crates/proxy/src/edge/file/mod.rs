//! A site of files: what a release left in a directory, served by the proxy itself.
//!
//! The agent wrote the directory and nobody changes it any more, so what is open is what is served. A name is looked up below the directory by
//! the kernel (`openat2`, no link and no `..` is ever followed), a name that begins with a dot is never looked up, and only regular files are
//! sent. A file that is gone since the last release is looked for in the directories of earlier ones: a page that is open in a browser goes on
//! loading its scripts.

mod body;
mod condition;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod kind;

pub(crate) use body::FileBody;

use crate::edge::filter::{Encoding, shrinks};
use crate::edge::refusal::Refusal;
use crate::edge::watch::InFlight;
use crate::upstream::body::ResponseBody;
use bytes::Bytes;
use condition::{Part, Stamp};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderValue, LAST_MODIFIED, LOCATION, RANGE, VARY,
};
use http::{Method, Response, StatusCode};
use landfall_model::filter;
use landfall_model::route;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::Arc;

const INDEX: &str = "index.html";
/// How pages end whose addresses do not say it, as exported sites have them: `/about` is `about.html`.
const PAGE: &str = ".html";
/// The page of a site for what is not there.
const MISSING: &str = "404.html";
/// A name with its content's digest in it never stands for other content.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// May be kept, and is asked for again before it is used.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Directories of one route, open.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The current one first.
    dirs: Vec<OwnedFd>,
}

impl Folder {
    /// Opens what the table names. Earlier directories may be gone; without the current one there is nothing to serve.
    pub(crate) fn open(asked: &route::Folder) -> Option<Self> {
        let open = |path: &String| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::open(path.as_str(), flags, Mode::empty())
        };
        let current =
            open(&asked.current).inspect_err(|error| tracing::error!(%error, path = asked.current, "a site's files are gone")).ok()?;
        let earlier = asked.earlier.iter().filter_map(|path| open(path).ok());
        Some(Self { dirs: std::iter::once(current).chain(earlier).collect() })
    }
}

/// One route's files.
#[derive(Debug)]
pub(crate) struct Files {
    /// Absent when they are gone.
    folder: Option<Arc<Folder>>,
    /// Sent in place of a page that is not there.
    page: Option<String>,
    immutable: Vec<String>,
}

/// What is asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// As the directory knows it.
    pub(crate) path: &'a str,
    /// As the client knows it, with the query.
    pub(crate) target: &'a str,
    /// May encoded siblings be sent.
    pub(crate) encode: bool,
}

/// A file that was found.
struct Found {
    file: OwnedFd,
    stamp: Stamp,
    name: String,
    encoding: Option<Encoding>,
}

impl Files {
    pub(crate) fn new(asked: &filter::Files, folder: Option<Arc<Folder>>) -> Self {
        let below = |path: &landfall_model::name::RoutePath| path.as_str().trim_start_matches('/').to_owned();
        Self { folder, page: asked.spa.as_ref().map(below), immutable: asked.immutable.iter().map(below).collect() }
    }

    /// The answer.
    pub(crate) fn answer(
        &self,
        wanted: &Wanted<'_>,
        in_flight: InFlight,
        origin: impl FnOnce() -> String,
    ) -> Result<Response<ResponseBody>, Refusal> {
        if !matches!(*wanted.method, Method::GET | Method::HEAD) {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response);
        }
        let folder = self.folder.as_ref().ok_or(Refusal::NoEndpoint)?;
        let name = name_of(wanted.path).ok_or(Refusal::NoRoute)?;
        match self.find(folder, &name, wanted)? {
            Sought::File(found) => Ok(self.send(found, wanted, in_flight)),
            Sought::Directory => moved(wanted, origin(), |path| format!("{path}/")),
            Sought::Page => moved(wanted, origin(), |path| path.trim_end_matches('/').to_owned()),
            Sought::Nothing => self.missing(folder, wanted, in_flight),
        }
    }

    /// The site's own page for what is not there.
    fn missing(&self, folder: &Folder, wanted: &Wanted<'_>, in_flight: InFlight) -> Result<Response<ResponseBody>, Refusal> {
        let current = folder.dirs.first().ok_or(Refusal::NoRoute)?;
        // A condition or a part was asked of something else.
        let headers: HeaderMap = wanted.headers.get(ACCEPT_ENCODING).map(|value| (ACCEPT_ENCODING, value.clone())).into_iter().collect();
        let wanted = Wanted { headers: &headers, ..*wanted };
        let Sought::File(found) = look(current, MISSING, &wanted)? else { return Err(Refusal::NoRoute) };
        let mut response = self.send(found, &wanted, in_flight);
        *response.status_mut() = StatusCode::NOT_FOUND;
        for name in [ETAG, LAST_MODIFIED, ACCEPT_RANGES] {
            response.headers_mut().remove(name);
        }
        Ok(response)
    }

    fn find(&self, folder: &Folder, name: &str, wanted: &Wanted<'_>) -> Result<Sought, Refusal> {
        let Some(current) = folder.dirs.first() else { return Ok(Sought::Nothing) };
        let inside = if name.is_empty() || name.ends_with('/') { format!("{name}{INDEX}") } else { name.to_owned() };
        let sought = look(current, &inside, wanted)?;
        if !matches!(sought, Sought::File(_)) {
            let page = name.strip_suffix('/').unwrap_or(name);
            let found = if page.is_empty() { Sought::Nothing } else { look(current, &format!("{page}{PAGE}"), wanted)? };
            match found {
                Sought::File(_) if name.ends_with('/') => return Ok(Sought::Page),
                Sought::File(_) => return Ok(found),
                _ => {}
            }
        }
        match sought {
            Sought::Nothing => {}
            // What links refer to from a directory's page is relative to the name with the slash.
            Sought::Directory if matches!(look(current, &format!("{inside}/{INDEX}"), wanted)?, Sought::File(_)) => {
                return Ok(Sought::Directory);
            }
            Sought::Directory => {}
            found => return Ok(found),
        }
        let page = kind::is_page(&inside);
        if !page {
            for earlier in folder.dirs.iter().skip(1) {
                if let found @ Sought::File(_) = look(earlier, &inside, wanted)? {
                    return Ok(found);
                }
            }
        }
        match &self.page {
            // A script that is missing must fail as one: a page in its place would be taken for a broken script.
            Some(index) if page || condition::asks_for_page(wanted.headers) => look(current, index, wanted),
            _ => Ok(Sought::Nothing),
        }
    }

    fn send(&self, found: Found, wanted: &Wanted<'_>, in_flight: InFlight) -> Response<ResponseBody> {
        let Found { file, stamp, name, encoding } = found;
        let tag = stamp.tag(encoding);
        let modified = stamp.modified();
        let mut response = empty(StatusCode::OK);
        response.headers_mut().remove(CONTENT_LENGTH);
        let kind = kind::of(&name);
        let forever = kind::has_digest(&name) || self.immutable.iter().any(|prefix| route::covers(prefix, &name));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, if forever { FOREVER } else { ASK_AGAIN });
        if encoding.is_some() {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        let unchanged = condition::is_unchanged(wanted.headers, &tag, &modified);
        let whole = encoding.is_some() || !condition::may_be_part(wanted.headers, &tag, &modified);
        let part = if whole { Part::Whole } else { condition::part(wanted.headers.get(RANGE), stamp.size) };
        for (name, text) in [(ETAG, tag), (LAST_MODIFIED, modified)] {
            // Both are made of digits, letters and quotes.
            headers.extend(HeaderValue::try_from(text).ok().map(|value| (name, value)));
        }
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, encoding.name());
        }
        let (status, start, length, range) = match part {
            Part::Whole => (StatusCode::OK, 0, stamp.size, None),
            Part::Some { first, last } => {
                let range = format!("bytes {first}-{last}/{}", stamp.size);
                (StatusCode::PARTIAL_CONTENT, first, last - first + 1, Some(range))
            }
            Part::None => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0, Some(format!("bytes */{}", stamp.size))),
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.extend(range.and_then(|text| HeaderValue::try_from(text).ok()).map(|value| (CONTENT_RANGE, value)));
        *response.status_mut() = status;
        if *wanted.method != Method::HEAD && length > 0 {
            *response.body_mut() = ResponseBody::File(Box::new(FileBody::new(file, start, length, in_flight)));
        }
        response
    }
}

enum Sought {
    File(Found),
    /// With a page of its own, at the name with a slash.
    Directory,
    /// At the name without the slash.
    Page,
    Nothing,
}

/// To the same with another path.
fn moved(wanted: &Wanted<'_>, origin: String, to: impl Fn(&str) -> String) -> Result<Response<ResponseBody>, Refusal> {
    let (path, query) = wanted.target.split_once('?').map_or((wanted.target, ""), |(path, _)| (path, &wanted.target[path.len()..]));
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    let location = HeaderValue::try_from(format!("{origin}{}{query}", to(path))).map_err(|_| Refusal::NoRoute)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// Looks for a name, and beside it for the same content made smaller.
fn look(dir: &OwnedFd, name: &str, wanted: &Wanted<'_>) -> Result<Sought, Refusal> {
    let (file, stamp) = match open(dir, name)? {
        Opened::File(file, stamp) => (file, stamp),
        Opened::Directory => return Ok(Sought::Directory),
        Opened::Nothing => return Ok(Sought::Nothing),
    };
    let whole = Found { file, stamp, name: name.to_owned(), encoding: None };
    let may = wanted.encode && !wanted.headers.contains_key(RANGE) && kind::of(name).to_str().is_ok_and(shrinks);
    if !may {
        return Ok(Sought::File(whole));
    }
    for encoding in Encoding::accepted(wanted.headers).into_iter().flatten() {
        if let Opened::File(file, stamp) = open(dir, &format!("{name}.{}", encoding.suffix()))? {
            return Ok(Sought::File(Found { file, stamp, encoding: Some(encoding), ..whole }));
        }
    }
    Ok(Sought::File(whole))
}

enum Opened {
    File(OwnedFd, Stamp),
    Directory,
    Nothing,
}

fn open(dir: &OwnedFd, name: &str) -> Result<Opened, Refusal> {
    // What is no regular file must not be waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = match openat2(dir, name, flags, Mode::empty(), resolve) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::XDEV | Errno::ACCESS | Errno::INVAL) => {
            return Ok(Opened::Nothing);
        }
        Err(error) => {
            tracing::warn!(%error, "a file of a site cannot be opened");
            return Err(Refusal::NoEndpoint);
        }
    };
    let about = fstat(&file).map_err(|_| Refusal::NoEndpoint)?;
    Ok(match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile => Opened::File(file, Stamp::of(&about)),
        FileType::Directory => Opened::Directory,
        _ => Opened::Nothing,
    })
}

/// The name a path has below a directory, slashes merged. Nothing for one that no site has: a NUL, an encoded slash, or a name that begins with a
/// dot, which people take for hidden (`.well-known` is the one that is meant to be found, RFC 8615).
fn name_of(path: &str) -> Option<String> {
    if !path.starts_with('/') || ["%2f", "%2F"].iter().any(|slash| path.contains(slash)) {
        return None;
    }
    let decoded = percent_decoded(path)?;
    let mut name = String::with_capacity(decoded.len());
    for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
        if segment.starts_with('.') && !(name.is_empty() && segment == ".well-known") || segment.contains('\0') {
            return None;
        }
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(segment);
    }
    if decoded.ends_with('/') && !name.is_empty() {
        name.push('/');
    }
    Some(name)
}

/// Every `%xx` as its byte.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        out.push(if byte == b'%' { u8::try_from(digit()? * 16 + digit()?).ok()? } else { byte });
    }
    String::from_utf8(out).ok()
}

fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::text(Bytes::new()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_directory_or_finds_what_is_hidden() {
        for (path, name) in [
            ("/", ""),
            ("/a/b.js", "a/b.js"),
            ("/a/", "a/"),
            ("/a%20b", "a b"),
            ("/%C3%A9", "é"),
            ("/.well-known/x", ".well-known/x"),
            ("//a//b//", "a/b/"),
        ] {
            assert_eq!(name_of(path).as_deref(), Some(name), "{path}");
        }
        for bad in [
            "",
            "a",
            "/a%2fb",
            "/a%2Fb",
            "/.env",
            "/a/.git/config",
            "/..",
            "/a/../b",
            "/%2e%2e/x",
            "/a%00b",
            "/%ff",
            "/%2",
            "/a/.well-known",
        ] {
            assert_eq!(name_of(bad), None, "{bad}");
        }
    }
}
