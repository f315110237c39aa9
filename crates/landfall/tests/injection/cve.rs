//! What peers were broken by, tried here: a test for each published hole that maps to a field of ours, under its number. Where a hole was found in several
//! fields of one product, the numbers share a test. Requests that smuggle, headers that lie and floods have theirs in `crates/proxy/tests`.
#![allow(non_snake_case, reason = "numbers as they are published")]

use crate::stage::{Stage, text};
use serde_json::{Value, json};
use std::path::Path;

/// A project, without a server: `check` answers.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// What `check` says of an app with one service, changed.
    fn check(&self, change: impl Fn(&mut Value, &str)) -> (Option<i32>, String) {
        let mut app = json!({"name": "shop", "services": {"web": {"image": "acme/web:1"}}});
        change(&mut app, &self.path("trap").display().to_string());
        self.text(&app.to_string())
    }

    fn text(&self, compose: &str) -> (Option<i32>, String) {
        std::fs::write(self.path("compose.yaml"), compose).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["check"])
            .current_dir(self.0.path())
            .env("LANDFALL_HOME", self.path("home"))
            .output()
            .unwrap();
        assert!(!self.path("trap").exists(), "a payload was run");
        (output.status.code(), text(&output))
    }

    /// Refused with a code, and a place.
    fn refused(&self, code: &str, change: impl Fn(&mut Value, &str)) {
        let (exit, said) = self.check(change);
        assert!(exit == Some(2) && said.contains(&format!("error[{code}]")) && said.contains("compose.yaml:"), "{exit:?} {said}");
    }

    /// Taken only when the server's owner has granted it.
    fn asks(&self, grant: &str, change: impl Fn(&mut Value, &str)) {
        let (_, said) = self.check(change);
        assert!(said.contains("[needs-grant]") && said.contains(grant), "{said}");
    }
}

fn web(app: &mut Value) -> &mut Value {
    &mut app["services"]["web"]
}

// Commands in names (reliability.md §2 A, B).

#[test]
fn cve_2025_66213_mount_path() {
    let project = Project::new();
    project.refused("bad-mount", |app, trap| {
        app["volumes"] = json!({"data": null});
        web(app)["volumes"] = json!([format!("data:data$$(touch {trap})/../../etc")]);
    });
    project.asks("bind:", |app, _| web(app)["volumes"] = json!(["/:/host"]));
}

#[test]
fn cve_2025_66211_name_of_a_file_in_a_container() {
    let project = Project::new();
    project.refused("bad-name", |app, trap| {
        app["configs"] = json!({format!("init$(touch {trap}).sql"): {"content": "x"}});
        web(app)["configs"] = json!([format!("init$$(touch {trap}).sql")]);
    });
}

#[test]
fn cve_2025_66212_name_of_a_file_of_the_proxy() {
    let project = Project::new();
    project.refused("bad-files", |app, _| {
        web(app)["x-landfall"] = json!({"port": 80, "routes": [{"path": "/", "static": {"root": "../../../etc"}}]});
    });
    project.refused("bad-page", |app, _| app["x-landfall"] = json!({"error_pages": "../../../../etc"}));
}

#[test]
fn cve_2025_59157_64424_and_2026_72874_repository_to_build_from() {
    // A repository is not fetched; anything else is the name of a directory that is not there.
    let contexts = [
        ("https://evil.example/a.git#main;touch TRAP", true),
        ("git@evil.example:a.git --upload-pack=x", true),
        ("ext::sh -c touch% TRAP", false),
        ("-oProxyCommand=touch TRAP", false),
        ("$$(touch TRAP)", false),
    ];
    for (context, remote) in contexts {
        let project = Project::new();
        let (exit, said) = project.check(|app, trap| {
            web(app).as_object_mut().unwrap().remove("image");
            web(app)["build"] = json!(context.replace("TRAP", trap));
        });
        assert!(!remote || exit == Some(2) && said.contains("error["), "{context}: {exit:?} {said}");
        // There is no agent; the building comes before it is asked for, or does not come.
        let deploy = std::process::Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["deploy", "--build"])
            .current_dir(project.path("."))
            .env("LANDFALL_HOME", project.path("home"))
            .output()
            .unwrap();
        assert!(!deploy.status.success() && !project.path("trap").exists(), "{context}: {}", text(&deploy));
    }
}

