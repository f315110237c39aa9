//! What a route answers by itself, without an application: another address, a fixed text, or files.

use super::HeaderText;
use crate::name::{NameError, RoutePath};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// In place of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is somewhere else.
    Redirect(Redirect),
    /// Always the same.
    Respond(Respond),
    /// A site of files.
    Files(Files),
}

/// Sends clients somewhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Where to.
    pub to: RedirectTarget,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// What follows the route's path is added to `to`.
    pub keep_rest: bool,
}

impl Redirect {
    /// Statuses that send a client to another address (RFC 9110 §15.4).
    pub const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// Its content.
    pub body: String,
    /// What that is.
    pub content_type: HeaderText,
}

impl Respond {
    /// Most bytes of a body: what is longer belongs into a file.
    pub const MAX_BODY: usize = 8 * 1024;
}

/// A directory that the proxy serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Which.
    pub root: FilesRoot,
    /// Digest of its files when it lies in the project; the server serves a copy, so that a rollback serves the old files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The file sent in place of a page that is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spa: Option<RoutePath>,
    /// Below these paths no file ever changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub immutable: Vec<RoutePath>,
}

/// `/usr/share/nginx/html` of the service's image, or `dist` of the project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilesRoot(String);

impl FilesRoot {
    /// Absolute in an image; relative, without `./`, in the project.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// It is in the service's image.
    pub fn is_in_image(&self) -> bool {
        self.0.starts_with('/')
    }
}

impl FromStr for FilesRoot {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let slash = if text.starts_with('/') { "/" } else { "" };
        let segments: Vec<&str> = text.split('/').filter(|s| !s.is_empty() && *s != ".").collect();
        // The whole of a project or image is more than anybody means to show.
        let good = text.len() <= 400
            && !segments.is_empty()
            && segments.iter().all(|s| *s != ".." && !s.starts_with('.') && !s.chars().any(|c| c.is_control() || c == '\\'));
        if good {
            return Ok(Self(format!("{slash}{}", segments.join("/"))));
        }
        Err(NameError::new(
            "directory of files to serve",
            text,
            "a directory below the project, `./dist`, or an absolute one of the service's image, `/usr/share/nginx/html`",
        ))
    }
}

/// A path of the same site, or an address with scheme and host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectTarget(String);

impl RedirectTarget {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// It stays at the host that was asked.
    pub fn is_path(&self) -> bool {
        self.0.starts_with('/')
    }

    /// Nothing can be added to it: it has a query or a fragment.
    pub fn is_closed(&self) -> bool {
        self.0.contains(['?', '#'])
    }
}

impl FromStr for RedirectTarget {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = text.len() <= 2000 && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>'));
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let good = match rest {
            // A user or an odd character before the first slash would make another host of what looks like this one.
            Some(rest) => {
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
            }
            // `//host` is an address of another site.
            None => text.starts_with('/') && !text.starts_with("//"),
        };
        if plain && good {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::new("address to redirect to", text, "a path such as `/new`, or an address such as `https://www.example.com/new`"))
    }
}

text!(RedirectTarget);
text!(FilesRoot);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_to_serve_is_below_something() {
        let root = |text: &str| text.parse::<FilesRoot>().map(|r| (r.as_str().to_owned(), r.is_in_image())).ok();
        assert_eq!(root("./web/dist/"), Some(("web/dist".into(), false)));
        assert_eq!(root("/usr/share//nginx/html"), Some(("/usr/share/nginx/html".into(), true)));
        for bad in ["", ".", "./", "/", "..", "../x", "a/../b", "/a/..", ".git", "a/.ssh", "a\nb"] {
            assert_eq!(root(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_redirect_leads_where_it_seems_to() {
        for good in ["/", "/new?a=b#c", "https://www.example.com", "http://10.0.0.1:8080/x", "https://[::1]/"] {
            assert!(good.parse::<RedirectTarget>().is_ok(), "{good}");
        }
        for bad in
            ["", "new", "//evil.example", "/\\evil.example", "https://", "https://a@evil.example", "javascript:x", "/a b", "/a\r\nb", "/é"]
        {
            assert!(bad.parse::<RedirectTarget>().is_err(), "{bad:?}");
        }
    }
}
