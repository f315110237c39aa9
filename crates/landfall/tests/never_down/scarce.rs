//! A proxy that runs out of descriptors or memory sheds load, can still be asked and told, says so rarely, and recovers by itself.

use super::stage::{PATIENCE, Stage, until};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Sets how many descriptors a process may have; `hard` for ever.
fn limit_files(pid: Pid, files: u64, hard: bool) {
    let maximum = if hard { Some(files) } else { getrlimit(Resource::Nofile).maximum };
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(files), maximum }).unwrap();
}

fn files(pid: Pid) -> u64 {
    std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).unwrap().count() as u64
}

/// A connection that asks once and is kept.
fn asks_once(stage: &Stage) -> TcpStream {
    let mut stream = TcpStream::connect(stage.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /1/100 HTTP/1.1\r\nHost: plain.example\r\n\r\n").unwrap();
    stream
}

fn is_answered(mut stream: &TcpStream) -> bool {
    let mut begin = [0; 13];
    stream.read_exact(&mut begin).is_ok() && &begin == b"HTTP/1.1 200 "
}

#[test]
fn without_descriptors_the_agent_is_answered_and_the_log_stays_short() {
    let stage = Stage::set();
    let (pid, began) = (stage.serving(), Instant::now());
    assert!(is_answered(&asks_once(&stage)));
    limit_files(pid, files(pid) + 10, false);
    let clients: Vec<TcpStream> = (0..100).map(|_| asks_once(&stage)).collect();
    until("descriptors run out", || stage.proxy_said().contains("connections wait").then_some(()));
    for generation in 2..20 {
        assert_eq!(stage.status().unwrap().pid, pid.as_raw_nonzero().get() as u32);
        stage.swap(generation);
    }
    drop(clients);
    until("there is room again", || is_answered(&asks_once(&stage)).then_some(()));
    assert!((0..50).all(|_| is_answered(&asks_once(&stage))));
    assert_eq!(stage.serving(), pid, "it is the same proxy");
    let (log, periods) = (stage.proxy_said(), began.elapsed().as_secs() / 10 + 1);
    let lines = |what| log.matches(what).count() as u64;
    assert!(lines("connections wait") <= periods * std::thread::available_parallelism().unwrap().get() as u64, "{log}");
    assert!(lines("no descriptor for the agent") <= periods, "{log}");
}

#[test]
fn more_clients_than_places_are_all_served_because_idle_ones_give_way() {
    let stage = Stage::set();
    let old = stage.serving();
    // Few enough for the least number of places, 8 a worker; the next proxy starts with it.
    limit_files(stage.supervisor(), 256, true);
    stage.signal(old, Signal::KILL);
    until("another proxy answers", || stage.status().ok().filter(|new| new.pid != old.as_raw_nonzero().get() as u32));
    let clients: Vec<TcpStream> = (0..60).map(|_| asks_once(&stage)).collect();
    assert!(clients.iter().all(is_answered), "{}", stage.proxy_said());
    assert!(stage.proxy_said().contains("as many connections as there may be"));
}

/// A memory control group of this test's own, of either version of cgroups(7).
struct Group(PathBuf);

impl Group {
    fn of(pid: Pid, limit: u64) -> Self {
        let (root, file) = match Path::new("/sys/fs/cgroup/memory") {
            first if first.is_dir() => (first, "memory.limit_in_bytes"),
            _ => (Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let group = Self(root.join(format!("landfall-test-{}", pid.as_raw_nonzero())));
        std::fs::create_dir(&group.0).expect("a control group needs root");
        std::fs::write(group.0.join(file), limit.to_string()).unwrap();
        std::fs::write(group.0.join("cgroup.procs"), pid.as_raw_nonzero().to_string()).unwrap();
        group
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last member may still be ending.
        let removed = || std::fs::remove_dir(&self.0).ok();
        let began = Instant::now();
        while removed().is_none() && began.elapsed() < PATIENCE {
            super::stage::pause(Duration::from_millis(20));
        }
    }
}

/// Sends the most of a head that may be sent, and never its end, from one of many addresses of this machine.
fn begins(stage: &Stage, client: u32) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let from = Ipv4Addr::new(127, 0, 1, (client / 200) as u8 + 1);
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    // A full queue does not answer.
    socket.connect_timeout(&stage.http.into(), Duration::from_millis(200))?;
    let mut stream = TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    stream.write_all(format!("GET /1/100 HTTP/1.1\r\nHost: plain.example\r\nX: {}", "x".repeat(30_000)).as_bytes())?;
    Ok(stream)
}

#[test]
fn without_memory_those_that_take_long_give_way_and_the_same_proxy_goes_on() {
    const LIMIT: u64 = 256 << 20;
    // Declared before the stage, so that it is removed after it: it must be empty.
    let _group;
    let stage = Stage::set();
    let first = stage.serving();
    _group = Group::of(stage.supervisor(), LIMIT);
    // The next proxy is in the group, as the supervisor now is.
    stage.signal(first, Signal::KILL);
    until("another proxy answers", || stage.status().ok().filter(|new| new.pid != first.as_raw_nonzero().get() as u32));
    let pid = stage.serving();
    let own = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: own.maximum, ..own }).unwrap();
    let mut clients = Vec::new();
    while clients.len() < 8_000 && !stage.proxy_said().contains("memory is short") {
        clients.extend((0..50).map(|_| begins(&stage, clients.len() as u32)).collect::<Vec<_>>());
    }
    assert!(stage.proxy_said().contains("memory is short"), "{} connections are no burden", clients.len());
    clients.extend((0..200).map(|client| begins(&stage, client)));
    for _ in 0..20 {
        assert!(is_answered(&asks_once(&stage)));
    }
    drop(clients);
    assert!((0..50).all(|_| is_answered(&asks_once(&stage))));
    assert_eq!(stage.serving(), pid, "it is the same proxy: {}", stage.said());
}
