//! What only the process runtime can get wrong: detached supervisors, recycled numbers, programs that change, logs on disk.

#![allow(clippy::unwrap_used, reason = "a test")]

use futures_util::StreamExt as _;
use landfall_model::digest::hex;
use landfall_model::observed::ReplicaState;
use landfall_model::spec::{LogPolicy, Program, Restart};
use landfall_runtime::conformance::{Act, Kit, Shape, script, until};
use landfall_runtime::process::ProcessRuntime;
use landfall_runtime::{Launch, Runtime, RuntimeError};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

struct Bench {
    home: tempfile::TempDir,
    rt: ProcessRuntime,
    kit: Kit,
}

fn bench() -> Bench {
    let home = tempfile::tempdir().unwrap();
    let rt = |home: &Path| ProcessRuntime::new(home, Path::new(env!("CARGO_BIN_EXE_landfall-shim-test")));
    let again = home.path().to_owned();
    let kit = Kit {
        app: "bench".parse().unwrap(),
        program: Program::Executable { path: "bash".into(), sha256: None },
        command: script,
        reopen: Box::new(move || Box::new(rt(&again))),
        project_dir: home.path().to_str().unwrap().to_owned(),
        port: 0,
    };
    Bench { rt: rt(home.path()), home, kit }
}

impl Bench {
    fn launch(&self, id: &str, act: &Act, restart: Restart) -> Launch {
        self.kit.launch(id, act, &Shape { restart: Some(restart), ..Shape::default() })
    }

    /// A launch of this very Bash script.
    fn bash(&self, id: &str, script: &str) -> Launch {
        let mut launch = self.launch(id, &Act::Stay, Restart::No);
        launch.template.command = Some(vec!["-c".into(), script.into()]);
        launch
    }

    /// A launch of a program of the project.
    fn project_program(&self, id: &str, text: &str) -> Launch {
        let path = self.home.path().join("server");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut launch = self.launch(id, &Act::Stay, Restart::No);
        launch.template.program = Program::Executable { path: path.to_str().unwrap().into(), sha256: Some(hex(&Sha256::digest(text))) };
        launch.template.command = None;
        launch
    }

    fn shim_pid(&self, launch: &Launch) -> i32 {
        let path = self.home.path().join("process/bench").join(launch.id.as_str()).join("state.json");
        let state: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        i32::try_from(state["shim"]["pid"].as_i64().unwrap()).unwrap()
    }

    async fn ends(&self, launch: &Launch) -> (i32, Vec<String>) {
        let exit = self.rt.wait(&self.kit.app, &launch.id).await.unwrap();
        let lines = self.kit.lines(&self.rt, &launch.id, 1000).await;
        (exit.code, lines.into_iter().map(|(_, l)| l).collect())
    }

    async fn done(self) {
        self.kit.clear(&self.rt).await;
    }
}

fn kill(pid: i32) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn asking_twice_at_once_starts_once() {
    let b = bench();
    for i in 0..5 {
        let launch = b.kit.launch(
            &format!("web-1-job{i}"),
            &Act::Answer { out: "ran\n".into(), err: String::new(), code: 0 },
            &Shape { job: true, ..Shape::default() },
        );
        let other = (b.kit.reopen)();
        let (one, two) = tokio::join!(b.rt.start(&launch), other.start(&launch));
        one.and(two).unwrap();
        assert_eq!(b.ends(&launch).await, (0, vec!["ran".to_owned()]));
    }
    b.done().await;
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_program_along_and_can_be_followed_by_another() {
    let b = bench();
    let launch = b.bash("web-1-1", "echo $$; while :; do sleep 1000 & wait $!; done");
    b.rt.start(&launch).await.unwrap();
    until("it says who it is", async || !b.kit.lines(&b.rt, &launch.id, 1).await.is_empty()).await;
    let child = b.kit.lines(&b.rt, &launch.id, 1).await.remove(0).1;
    kill(b.shim_pid(&launch));
    until("its death is seen", async || {
        b.kit.state(&b.rt, &launch.id).await == Some(ReplicaState::Exited { code: 137, out_of_memory: false })
    })
    .await;
    until("the program is dead", async || fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |s| s.contains(") Z "))).await;
    b.rt.start(&launch).await.unwrap();
    assert!(matches!(b.kit.state(&b.rt, &launch.id).await, Some(ReplicaState::Exited { .. })), "an ended replica is left ended");
    b.rt.start_again(&b.kit.app, &launch.id).await.unwrap();
    assert_eq!(b.kit.state(&b.rt, &launch.id).await, Some(ReplicaState::Running));
    b.done().await;
}

