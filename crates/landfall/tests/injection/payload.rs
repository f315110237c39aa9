//! The set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const SET: &str = include_str!("../../../../cases/injection/payloads.json");

/// All of them; what they would make is at `trap`.
pub(crate) fn payloads(trap: &Path) -> Vec<String> {
    let kinds: BTreeMap<String, Vec<String>> = serde_json::from_str(SET).unwrap();
    let all: BTreeSet<String> = kinds.into_values().flatten().map(|p| p.replace("@TRAP@", &trap.display().to_string())).collect();
    assert!(all.len() >= 500, "{}", all.len());
    all.into_iter().collect()
}

/// Those that the system can hand to a program at all.
pub(crate) fn arguments(trap: &Path) -> Vec<String> {
    payloads(trap).into_iter().filter(|p| !p.contains('\0')).collect()
}
