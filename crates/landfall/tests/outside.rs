//! A hostile repository: nothing of the machine that checks it is printed or sent, and no value of a secret is shown.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

const SECRET: &str = "s3cr3tOfTheMachine";

/// A repository, and beside it a file that is none of its business.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for dir in ["repo/.git", "repo/app", "home"] {
            std::fs::create_dir_all(place.at(dir)).unwrap();
        }
        std::fs::write(place.at("home/netrc"), format!("machine x password {SECRET}\n{SECRET}: [{SECRET}\n")).unwrap();
        for (name, text) in files {
            std::fs::write(place.at("repo/app").join(name), text.replace("HOME", place.at("home").to_str().unwrap())).unwrap();
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Exit code and everything that was said.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(arguments)
            .current_dir(self.at("repo/app"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.at("home"))
            .env("LEAKED", SECRET)
            .env("LANDFALL_HOME", self.at("landfall"))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Every way `check` and `config` print: nothing leaks, and `code` is named by each that lists complaints.
    fn refuses(&self, code: &str) {
        for arguments in [&["check"][..], &["check", "--format", "json"], &["check", "--format", "sarif"], &["config"]] {
            let (exit, said) = self.run(arguments);
            assert!(!said.contains(SECRET), "{arguments:?} shows it:\n{said}");
            // `config` resolves what Docker Compose accepts, without reading the file, and points to `check`.
            let resolved = arguments == ["config"] && exit == 0 && said.contains("`landfall check` shows");
            assert!(resolved || said.contains(code) && exit == 2, "{arguments:?} does not say {code}, exit {exit}:\n{said}");
        }
    }
}

fn service(more: &str) -> String {
    format!("services:\n  web:\n    image: acme/web:1.4\n    {more}\n")
}

#[test]
fn files_outside_of_the_repository_are_not_read() {
    let ways = [
        "include: [HOME/netrc]\n".to_owned(),
        "include: [../../home/netrc]\n".to_owned(),
        "include: [{ path: link.yaml }]\n".to_owned(),
        "include: [{ path: folder/netrc }]\n".to_owned(),
        "include: [{ path: ok.yaml, env_file: HOME/netrc }]\n".to_owned(),
        "include: [/proc/self/environ]\n".to_owned(),
        service("env_file: ../../home/netrc"),
        service("env_file: ~/netrc"),
        service("env_file: [{ path: HOME/netrc, required: false, format: raw }]"),
        service("label_file: link.yaml"),
        service("extends: { file: HOME/netrc, service: web }"),
        service("configs: [c]\nconfigs: { c: { file: HOME/netrc } }"),
        service("secrets: [c]\nsecrets: { c: { file: folder/netrc } }"),
    ];
    for text in ways {
        let place = Place::new(&[("compose.yaml", &text), ("ok.yaml", "services: {}\n")]);
        symlink("../../home/netrc", place.at("repo/app/link.yaml")).unwrap();
        symlink(place.at("home"), place.at("repo/app/folder")).unwrap();
        place.refuses("outside-repository");
    }
}

#[test]
fn builds_send_nothing_from_outside() {
    for more in [
        "build: ../../home",
        "build: { context: folder }",
        "build: { context: ., dockerfile: ../../home/netrc }",
        "build: { dockerfile: link.yaml }",
    ] {
        let place = Place::new(&[("compose.yaml", &service(more))]);
        symlink("../../home/netrc", place.at("repo/app/link.yaml")).unwrap();
        symlink(place.at("home"), place.at("repo/app/folder")).unwrap();
        let (exit, said) = place.run(&["check"]);
        assert!(exit == 2 && said.contains("outside-repository") && !said.contains(SECRET), "{more}: {said}");
    }
}

#[test]
fn a_dotenv_names_no_files_outside() {
    for text in [
        "COMPOSE_FILE=HOME/netrc\n",
        "COMPOSE_FILE=compose.yaml:../../home/netrc\n",
        "COMPOSE_FILE=compose.yaml\nCOMPOSE_ENV_FILES=HOME/netrc\n",
    ] {
        let place = Place::new(&[(".env", text), ("compose.yaml", &service("init: true"))]);
        let (exit, said) = place.run(&["config"]);
        assert!(exit == 2 && said.contains("outside of the repository") && !said.contains(SECRET), "{text}: {said}");
    }
    let place = Place::new(&[]);
    symlink("../../home/netrc", place.at("repo/app/compose.yaml")).unwrap();
    place.refuses("outside-repository");
}

#[test]
fn what_is_typed_and_what_lies_in_the_repository_is_read() {
    let place = Place::new(&[("compose.yaml", &service("env_file: ../shared.env"))]);
    std::fs::write(place.at("repo/shared.env"), "A=b\n").unwrap();
    std::fs::write(place.at("home/typed.yaml"), service("init: true")).unwrap();
    std::fs::write(place.at("home/typed.env"), "A=b\n").unwrap();
    let typed = [place.at("home/typed.yaml"), place.at("home/typed.env")].map(|p| p.to_str().unwrap().to_owned());
    for arguments in [&["config"][..], &["config", "-f", "compose.yaml", "-f", &typed[0]], &["config", "--env-file", &typed[1]]] {
        let (exit, said) = place.run(arguments);
        assert_eq!(exit, 0, "{arguments:?}: {said}");
    }
    std::fs::write(
        place.at("repo/app/compose.yaml"),
        service("env_file: HOME/typed.env").replace("HOME", place.at("home").to_str().unwrap()),
    )
    .unwrap();
    assert_eq!(place.run(&["config"]).0, 2);
    let (exit, said) = place.run(&["config", "--allow-outside"]);
    assert_eq!(exit, 0, "{said}");
}

#[test]
fn no_excerpt_shows_a_secret() {
    for line in [
        "JWT_SECRET: \"s3cr3tOfTheMachine\"",
        "DB_PASSWORD: abc$s3cr3tOfTheMachine",
        "DB_PASSWORD: |\n        s3cr3tOfTheMachine",
        "DB_PASSWORD: &x s3cr3tOfTheMachine",
        "DATABASE_URL: postgres://me:s3cr3tOfTheMachine@db/x",
        "HASH: $2y$10$s3cr3tOfTheMachine",
    ] {
        // A complaint on the next line, and one that the whole file is about.
        for after in ["BAD: ${", "BAD: [1]", "TOKEN: [", "\"X"] {
            let text =
                service(&format!("command: x --password=s3cr3tOfTheMachine\n    imgae: y\n    environment:\n      {line}\n      {after}"));
            let place = Place::new(&[("compose.yaml", &text)]);
            for arguments in [&["check"][..], &["check", "--format", "json"], &["check", "--format", "sarif"]] {
                let (exit, said) = place.run(arguments);
                assert!(!said.contains(SECRET), "{arguments:?} shows it:\n{said}");
                assert_eq!(exit, 2, "{said}");
            }
        }
    }
}

#[test]
fn no_part_of_a_value_in_a_file_of_variables_is_told() {
    for line in [
        "P=abc$s3cr3tOfTheMachine",
        "T=$2y$10$s3cr3tOfTheMachine",
        "s3cr3tOfTheMachine x=y",
        "P=\"s3cr3tOfTheMachine",
        "s3cr3tOfTheMachine+/=",
        "P=a${s3cr3tOfTheMachine}b",
    ] {
        let place = Place::new(&[
            (".env", &format!("{line}\n")),
            ("own.env", &format!("{line}\n")),
            ("compose.yaml", &service("env_file: own.env")),
        ]);
        for arguments in [&["check"][..], &["check", "--format", "json"], &["check", "--format", "sarif"]] {
            let (_, said) = place.run(arguments);
            assert!(!said.contains(SECRET), "{line}: {arguments:?} shows it:\n{said}");
            assert!(said.contains(".env"), "{line}: {arguments:?} says nothing:\n{said}");
        }
    }
    let place = Place::new(&[(".env", "P=abc$s3cr3tOfTheMachine\n"), ("compose.yaml", &service("init: true"))]);
    let (_, said) = place.run(&["check"]);
    assert!(said.contains("single quotes") && said.contains("`$$`"), "{said}");
}

#[test]
fn excerpts_are_still_drawn() {
    let place = Place::new(&[("compose.yaml", &service("imgae: y\n    environment: { DB_PASSWORD: s3cr3tOfTheMachine }"))]);
    let (_, said) = place.run(&["check"]);
    assert!(said.contains("imgae: y"), "{said}");
}
