//! What a file is, by its name.

use http::HeaderValue;

/// Fewest characters of a digest in a name.
const DIGEST: usize = 8;

/// Its media type. Text is UTF-8: tools that build sites write nothing else.
pub(super) fn of(name: &str) -> HeaderValue {
    let guess = match mime_guess::from_path(name).first_raw() {
        // RFC 9239.
        Some("application/javascript") => "text/javascript",
        guess => guess.unwrap_or("application/octet-stream"),
    };
    if guess.starts_with("text/") {
        return HeaderValue::try_from(format!("{guess}; charset=utf-8")).unwrap_or(HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    HeaderValue::from_static(guess)
}

/// It is a page, or may be the address of one: it has no ending that says otherwise.
pub(super) fn is_page(name: &str) -> bool {
    mime_guess::from_path(name).first_raw().is_none_or(|guess| guess == "text/html")
}

/// A part of the name looks like a digest of the content, as bundlers write it: `main.3f2a1b9c.js`, `index-BdK3x9Qa.css`. Letters and digits
/// together, because words and dates are as long.
pub(super) fn has_digest(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    let Some((stem, ending)) = last.rsplit_once('.') else { return false };
    let is_digest = |part: &str| {
        part.len() >= DIGEST
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && part.bytes().any(|b| b.is_ascii_digit())
            && part.bytes().any(|b| b.is_ascii_alphabetic())
    };
    let mut parts = stem.split(['.', '-']);
    // The first part is the file's own name, unless there is nothing else.
    let alone = !stem.contains(['.', '-']);
    ending != "html" && if alone { is_digest(stem) && stem.len() >= 2 * DIGEST } else { parts.next().is_some() && parts.any(is_digest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_digest_are_kept_for_ever() {
        for digest in [
            "assets/index-BdK3x9Qa.js",
            "static/js/main.8d3db5e3.chunk.js",
            "app.3f2a1b9c.css.map",
            "_next/static/chunks/0c8f2a7e91b34d56.js",
            "fonts/inter-latin.4f7c1a20.woff2",
        ] {
            assert!(has_digest(digest), "{digest}");
        }
        for plain in [
            "index.html",
            "index.8d3db5e3.html",
            "my-component.js",
            "report-20241231.pdf",
            "jquery-3.7.1.min.js",
            "favicon.ico",
            "robots.txt",
            "LICENSE",
            "bootstrap5.js",
        ] {
            assert!(!has_digest(plain), "{plain}");
        }
    }

    #[test]
    fn kinds() {
        for (name, kind) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.wasm", "application/wasm"),
            ("a.svg", "image/svg+xml"),
            ("a.json", "application/json"),
            ("a.unknown-ending", "application/octet-stream"),
            ("LICENSE", "application/octet-stream"),
        ] {
            assert_eq!(of(name), kind, "{name}");
        }
        assert!(is_page("users/john.doe") && is_page("users") && is_page("a.html") && !is_page("a.js"));
    }
}
