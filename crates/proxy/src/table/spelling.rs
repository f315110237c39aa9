//! Paths that one server or another takes for the same.
//!
//! What stands behind the proxy may merge slashes, ignore case, cut a segment at `;`, decode once more than it should, or drop dots at the end of a
//! name. Nobody tells the proxy which of these it does. So for guards, and for nothing else, a path is folded by all of them at once, and a request
//! whose route lets pass what the guard of the folded path would not is refused. Nothing is allocated for a path that is spelled plainly.

use landfall_model::route::covers;
use std::borrow::Cow;

/// How often escapes of escapes are decoded.
const DECODINGS: usize = 3;

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

/// What a path may be taken for by the least exact reader there is.
pub(super) fn folded(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path.trim_end_matches(['/', '.']));
    }
    // A reader that knows parameters cuts them off before it decodes, all others after.
    let mut text = without_parameters(path);
    for _ in 0..DECODINGS {
        match decoded(&text) {
            Some(once) => text = once,
            None => break,
        }
    }
    let text = text.replace('\\', "/");
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let mut segments: Vec<String> = Vec::new();
    for segment in text.split('/') {
        let name: String = segment.split(';').next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
        match name.as_str() {
            ".." => drop(segments.pop()),
            name => {
                let name = name.trim().trim_end_matches(['.', ' ']);
                if !name.is_empty() {
                    // Up first: some letters have a small one in common only by way of their capital.
                    segments.push(name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect());
                }
            }
        }
    }
    let mut folded = String::with_capacity(path.len());
    for segment in segments {
        folded.push('/');
        folded.push_str(&segment);
    }
    Cow::Owned(folded)
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
            "/x/%252e%252e/admin/users",
            "/.../admin/users",
        ] {
            assert_eq!(folded(path), "/admin/users", "{path}");
        }
        assert_eq!((folded("/"), folded("/;x"), folded("/.hidden")), ("".into(), "".into(), "/.hidden".into()));
        assert!(matches!(folded("/assets/main-8d3d.js"), Cow::Borrowed(_)), "nothing is allocated for it");
    }

    #[test]
    fn a_format_is_taken_off_the_last_name_alone() {
        assert_eq!(without_format("/a.b/login.json"), Some("/a.b/login"));
        assert_eq!((without_format("/a.b/login"), without_format("/.json"), without_format("")), (None, None, None));
    }
}
