//! Bare machines and prepared ones, made up.

use super::super::facts::Os;
use super::*;
use std::collections::{BTreeMap, BTreeSet};

fn bare() -> Facts {
    Facts {
        os: Os { id: "debian".into(), version: "12".into(), pretty: "Debian GNU/Linux 12 (bookworm)".into() },
        machine: "x86_64".into(),
        systemd: true,
        cores: 2,
        login: Some("deploy".into()),
        brought: "a".repeat(64),
        ssh_ports: BTreeSet::from([22]),
        exposes: Some(false),
        paths: BTreeMap::from([(sshd::SETTINGS.into(), Path::File { text: "Include /etc/ssh/sshd_config.d/*.conf\n".into() })]),
        free: BTreeMap::from([("/var/lib".into(), 40 << 30), ("/usr/local".into(), 40 << 30)]),
        ..Facts::default()
    }
}

/// The same machine after the plan was carried out.
fn prepared(mut facts: Facts, wish: &Wish) -> Facts {
    let plan = plan(&facts, wish).unwrap();
    for act in plan.changes.into_iter().flat_map(|change| change.acts) {
        match act {
            Act::Run { argv } => ran(&mut facts, &argv.iter().map(String::as_str).collect::<Vec<_>>()),
            Act::Directory { path, mode } => drop(facts.paths.insert(path, Path::Directory { mode })),
            Act::File { path, text, .. } | Act::Judged { path, text, .. } => {
                facts.paths.insert(path, Path::File { text });
            }
            Act::Binary => {
                facts.current = Some(facts.brought.clone());
                facts.paths.insert(generation::COMMAND.into(), Path::Link { to: generation::CURRENT.into() });
            }
            Act::Supervise => facts.supervised = true,
            Act::AwaitAgent => {}
        }
    }
    facts
}

fn ran(facts: &mut Facts, argv: &[&str]) {
    match argv {
        ["apt-get", "install", rest @ ..] => {
            let names = rest.iter().skip_while(|word| **word != "--").skip(1).map(|name| (*name).to_owned());
            facts.packages.extend(names);
            facts.engine |= facts.packages.contains("docker.io");
        }
        ["groupadd", ..] => facts.group = Some(998),
        ["usermod", .., _] => facts.in_group = true,
        ["useradd", .., "--", "landfall-deployer"] => facts.deployer = true,
        ["systemctl", "enable", "--now", "--", unit] => drop(facts.running.insert((*unit).to_owned())),
        ["systemctl", "try-reload-or-restart", ..] => facts.exposes = Some(true),
        ["ufw", "allow", port] => facts.ufw_rules += &format!("{port} ALLOW Anywhere\n"),
        _ => {}
    }
}

fn told(facts: &Facts, wish: &Wish) -> Vec<String> {
    plan(facts, wish).unwrap().changes.into_iter().map(|change| change.told.what).collect()
}

#[test]
fn a_bare_machine_becomes_a_server_and_then_there_is_nothing_to_change() {
    let updates = Wish { updates: true, ..Wish::default() };
    let changes = told(&bare(), &updates);
    assert_eq!(
        changes,
        [
            "limit what containers log, and let them live while the engine is updated",
            "install docker.io ca-certificates nftables unattended-upgrades from debian's packages",
            "let `deploy` speak to the agent (group `landfall`)",
            "make /var/lib/landfall for root alone",
            "copy this binary to /usr/local/lib/landfall/aaaaaaaaaaaa… and link /usr/local/bin/landfall",
            "limit the journal to 500 MB and a month",
            "install security updates every day",
            "have sshd tell with which key somebody came",
            "close every port but 22 (SSH), 80, 443",
            "run agent and proxy as services of systemd",
        ]
    );
    let ready = prepared(bare(), &updates);
    assert_eq!(told(&ready, &updates), [""; 0]);
}

#[test]
fn another_binary_is_an_upgrade_where_one_runs_and_else_takes_back_only_itself() {
    let ready = prepared(bare(), &Wish::default());
    assert!(!is_upgrade(&ready));
    let newer = Facts { brought: "b".repeat(64), ..ready };
    assert_eq!(told(&newer, &Wish::default()), [""; 0], "it is not exchanged without the safety of an upgrade");
    assert!(is_upgrade(&newer));
    let contained = Facts { systemd: false, supervised: true, running: BTreeSet::new(), ..newer.clone() };
    assert!(is_upgrade(&contained));
    let idle = Facts { running: BTreeSet::new(), ..newer };
    let undo = plan(&idle, &Wish::default()).unwrap().changes.into_iter().find(|change| change.acts == [Act::Binary]).unwrap().told.undo;
    let (before, new) = ("a".repeat(64), "b".repeat(64));
    assert_eq!(undo, format!("ln -sfn {before} /usr/local/lib/landfall/current, then rm -r /usr/local/lib/landfall/{new}"));
}

