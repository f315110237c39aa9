//! A whole server: systemd is its first process, holds the sockets, and runs the units as they are, with all they may not do.

use crate::machine::{Init, Machine, text};
use crate::stage::Stage;

/// `KEY=VALUE` of a unit.
fn property(machine: &Machine, unit: &str, key: &str) -> String {
    machine.says(&["systemctl", "show", "--value", "--property", key, unit])
}

#[test]
fn systemd_runs_a_server_that_is_restarted_and_upgraded_under_load() {
    let machine = Machine::start(Init::Systemd);
    // An engine inside would need more rights than the rest: one that is there and does nothing.
    machine.says(&["ln", "-s", "/bin/true", "/usr/local/bin/dockerd"]);
    let first = machine.setup(&["--yes"]);
    assert!(first.status.success(), "{}", text(&first));
    println!("{}", text(&first));
    let second = machine.setup(&["--yes"]);
    assert!(second.status.success() && text(&second).contains("nothing to change"), "{}", text(&second));

    // The firewall is up and SSH got through it; sshd tells keys; journal and engine have their limits; nothing has failed.
    assert!(machine.says(&["nft", "list", "table", "inet", "landfall"]).contains("tcp dport { 22, 80, 443 } accept"));
    assert!(machine.says(&["sshd", "-T"]).contains("exposeauthinfo yes"));
    assert!(machine.says(&["cat", "/etc/docker/daemon.json"]).contains("max-size"));
    assert_eq!(machine.says(&["systemctl", "list-units", "--failed", "--quiet", "--plain"]), "");

    // systemd holds the sockets: it accepts nothing, and whoever connects starts the proxy.
    machine.says(&["systemctl", "stop", "landfall-agent", "landfall-proxy"]);
    let knock = machine.landfall(&["status", "--server", &machine.address("deploy")]);
    assert!(text(&knock).contains("agent-not-running"), "{}", text(&knock));
    machine.says(&[
        "perl",
        "-MIO::Socket::INET",
        "-e",
        "IO::Socket::INET->new('127.0.0.1:80')->print(\"GET / HTTP/1.0\\r\\n\\r\\n\") or die",
    ]);
    crate::machine::until("a connection starts the proxy", || {
        (property(&machine, "landfall-proxy.service", "ActiveState") == "active").then_some(())
    });
    machine.says(&["systemctl", "start", "landfall-agent"]);

    let stage = Stage::set(machine);
    let machine = &stage.machine;
    let audit = machine.landfall(&["events", "--audit", "--app", "shop", "--server", &machine.address("deploy")]);
    assert!(text(&audit).contains("SSH key SHA256:"), "{}", text(&audit));

    // How much memory there is must be known to the proxy, whatever it may not see.
    let log = machine.says(&["cat", "/var/lib/landfall/logs/proxy.log"]);
    let mib = log.lines().rev().find_map(|line| line.split_once("mib=")?.1.trim().parse::<u64>().ok());
    assert!(mib.is_some_and(|mib| mib < 1 << 30), "{log}");

    for (verb, main_stays) in [("restart", false), ("reload", true)] {
        let (proxy, main) = (stage.proxy(), property(machine, "landfall-proxy.service", "MainPID"));
        machine.says(&["systemctl", verb, "landfall-proxy"]);
        crate::machine::until("another proxy carries", || {
            let record = machine.inside(&["cat", "/var/lib/landfall/run/supervisor.json"]);
            (record.status.success() && stage.proxy() != proxy).then_some(())
        });
        assert_eq!(property(machine, "landfall-proxy.service", "MainPID") == main, main_stays, "{verb}");
        let sent = stage.goes_on(verb);
        println!("systemctl {verb} landfall-proxy: {sent} requests so far, 0 failed");
    }
    machine.says(&["systemctl", "restart", "landfall-agent"]);
    stage.goes_on("systemctl restart landfall-agent");

    stage.refuses("its agent never answers", &stage.script("agent-hangs", "agent\\ *", "exec sleep 600"), "the new agent did not come up");
    stage.takes(&stage.newer());
    assert_eq!(stage.machine.says(&["systemctl", "list-units", "--failed", "--quiet", "--plain"]), "");
    taken_back(&stage.end());
}

/// Every line of the guide's undo does what it says; together they leave nothing of Landfall's.
fn taken_back(machine: &Machine) {
    let guide = include_str!("../../../../docs/guides/server.md");
    let (_, section) = guide.split_once("## Taking it back").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert!(lines.len() > 8, "{section}");
    // What a person decides: what else stands in the engine's file, and what else needs the packages.
    for line in lines.iter().filter(|line| !line.starts_with("editor ") && !line.starts_with("apt-get ")) {
        machine.says(&["sh", "-c", &line.replace("APP", "shop")]);
    }
    let left: Vec<String> = machine.trace().lines().filter(|line| line.contains("landfall")).map(str::to_owned).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert!(machine.says(&["sshd", "-T"]).contains("exposeauthinfo no"));
    assert!(!machine.says(&["nft", "list", "tables"]).contains("landfall"));
    assert!(!machine.says(&["cat", "/etc/group"]).contains("landfall"));
    let listening = machine.says(&["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
    assert!(!listening.lines().any(|line| line.contains(":01BB ") && line.contains(" 0A ")), "{listening}");
    assert_eq!(machine.says(&["systemctl", "list-units", "--failed", "--quiet", "--plain"]), "");
}
