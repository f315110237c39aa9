//! A site of files from release to release: what is kept, what is found again, what a rollback brings back.

use crate::plans::Plan;
use crate::server::{Server, spec};
use crate::talk::{self, Answer, Question};
use landfall_agent::project_digest;
use landfall_model::api::{Want, What};
use landfall_model::filter;
use landfall_model::spec::{RuntimeKind, Spec};
use landfall_runtime::fake::FakeRuntime;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FILE: &str = r#"
name: shop
x-landfall: { runtime: process, domains: [shop.internal], tls: internal }
services:
  web:
    command: [/bin/web]
    healthcheck: { test: [CMD, ready], timeout: 1s }
    x-landfall: { port: 8000, drain: 1s, routes: [/api, { path: /, static: { root: ./dist, spa: true } }] }
"#;

/// Who is asked; nothing else of a plan is needed.
const SHOP: Plan =
    Plan { example: "", hosts: &["shop.internal"], fragment: false, variables: &[], upstreams: &[], questions: &[], differences: &[] };

/// As the command line does it: the project, and the digest of its files.
fn project(dir: &Path) -> Spec {
    let mut spec = spec(dir, &BTreeMap::new());
    for route in spec.services.values_mut().flat_map(|s| &mut s.routes) {
        if let Some(filter::Answer::Files(files)) = &mut route.filters.answer {
            files.sha256 = Some(project_digest(dir, files.root.as_str()).unwrap());
        }
    }
    spec
}

fn write(dir: &Path, script: &str) {
    let _ = fs::remove_dir_all(dir.join("dist"));
    fs::create_dir_all(dir.join("dist/assets")).unwrap();
    fs::write(dir.join("compose.yaml"), FILE).unwrap();
    fs::write(dir.join("dist/index.html"), format!("<script src=/assets/{script}>")).unwrap();
    fs::write(dir.join("dist/assets").join(script), script).unwrap();
    fs::write(dir.join("dist/same.txt"), "the same in all").unwrap();
}

async fn ask(server: &Server, path: &'static str) -> Answer {
    talk::ask(server.front(), &SHOP, &Question { path, ..Question::GET }).await
}

/// Directories that are kept.
fn kept(home: &Path) -> Vec<PathBuf> {
    fs::read_dir(home.join("folders/shop")).unwrap().map(|e| e.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_changes_at_the_switch_and_open_pages_go_on() {
    let stage = tempfile::tempdir().unwrap();
    let (dir, home) = (stage.path().join("project"), stage.path().join("landfall"));
    write(&dir, "main.1111aaaa.js");
    let first = project(&dir);
    let mut server = Server::start(&home, FakeRuntime::new(RuntimeKind::Process), first.app.clone());
    server
        .roll_out(Want::Deploy {
            spec: Box::new(first),
            given: std::collections::BTreeMap::new(),
            unset: landfall_model::secret::Unset::default(),
            from: None,
        })
        .await;
    assert!(ask(&server, "/").await.body.contains("main.1111aaaa.js"));
    assert_eq!(ask(&server, "/assets/main.1111aaaa.js").await.body, "main.1111aaaa.js");
    let date = ask(&server, "/same.txt").await.headers["last-modified"].clone();

    // Until it is deployed, nothing of it is seen.
    write(&dir, "main.2222bbbb.js");
    assert!(ask(&server, "/").await.body.contains("main.1111aaaa.js"));
    let second = project(&dir);
    server
        .roll_out(Want::Deploy {
            spec: Box::new(second),
            given: std::collections::BTreeMap::new(),
            unset: landfall_model::secret::Unset::default(),
            from: None,
        })
        .await;
    assert!(ask(&server, "/").await.body.contains("main.2222bbbb.js"));
    assert_eq!(ask(&server, "/assets/main.2222bbbb.js").await.body, "main.2222bbbb.js");
    assert_eq!(ask(&server, "/assets/main.1111aaaa.js").await.body, "main.1111aaaa.js", "a page that is open loads it");
    assert_eq!(ask(&server, "/assets/main.0000cccc.js").await.status, 404);
    assert_eq!(kept(&home).len(), 2);

    // The project has moved on; the old files are those of the old release.
    write(&dir, "main.3333cccc.js");
    server.roll_out(Want::Rollback { release: None }).await;
    assert!(ask(&server, "/").await.body.contains("main.1111aaaa.js"));
    assert_eq!(ask(&server, "/assets/main.2222bbbb.js").await.body, "main.2222bbbb.js");
    assert_eq!(ask(&server, "/same.txt").await.headers["last-modified"], date);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_files_are_not_there_changes_nothing() {
    let stage = tempfile::tempdir().unwrap();
    let (dir, home) = (stage.path().join("project"), stage.path().join("landfall"));
    write(&dir, "main.1111aaaa.js");
    let first = project(&dir);
    let mut server = Server::start(&home, FakeRuntime::new(RuntimeKind::Process), first.app.clone());
    server
        .roll_out(Want::Deploy {
            spec: Box::new(first),
            given: std::collections::BTreeMap::new(),
            unset: landfall_model::secret::Unset::default(),
            from: None,
        })
        .await;

    write(&dir, "main.2222bbbb.js");
    let second = project(&dir);
    // Between the command and the copy somebody builds again.
    write(&dir, "main.3333cccc.js");
    let events = server
        .try_to(Want::Deploy {
            spec: Box::new(second),
            given: std::collections::BTreeMap::new(),
            unset: landfall_model::secret::Unset::default(),
            from: None,
        })
        .await;
    let failed = events.iter().find_map(|e| if let What::StepFailed { failure, .. } = e { Some(failure) } else { None }).unwrap();
    assert_eq!(failed.code, "files-failed");
    assert!(failed.causes.iter().any(|c| c.contains("changed since the release was planned")), "{failed:?}");
    assert!(ask(&server, "/").await.body.contains("main.1111aaaa.js"));
    assert_eq!(kept(&home).len(), 1, "nothing half is left");
}
