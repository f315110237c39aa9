//! Text that was not written by a friend: nothing panics, nothing grows without bound, and what is refused says where.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use landfall_model::compose::{FileProblem, Files, Input, MAX_TEXT, Output, resolve};
use landfall_model::diagnostic::Severity;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

struct Disk(BTreeMap<String, Vec<u8>>);

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        self.0.get(path).cloned().ok_or(FileProblem::NotFound)
    }
    fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

fn run(compose: &[u8], env_file: &[u8]) -> Output {
    let disk = Disk(BTreeMap::from([("c.yaml".to_owned(), compose.to_vec()), ("/p/.env".to_owned(), env_file.to_vec())]));
    let env = BTreeMap::from([("A".to_owned(), "a".to_owned()), ("LONG".to_owned(), "x".repeat(100_000))]);
    let input = Input {
        files: &["c.yaml".to_owned()],
        cwd: "/p",
        project_dir: "/p",
        project_name: None,
        env: &env,
        env_files: None,
        profiles: BTreeSet::new(),
        reader: &disk,
        rules: None,
        environment: None,
    };
    resolve(&input)
}

/// The codes of its errors; each has a place inside the text.
fn refusals(compose: &[u8]) -> Vec<String> {
    let output = run(compose, b"");
    assert!(output.spec.is_none());
    let errors: Vec<_> = output.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    for error in &errors {
        let span = error.span.as_ref().unwrap_or_else(|| panic!("{error:?} has no place"));
        assert!(span.line >= 1 && span.column >= 1 && span.start <= span.end && span.end <= compose.len(), "{span:?}");
    }
    errors.iter().map(|d| d.code.clone()).collect()
}

fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    text
}

#[test]
fn the_hostile_set_is_refused_with_a_place() {
    let deep_flow = "[".repeat(100_000);
    let deep_block = "- ".repeat(100_000);
    let indented: String = (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let many_keys: String = (0..120_000).map(|n| format!("k{n}:\n")).collect();
    let fat_alias = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(50));
    let nested_anchors = format!("{}x{}", "&a [".repeat(60), "]".repeat(60));
    for (name, text, code) in [
        ("alias bomb", bomb(), "too-large"),
        ("deep flow", deep_flow, "too-deep"),
        ("deep block", deep_block, "too-deep"),
        ("deep mappings", indented, "too-deep"),
        ("many keys", many_keys, "too-large"),
        ("fat alias", fat_alias, "too-large"),
        ("alias of itself", "a: &a [*a]\n".into(), "alias-cycle"),
        ("unknown alias", "a: *nope\n".into(), "yaml-syntax"),
        ("nul", "services:\n  a: { image: x }\n\0  b: {}\n".into(), "control-character"),
        ("escape", "a: \u{1b}[31m\n".into(), "control-character"),
        ("a second byte order mark", "a: b\n\u{feff}c: d\n".into(), "control-character"),
        ("duplicate", "services:\n  a: { image: x }\n  a: { image: x }\n".into(), "duplicate-key"),
        ("unclosed", "services: {".into(), "yaml-syntax"),
        ("name of nothing but signs", "name: --__\nservices: { a: { image: x } }".into(), "bad-name"),
        ("image that is an option", "name: a\nservices: { a: { image: --privileged } }".into(), "bad-image"),
        ("service that climbs", "name: a\nservices: { ../../etc: { image: x } }".into(), "bad-name"),
        ("NUL by escape", "name: a\nservices: { a: { image: x, user: \"a\\0b\" } }".into(), "wrong-type"),
        ("NUL in the command", "name: a\nservices: { a: { image: x, command: [\"a\\0b\"] } }".into(), "wrong-type"),
    ] {
        assert!(refusals(text.as_bytes()).iter().any(|c| c == code), "{name}: {:?}", refusals(text.as_bytes()));
    }
    assert!(nested_anchors.len() < MAX_TEXT);
    refusals(nested_anchors.as_bytes());
    assert_eq!(refusals(b"name: a\nservices:\n  \xff\xfe: {}\n"), ["not-utf8"]);
    assert_eq!(refusals(b"\xff\xfen\0a\0"), ["wrong-type"]);
    assert_eq!(refusals(b"\xff\xfe\0\xd8a\0"), ["not-utf8"]);
}

