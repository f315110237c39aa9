//! What the suite needs to know of a runtime, and what it asks again and again.

use crate::fake::Act;
use crate::{Launch, Runtime};
use landfall_model::container::Container;
use landfall_model::name::{AppName, NetworkName, ReleaseNumber, ReplicaId, VolumeName};
use landfall_model::observed::{Observed, ReplicaState};
use landfall_model::spec::{EnvValue, Limits, LogPolicy, Mount, MountSource, Network, Program, Restart, Template, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::{Duration, Instant};

/// Longest time a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a runtime is driven.
pub struct Kit {
    /// An app of this run's own.
    pub app: AppName,
    /// What runs: an image, or an executable whose arguments are the rest of the command.
    pub program: Program,
    /// Turns an act into a command.
    pub command: fn(&Act) -> Vec<String>,
    /// A new runtime object over the same server, as after the agent was killed.
    pub reopen: Box<dyn Fn() -> Box<dyn Runtime> + Send + Sync>,
    /// An existing directory.
    pub project_dir: String,
    /// A TCP port that a replica can listen on.
    pub port: u16,
}

/// What differs from the usual replica.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// It is meant to end.
    pub job: bool,
    /// Its policy; none by default.
    pub restart: Option<Restart>,
    /// Variables of the file.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Variables of the launch.
    pub added: Vec<(&'static str, &'static str)>,
}

impl Kit {
    /// The network every replica joins.
    pub fn network(&self) -> (NetworkName, Network) {
        ("default".parse().expect("a name"), Network { external_name: format!("{}_default", self.app), ..Network::default() })
    }

    /// The volume every replica mounts at `/data`.
    pub fn volume(&self) -> (VolumeName, Volume) {
        ("data".parse().expect("a name"), Volume { external_name: format!("{}_data", self.app), ..Volume::default() })
    }

    /// Everything needed to make a replica that does this.
    pub fn launch(&self, id: &str, act: &Act, shape: &Shape) -> Launch {
        let command = (self.command)(act);
        let (network, volume) = (self.network(), self.volume());
        let pairs =
            |list: &[(&str, &str)]| list.iter().map(|(k, v)| (k.parse().expect("a name"), EnvValue::new(*v))).collect::<BTreeMap<_, _>>();
        let image = matches!(self.program, Program::Image { .. });
        let template = Template {
            program: self.program.clone(),
            entrypoint: None,
            command: Some(if image { command } else { command.into_iter().skip(1).collect() }),
            environment: pairs(&shape.environment),
            working_dir: None,
            user: None,
            mounts: vec![Mount {
                source: MountSource::Volume { name: volume.0.clone(), no_copy: false },
                target: "/data".into(),
                read_only: false,
            }],
            networks: BTreeSet::from([network.0.clone()]),
            ports: Vec::new(),
            labels: BTreeMap::new(),
            restart: shape.restart.unwrap_or(Restart::No),
            stop_signal: None,
            stop_grace_ms: 10_000,
            healthcheck: None,
            limits: Limits::default(),
            log: LogPolicy::default(),
            init: false,
            read_only: false,
            shm_bytes: 0,
            container: Container::default(),
        };
        Launch {
            app: self.app.clone(),
            id: id.parse().expect("an id"),
            service: "web".parse().expect("a name"),
            release: ReleaseNumber(1),
            revision: template.revision(),
            job: shape.job,
            template,
            argv: None,
            environment: pairs(&shape.added),
            networks: BTreeMap::from([network]),
            volumes: BTreeMap::from([volume]),
            dns: Vec::new(),
            port: None,
            takes: None,
            project_dir: self.project_dir.clone(),
        }
    }

    /// Everything of the app.
    pub async fn observe(&self, rt: &dyn Runtime) -> Observed {
        rt.observe(&self.app, &BTreeSet::new()).await.expect("observe")
    }

    /// What a replica does, if there is one.
    pub async fn state(&self, rt: &dyn Runtime, id: &ReplicaId) -> Option<ReplicaState> {
        self.observe(rt).await.replicas.get(id).map(|r| r.state)
    }

    /// Makes the network and the volume that launches use.
    pub async fn prepare(&self, rt: &dyn Runtime) {
        let ((network, about), (volume, of)) = (self.network(), self.volume());
        rt.ensure_network(&self.app, &network, &about).await.expect("ensure a network");
        rt.ensure_volume(&self.app, &volume, &of).await.expect("ensure a volume");
    }

