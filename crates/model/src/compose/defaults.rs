//! What Compose fills in where a file is silent, before anything is checked.

use super::node::{Kind, Node, Value};
use super::walk;

/// Fills in the defaults of a canonical tree.
pub(crate) fn set(root: &mut Node) {
    walk::change(root, &["services", "*", "build"], &mut |_, build| missing(build, "context", Kind::Text, "."));
    walk::change(root, &["services", "*", "secrets", "*"], &mut |_, mount| {
        let source = mount.get("source").and_then(Node::scalar).map(|s| s.text.clone()).unwrap_or_default();
        missing(mount, "target", Kind::Text, &format!("/run/secrets/{source}"));
    });
    walk::change(root, &["services", "*", "ports", "*"], &mut |_, port| {
        missing(port, "protocol", Kind::Text, "tcp");
        missing(port, "mode", Kind::Text, "ingress");
    });
    for devices in [&["services", "*", "deploy", "resources", "reservations", "devices", "*"][..], &["services", "*", "gpus", "*"]] {
        walk::change(root, devices, &mut |_, device| {
            if device.get("device_ids").is_none() {
                missing(device, "count", Kind::Text, "all");
            }
        });
    }
}

/// Sets a key of a mapping that does not have it.
fn missing(node: &mut Node, key: &str, kind: Kind, text: &str) {
    if matches!(node.value, Value::Map(_)) && node.get(key).is_none() {
        let value = Node::made(node.place, kind, text);
        node.set(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Place;
    use super::*;

    #[test]
    fn only_what_is_silent_is_filled_in() {
        let map = |entries: &[(&str, &str)]| {
            let mut node = Node::map(Place::default(), Vec::new());
            entries.iter().for_each(|(k, v)| node.set(k, Node::text(Place::default(), *v)));
            node
        };
        let root = |key: &str, item: Node| {
            let mut service = map(&[]);
            service.set(key, if key == "build" { item } else { Node::list(Place::default(), vec![item]) });
            let mut services = map(&[]);
            services.set("s", service);
            let mut root = map(&[]);
            root.set("services", services);
            root
        };
        for (key, item, want) in [
            ("build", map(&[]), r#"{"context":"."}"#),
            ("build", map(&[("context", "x")]), r#"{"context":"x"}"#),
            ("secrets", map(&[("source", "a")]), r#"[{"source":"a","target":"/run/secrets/a"}]"#),
            ("ports", map(&[("mode", "host")]), r#"[{"mode":"host","protocol":"tcp"}]"#),
            ("gpus", map(&[("device_ids", "x")]), r#"[{"device_ids":"x"}]"#),
            ("gpus", map(&[]), r#"[{"count":"all"}]"#),
        ] {
            let mut root = root(key, item);
            set(&mut root);
            assert_eq!(root.json().to_string(), format!(r#"{{"services":{{"s":{{"{key}":{want}}}}}}}"#));
        }
    }
}
