//! A proxy that runs out of descriptors sheds load, can still be asked and told, says so rarely, and recovers by itself.

use super::stage::{PATIENCE, Stage, until};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

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