#[test]
fn a_file_of_two_megabytes_is_refused_by_name() {
    let output = run(&vec![b'a'; 2 * MAX_TEXT], b"");
    assert_eq!(output.diagnostics.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(), ["unreadable-file"]);
    assert!(output.diagnostics[0].message.contains("`c.yaml`"));
}

#[test]
fn a_byte_order_mark_at_the_start_is_what_some_editors_write() {
    let output = run("\u{feff}name: a\nservices: { a: { image: x } }\n".as_bytes(), b"");
    assert!(output.spec.is_some(), "{:?}", output.diagnostics);
    let output = run("\u{feff}nmae: a\nservices: { a: { image: x } }\n".as_bytes(), b"");
    let span = output.diagnostics[0].span.clone().unwrap();
    assert_eq!((span.start, span.end, span.line, span.column), (3, 7, 1, 1));
}

#[test]
fn variables_cannot_make_a_small_file_large() {
    let text = format!(
        "name: a\nservices: {{ a: {{ image: x, environment: {{ {} }} }} }}",
        (0..200).map(|n| format!("V{n}: \"$LONG\"")).collect::<Vec<_>>().join(", ")
    );
    assert!(refusals(text.as_bytes()).contains(&"too-large".to_owned()));
    let text = format!("name: a\nservices: {{ a: {{ image: x, user: \"{}\" }} }}", "$LONG".repeat(50));
    assert!(!refusals(text.as_bytes()).is_empty());
}

/// Each of these once took time that grew with the square of its length.
#[test]
fn large_files_are_read_in_one_go() {
    let service = |body: String| format!("name: a\nservices: {{ a: {{ image: x, {body} }} }}\n");
    let list = |n: usize, item: &dyn Fn(usize) -> String| (0..n).map(item).collect::<Vec<_>>().join(", ");
    for text in [
        service(format!("user: \"{}\"", "$U".repeat(450_000))),
        service(format!("user: \"{}\"", "${U:-".repeat(180_000))),
        service(format!("user: \"{}}}\"", "${!".repeat(300_000))),
        service(list(40_000, &|n| format!("enviroment{n}: "))),
        service(format!("volumes: [{}]", list(30_000, &|n| format!("volume-{n}:/v{n}"))))
            + &format!("volumes: {{ {} }}", list(20_000, &|n| format!("volume{n}: "))),
        service(format!("expose: [{}]", list(40_000, &|_| "1-65535".into()))),
        service(format!("ports: [{}]", list(40_000, &|_| "\"1-65535:1-65535\"".into()))),
        service(format!("env_file: [{}]", list(40_000, &|_| ".env".into()))),
        service(format!("environment: {{ {} }}", list(40_000, &|n| format!("V{n}: \"$W{n}\"")))),
        format!("name: a\nx: [{}]", list(90_000, &|_| "[]".into())),
        format!("name: a\nx-landfall: {{ env: {{ {} }} }}\nservices: {{ a: {{ image: x }} }}", list(40_000, &|n| format!("V{n}: "))),
        format!(
            "name: a\nservices: {{ {} }}",
            list(500, &|n| format!("s{n}: {{ image: x, depends_on: [{}] }}", list(100, &|m| format!("s{}", (n + m + 1) % 500))))
        ),
    ] {
        assert!(text.len() <= MAX_TEXT, "{}", text.len());
        let output = run(text.as_bytes(), b"");
        assert!(output.diagnostics.len() <= 1001);
    }
    let lines: String = (0..200_000).map(|n| format!("={n}\n")).collect();
    assert!(run(b"name: a\nservices: { a: { image: x } }", &lines.as_bytes()[..MAX_TEXT]).spec.is_none());
}

