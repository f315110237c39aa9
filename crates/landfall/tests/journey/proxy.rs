//! The proxy is replaced and killed under load: what it may lose is what it held when it was killed, and a planned restart loses nothing.

use crate::server::{Example, Server, until};
use landfall_load::FaultKind;
use rustix::process::{Signal, kill_process};

#[test]
fn the_proxy_is_restarted_under_load_without_a_failed_request() {
    let server = Server::up(Example::Guestbook);
    let load = server.load(500);
    for _ in 0..5 {
        let old = server.pids("proxy");
        kill_process(server.pids("supervise")[0], Signal::USR1).unwrap();
        until("another proxy runs", || server.pids("proxy").into_iter().find(|new| !old.contains(new)));
        let so_far = load.snapshot().requests.ok;
        load.wait(std::time::Duration::from_secs(30), |r| r.requests.ok > so_far + 500).unwrap_or_else(|r| panic!("{r}"));
    }
    let report = load.stop();
    println!("5 restarts: {} requests, {} failed", report.requests.sent, report.failed());
    assert!(report.requests.failed.is_empty(), "{report}");
}

#[test]
fn a_killed_proxy_refuses_no_connection() {
    let server = Server::up(Example::Guestbook);
    let load = server.load(500);
    for _ in 0..5 {
        let old = server.pids("proxy");
        assert!(server.kill("proxy"));
        until("another proxy runs", || server.pids("proxy").into_iter().find(|new| !old.contains(new)));
        let so_far = load.snapshot().requests.ok;
        load.wait(std::time::Duration::from_secs(30), |r| r.requests.ok > so_far + 500).unwrap_or_else(|r| panic!("{r}"));
    }
    let report = load.stop();
    println!("5 kills: {} requests, failed {:?}", report.requests.sent, report.requests.failed);
    assert_eq!(report.count(FaultKind::ConnectRefused), 0, "{report}");
}
