//! What holds for every request an app gets from outside, whatever its route: the words of the file, checked, as the proxy gets them.

use crate::filter::{Network, PasswordDigest};
use crate::name::RoutePath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everything an app asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Front {
    /// Proxies before this one whose word about the client is taken: `X-Forwarded-For`, `-Proto` and `-Host`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub trusted_proxies: BTreeSet<Network>,
    /// What is kept of requests.
    #[serde(skip_serializing_if = "AccessLog::is_usual")]
    pub access_log: AccessLog,
    /// For answers the proxy itself makes, one for a status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error_pages: Vec<ErrorPage>,
    /// Where it is told, at hosts that no app serves, whether the app's services are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<RoutePath>,
    /// The app is closed for everybody but a few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
}

/// Statuses of answers that the proxy itself makes to requests for an app.
pub const OWN_STATUSES: [u16; 10] = [400, 401, 403, 404, 408, 413, 429, 502, 503, 504];

/// What is shown in place of the proxy's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPage {
    /// One of [`OWN_STATUSES`].
    pub status: u16,
    /// The page.
    pub html: String,
}

/// Who still comes in, and what all others are told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Maintenance {
    /// HTML; that of `error_pages` for 503, or the proxy's own words, when absent.
    pub page: Option<String>,
    /// Clients of these addresses come in.
    pub allow: BTreeSet<Network>,
    /// Who knows this comes in: the header `X-Maintenance-Key`, or the cookie `maintenance_key`.
    pub key: Option<PasswordDigest>,
    /// When to come back, seconds.
    pub retry_after_s: u32,
}

impl Maintenance {
    /// A key as it is kept.
    pub fn key(text: &str) -> PasswordDigest {
        PasswordDigest::of("maintenance", text)
    }
}

impl Front {
    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Which requests get a line in the access log.
///
/// Usually those that failed: they are what is looked for, all others are in the metrics, and a log of everybody's addresses is a liability that
/// nobody should have without wanting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// All that failed: an answer of 500 or above, or one that did not get to its end.
    pub errors: bool,
    /// Of all others so many millionths.
    pub sample: u32,
    /// With what is behind the `?`.
    pub query: bool,
}

impl AccessLog {
    /// Millionths that are everything.
    pub const ALL: u32 = 1_000_000;

    /// Some request may get a line.
    pub fn is_on(&self) -> bool {
        self.errors || self.sample > 0
    }

    /// `10%`, `0.5%`: in millionths.
    pub fn share(text: &str) -> Option<u32> {
        let number = text.strip_suffix('%')?.trim();
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let percent: f64 = number.parse().ok().filter(|p| plain && (0.0..=100.0).contains(p))?;
        Some((percent * 10_000.0).round() as u32)
    }

    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { errors: true, sample: 0, query: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percents() {
        let share = AccessLog::share;
        assert_eq!([share("100%"), share("10 %"), share("0.01%"), share("0%")], [Some(1_000_000), Some(100_000), Some(100), Some(0)]);
        for bad in ["10", "%", "101%", "-1%", "1e1%", "NaN%", "+5%"] {
            assert_eq!(share(bad), None, "{bad}");
        }
    }
}
