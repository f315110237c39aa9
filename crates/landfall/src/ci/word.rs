//! Words that end up in a pipeline, checked so that they mean nothing there but themselves.

use crate::error::Plain;
use landfall_model::name::NameError;
use std::fmt;
use std::str::FromStr;

/// Longest text of a user's in a pipeline.
const MAX: usize = 1000;

/// A branch of the repository: the part of git-check-ref-format(1) that needs no quotes in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch(String);

/// A SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest(String);

/// Where a program is fetched from, over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download(String);

/// A text as the value of a variable. What a system would expand in it is refused, since it would not be that text any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Literal(String);

impl FromStr for Branch {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let want = "letters, digits, `.`, `_`, `-` and `/`, starting with a letter or digit, at most 100";
        let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'));
        let parts =
            text.split('/').all(|part| !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with('.') && !part.contains(".."));
        if letters && parts && text.len() <= 100 { Ok(Self(text.to_owned())) } else { Err(NameError::new("branch", text, want)) }
    }
}

impl FromStr for Digest {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::new("digest", text, "64 hexadecimal digits in lower case, as `sha256sum` prints them"))
        }
    }
}

impl FromStr for Download {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = text.strip_prefix("https://").is_some_and(|rest| {
            rest.len() > 3 && text.len() <= MAX && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#@!&=+,%".contains(&b))
        });
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::new("address", text, "one that begins with `https://` and has no blanks, quotes or `$`"))
        }
    }
}

impl Branch {
    /// The checked text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Literal {
    /// The checked text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `what` says whose text it is.
    pub fn new(what: &str, text: &str) -> Result<Self, Plain> {
        let refused = |why: &str| Plain::usage("ci-text", format!("{what} cannot stand in a pipeline: {why}"));
        if text.len() > MAX {
            return Err(refused("it is longer than 1000 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(refused("it has control characters or several lines"));
        }
        // GitHub evaluates what stands in `${{ }}`, in every value of a workflow.
        if text.contains("${{") {
            return Err(refused("GitHub would evaluate `${{`"));
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! shown {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}
shown!(Branch, Digest, Download, Literal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_more_than_itself_gets_in() {
        for good in ["main", "release/1.2", "a_b-c"] {
            assert!(good.parse::<Branch>().is_ok(), "{good}");
        }
        for bad in ["", "-v", "a b", "a'b", "$(id)", "a\nb", "a//b", "/a", "a/", "a..b", ".a", "a/.b", "a}}", "${{x}}", "*", "é"] {
            assert!(bad.parse::<Branch>().is_err(), "{bad:?}");
        }
        assert!("https://example.com/a-b_c/v1.0/landfall".parse::<Download>().is_ok());
        for bad in ["http://example.com/x", "https://", "https://a b", "https://a\"b", "https://a/$(id)", "https://a'b"] {
            assert!(bad.parse::<Download>().is_err(), "{bad:?}");
        }
        assert!("0".repeat(64).parse::<Digest>().is_ok() && "G".repeat(64).parse::<Digest>().is_err());
        for bad in ["a\nb", "a ${{ secrets.X }}", "a\u{1b}b"] {
            assert!(Literal::new("it", bad).is_err(), "{bad:?}");
        }
        assert!(Literal::new("it", "$(id) `id` ; 'x' \"y\"").is_ok(), "only ever between quotes");
    }
}
