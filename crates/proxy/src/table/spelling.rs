//! Paths that one server or another takes for the same.
//!
//! What stands behind the proxy may merge slashes, ignore case, cut a segment at `;`, decode once more than it should, or drop dots at the end of a
//! name. Nobody tells the proxy which of these it does. So for guards, and for nothing else, a path is folded by all of them, as often as one may decode, and a
//! request whose route lets pass what the guard of a folded path would not is refused. Nothing is allocated for a path that is spelled plainly.

use landfall_model::route::covers;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// How often escapes of escapes are decoded.
const DECODINGS: usize = 3;

/// Longest path of many readings that is read in all of them; a request must not cost milliseconds.
const MAX_READ: usize = 4096;

/// A route that keeps something out, by its folded path.
#[derive(Debug)]
pub(super) struct Guard {
    path: String,
    exact: bool,
    /// Its place among the routes of its site.
    pub(super) route: usize,
}

impl Guard {
    pub(super) fn new(path: &str, exact: bool, route: usize) -> Self {
        Self { path: folded(path).into_owned(), exact, route }
    }

    /// A path that is folded so may be one of its own.
    pub(super) fn covers(&self, folded: &str) -> bool {
        if self.exact { self.path == folded } else { covers(&self.path, folded) }
    }

    /// A route that a path was plainly meant for, at `path`, is as special as this one: the file names the spelling.
    pub(super) fn gives_way_to(&self, path: &str, exact: bool) -> bool {
        let (own, other) = (self.path.len(), folded(path).len());
        other > own || other == own && (exact || !self.exact)
    }
}

/// A path as the least exact reader there is has it. For the paths of routes, which have one meaning.
pub(super) fn folded(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path.trim_end_matches(['/', '.']));
    }
    let mut text = without_parameters(path);
    for _ in 0..DECODINGS {
        match decoded(&text) {
            Some(once) => text = once,
            None => break,
        }
    }
    // A guard that is nowhere is everywhere.
    Cow::Owned(fold(&text).unwrap_or_default())
}

/// What a path that was sent may be taken for. Readers differ in how often they decode and in when they cut parameters off, and what one of them takes for a
/// harmless path may be a guarded one for another: so each of them is asked.
pub(super) enum Readings<'p> {
    /// It is spelled plainly.
    One(&'p str),
    Several(BTreeSet<String>),
    /// Dot segments come to light where it is decoded once more, or it is too long to find out: it may be any path.
    Any,
}

impl<'p> Readings<'p> {
    pub(super) fn of(path: &'p str) -> Self {
        if is_plain(path) {
            return Self::One(path.trim_end_matches(['/', '.']));
        }
        if path.len() > MAX_READ && (path.contains("%25") || path.contains(';')) {
            return Self::Any;
        }
        let (mut found, mut texts) = (BTreeSet::new(), BTreeSet::from([path.to_owned()]));
        for _ in 0..=DECODINGS {
            let cut: Vec<String> = texts.iter().map(|text| without_parameters(text)).collect();
            texts.extend(cut);
            for text in &texts {
                match fold(text) {
                    Some(path) => drop(found.insert(path)),
                    None => return Self::Any,
                }
            }
            texts = texts.iter().filter_map(|text| decoded(text)).collect();
        }
        Self::Several(found)
    }

    /// One of them is so.
    pub(super) fn any(&self, is: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(path) => is(path),
            Self::Several(paths) => paths.iter().any(|path| is(path)),
            Self::Any => true,
        }
    }
}

