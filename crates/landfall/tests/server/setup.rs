//! `landfall server setup` of a bare machine, a second time, and of machines that cannot be servers.

use crate::machine::{Init, Machine, text, until};
use std::process::Command;

#[test]
fn a_bare_machine_becomes_a_server_and_a_second_setup_changes_nothing() {
    let machine = Machine::start(Init::Sshd);
    let bare = machine.trace();

    let unasked = machine.setup(&[]);
    assert_eq!(unasked.status.code(), Some(2), "{}", text(&unasked));
    assert!(text(&unasked).contains("nobody can say yes here; nothing was changed"), "{}", text(&unasked));
    assert_eq!(machine.trace(), bare, "a plan touches nothing");

    let first = machine.setup(&["--yes"]);
    assert!(first.status.success(), "{}", text(&first));
    println!("{}", text(&first));
    for told in [
        "install ca-certificates from debian's packages",
        "let `deploy` speak to the agent",
        "undo:",
        "there is no systemd here",
        "is ready",
    ] {
        assert!(text(&first).contains(told), "{told}: {}", text(&first));
    }

    let ready = machine.trace();
    let second = machine.setup(&["--yes"]);
    assert!(second.status.success() && text(&second).contains("nothing to change"), "{}", text(&second));
    assert!(!text(&second).contains("copying landfall"), "the binary is there already: {}", text(&second));
    let changed = |trace: &str| trace.lines().filter(|line| !line.contains("/var/lib/landfall/")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(changed(&machine.trace()), changed(&ready));

    // What it left: modes, members, a binary by its digest, agent and proxy that run from there.
    assert_eq!(machine.says(&["stat", "--format=%a %U", "/var/lib/landfall"]), "700 root");
    assert_eq!(machine.says(&["stat", "--format=%a", "/var/lib/landfall/store.db"]), "600");
    assert!(machine.says(&["id", "--name", "--groups", "deploy"]).contains("landfall"));
    let digest = machine.says(&["readlink", "/usr/local/lib/landfall/current"]);
    assert!(machine.says(&["sha256sum", "/usr/local/bin/landfall"]).starts_with(&digest));
    let left = machine.says(&["find", "/usr/local/lib", "-maxdepth", "1", "-name", "landfall-new.*"]);
    assert_eq!(left, "", "the binary's way is cleaned up");
    assert!(machine.says(&["landfall", "status"]).contains("app"), "the agent answers");
    assert!(machine.says(&["dpkg-query", "--show", "ca-certificates"]).starts_with("ca-certificates"));
}

#[test]
fn what_cannot_be_a_server_is_refused_with_a_remedy_and_not_touched() {
    let machine = Machine::start(Init::Sshd);
    let bare = machine.trace();
    let refused = |args: &[&str], told: &[&str]| {
        let output = machine.landfall(args);
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
        for told in told {
            assert!(text(&output).contains(told), "{told}: {}", text(&output));
        }
        assert!(text(&output).contains("try:"), "{}", text(&output));
        assert_eq!(machine.trace(), bare, "{args:?}");
    };
    let deploy = machine.address("deploy");
    refused(&["server", "setup", &machine.address("visitor"), "--yes"], &["visitor may not use sudo", "NOPASSWD"]);
    refused(&["server", "upgrade", &deploy], &["not-set-up", "landfall server setup"]);
    refused(&["server", "setup", &machine.address("nobody-there"), "--yes"], &["ssh-denied", "Permission denied"]);

    // A program for another processor: the same ELF header with another machine in it.
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("landfall");
    let mut bytes = std::fs::read("/bin/true").unwrap();
    bytes[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    std::fs::write(&other, bytes).unwrap();
    refused(&["server", "setup", &deploy, "--yes", "--binary", &other.display().to_string()], &["this landfall is for", "--binary FILE"]);

    // Landfall that does not run there: it ends, or it says nothing.
    for (script, told) in
        [("#!/bin/sh\necho no luck >&2\nexit 1\n", "no luck"), ("#!/bin/sh\nexec sleep 600\n", "landfall --version: no answer")]
    {
        std::fs::write(&other, script).unwrap();
        let output = machine.landfall(&["server", "setup", &deploy, "--yes", "--binary", &other.display().to_string()]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains("binary-broken") && text(&output).contains(told), "{}", text(&output));
        let cleaned = || (machine.trace().lines().count() == bare.lines().count()).then_some(());
        until("the directory the binary came to is removed", cleaned);
    }

    // Any program will do that listens there; this one is at hand.
    machine.begin(&["perl", "-MIO::Socket::INET", "-e", "my $s = IO::Socket::INET->new(Listen => 1, LocalPort => 80) or die; sleep 600"]);
    until("perl listens", || machine.says(&["cat", "/proc/net/tcp"]).contains(":0050 ").then_some(()));
    let output = machine.setup(&["--yes"]);
    assert!(!output.status.success() && text(&output).contains("port 80 of the server is taken by `perl`"), "{}", text(&output));
    let same = || (machine.trace().lines().count() == bare.lines().count()).then_some(());
    until("nothing is left", same);
}

#[test]
fn the_command_for_a_bare_server_is_one_that_a_checker_of_shells_passes() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/bootstrap.sh");
    let inner = std::fs::read_to_string(script).unwrap();
    let inner = inner.strip_prefix("exec /bin/sh -c '").unwrap().strip_suffix("'\n").unwrap();
    assert!(!inner.contains('\''), "it is quoted as a whole");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bootstrap.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{inner}")).unwrap();
    // `$run` is a program and its option, or nothing.
    let output = Command::new("shellcheck").args(["--exclude=SC2086,SC2064"]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}
