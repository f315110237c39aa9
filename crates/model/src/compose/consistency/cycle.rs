//! Services that depend on each other in a circle, found without recursion: a file may chain thousands.

use super::super::node::{Entry, Node};
use super::super::report::Report;
use std::collections::BTreeMap;

/// Complains about each dependency that closes a circle.
pub(super) fn check(root: &Node, report: &mut Report) {
    let services: BTreeMap<&str, &[Entry]> = root
        .get("services")
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|e| (e.key.as_str(), e.value.get("depends_on").map(Node::entries).unwrap_or_default()))
        .collect();
    // Absent: not met yet. False: on the way from the start to here. True: done.
    let mut done: BTreeMap<&str, bool> = BTreeMap::new();
    for (start, dependencies) in &services {
        if done.contains_key(start) || report.is_full() {
            continue;
        }
        let mut way: Vec<(&str, std::slice::Iter<'_, Entry>)> = vec![(start, dependencies.iter())];
        done.insert(start, false);
        while let Some((name, left)) = way.last_mut() {
            let Some(dependency) = left.next() else {
                done.insert(name, true);
                way.pop();
                continue;
            };
            let next = dependency.key.as_str();
            match (services.get(next), done.get(next)) {
                (Some(dependencies), None) => {
                    done.insert(next, false);
                    way.push((next, dependencies.iter()));
                }
                (Some(_), Some(false)) if !report.is_full() => {
                    let from = way.iter().position(|(n, _)| *n == next).unwrap_or(0);
                    let names: Vec<&str> = way.iter().skip(from).map(|(n, _)| *n).chain([next]).collect();
                    let message = format!("services depend on each other in a circle: {}", shown(&names));
                    report.error("dependency-cycle", dependency.key_place, message).hint("remove one of these `depends_on`");
                }
                _ => {}
            }
        }
    }
}

/// The way round; of a long one the ends.
fn shown(names: &[&str]) -> String {
    match names {
        [first, second, .., last] if names.len() > 12 => format!("{first} → {second} → … → {last}"),
        names => names.join(" → "),
    }
}
