//! `build:` sections: built here or by the server, named by content, kept by releases; and what is said of a build that fails.

use crate::place::{Server, here, must, text};
use std::process::Command;

const APP: &str = "lf-images-build";

/// The Dockerfile lies outside of its context, and the stage that is wanted is not the last one.
const COMPOSE: &str = r#"
name: lf-images-build
services:
  web:
    build:
      context: ./web
      dockerfile: ../web.Dockerfile
      target: final
      args: { GREETING: "${GREETING:-one}" }
      labels: { landfall.test: built }
    mem_limit: 64m
    stop_grace_period: 1s
    x-landfall: { port: 8000, health: { path: /health }, drain: 0s }
"#;

const DOCKERFILE: &str = "\
FROM tutor-frontend:1 AS base
COPY . /context/
FROM base AS final
ARG GREETING
ENV GREETING=$GREETING
FROM scratch AS other
COPY is-not-there /
";

impl Server {
    fn write(&self, name: &str, text: &str) {
        let path = self.project().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What `deploy` says, and its exit code.
    fn deploy(&self, args: &[&str], greeting: &str, engine: Option<&str>) -> (String, i32) {
        let mut command = self.landfall(&["deploy"]);
        command.args(args).env("GREETING", greeting);
        command.envs(engine.map(|host| ("DOCKER_HOST", host)));
        let output = command.output().unwrap();
        (text(&output), output.status.code().unwrap())
    }
}

fn inspect(image: &str, format: &str) -> String {
    must(Command::new("docker").args(["image", "inspect", "-f", format, image]))
}

/// Names below a directory of an image.
fn files(image: &str, below: &str) -> Vec<String> {
    let container = must(Command::new("docker").args(["create", image]));
    let tar = Command::new("docker").args(["export", &container]).output().unwrap().stdout;
    must(Command::new("docker").args(["rm", &container]));
    let mut archive = tar::Archive::new(tar.as_slice());
    let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned());
    names.filter_map(|name| Some(name.strip_prefix(below)?.to_owned())).filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_build_section_is_built_here_or_by_the_server_and_every_release_keeps_its_own() {
    let server = Server::up(APP, "tutor-frontend");
    server.write("compose.yaml", COMPOSE);
    server.write("web.Dockerfile", DOCKERFILE);
    server.write("web/kept", "1");
    server.write("web/left/out", "2");
    server.write("web/.dockerignore", "left\n");
    std::os::unix::fs::symlink("/etc/passwd", server.project().join("web/link")).unwrap();

    // Nothing is built unless it is asked for, and nothing else would do.
    let (said, code) = server.deploy(&[], "one", None);
    assert!(code == 2 && said.contains("[not-built]") && said.contains("landfall deploy --build"), "{said}");
    let plan = text(&server.landfall(&["plan"]).output().unwrap());
    assert!(plan.contains("what `web` runs is not built yet"), "{plan}");

    let (said, code) = server.deploy(&["--build"], "one", None);
    assert!(code == 0 && said.contains("web: [1/6] FROM tutor-frontend:1") && !said.contains("is-not-there"), "{said}");
    let one = server.serving();
    let name = |id: &str| format!("{APP}-web:{}", &id["sha256:".len()..][..12]);
    assert!(said.contains(&format!("web is built as {}", name(&one))), "{said}");
    assert_eq!(inspect(&name(&one), "{{.Id}} {{index .Config.Labels \"landfall.test\"}}"), format!("{one} built"));
    assert!(inspect(&one, "{{.Config.Env}}").contains("GREETING=one"));
    assert_eq!(files(&one, "context/"), [".dockerignore", "kept", "link"], "what is ignored, and the Dockerfile, are not in the image");

    // Without `--build` it stays; with it and nothing new it is the same.
    let (said, _) = server.deploy(&[], "two", None);
    assert!(said.contains("web keeps the image of release 2") && said.contains("nothing to change"), "{said}");
    let (said, _) = server.deploy(&["--build"], "one", None);
    assert!(said.contains("nothing to change"), "{said}");

    // Where there is no Docker the server builds; and it does when it is asked to.
    let (said, code) = server.deploy(&["--build"], "two", Some("unix:///nowhere.sock"));
    assert!(code == 0 && said.contains("there is no Docker on this machine: the server builds"), "{said}");
    let two = server.serving();
    assert!(two != one && inspect(&name(&two), "{{.Config.Env}}").contains("GREETING=two"), "{said}");
    let (said, code) = server.deploy(&["--build=server"], "two", None);
    assert!(code == 0 && said.contains("[1/6] FROM") && said.contains("nothing to change"), "{said}");

    // A rollback runs the old image and builds nothing.
    must(&mut server.landfall(&["rollback"]));
    assert_eq!(server.serving(), one);

    // What fails names its step and changes nothing, wherever it is built.
    server.write("web.Dockerfile", "FROM tutor-frontend:1 AS final\nLABEL a=b\nRUN [\"/is-not-there\", \"--now\"]\n");
    for place in ["--build", "--build=server"] {
        let (said, code) = server.deploy(&[place], "three", None);
        assert!(code == 1 && said.contains("[build-failed]") && said.contains("step 3/"), "{said}");
        assert!(said.contains("│ Step 3/") && said.contains("is-not-there") && !said.contains("│ Step 2/"), "{said}");
    }
    server.write("web.Dockerfile", "FROM tutor-frontend:1 AS final\nCOPY --chmod=755 kept /kept\n");
    let (said, _) = server.deploy(&["--build"], "three", None);
    assert!(said.contains("[build-failed]") && said.contains("docker buildx build"), "{said}");
    server.write("compose.yaml", &COMPOSE.replace("target: final", "network: host"));
    let (said, _) = server.deploy(&["--build=server"], "three", None);
    assert!(said.contains("gets no network `host`"), "{said}");
    server.write("compose.yaml", &COMPOSE.replace("target: final", "platforms: [linux/s390x]"));
    let (said, _) = server.deploy(&["--build"], "three", None);
    assert!(said.contains("`platforms` asks for linux/s390x"), "{said}");
    assert_eq!(server.serving(), one);

    // An image with a name is called by it, and so are services that only name it.
    let named = COMPOSE.replace("  web:\n", "  web:\n    image: lf-images-build-named:7\n")
        + "  other: { image: \"lf-images-build-named:7\", mem_limit: 64m, stop_grace_period: 1s }\n";
    server.write("compose.yaml", &named);
    server.write("web.Dockerfile", DOCKERFILE);
    let (said, code) = server.deploy(&["--build"], "one", None);
    assert!(code == 0 && said.contains("web is built as lf-images-build-named:7"), "{said}");
    assert!(here("lf-images-build-named:7"));
    assert_eq!(inspect("lf-images-build-named:7", "{{.Id}}"), one, "the same content is the same image");
    drop(server);
    must(Command::new("docker").args(["image", "rm", "lf-images-build-named:7", &name(&one), &name(&two), &format!("{APP}-web:latest")]));
}

#[test]
fn a_build_that_the_engine_cannot_do_is_refused_where_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    let run = |args: &[&str], compose: &str| {
        std::fs::write(dir.path().join("compose.yaml"), compose).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        let output = command.args(args).current_dir(dir.path()).env("LANDFALL_HOME", dir.path().join("home")).output().unwrap();
        (text(&output), output.status.code().unwrap())
    };
    let (said, code) = run(&["check"], "services:\n  web:\n    build: { context: ., ssh: [default] }\n");
    assert!(code == 2 && said.contains("compose.yaml:3:26") && said.contains("[refused]"), "{said}");
    // An image that has a name may come from elsewhere.
    let (said, _) = run(&["check"], "services:\n  web:\n    image: acme/web:1\n    build: { context: ., ssh: [default] }\n");
    assert!(said.contains("`services.web.build.ssh` is not honoured"), "{said}");
    // Images go to the server of an environment, and only to one that the file has.
    for verb in [&["push", "acme/web:1"][..], &["registry", "list"], &["prune", "--dry-run"]] {
        let (said, code) = run(&[verb, &["-e", "staging"]].concat(), "services: { web: { image: acme/web:1 } }\n");
        assert!(code == 2 && said.contains("[unknown-environment]"), "{said}");
        let environments = "x-landfall: { environments: { staging: { server: \"ssh://deploy@host.invalid\" } } }\nservices: { web: { image: acme/web:1 } }\n";
        let (said, code) = run(&[verb, &["-e", "staging"]].concat(), environments);
        assert!(code == 1 && said.contains("host.invalid"), "{said}");
    }
    for hostile in ["$(id)", "a;b", "-v", "../x", "a b"] {
        let (said, code) = run(&["deploy", &format!("--build={hostile}")], "services: { web: { build: . } }\n");
        assert_eq!(code, 2, "{said}");
    }
}
