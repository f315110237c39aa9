//! When releases began, and whether one of them explains the end of something long-lived.
//!
//! A WebSocket or stream that was opened on version 1 may be closed `drain` after the beginning of a release of another version that
//! began after version 1's own. The switch comes later than the beginning, so this never calls a punctual close early.

use std::time::{Duration, Instant};

/// The releases so far, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Releases(Vec<(Instant, String)>);

/// Something long-lived that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime<'a> {
    /// The version that served it.
    pub(crate) version: &'a str,
    pub(crate) opened: Instant,
    pub(crate) closed: Instant,
}

impl Releases {
    pub(crate) fn begin(&mut self, version: &str, at: Instant) {
        self.0.push((at, version.to_owned()));
    }

    /// True when a release explains the end.
    pub(crate) fn explain(&self, life: Lifetime<'_>, drain: Duration) -> bool {
        let own = self.0.iter().rposition(|(at, version)| version == life.version && *at <= life.opened);
        let later = &self.0[own.map_or(0, |own| own + 1)..];
        later.iter().any(|(at, version)| version != life.version && life.closed >= *at + drain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_release_that_replaces_the_version_and_is_old_enough_explains_an_end() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let drain = Duration::from_secs(10);
        let mut releases = Releases::default();
        let life = |version, opened, closed| Lifetime { version, opened: at(opened), closed: at(closed) };
        assert!(!releases.explain(life("1", 0, 100), drain), "nothing was released");
        releases.begin("2", at(20));
        assert!(!releases.explain(life("1", 0, 29), drain), "too early");
        assert!(releases.explain(life("1", 0, 30), drain));
        assert!(releases.explain(life("1", 21, 31), drain), "opened while the release was being made");
        assert!(!releases.explain(life("2", 22, 90), drain), "its own release does not replace it");
        releases.begin("1", at(40));
        assert!(releases.explain(life("1", 0, 45), drain), "the second release does not renew the first one's limit");
        assert!(!releases.explain(life("2", 22, 45), drain));
        assert!(releases.explain(life("2", 22, 50), drain));
        assert!(!releases.explain(life("1", 41, 90), drain), "rolled back to and not replaced since");
    }
}
