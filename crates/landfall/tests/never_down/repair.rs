//! What happens to a proxy that stops, dies or cannot start, and to those who ask meanwhile.

use super::application::{all_bodies, body_of};
use super::stage::{Stage, until};
use landfall_model::route::InternalListener;
use rustix::process::{Pid, Signal};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Requests that are made while nobody accepts.
const WAITING: u64 = 40;

/// Asks on a connection of its own, and answers what was wrong with the answer.
fn ask(stage: &Stage, id: u64) -> JoinHandle<Result<(), String>> {
    ask_at(stage.http, id)
}

fn ask_at(address: SocketAddr, id: u64) -> JoinHandle<Result<(), String>> {
    let body = body_of(&all_bodies(), id, 100);
    std::thread::spawn(move || {
        let exchange = || {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(super::stage::PATIENCE))?;
            stream.write_all(format!("GET /{id}/100 HTTP/1.1\r\nHost: plain.example\r\nConnection: close\r\n\r\n").as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        match exchange() {
            Ok(answer) if answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&body) => Ok(()),
            Ok(answer) => Err(String::from_utf8_lossy(&answer).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// All of them are answered, and by another proxy than `old`.
fn are_answered(stage: &Stage, old: Pid, waiting: Vec<JoinHandle<Result<(), String>>>) {
    let wrong: Vec<String> = waiting.into_iter().filter_map(|asked| asked.join().unwrap().err()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_ne!(stage.serving(), old);
    until("the old one is gone", || (!stage.proxies().contains(&old)).then_some(()));
}

/// State letters of a process's threads (proc_pid_stat(5)); nothing when it is gone.
fn states(pid: Pid) -> String {
    let threads = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    let state = |stat: String| stat.rsplit_once(')')?.1.trim_start().chars().next();
    threads.filter_map(|thread| state(std::fs::read_to_string(thread.path().join("stat")).ok()?)).collect()
}

#[test]
fn a_frozen_proxy_is_replaced_and_who_asked_meanwhile_is_answered() {
    let stage = Stage::set();
    let old = stage.serving();
    stage.signal(old, Signal::STOP);
    until("all of it stands still", || states(old).chars().all(|state| state == 'T').then_some(()));
    are_answered(&stage, old, (0..WAITING).map(|id| ask(&stage, id)).collect());
    assert!(stage.said().contains("stuck for 4 s"), "{}", stage.said());
}

#[test]
fn a_killed_proxy_is_replaced_and_who_asked_meanwhile_is_answered() {
    let stage = Stage::set();
    for _ in 0..3 {
        let old = stage.serving();
        stage.signal(old, Signal::KILL);
        until("it is dead", || states(old).chars().all(|state| state == 'Z').then_some(()));
        are_answered(&stage, old, (0..WAITING).map(|id| ask(&stage, id)).collect());
    }
}

/// Stops one thread of a process, as a loop that does not end would, until it is dropped: ptrace(2), which only Perl has without unsafe code.
struct Tracer(Child);

impl Tracer {
    fn stop(pid: Pid, thread: &str) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap().flatten();
        let named = |path: &Path| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == thread);
        let task = tasks.map(|task| task.path()).find(|path| named(path)).unwrap();
        let number = if cfg!(target_arch = "x86_64") { 101 } else { 117 };
        // PTRACE_SEIZE, PTRACE_INTERRUPT.
        let script = format!(
            "my $t = {}; for my $r (0x4206, 0x4207) {{ syscall({number}, $r, $t, 0, 0) == 0 or die \"ptrace: $!\" }} sleep 600",
            task.file_name().unwrap().to_str().unwrap()
        );
        let tracer = Self(Command::new("perl").args(["-e", &script]).stdin(Stdio::null()).spawn().unwrap());
        until("the thread stands still", || std::fs::read_to_string(task.join("stat")).unwrap().contains(") t ").then_some(()));
        tracer
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_stuck_worker_is_noticed() {
    let stage = Stage::set();
    let old = stage.serving();
    let _tracer = Tracer::stop(old, "worker-0");
    let waiting: Vec<_> = (0..WAITING).map(|id| ask(&stage, id)).collect();
    until("the proxy was found stuck", || stage.said().contains("stuck for 4 s").then_some(()));
    // Those that the other worker accepted are answered already. None of the stuck one's was accepted before it stood still.
    are_answered(&stage, old, waiting);
    assert!(stage.proxy_said().contains("a worker is stuck"), "{}", stage.proxy_said());
}

/// A copy of the binary that can be replaced under its supervisor, as an upgrade does.
struct Installed(tempfile::TempDir);

impl Installed {
    fn new() -> Self {
        let installed = Self(tempfile::tempdir().unwrap());
        installed.put_good();
        installed
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("landfall")
    }

    fn put(&self, content: &[u8]) {
        self.put_by(|new| std::fs::write(new, content).unwrap());
    }

    /// Renames the new file over the old, which still runs.
    fn put_by(&self, write: impl FnOnce(&Path)) {
        let new = self.0.path().join("new");
        write(&new);
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&new, self.path()).unwrap();
    }

    fn put_script(&self, script: &str) {
        self.put(format!("#!/bin/sh\n{script}\n").as_bytes());
    }

    fn put_good(&self) {
        // By another process: a child of this one could hold the file open for writing for a moment, and then nobody may run it.
        self.put_by(|new| {
            assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_landfall")).arg(new).status().unwrap().success());
        });
    }
}

#[test]
fn a_new_binary_that_does_not_come_up_leaves_the_old_proxy_in_place() {
    let installed = Installed::new();
    let stage = Stage::set_with(&installed.path(), |_| {});
    let old = stage.serving();
    let told = |count| until("the old one stays", || (stage.said().matches("the old one stays").count() == count).then_some(()));
    installed.put_script("exit 1");
    stage.signal(stage.supervisor(), Signal::USR1);
    told(1);
    installed.put(b"no program");
    stage.signal(stage.supervisor(), Signal::USR1);
    told(2);
    installed.put_script("exec sleep 600");
    stage.signal(stage.supervisor(), Signal::USR1);
    told(3);
    assert_eq!(stage.serving(), old);
    assert_eq!(ask(&stage, 1).join().unwrap(), Ok(()));
    installed.put_good();
    stage.replace();
    assert_eq!(ask(&stage, 2).join().unwrap(), Ok(()));
}

#[test]
fn a_socket_that_is_opened_during_a_replacement_is_not_lost() {
    let installed = Installed::new();
    let stage = Stage::set_with(&installed.path(), |_| {});
    installed.put_script(&format!("sleep 2; exec {} \"$@\"", env!("CARGO_BIN_EXE_landfall")));
    stage.signal(stage.supervisor(), Signal::USR1);
    until("a new proxy is on its way", || stage.starts(&installed.path()).then_some(()));
    // The old one opens it, and the new one was spawned without it.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut table = stage.table(2);
    table.internal.push(InternalListener { address, upstream: "shop/web".into() });
    stage.swap_table(table);
    until("it was replaced twice", || (stage.said().matches("the proxy is replaced").count() == 2).then_some(()));
    assert!(stage.said().contains("the next proxy gets it"), "{}", stage.said());
    assert_eq!(ask_at(address, 1).join().unwrap(), Ok(()));
    stage.swap(3);
}

#[test]
fn a_proxy_that_dies_again_and_again_is_started_ever_more_slowly() {
    let installed = Installed::new();
    let stage = Stage::set_with(&installed.path(), |_| {});
    installed.put_script("exit 1");
    let (old, began) = (stage.serving(), Instant::now());
    stage.signal(old, Signal::KILL);
    let waiting: Vec<_> = (0..WAITING).map(|id| ask(&stage, id)).collect();
    until("it was started some times", || (stage.said().matches("the proxy ended").count() > 6).then_some(()));
    // 50 ms, doubled each time: six waits.
    assert!(began.elapsed() > Duration::from_millis(3_100), "it spins");
    installed.put_good();
    are_answered(&stage, old, waiting);
}

#[test]
fn a_spoiled_table_is_an_error_line_and_not_an_outage() {
    let stage = Stage::set();
    stage.swap(2);
    stage.swap(3);
    let table = stage.home().join("proxy/table.json");
    std::fs::write(&table, "{\"generation\": 9").unwrap();
    stage.replace();
    assert_eq!(stage.status().unwrap().generation, 2, "the one before the last");
    assert_eq!(ask(&stage, 1).join().unwrap(), Ok(()));
    assert!(stage.proxy_said().contains("the one before it is used"), "{}", stage.proxy_said());
    stage.swap(4);
    // Both: now there is nothing to serve by, but a table can be told.
    std::fs::write(&table, "").unwrap();
    std::fs::write(table.with_extension("json.before"), [0; 100]).unwrap();
    let old = stage.serving();
    stage.signal(old, Signal::KILL);
    until("another proxy answers", || stage.status().ok());
    assert_eq!(stage.status().unwrap().generation, 0);
    stage.swap(5);
    assert_eq!(ask(&stage, 2).join().unwrap(), Ok(()));
}

/// A file system of a few pages over a directory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(directory: PathBuf) -> Self {
        let run = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&directory).status().unwrap();
        assert!(run.success(), "mounting needs root");
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_keeps_the_old_table_and_the_new_one_serves() {
    let stage = Stage::set();
    let _disk = SmallDisk::over(stage.home().join("proxy"));
    stage.swap(2);
    let (table, ballast) = (stage.home().join("proxy/table.json"), stage.home().join("proxy/ballast"));
    let saved = || serde_json::from_slice::<serde_json::Value>(&std::fs::read(&table).unwrap()).unwrap()["generation"].as_u64();
    assert_eq!(saved(), Some(2));
    assert!(std::fs::write(&ballast, vec![0; 100_000]).is_err(), "the disk is full");
    stage.swap(3);
    assert_eq!((saved(), stage.status().unwrap().generation), (Some(2), 3));
    assert!(stage.proxy_said().contains("the table could not be saved"), "{}", stage.proxy_said());
    assert_eq!(ask(&stage, 1).join().unwrap(), Ok(()));
    std::fs::remove_file(&ballast).unwrap();
    stage.swap(4);
    assert_eq!(saved(), Some(4));
    let mut left: Vec<_> = std::fs::read_dir(stage.home().join("proxy")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["table.json", "table.json.before"]);
}
