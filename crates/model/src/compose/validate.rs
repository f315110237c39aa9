//! What the schema cannot say: keys that exclude each other, and values that must not be blank. Compose checks these on the merged file, before
//! paths are made absolute.

use super::node::{Kind, Node, Scalar, Value};
use super::report::Report;
use super::suggest::one_of;
use super::walk;
use std::net::IpAddr;

/// Checks a canonical tree with its defaults filled in.
pub(crate) fn check(root: &Node, report: &mut Report) {
    walk::visit(root, &["volumes", "*"], &mut |path, volume| external_alone(path, volume, report));
    walk::visit(root, &["configs", "*"], &mut |path, config| one_origin(path, config, &["file", "environment", "content"], report));
    walk::visit(root, &["secrets", "*"], &mut |path, secret| one_origin(path, secret, &["file", "environment"], report));
    walk::visit(root, &["services", "*", "develop", "watch", "*", "path"], &mut |path, node| {
        if node.scalar().is_some_and(|s| s.kind == Kind::Text && s.text.is_empty() && !s.spoiled) {
            report.error("missing-key", node.place, format!("`{path}` is blank")).hint("name the directory to watch");
        }
    });
    for devices in [&["services", "*", "deploy", "resources", "reservations", "devices", "*"][..], &["services", "*", "gpus", "*"]] {
        walk::visit(root, devices, &mut |path, device| {
            if let (Some(_), Some(ids)) = (device.get("count"), device.get("device_ids")) {
                report.error("contradiction", ids.place, format!("`{path}` has both `count` and `device_ids`")).hint("keep one of the two");
            }
        });
    }
    walk::visit(root, &["services", "*", "ports", "*", "host_ip"], &mut |path, address| {
        let bad = |s: &&Scalar| s.kind == Kind::Text && !s.spoiled && s.text.parse::<IpAddr>().is_err();
        if let Some(text) = address.scalar().filter(bad) {
            let shown = report.written(address.place, &text.text);
            report
                .error("wrong-type", address.place, format!("`{path}` wants an IP address, found `{shown}`"))
                .hint("write `127.0.0.1`, or remove the key");
        }
    });
    walk::visit(root, &["services", "*", "volumes", "*"], &mut |path, mount| {
        let bind = mount.get("type").and_then(Node::scalar).is_some_and(|s| s.text == "bind");
        if bind && mount.get("source").is_none() {
            report.error("missing-key", mount.place, format!("`{path}` needs `source`")).hint("`source` is the path on the host");
        }
    });
}

fn external_alone(path: &str, volume: &Node, report: &mut Report) {
    if !is_true(volume.get("external")) {
        return;
    }
    let other = |key: &str| !matches!(key, "name" | "external") && !key.starts_with("x-");
    if let Some(entry) = volume.entries().iter().find(|e| other(&e.key)) {
        report
            .error("contradiction", entry.key_place, format!("`{path}` is external, so `{}` cannot be set", entry.key))
            .hint("an external volume exists already: leave everything but `name` out");
    }
}

fn one_origin(path: &str, object: &Node, origins: &[&str], report: &mut Report) {
    let Value::Map(entries) = &object.value else { return };
    let mut given = entries.iter().filter(|e| origins.contains(&e.key.as_str()));
    let (first, second) = (given.next(), given.next());
    if let Some(second) = second {
        report
            .error("contradiction", second.key_place, format!("`{path}` can have only one of {}", one_of(origins)))
            .hint("keep the one that holds the value");
    } else if first.is_none() && object.get("driver").is_none() && object.get("external").is_none() {
        report.error("missing-key", object.place, format!("`{path}` needs {}", one_of(origins)));
    }
}

/// Whether a truth value is there and true.
pub(crate) fn is_true(node: Option<&Node>) -> bool {
    node.and_then(Node::scalar).is_some_and(|s| s.canonical().eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn what_excludes_each_other_is_refused() {
        for (text, want) in [
            ("volumes: { v: { external: true, driver: x } }", "`volumes.v` is external, so `driver` cannot be set"),
            ("volumes: { v: { external: false, driver: x } }", ""),
            ("secrets: { s: { file: a, environment: B } }", "`secrets.s` can have only one of `file` or `environment`"),
            ("secrets: { s: {} }", "`secrets.s` needs `file` or `environment`"),
            ("configs: { c: { external: true } }", ""),
            ("services: { a: { gpus: [{ count: 1, device_ids: ['0'] }] } }", "`services.a.gpus[0]` has both `count` and `device_ids`"),
            ("services: { a: { develop: { watch: [{ path: '', action: sync }] } } }", "`services.a.develop.watch[0].path` is blank"),
            ("services: { a: { volumes: [{ type: bind, target: /x }] } }", "`services.a.volumes[0]` needs `source`"),
        ] {
            let mut report = Report::default();
            let file = report.add_file("f", text.to_owned(), true);
            let root = super::super::yaml::parse(text, file, &mut report).unwrap().remove(0).root;
            check(&root, &mut report);
            let messages: Vec<String> = report.finish().0.into_iter().map(|d| d.message).collect();
            assert_eq!(messages.join(";"), want, "{text}");
        }
    }
}