#[test]
fn values_of_variables_are_in_no_message() {
    let secret = "hunter2 is the password";
    let keys = [
        "image",
        "user",
        "mem_limit",
        "cpus",
        "restart",
        "stop_signal",
        "ports",
        "expose",
        "volumes",
        "working_dir",
        "healthcheck",
        "depends_on",
        "profiles",
        "command",
        "networks",
        "env_file",
        "x-landfall",
        "deploy",
        "logging",
        "pull_policy",
        "init",
        "shm_size",
        "tmpfs",
        "labels",
        "environment",
        "security_opt",
    ];
    for key in keys {
        for value in [
            "\"${S}\"",
            "[\"${S}\"]",
            "{ a: \"${S}\" }",
            "{ test: [\"${S}\"], port: \"${S}\", routes: [\"${S}\"], driver: \"${S}\", replicas: \"${S}\", migrate: \"${S}\" }",
        ] {
            let text = format!("name: a\nservices: {{ a: {{ {key}: {value} }} }}\n");
            let output = run(text.as_bytes(), format!("S='{secret}'\n").as_bytes());
            for d in &output.diagnostics {
                let shown = format!("{} {}", d.message, d.hint.clone().unwrap_or_default());
                assert!(!shown.contains("hunter2"), "{key}: {value}: {shown}");
            }
            assert!(output.sources.values().all(|text| !text.contains("hunter2")));
        }
    }
}

/// Pieces that are likelier than random text to reach the depths of the compiler.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "services:",
        "  web:",
        "    image: x",
        "image",
        "a",
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\"",
        "'",
        "&a ",
        "*a",
        "<<: *a",
        "!!str ",
        "!reset ",
        "$",
        "${",
        "}",
        ":-",
        ":?",
        "A",
        "x-landfall:",
        "routes: [/]",
        "ports:",
        "8080:80",
        "volumes:",
        "./a:/b:ro",
        "environment:",
        "depends_on:",
        "healthcheck:",
        "test: ",
        "deploy:",
        "replicas: 2",
        "|",
        ">",
        "#",
        "---",
        "é",
        "\t",
        "~",
        "0x1F",
        "1.5",
        "? ",
        "env:",
        "required_if: A=a",
        "command: ",
        "a && b",
        "\\",
        "%TAG ! x",
    ];
    prop_oneof![8 => proptest::sample::select(words.map(str::to_owned).to_vec()), 1 => any::<String>()]
}

fn real_files() -> Vec<String> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/compose");
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "case")).collect();
    paths.sort();
    paths.iter().map(|p| std::fs::read_to_string(p).unwrap().split("\n---- ").next().unwrap_or("").to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_compiler_panic(pieces in proptest::collection::vec(piece(), 0..60), env in any::<String>()) {
        let text = pieces.concat();
        let output = run(text.as_bytes(), env.as_bytes());
        for d in &output.diagnostics {
            if let Some(span) = d.span.as_ref().filter(|s| s.file == "c.yaml") {
                prop_assert!(span.start <= span.end && span.end <= text.len() && text.is_char_boundary(span.start) && text.is_char_boundary(span.end), "{d:?} in {text:?}");
                prop_assert!(span.line >= 1 && span.column >= 1);
            }
        }
    }

    #[test]
    fn no_service_makes_the_compiler_panic(body in proptest::collection::vec(piece(), 0..20)) {
        run(format!("name: a\nservices:\n  web:\n    image: x\n    {}\n", body.concat()).as_bytes(), b"");
    }

    /// Real files with a piece cut out, doubled or put in.
    #[test]
    fn no_change_to_a_real_file_makes_the_compiler_panic(which in any::<prop::sample::Index>(), cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..30usize, piece()), 1..6)) {
        let mut text = which.get(&real_files()).clone();
        for (at, len, insert) in cuts {
            let start = (0..=at.index(text.len() + 1)).rev().find(|i| text.is_char_boundary(*i)).unwrap();
            let end = (start..=(start + len).min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap();
            text.replace_range(start..end, &insert);
        }
        run(text.as_bytes(), b"");
    }

    #[test]
    fn no_bytes_make_the_compiler_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        run(&bytes, &bytes);
    }
}