#[tokio::test]
async fn a_crash_loop_is_stopped_while_it_waits() {
    let b = bench();
    let launch = b.launch("web-1-1", &Act::Exit { code: 3 }, Restart::Always);
    b.rt.start(&launch).await.unwrap();
    until("it waits for its next start", async || {
        matches!(b.kit.state(&b.rt, &launch.id).await, Some(ReplicaState::Restarting { code: 3 }))
    })
    .await;
    b.rt.stop(&b.kit.app, &launch.id, None, Duration::from_secs(30)).await.unwrap();
    assert_eq!(b.kit.state(&b.rt, &launch.id).await, Some(ReplicaState::Exited { code: 3, out_of_memory: false }));
    b.done().await;
}

#[tokio::test]
async fn a_failing_program_is_tried_so_often_as_its_policy_says() {
    let b = bench();
    let launch = b.launch("web-1-1", &Act::Answer { out: "try\n".into(), err: String::new(), code: 2 }, Restart::OnFailure { max: 2 });
    b.rt.start(&launch).await.unwrap();
    assert_eq!(b.ends(&launch).await, (2, vec!["try".to_owned(); 3]));
    assert_eq!(b.kit.observe(&b.rt).await.replicas[&launch.id].restarts, 2);
    b.done().await;
}

#[tokio::test]
async fn an_old_replica_runs_its_own_program_although_the_file_has_changed() {
    let b = bench();
    let old = b.project_program("web-1-1", "#!/bin/sh\necho old\n");
    b.rt.start(&old).await.unwrap();
    assert_eq!(b.ends(&old).await, (0, vec!["old".to_owned()]));
    let new = b.project_program("web-2-1", "#!/bin/sh\necho new\n");
    b.rt.start(&new).await.unwrap();
    assert_eq!(b.ends(&new).await.1, ["new"]);
    let rolled_back = Launch { id: "web-3-1".parse().unwrap(), ..old };
    b.rt.start(&rolled_back).await.unwrap();
    assert_eq!(b.ends(&rolled_back).await.1, ["old"]);
    // A migration that names the program by its path runs that release's program, too.
    let migration =
        Launch { id: "web-3-migrate".parse().unwrap(), job: true, argv: Some(vec!["./server".into(), "migrate".into()]), ..rolled_back };
    b.rt.start(&migration).await.unwrap();
    assert_eq!(b.ends(&migration).await.1, ["old"]);
    b.done().await;
}

#[tokio::test]
async fn what_is_no_program_is_said_in_the_log_with_the_code_of_a_shell() {
    let b = bench();
    let launch = b.project_program("web-1-1", "#!/no/such/interpreter\n");
    b.rt.start(&launch).await.unwrap();
    let (code, lines) = b.ends(&launch).await;
    assert_eq!(code, 127);
    assert!(lines[0].contains("cannot start") && lines[0].contains("No such file"), "{lines:?}");
    let mut absent = b.bash("web-1-2", "");
    absent.template.program = Program::Executable { path: "no-such-program".into(), sha256: None };
    assert!(matches!(b.rt.start(&absent).await, Err(RuntimeError::NoProgram { .. })));
    assert!(!b.kit.observe(&b.rt).await.replicas.contains_key(&absent.id), "what was refused was not made");
    b.done().await;
}

#[tokio::test]
async fn a_program_sees_a_clean_environment_its_port_and_its_directory() {
    let b = bench();
    let mut launch = b.bash("web-1-1", "env | sort; pwd; ls -l /proc/$$/fd | grep -c -- '->'");
    launch.port = Some(41999);
    launch.template.environment = [("PORT".parse().unwrap(), landfall_model::spec::EnvValue::new("3000"))].into();
    b.rt.start(&launch).await.unwrap();
    let (_, lines) = b.ends(&launch).await;
    let here = b.home.path().to_str().unwrap();
    assert!(
        lines.contains(&"PORT=41999".to_owned()) && lines.contains(&format!("LANDFALL_VOLUME_DATA={here}/volumes/bench_data")),
        "{lines:?}"
    );
    assert!(lines.contains(&here.to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|l| l.starts_with("CARGO") || l.starts_with("LANDFALL_SHIM")), "{lines:?}");
    b.done().await;
}

