//! The conformance suite on all three runtimes.
//!
//! The Docker part needs an engine at `/var/run/docker.sock` and fails without one: a suite that skips proves nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says where it is, and what it cannot do without")]

use landfall_model::spec::{Program, PullPolicy, RuntimeKind};
use landfall_runtime::Runtime;
use landfall_runtime::conformance::{Act, Kit, run_all, script};
use landfall_runtime::docker::DockerRuntime;
use landfall_runtime::fake::FakeRuntime;
use landfall_runtime::process::ProcessRuntime;
use std::path::Path;
use std::sync::Arc;

/// Where the suite's image comes from when the server does not have it.
const IMAGE: &str = "landfall-debian:bookworm";

/// Runs the suite and clears up, also after a failure.
async fn conforms(rt: Box<dyn Runtime>, kit: Kit) {
    let kit = Arc::new(kit);
    let own = Arc::clone(&kit);
    let suite = tokio::spawn(async move { run_all(rt.as_ref(), &own, &|name| println!("- {name}")).await });
    let outcome = suite.await;
    if outcome.is_err() {
        kit.clear((kit.reopen)().as_ref()).await;
    }
    if let Err(failed) = outcome {
        std::panic::resume_unwind(failed.into_panic());
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn fake() {
    for kind in [RuntimeKind::Docker, RuntimeKind::Process] {
        let fake = FakeRuntime::new(kind);
        let program = match kind {
            RuntimeKind::Docker => {
                let image = IMAGE.parse().unwrap();
                fake.have_image(&image);
                Program::Image { reference: image, pinned: None, pull: PullPolicy::Missing }
            }
            RuntimeKind::Process => Program::Executable { path: "act".into(), sha256: None },
        };
        let again = fake.clone();
        let kit = Kit {
            app: "conformance".parse().unwrap(),
            program,
            command: Act::command,
            reopen: Box::new(move || Box::new(again.clone())),
            project_dir: "/".into(),
            port: 8000,
        };
        conforms(Box::new(fake), kit).await;
    }
}

#[tokio::test]
async fn process() {
    let home = tempfile::tempdir().unwrap();
    let runtime = |home: &Path| ProcessRuntime::new(home, Path::new(env!("CARGO_BIN_EXE_landfall-shim-test")));
    let again = home.path().to_owned();
    let kit = Kit {
        app: "conformance".parse().unwrap(),
        program: Program::Executable { path: "bash".into(), sha256: None },
        command: script,
        reopen: Box::new(move || Box::new(runtime(&again))),
        project_dir: home.path().to_str().unwrap().to_owned(),
        port: free_port(),
    };
    conforms(Box::new(runtime(home.path())), kit).await;
}

#[tokio::test]
async fn docker() {
    let host = std::env::var("DOCKER_HOST").ok();
    let runtime = DockerRuntime::of_host(host.as_deref());
    if let Err(e) = runtime.ping().await {
        panic!("this test needs a Docker Engine: {e}. Start one (`dockerd &`, or `systemctl start docker`) and run it again.");
    }
    let image = IMAGE.parse().unwrap();
    if let Err(e) = runtime.pull(&image, (PullPolicy::Never, None), &|_| {}).await {
        panic!("this test needs the image {IMAGE}: {e}. Make it with `debootstrap --variant=minbase bookworm` and `docker import`.");
    }
    let kit = Kit {
        app: format!("conformance-{}", std::process::id()).parse().unwrap(),
        program: Program::Image { reference: image, pinned: None, pull: PullPolicy::Never },
        command: script,
        reopen: Box::new(move || Box::new(DockerRuntime::of_host(host.as_deref()))),
        project_dir: "/".into(),
        port: 8123,
    };
    conforms(Box::new(runtime), kit).await;
}