#[test]
fn cve_2025_59156_and_64419_values_of_a_compose_file() {
    let project = Project::new();
    project.asks("privileged", |app, _| web(app)["privileged"] = json!(true));
    project.asks("docker.sock", |app, _| web(app)["volumes"] = json!(["/var/run/docker.sock:/s"]));
    project.asks("SYS_ADMIN", |app, _| web(app)["cap_add"] = json!(["SYS_ADMIN"]));
    project.asks("host", |app, _| web(app)["pid"] = json!("host"));
    project.refused("bad-image", |app, trap| web(app)["image"] = json!(format!("a:1;touch {trap}")));
}

#[test]
fn cve_2025_22606_and_2026_27130_name_of_the_project() {
    // Compose leaves out of a project's name what may not be in one.
    for (name, app) in [("shop$$(touch TRAP)", Some("shoptouch")), ("../shop", Some("shop")), ("-v", Some("v")), ("$$()", None)] {
        let project = Project::new();
        let (exit, said) = project.check(|app, trap| app["name"] = json!(name.replace("TRAP", trap)));
        let Some(app) = app else {
            assert!(exit == Some(2) && said.contains("compose.yaml:1:"), "{name}: {exit:?} {said}");
            continue;
        };
        let config =
            std::process::Command::new(env!("CARGO_BIN_EXE_landfall")).arg("config").current_dir(project.path(".")).output().unwrap();
        let config = text(&config);
        let found = config.lines().find_map(|line| line.strip_prefix("name: ")).unwrap_or_default();
        assert!(found.starts_with(app) && found.bytes().all(|b| b.is_ascii_alphanumeric()), "{name}: {found:?} {config}");
    }
}

#[test]
fn cve_2026_59734_and_42153_health_check() {
    let project = Project::new();
    project.refused("wrong-type", |app, trap| web(app)["x-landfall"] = json!({"port": 80, "health": format!("/;touch {trap}\r\nHost: x")}));
    project.refused("wrong-type", |app, trap| {
        web(app)["healthcheck"] = json!({"test": ["CMD", "true"], "interval": format!("5s;touch {trap}")});
    });
}

#[test]
fn cve_2026_34038_fields_of_deploy() {
    let project = Project::new();
    project.refused("wrong-type", |app, trap| web(app)["deploy"] = json!({"replicas": format!("1;touch {trap}")}));
    project.refused("wrong-type", |app, trap| {
        web(app)["deploy"] = json!({"resources": {"limits": {"memory": format!("1m $$(touch {trap})")}}})
    });
    project.refused("wrong-type", |app, trap| web(app)["stop_grace_period"] = json!(format!("1s`touch {trap}`")));
}

#[test]
fn cve_2026_34153_42143_34168_and_72901_volume_names() {
    let project = Project::new();
    for name in ["data;touch TRAP", "$(touch TRAP)", "../data", "-v"] {
        project.refused("bad-name", |app, trap| app["volumes"] = json!({name.replace("TRAP", trap): null}));
        project.refused("bad-name", |app, trap| app["volumes"] = json!({"data": {"name": name.replace('$', "$$").replace("TRAP", trap)}}));
    }
}

#[test]
fn cve_2026_84694_names_of_variables() {
    let project = Project::new();
    for name in ["A;touch TRAP;B", "A$(touch TRAP)", "A\nLD_PRELOAD", "A B", "-A", "A'"] {
        project.refused("bad-name", |app, trap| web(app)["environment"] = json!({name.replace("TRAP", trap): "x"}));
    }
}

#[test]
fn cve_2026_12815_image_name() {
    let project = Project::new();
    for image in [
        "acme/web:1$$(touch TRAP)",
        "acme/web:1 --privileged",
        "--privileged",
        "acme/../web:1",
        "acme/web:1\n--privileged",
        "acme/web@sha256:0",
    ] {
        project.refused("bad-image", |app, trap| web(app)["image"] = json!(image.replace("TRAP", trap)));
    }
}

#[test]
fn cve_2026_72739_service_names() {
    let project = Project::new();
    for name in ["web;touch TRAP", "web$(touch TRAP)", "../web", "-web", "web\nx"] {
        project.refused("bad-name", |app, trap| app["services"] = json!({name.replace("TRAP", trap): {"image": "acme/web:1"}}));
    }
}

