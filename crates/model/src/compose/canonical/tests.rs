//! Short forms and what they mean.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn canonical(text: &str) -> (String, Vec<String>) {
    let mut report = Report::default();
    let file = report.add_file("f", text.to_owned(), true);
    let mut root = super::super::yaml::parse(text, file, &mut report).unwrap().remove(0).root;
    transform(&mut root, &mut report);
    omit_empty(&mut root);
    let (diagnostics, _) = report.finish();
    (root.json().to_string(), diagnostics.into_iter().map(|d| d.message).collect())
}

#[test]
fn short_forms_are_written_out() {
    for (short, long) in [
        ("build: x", r#"{"build":{"context":"x"}}"#),
        ("depends_on: [b]", r#"{"depends_on":{"b":{"condition":"service_started","required":true}}}"#),
        ("depends_on: { b: { condition: x } }", r#"{"depends_on":{"b":{"condition":"x","required":true}}}"#),
        ("env_file: x", r#"{"env_file":[{"path":"x","required":true}]}"#),
        ("env_file: [x, { path: y, required: false }]", r#"{"env_file":[{"path":"x","required":true},{"path":"y","required":false}]}"#),
        ("gpus: all", r#"{"gpus":[{"count":"all"}]}"#),
        ("dns: ['', 1.1.1.1]", r#"{"dns":["1.1.1.1"]}"#),
        ("networks: [a, b]", r#"{"networks":{"a":null,"b":null}}"#),
        ("secrets: [a, { source: b }]", r#"{"secrets":[{"source":"a"},{"source":"b"}]}"#),
        (
            "devices: ['a:b', 'c']",
            r#"{"devices":[{"permissions":"rwm","source":"a","target":"b"},{"permissions":"rwm","source":"c","target":"c"}]}"#,
        ),
        (
            "build: { ssh: [default, a=b], additional_contexts: [x=./y] }",
            r#"{"build":{"additional_contexts":{"x":"./y"},"ssh":{"a":"b","default":null}}}"#,
        ),
        ("volumes: ['data:/x/']", r#"{"volumes":[{"source":"data","target":"/x","type":"volume","volume":{}}]}"#),
        ("ports: [80]", r#"{"ports":[{"mode":"ingress","protocol":"tcp","target":80}]}"#),
    ] {
        let (json, complaints) = canonical(&format!("services: {{ s: {{ {short} }} }}"));
        assert_eq!((json, complaints), (format!(r#"{{"services":{{"s":{long}}}}}"#), vec![]), "{short}");
    }
}

#[test]
fn what_means_nothing_is_refused_by_its_path() {
    for (text, want) in [
        (
            "services: { s: { ports: [1, 'x'] } }",
            "`services.s.ports[1]` wants a port such as `8080:80`, `127.0.0.1:8080:80` or `53:53/udp`, found `x`",
        ),
        (
            "services: { s: { volumes: ['a:/b:ro:x', '::x'] } }",
            "`services.s.volumes[1]` wants `source:/target` or `source:/target:ro`, found `::x`",
        ),
        ("services: { s: { build: { ssh: [x] } } }", "`services.s.build.ssh[0]` wants `default` or a key such as `id=./file`, found `x`"),
        ("services: { s: { ports: ['1-9000', '1-9000'] } }", "the file publishes more than 12000 ports"),
        ("volumes: { v: { name: a, external: { name: b } } }", "`volumes.v` has two names: `name` and `external.name`"),
    ] {
        let complaints = canonical(text).1;
        assert!(complaints.iter().any(|c| c == want), "{text}: {complaints:?}");
    }
}