    /// Runs a job to its end and answers its code and what it wrote to standard output.
    pub async fn job(&self, rt: &dyn Runtime, id: &str, act: &Act, shape: Shape) -> (i32, Vec<String>) {
        let launch = self.launch(id, act, &Shape { job: true, ..shape });
        rt.start(&launch).await.expect("start a job");
        let exit = rt.wait(&self.app, &launch.id).await.expect("wait for a job");
        let lines = self.lines(rt, &launch.id, 1000).await;
        rt.remove(&self.app, &launch.id).await.expect("remove a job");
        (exit.code, lines.into_iter().filter(|(stderr, _)| !stderr).map(|(_, line)| line).collect())
    }

    /// The last lines of a replica, standard error marked.
    pub async fn lines(&self, rt: &dyn Runtime, id: &ReplicaId, tail: u32) -> Vec<(bool, String)> {
        use futures_util::StreamExt as _;
        let lines = rt.logs(&self.app, id, tail, false).await.expect("read a log");
        lines.map(|line| line.map(|l| (l.stderr, l.line)).expect("a line")).collect().await
    }

    /// Waits until a replica has written a line.
    pub async fn wait_for_line(&self, rt: &dyn Runtime, id: &ReplicaId, wanted: &str) {
        until(&format!("`{id}` writes {wanted:?}"), async || self.lines(rt, id, 1000).await.iter().any(|(_, l)| l == wanted)).await;
    }

    /// Removes everything of the app.
    pub async fn clear(&self, rt: &dyn Runtime) {
        for id in self.observe(rt).await.replicas.keys() {
            rt.remove(&self.app, id).await.expect("remove");
        }
        let ((network, about), (volume, of)) = (self.network(), self.volume());
        rt.remove_network(&self.app, &network, &about).await.expect("remove a network");
        rt.remove_volume(&self.app, &volume, &of).await.expect("remove a volume");
    }
}

/// Waits for a condition; panics with `what` if it does not come.
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let end = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < end, "waited {} s in vain: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An act as a command for a Debian machine: `bash` and what is always there. As a container's first process the script must handle its stop
/// signal itself, for the kernel gives such a process no default.
pub fn script(act: &Act) -> Vec<String> {
    const STAY: &str = "while :; do sleep 1000 & wait $!; done";
    const DATA: &str = "d=${LANDFALL_VOLUME_DATA:-/data}";
    let (script, arguments): (String, Vec<String>) = match act {
        Act::Stay => (format!("trap 'exit 0' TERM INT QUIT; {STAY}"), vec![]),
        Act::Polite { line, code } => {
            (format!("trap 'printf \"%s\\n\" \"$1\"; exit {code}' TERM QUIT; echo ready; {STAY}"), vec![line.clone()])
        }
        Act::Stubborn => (format!("trap '' TERM INT QUIT; echo ready; {STAY}"), vec![]),
        Act::Exit { code } => (format!("exit {code}"), vec![]),
        Act::Say { out, err } => {
            let words = std::iter::once(err.clone()).chain(out.iter().cloned()).collect();
            (format!("trap 'exit 0' TERM; printf '%s\\n' \"$1\" >&2; shift; printf '%s\\n' \"$@\"; {STAY}"), words)
        }
        Act::Answer { out, err, code } => (format!("printf %s \"$1\"; printf %s \"$2\" >&2; exit {code}"), vec![out.clone(), err.clone()]),
        Act::CrashOnce => (
            format!("{DATA}; trap 'exit 0' TERM; if [ -e $d/crashed ]; then echo again; {STAY}; fi; echo first; : > $d/crashed; exit 1"),
            vec![],
        ),
        Act::Show { arguments, variables } => {
            let shown: String = variables.iter().map(|name| format!("printf %s \"${name}\" | base64 -w0; echo; ")).collect();
            (format!("for a in \"$@\"; do printf %s \"$a\" | base64 -w0; echo; done; {shown}"), arguments.clone())
        }
        Act::Listen { port } => (
            format!(
                "exec perl -MIO::Socket::INET -e '$SIG{{TERM}} = sub {{ exit 0 }}; my $s = IO::Socket::INET->new(Listen => 5, LocalPort => {port}, ReuseAddr => 1) or die $!; sleep 1000 while 1'"
            ),
            vec![],
        ),
        Act::Keep { text } => (format!("{DATA}; printf %s \"$1\" > $d/kept"), vec![text.clone()]),
        Act::Recall => (format!("{DATA}; cat $d/kept && echo"), vec![]),
        Act::Echo => ("exec cat".into(), vec![]),
        Act::Parent => (format!("trap 'exit 0' TERM; sleep 1000 & echo $!; {STAY}"), vec![]),
    };
    ["bash", "-c", &script, "act"].into_iter().map(str::to_owned).chain(arguments).collect()
}
