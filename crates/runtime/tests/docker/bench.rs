//! A real engine, an app of its own for each test, and clearing up after it.

#![allow(clippy::unwrap_used, reason = "a test")]

use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectContainerOptions;
use landfall_model::spec::{MountSource, Program, Propagation, PullPolicy};
use landfall_runtime::conformance::{Act, Kit, Shape, script};
use landfall_runtime::docker::DockerRuntime;
use landfall_runtime::{Launch, Runtime};
use std::sync::Arc;

pub(crate) const IMAGE: &str = "landfall-debian:bookworm";

pub(crate) struct Bench {
    pub(crate) rt: DockerRuntime,
    pub(crate) kit: Kit,
}

pub(crate) async fn bench(name: &str) -> Bench {
    let rt = DockerRuntime::of_host(None);
    if let Err(e) = rt.ping().await {
        panic!("this test needs a Docker Engine: {e}. Start one (`dockerd &`, or `systemctl start docker`) and run it again.");
    }
    let kit = Kit {
        app: format!("{name}-{}", std::process::id()).parse().unwrap(),
        program: Program::Image { reference: IMAGE.parse().unwrap(), pinned: None, pull: PullPolicy::Never },
        command: script,
        reopen: Box::new(|| Box::new(DockerRuntime::of_host(None))),
        project_dir: "/".into(),
        port: 8123,
    };
    kit.prepare(&rt).await;
    Bench { rt, kit }
}

impl Bench {
    /// Runs a test's body and clears up, also after a failure.
    pub(crate) async fn with(self, body: impl AsyncFnOnce(&Bench) + 'static) {
        let bench = Arc::new(self);
        let own = Arc::clone(&bench);
        let outcome =
            tokio::task::LocalSet::new().run_until(async move { tokio::task::spawn_local(async move { body(&own).await }).await }).await;
        bench.kit.clear(&bench.rt).await;
        if let Err(failed) = outcome {
            std::panic::resume_unwind(failed.into_panic());
        }
    }

    pub(crate) async fn inspect(&self, launch: &Launch) -> ContainerInspectResponse {
        engine().inspect_container(&format!("{}-{}", launch.app, launch.id), None::<InspectContainerOptions>).await.unwrap()
    }

    pub(crate) fn stay(&self, id: &str) -> Launch {
        self.kit.launch(id, &Act::Stay, &Shape::default())
    }
}

pub(crate) fn bind(path: &str, create: bool) -> MountSource {
    MountSource::Bind { path: path.into(), create, relabel: String::new(), propagation: Propagation::Rprivate, content: String::new() }
}

pub(crate) fn engine() -> Docker {
    Docker::connect_with_unix("/var/run/docker.sock", 60, &bollard::ClientVersion { major_version: 1, minor_version: 41 }).unwrap()
}