/// Everything that is folded without decoding. Nothing where a segment leads up: that depends on what else a reader knows.
fn fold(text: &str) -> Option<String> {
    let text = text.replace('\\', "/");
    let name = |segment: &'_ str| -> String { segment.chars().filter(|c| !c.is_control()).collect() };
    let climbs = |segment: &str| name(segment.split([';', '?', '#', '\0']).next().unwrap_or_default()).trim() == "..";
    if text.split('/').any(climbs) {
        return None;
    }
    let mut folded = String::with_capacity(text.len());
    for segment in text.split(['?', '#', '\0']).next().unwrap_or_default().split('/') {
        let name = name(segment.split(';').next().unwrap_or_default());
        let name = name.trim().trim_end_matches(['.', ' ']);
        if !name.is_empty() {
            folded.push('/');
            // Up first: some letters have a small one in common only by way of their capital.
            folded.extend(name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
        }
    }
    Some(folded)
}

/// A folded path without the format that some routers take off its last name, as in `/admin.json`.
pub(super) fn without_format(folded: &str) -> Option<&str> {
    let name = folded.rfind('/')? + 1;
    let dot = folded[name..].rfind('.').filter(|dot| *dot > 0)?;
    Some(&folded[..name + dot])
}

/// There is nothing to fold but its end.
fn is_plain(path: &str) -> bool {
    let mut before = b'/';
    let mut bytes = path.bytes();
    bytes.next() == Some(b'/')
        && bytes.all(|byte| {
            let plain = match byte {
                b'A'..=b'Z' | b'%' | b';' | b' ' | b'?' | b'#' | b'\\' | 0..=31 | 127.. => false,
                b'/' => before != b'/' && before != b'.',
                _ => true,
            };
            before = byte;
            plain
        })
}

fn without_parameters(path: &str) -> String {
    let mut cut = String::with_capacity(path.len());
    for (i, segment) in path.split('/').enumerate() {
        if i > 0 {
            cut.push('/');
        }
        cut.push_str(segment.split(';').next().unwrap_or_default());
    }
    cut
}

/// Every `%xx` as its byte; nothing if there is none.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = if *byte == b'%' { digit(at + 1).zip(digit(at + 2)) } else { None };
        match code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    (out.len() < bytes.len()).then(|| String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_folded_into_one() {
        for path in [
            "/admin/users",
            "/admin/users/",
            "/admin/users.",
            "/Admin/USERS",
            "/admin;x/users;y=1",
            "/admin/;x/users",
            "/admin./users..",
            "/%61dmin/users",
            "/%2561dmin/u%73ers",
            "/admin%20/users%20",
            "/admin/users%3Fx",
            "/admin/users%23x",
            "/admin/users%3Bx",
            "/admin%2Fusers",
            "/admin%5Cusers",
            "/.../admin/users",
        ] {
            assert_eq!(folded(path), "/admin/users", "{path}");
        }
        assert_eq!((folded("/"), folded("/;x"), folded("/.hidden")), ("".into(), "".into(), "/.hidden".into()));
        assert!(matches!(folded("/assets/main-8d3d.js"), Cow::Borrowed(_)), "nothing is allocated for it");
    }

    #[test]
    fn readers_that_differ_are_each_asked() {
        let taken = |path: &str, wanted: &str| Readings::of(path).any(|read| read == wanted);
        // Cut before or after a slash comes to light, and between two decodings.
        for path in ["/;%252fadmin", "/admin;%252fx", "/adm%2569n%3b%252fx", "/x%2500", "/Admin%2500.png"] {
            assert!(taken(path, if path.starts_with("/x") { "/x" } else { "/admin" }), "{path}");
        }
        // Decoded twice, the first of these is below `/admin`, and decoded three times it is not.
        for path in [
            "/x/%252e%252e/admin/%25252e%25252e/y",
            "/x/%25252e%25252e;a/admin",
            "/x/a;b%252f..%252f..%252fadmin",
            "/x/%253f/%252e%252e%20/y",
        ] {
            assert!(matches!(Readings::of(path), Readings::Any), "{path}");
        }
        assert!(matches!(Readings::of(&"/%25;".repeat(1000)), Readings::Any), "nobody has it read in thirty ways");
        assert!(!taken("/x/a;b/y", "/x") && !taken("/x/a..b/%252e%252ea", "/x"));
        assert!(matches!(Readings::of("/assets/main-8d3d.js"), Readings::One(_)), "nothing is allocated for it");
    }

    #[test]
    fn a_format_is_taken_off_the_last_name_alone() {
        assert_eq!(without_format("/a.b/login.json"), Some("/a.b/login"));
        assert_eq!((without_format("/a.b/login"), without_format("/.json"), without_format("")), (None, None, None));
    }
}
