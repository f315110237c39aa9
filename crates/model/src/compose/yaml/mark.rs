//! `!reset` and `!override`: which values of a document take away what earlier documents and files say at the same path.
//!
//! A value marked `!reset` is not there; one marked `!override` is, in place of everything it would be merged with. What stands inside either
//! is not looked at. A mark inside an anchored value counts at every alias of it. Also kept here is the rule by which Compose tells cycles of
//! aliases: an anchor may not be used at a path and again below that path.

use std::collections::{BTreeMap, BTreeSet};

/// Keys from the root to a marked value; elements of lists by their number.
pub(crate) type Mark = Vec<String>;

/// What a tag says about merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tagged {
    No,
    Reset,
    Override,
}

/// The path with merge keys taken out: `a.<<.b` is `a.b`. One at the root stays, and so matches nothing.
pub(super) fn plain(path: &[String]) -> Mark {
    path.iter().enumerate().filter(|(i, key)| *i == 0 || *key != "<<").map(|(_, key)| key.clone()).collect()
}

/// Where aliases of each anchor stand.
#[derive(Default)]
pub(super) struct Uses(BTreeMap<usize, BTreeSet<String>>);

impl Uses {
    /// Notes a use. `false` when another of the same anchor stands above or below it.
    pub(super) fn note(&mut self, anchor: usize, path: &Mark) -> bool {
        let path = path.join(".");
        let uses = self.0.entry(anchor).or_default();
        if path.contains("<<") {
            return true;
        }
        let above = path.match_indices('.').any(|(dot, _)| uses.contains(&path[..dot]));
        let below = format!("{path}.");
        let inside = uses.range(below.clone()..).next().is_some_and(|other| other.starts_with(&below));
        uses.insert(path);
        !above && !inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_anchor_is_not_used_above_itself() {
        let mut uses = Uses::default();
        let mut note = |path: &str| uses.note(1, &path.split('/').map(str::to_owned).collect());
        assert!(note("services/a/labels/x") && note("services/a/labels/x") && note("services/a/labels/xy"));
        assert!(!note("services/a/labels/x.y"));
        assert!(!note("services/a"));
        assert!(note("<</services"));
    }
}
