//! What `!reset` and `!override` in a later document take away from earlier ones.

use crate::compose::node::{Entry, Node, Value};
use crate::compose::yaml::Mark;

/// Takes every marked value out of `root`.
pub(super) fn apply(root: &mut Node, marks: &[Mark]) {
    for mark in marks {
        let keys: Vec<&str> = mark.iter().map(String::as_str).collect();
        take(root, &keys);
    }
}

/// Takes marked values out of a service that stands apart from its file.
pub(super) fn apply_to_service(service: &mut Node, name: &str, marks: &[Mark]) {
    for mark in marks {
        if let [services, service_name, rest @ ..] = mark.as_slice()
            && services == "services"
            && fits(service_name, name)
        {
            let keys: Vec<&str> = rest.iter().map(String::as_str).collect();
            take(service, &keys);
        }
    }
}

/// `*` in a mark is any key, as Compose has it.
fn fits(mark: &str, key: &str) -> bool {
    mark == key || mark == "*"
}

fn take(node: &mut Node, keys: &[&str]) {
    let (Some((first, rest)), Value::Map(entries)) = (keys.split_first(), &mut node.value) else { return };
    if rest.is_empty() {
        entries.retain(|e| !fits(first, &e.key));
        return;
    }
    for Entry { value, .. } in entries.iter_mut().filter(|e| fits(first, &e.key)) {
        take(value, rest);
    }
}