#[test]
fn cve_2026_72865_path_of_the_compose_file() {
    let project = Project::new();
    let trap = project.path("trap").display().to_string();
    for path in [format!("a;touch {trap}"), format!("$(touch {trap})"), "-".to_owned() + "-help;id"] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_landfall")).arg("check").arg(format!("--file={path}")).output().unwrap();
        assert!(output.status.code() != Some(0) && !Path::new(&trap).exists(), "{path}: {}", text(&output));
    }
}

#[test]
fn cve_2025_62725_files_of_other_servers() {
    for from in ["oci://evil.example/a:1", "https://evil.example/compose.yaml", "git@evil.example:a.git", "docker.io/acme/app:1"] {
        let (exit, said) = Project::new().check(|app, _| app["include"] = json!([from]));
        assert!(exit == Some(2) && (said.contains("[remote-file]") || said.contains("[unreadable-file]")), "{from}: {exit:?} {said}");
    }
    Project::new().refused("remote-file", |app, _| app["include"] = json!(["oci://evil.example/a:1"]));
}

#[test]
fn cve_2026_45631_and_24840_no_secret_is_known_before() {
    let project = Project::new();
    project.refused("env-placeholder", |app, _| {
        app["x-landfall"] = json!({"env": {"KEY": {"secret": true, "default": "changeme"}}});
        web(app)["environment"] = json!({"KEY": "${KEY}"});
    });
}

// What only a server can show.

#[test]
fn cve_2026_34158_34152_and_24841_quotes_and_newlines_stay_text() {
    let stage = Stage::up();
    let trap = stage.trap().display().to_string();
    let hostile =
        [format!("';touch {trap};'"), format!("EOF\ntouch {trap}\nEOF"), format!("\";touch {trap};\""), format!("`touch {trap}`")];
    stage.compose(&json!({
        "name": "shop",
        "x-landfall": {"runtime": "process"},
        "services": {"web": {"command": ["python3", "show.py", hostile[0], hostile[1]], "environment": {"A": hostile[2], "B": hostile[3]}, "x-landfall": {"drain": "1s"}}}
    }));
    stage.good(&["deploy"]);
    let given = stage.given();
    assert_eq!((&given["argv"], &given["env"]["A"], &given["env"]["B"]), (&json!(hostile[..2]), &json!(hostile[2]), &json!(hostile[3])));
    let echoed = stage.good(&["exec", "-T", "web", "printf", "%s", &hostile[0]]);
    assert_eq!(echoed, hostile[0]);
    stage.stayed_inside(&["python3", "printf"]);
}

#[test]
fn cve_2026_45628_45662_and_72902_logins_of_registries() {
    let stage = Stage::up();
    let trap = stage.trap().display().to_string();
    for host in [format!("ghcr.io;touch {trap}"), format!("$(touch {trap})"), "http://evil.example".into(), "-v".into(), "a/b".into()] {
        let output = stage.fed(&["registry", "login", "--user=a", "--", &host], "secret");
        assert_eq!(output.status.code(), Some(2), "{host}: {}", text(&output));
    }
    // There is no such registry, so nothing is kept; what was typed is nowhere in the answer.
    let output = stage.fed(&["registry", "login", "127.0.0.1:9", "--user", &format!("a;touch {trap}")], &format!("\";touch {trap};\""));
    assert!(!output.status.success() && !text(&output).contains("\";touch"), "{}", text(&output));
    stage.app();
    stage.stayed_inside(&["python3"]);
}

#[test]
fn cve_2026_44848_24740_and_48742_what_is_not_listed_is_not_there() {
    let stage = Stage::up();
    stage.app();
    for (method, path) in [
        ("GET", "/v1/plugins"),
        ("GET", "/containers/json"),
        ("POST", "/v1/apps/shop"),
        ("PUT", "/v1/agent"),
        ("GET", "/v1/apps/shop/../../x"),
    ] {
        let (status, said) = stage.ask(method, path, "").unwrap();
        assert!(matches!(status, 400 | 404 | 405), "{method} {path}: {status} {said}");
    }
    // A replica of another app, under this app's name.
    let ask = json!({"service": "web", "replica": "web-99-1", "argv": ["true"], "tty": false, "environment": {}});
    let output = stage.landfall(&["exec", "-T", "--replica", "other-1-1", "web", "true"]).output().unwrap();
    assert!(!output.status.success(), "{ask} {}", text(&output));
    stage.stayed_inside(&["python3"]);
}