#[tokio::test]
async fn a_chatty_program_fills_no_disk() {
    let b = bench();
    let mut launch = b.bash("web-1-1", "for i in $(seq 20000); do echo \"line $i of many\"; done");
    launch.template.log = LogPolicy { max_bytes: 10_000, max_files: 3 };
    b.rt.start(&launch).await.unwrap();
    let (_, lines) = b.ends(&launch).await;
    assert_eq!(lines.last().unwrap(), "line 20000 of many");
    let dir = b.home.path().join("process/bench/web-1-1");
    let sizes = fs::read_dir(dir).unwrap().map(|e| e.unwrap()).filter(|e| e.file_name().to_str().unwrap().starts_with("log"));
    assert!(sizes.map(|e| e.metadata().unwrap().len()).sum::<u64>() <= 30_000);
    b.done().await;
}

#[tokio::test]
async fn what_a_process_cannot_be_is_refused() {
    let b = bench();
    let refused = async |change: fn(&mut Launch)| {
        let mut launch = b.launch("web-1-1", &Act::Stay, Restart::No);
        change(&mut launch);
        b.rt.start(&launch).await.unwrap_err();
        assert!(b.kit.observe(&b.rt).await.replicas.is_empty());
    };
    refused(|l| l.template.user = Some("no-such-user".into())).await;
    refused(|l| l.template.stop_signal = Some("SIGRTMIN+3".into())).await;
    refused(|l| l.template.working_dir = Some("/no/such/directory".into())).await;
    refused(|l| {
        l.template.program = Program::Image { reference: "a".parse().unwrap(), pinned: None, pull: landfall_model::spec::PullPolicy::Never }
    })
    .await;
    refused(|l| l.template.entrypoint = Some(vec!["/x".into()])).await;
    refused(|l| l.argv = Some(vec!["a\0b".into()])).await;
    b.done().await;
}

#[tokio::test]
async fn no_zombie_is_left_in_the_agent_and_no_supervisor_after_removal() {
    let b = bench();
    for i in 0..3 {
        let launch = b.launch(&format!("web-1-{i}"), &Act::Stay, Restart::No);
        b.rt.start(&launch).await.unwrap();
        let session = b.rt.exec(&b.kit.app, &launch.id, &script(&Act::Stay), false).await.unwrap();
        // Nobody waits for it: it is killed and collected all the same.
        drop(session);
        b.rt.remove(&b.kit.app, &launch.id).await.unwrap();
    }
    let own = std::process::id().to_string();
    let zombies = || {
        let stats = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| fs::read_to_string(e.path().join("stat")).ok());
        let fields = stats.filter_map(|s| Some(s.rsplit_once(") ")?.1.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>()));
        fields.filter(|f| f[0] == "Z" && f[1] == own).count()
    };
    until("zombies are collected", async || zombies() == 0).await;
    let home = b.home.path().to_str().unwrap().to_owned();
    until("supervisors are gone", async || {
        let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| fs::read(e.path().join("cmdline")).ok());
        !lines.map(|l| String::from_utf8_lossy(&l).into_owned()).any(|l| l.contains(&home))
    })
    .await;
    b.done().await;
}

#[tokio::test]
async fn a_follower_reads_on_while_the_log_is_rotated() {
    let b = bench();
    let mut launch = b.bash("web-1-1", "for i in $(seq 3000); do echo $i; done; while :; do sleep 1000 & wait $!; done");
    launch.template.log = LogPolicy { max_bytes: 4_000, max_files: 20 };
    b.rt.start(&launch).await.unwrap();
    let follow = b.rt.logs(&b.kit.app, &launch.id, u32::MAX, true).await.unwrap();
    // A line that is passed over would be waited for without end.
    let all = follow.take(3000).map(|l| l.unwrap().line).collect::<Vec<String>>();
    let seen = tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    assert_eq!(seen, (1..=3000).map(|i| i.to_string()).collect::<Vec<_>>());
    b.done().await;
}
