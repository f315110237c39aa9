//! The interpreter against files, and against the document it reads.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn complaints(text: &str) -> Vec<String> {
    let mut report = Report::default();
    let file = report.add_file("f", text.to_owned(), true);
    let root = super::super::yaml::parse(text, file, &mut report).unwrap().remove(0).root;
    let document = read(&mut report).unwrap();
    let ok = check(&root, &document, &mut report);
    assert_eq!(ok, !report.failed(), "a refusal is explained, and an explanation refuses");
    let (diagnostics, _) = report.finish();
    let line = |d: &crate::diagnostic::Diagnostic| {
        let at = d.span.as_ref().map(|s| format!("{}:{}", s.line, s.column)).unwrap_or_default();
        format!("{at} {} {}{}", d.code, d.message, d.hint.as_ref().map(|h| format!(" | {h}")).unwrap_or_default())
    };
    diagnostics.iter().map(line).collect()
}

#[test]
fn the_document_uses_nothing_the_interpreter_does_not_know() {
    let document: Schema = serde_json::from_str(DOCUMENT).unwrap();
    fn references(schema: &Schema, into: &mut Vec<String>) {
        into.extend(schema.reference.iter().map(|r| r.0.clone()));
        let inner = schema.properties.values().chain(schema.pattern_properties.values()).chain(schema.definitions.values());
        inner.chain(schema.items.as_deref()).chain(&schema.one_of).for_each(|s| references(s, into));
    }
    let mut all = Vec::new();
    references(&document, &mut all);
    assert!(all.len() > 40, "{}", all.len());
    assert!(all.iter().all(|name| document.definitions.contains_key(name)), "{all:?}");
}

#[test]
fn what_fits_is_not_complained_about() {
    for text in [
        "services: { a: { image: x, x-any: [1], ports: [80, '81:81', { target: 8000 }], cpus: 0.5, cpu_count: 2.0 } }",
        "services: { a: { environment: { A: 1, B: null, C: 1.5, D: true }, depends_on: { b: { condition: service_healthy } } } }",
        "services: { a: { networks: { n: null }, ulimits: { nofile: { soft: 1, hard: 2 }, NOFILE2: [anything] } } }",
        "{ networks: { 'odd name!': 1 }, volumes: { v: null } }",
        "x-a: 1",
        "services: { a: { pull_policy: every_1d12h, container_name: a_1 }, b: { pull_policy: '?daily?', container_name: '!!ab' } }",
    ] {
        assert_eq!(complaints(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn each_cause_is_said_once_at_its_place() {
    for (text, want) in [
        ("[]", "1:1 wrong-type the file wants a mapping (`key: value`), found a list"),
        ("image: x", "1:1 unknown-key unknown key `image` | `image` belongs to a service: `services.<name>.image`"),
        ("serivces: {}", "1:1 unknown-key unknown key `serivces` | did you mean `services`?"),
        ("services: { a: { imgae: x } }", "1:18 unknown-key unknown key `services.a.imgae` | did you mean `image`?"),
        (
            "services: { a: { interval: 3s } }",
            "1:18 unknown-key unknown key `services.a.interval` | `interval` belongs under `services.a.healthcheck`",
        ),
        (
            "services: { a: { deploy: { image: x } } }",
            "1:28 unknown-key unknown key `services.a.deploy.image` | `image` belongs one level further out: `services.a.image`",
        ),
        ("services: { 'a b': {} }", "1:13 bad-name `a b` is no service name | wanted: letters, digits, `.`, `_` and `-`"),
        (
            "services: { a: { ports: '80:80' } }",
            "1:25 wrong-type `services.a.ports` wants a list, found `80:80` | put it in brackets: [\"80:80\"]",
        ),
        (
            "services: { a: { image: 1.10 } }",
            "1:25 wrong-type `services.a.image` wants a string, found a number (`1.10`) | put it in quotes: \"1.10\"",
        ),
        (
            "services: { a: { image: } }",
            "1:18 wrong-type `services.a.image` wants a string, found nothing | give it a value, or leave the key out",
        ),
        ("services: { a: { build: [x] } }", "1:25 wrong-type `services.a.build` wants a string or a mapping, found a list"),
        (
            "services: { a: { cpu_percent: 101 } }",
            "1:31 wrong-type `services.a.cpu_percent` wants a number from 0 to 100, found a number (`101`)",
        ),
        ("services: { a: { cap_add: [X, X] } }", "1:31 repeated-item `services.a.cap_add` has this twice | leave one of the two"),
        (
            "services: { a: { depends_on: { b: { condition: service_health } } } }",
            "1:48 wrong-type `services.a.depends_on.b.condition` wants `service_started`, `service_healthy` or \
             `service_completed_successfully`, found `service_health` | did you mean `service_healthy`?",
        ),
        (
            "services: { a: { pull_policy: every_day } }",
            "1:31 wrong-type `services.a.pull_policy` wants `always`, `never`, `build`, `if_not_present`, `missing`, `refresh`, `daily`, \
             `weekly` or `every_` and a time such as `every_12h`, found `every_day`",
        ),
        (
            "services: { a: { container_name: a } }",
            "1:34 wrong-type `services.a.container_name` wants a letter or digit, and then letters, digits, `_`, `.` and `-`, found `a`",
        ),
        ("services: { a: { volumes: [{ source: x }] } }", "1:28 missing-key `services.a.volumes[0]` needs `type`"),
        (
            "services: { a: { command: [a, 1] } }",
            "1:31 wrong-type `services.a.command[1]` wants a string, found a number (`1`) | put it in quotes: \"1\"",
        ),
        (
            "services: { a: { environment: { A: [] } } }",
            "1:36 wrong-type `services.a.environment.A` wants a string, a number or true or false, found a list",
        ),
    ] {
        assert_eq!(complaints(text), [want], "{text}");
    }
}

#[test]
fn a_pattern_is_looked_for_anywhere_in_a_text() {
    use document::Contained::{ContainerName, PullPolicy};
    for text in ["always", "nevermore", "every_1w", "every_x every_10s", "every_5m1", "if_not_present", "rebuild"] {
        assert!(PullPolicy.is_in(text), "{text}");
    }
    for text in ["", "Always", "every_", "every_5", "every_h", "every_5 h", "every_5y", "alway s"] {
        assert!(!PullPolicy.is_in(text), "{text}");
    }
    for text in ["ab", "a.", "é a-", "_a1", "/x9/"] {
        assert!(ContainerName.is_in(text), "{text}");
    }
    for text in ["", "a", "-a", "é", "a é b", "a/b"] {
        assert!(!ContainerName.is_in(text), "{text}");
    }
}