#[test]
fn a_deployers_key_is_one_change_and_a_second_run_finds_it() {
    let apps = ["shop".parse().unwrap()];
    let wish = Wish { deployer: deployer::Deployer::parse("ssh-ed25519 AAAAC3Nz ci", &apps).ok(), ..Wish::default() };
    let ready = prepared(bare(), &Wish::default());
    assert_eq!(told(&ready, &wish), ["let a key deploy shop as `landfall-deployer`, and nothing else"]);
    assert_eq!(told(&prepared(ready, &wish), &wish), [""; 0]);
}

#[test]
fn every_wish_and_every_machine_is_settled_by_one_run() {
    let ufw = Facts { ufw: true, ufw_rules: "22/tcp ALLOW Anywhere\n".into(), ..bare() };
    let machines = [
        bare(),
        Facts { systemd: false, ..bare() },
        Facts { engine: true, login: None, ..bare() },
        Facts { ssh_ports: BTreeSet::new(), ..bare() },
        ufw,
    ];
    for machine in machines {
        for (updates, no_firewall) in [(false, false), (false, true), (true, false), (true, true)] {
            let wish = Wish { updates, no_firewall, deployer: None };
            let ready = prepared(machine.clone(), &wish);
            assert_eq!(told(&ready, &wish), [""; 0], "{machine:#?} {wish:?}");
        }
    }
}

#[test]
fn a_unit_that_changed_is_written_and_what_runs_is_not_restarted() {
    let mut ready = prepared(bare(), &Wish::default());
    ready.paths.insert(unit_path("landfall-proxy.service"), Path::File { text: "[Service]\n".into() });
    let plan = plan(&ready, &Wish::default()).unwrap();
    let acts: Vec<&Act> = plan.changes.iter().flat_map(|change| &change.acts).collect();
    assert_eq!(acts[1..], [&Act::run(&["systemctl", "daemon-reload"]), &Act::AwaitAgent], "{acts:#?}");
    assert!(plan.notes.iter().any(|note| note.contains("`systemctl restart landfall-proxy.service`")), "{:?}", plan.notes);
}

#[test]
fn without_systemd_the_machine_around_is_left_alone() {
    let container = Facts { systemd: false, login: None, ..bare() };
    let plan = plan(&container, &Wish::default()).unwrap();
    let acts: Vec<&Act> = plan.changes.iter().flat_map(|change| &change.acts).collect();
    assert!(
        !acts.iter().any(|act| matches!(act, Act::Run { argv } if ["systemctl", "nft", "ufw"].contains(&argv[0].as_str()))),
        "{acts:#?}"
    );
    assert!(!acts.iter().any(|act| matches!(act, Act::File { .. } | Act::Judged { .. })), "{acts:#?}");
    assert_eq!(acts[acts.len() - 2..], [&Act::Supervise, &Act::AwaitAgent]);
    assert!(plan.notes.iter().any(|note| note.contains("no systemd")), "{:?}", plan.notes);
}

#[test]
fn a_firewall_that_knows_no_port_of_ssh_is_not_begun() {
    let plan = plan(&Facts { ssh_ports: BTreeSet::new(), ..bare() }, &Wish::default()).unwrap();
    assert!(!plan.changes.iter().any(|change| change.told.what.contains("close every port")));
    assert!(plan.notes.iter().any(|note| note.contains("nobody can say on which port SSH is reached")), "{:?}", plan.notes);
}

#[test]
fn everything_in_the_way_is_told_at_once_and_nothing_is_planned() {
    let facts = Facts {
        os: Os { id: "alpine".into(), version: "3.20".into(), pretty: "Alpine Linux".into() },
        holders: BTreeMap::from([(80, "nginx".into()), (443, "nginx".into())]),
        free: BTreeMap::from([("/var/lib".into(), 1)]),
        paths: BTreeMap::from([(engine::SETTINGS.into(), Path::File { text: "{".into() })]),
        ..bare()
    };
    let codes: Vec<String> = plan(&facts, &Wish::default()).unwrap_err().into_iter().map(|failure| failure.code).collect();
    assert_eq!(codes, ["unsupported-server", "port-taken", "port-taken", "no-room", "bad-engine-settings"]);
}

#[test]
fn each_core_has_its_socket() {
    let text = unit_text(UNITS[0].1, 3);
    assert_eq!(text.matches("ListenStream=80\n").count(), 3, "{text}");
    assert_eq!(text.matches("FileDescriptorName=http\n").count(), 1, "{text}");
}