#[test]
fn cve_2026_27586_a_key_that_cannot_be_read_is_no_other_key() {
    let stage = Stage::up();
    stage.app();
    stage.compose(&json!({
        "name": "shop",
        "x-landfall": {"runtime": "process", "domains": ["a.example.org"], "tls": {"cert": "gone.pem", "key": "gone.key"}},
        "services": {"web": {"command": ["python3", "show.py"], "x-landfall": {"drain": "1s", "routes": [{"path": "/", "respond": 200}]}}}
    }));
    let output = stage.landfall(&["deploy"]).output().unwrap();
    assert!(!output.status.success() && text(&output).contains("gone.pem"), "{}", text(&output));
    assert_eq!(stage.releases(), 1);
    stage.stayed_inside(&["python3"]);
}

#[test]
fn cve_2026_44849_and_44850_a_later_release_is_judged_like_the_first() {
    let stage = Stage::up();
    let app = |host: Value| {
        let mut service =
            json!({"image": "tutor-db:15", "environment": {"POSTGRES_PASSWORD": "a-long-enough-password"}, "x-landfall": {"drain": "1s"}});
        service.as_object_mut().unwrap().extend(host.as_object().unwrap().clone());
        stage.compose(&json!({"name": "lf-judged", "services": {"db": service}}));
        stage.landfall(&["deploy"]).output().unwrap()
    };
    let taken = [
        json!({"privileged": true}),
        json!({"volumes": ["/:/host"]}),
        json!({"volumes": ["/var/run/docker.sock:/s"]}),
        json!({"pid": "host"}),
    ];
    let refused = |host: &Value| {
        let output = app(host.clone());
        assert!(!output.status.success() && text(&output).contains("[not-granted]"), "{host}: {}", text(&output));
    };
    taken.iter().for_each(refused);
    let first = app(json!({}));
    assert!(first.status.success(), "{}", text(&first));
    taken.iter().for_each(refused);
    stage.app();
    let down = stage.landfall(&["down", "lf-judged", "--volumes", "--confirm", "RESET_ALL_VOLUMES"]).output().unwrap();
    assert!(down.status.success(), "{}", text(&down));
    stage.stayed_inside(&["python3"]);
}

#[test]
fn cve_2025_64420_22612_keys_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::up();
    stage.app();
    assert!(stage.fed(&["secret", "set", "A"], "a value that is long").status.success());
    let (mut open, mut keys) = (vec![stage.path("home")], 0);
    while let Some(dir) = open.pop() {
        for path in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            let Ok(kind) = path.symlink_metadata() else { continue };
            if kind.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "key") || path.ends_with("store.db") || path.ends_with("secrets.key") {
                assert_eq!(kind.permissions().mode() & 0o077, 0, "{} can be read by others", path.display());
                keys += 1;
            }
        }
    }
    assert!(keys >= 2, "{keys} keys were found");
    stage.stayed_inside(&["python3"]);
}

#[test]
fn cve_2026_44885_44881_and_45661_links_in_what_is_served() {
    let stage = Stage::up();
    std::fs::create_dir(stage.path("project/dist")).unwrap();
    std::fs::write(stage.path("project/dist/index.html"), "hello").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", stage.path("project/dist/passwd")).unwrap();
    stage.compose(&json!({
        "name": "shop",
        "x-landfall": {"runtime": "process"},
        "services": {
            "web": {"command": ["python3", "show.py"], "x-landfall": {"drain": "1s"}},
            "site": {"command": ["python3", "show.py"], "x-landfall": {"routes": [{"path": "/", "static": "./dist"}]}}
        }
    }));
    let said = stage.good(&["deploy"]);
    assert!(said.contains("1 file") && said.contains("1 left out: links"), "the link is not told of: {said}");
    let mut open = vec![stage.path("home")];
    while let Some(dir) = open.pop() {
        for path in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            let kind = path.symlink_metadata().unwrap();
            assert!(!kind.is_symlink(), "{} is a link", path.display());
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!bytes.windows(12).any(|w| w == b"root:x:0:0:r"), "{} has the contents of a link", path.display());
            }
        }
    }
    stage.stayed_inside(&["python3"]);
}
