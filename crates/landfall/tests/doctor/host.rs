//! Faults of the machine itself.

use crate::place::{Place, stays};
use std::process::Command;

#[test]
fn a_port_that_is_open_to_the_world_is_named_until_a_firewall_closes_it() {
    let place = Place::new();
    let before = place.examine();
    before.silent("open-port");
    before.fires("firewall", "warning", "no firewall is on");

    let listening = "import socket\nt = socket.create_server(('0.0.0.0', 5432))\nl = socket.create_server(('127.0.0.1', 6379))\nu = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nu.bind(('0.0.0.0', 11211))\nx = socket.create_server(('0.0.0.0', 8099))";
    let _listener = stays(place.command(&["python3"]), listening);
    let open = place.examine();
    open.fires("open-port", "critical", "python3 (process ");
    open.fires("open-port", "critical", "listens on port 5432 (PostgreSQL) of every address, and nothing keeps the world from it");
    open.fires("open-port", "critical", "listens on UDP port 11211 (memcached)");
    open.fires("open-port", "warning", "listens on port 8099");
    assert!(!open.of_check("open-port").iter().any(|(_, seen)| seen.contains("6379")), "loopback is nobody's business");
    assert_eq!(open.code, Some(1));

    for program in ["iptables", "ip6tables"] {
        place.must(&[program, "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"]);
        place.must(&[program, "-A", "INPUT", "-p", "tcp", "-m", "multiport", "--dports", "22,80,443,8099", "-j", "ACCEPT"]);
        place.must(&[program, "-P", "INPUT", "DROP"]);
    }
    let closed = place.examine();
    closed.silent("firewall");
    closed.fires("open-port", "note", "5432 (PostgreSQL) of every address; the firewall lets nobody in");
    closed.fires("open-port", "warning", "listens on port 8099");

    place.must(&["ip6tables", "-P", "INPUT", "ACCEPT"]);
    place.examine().fires("firewall", "warning", "for IPv4 and not for IPv6");
}

#[test]
fn the_rules_that_setup_writes_are_known_and_who_has_a_port_of_the_sites_is_named() {
    let place = Place::new();
    let rules = "table inet landfall {\nchain input {\ntype filter hook input priority filter; policy drop;\niifname \"lo\" accept\ntcp dport { 22, 80, 443 } accept\n}\n}\n";
    place.examine().silent("proxy-port");
    place.write("/run/rules.nft", rules, "644");
    place.must(&["nft", "--file", "/run/rules.nft"]);
    let _listener = stays(place.command(&["python3"]), "import socket\nt = socket.create_server(('0.0.0.0', 80))");
    let found = place.examine();
    found.silent("firewall");
    assert!(found.of_check("firewall")[0].1.contains("nftables lets in 22, 80, 443"), "{:?}", found.of_check("firewall"));
    found.fires("proxy-port", "critical", "has port 80");
    found.silent("open-port");
}

#[test]
fn logins_by_password_and_of_root_are_told_as_sshd_reads_its_settings() {
    let place = Place::new();
    let key = place.path().join("key");
    assert!(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap().success());
    // The directory of a daemon that does not run here.
    place.must(&["mkdir", "-p", "/run/sshd"]);
    let settings = |more: &str| format!("HostKey {}\nUsePAM no\n{more}", key.display());
    place.cover(
        "/etc/ssh/sshd_config",
        &settings("PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"),
    );
    let well = place.examine();
    well.silent("ssh-password");
    well.silent("ssh-root");
    place.cover("/etc/ssh/sshd_config", &settings("PasswordAuthentication yes\nPermitRootLogin no\n"));
    let password = place.examine();
    password.fires("ssh-password", "warning", "users may log in with a password");
    password.silent("ssh-root");
    place.cover("/etc/ssh/sshd_config", &settings("PasswordAuthentication yes\nPermitRootLogin yes\n"));
    let both = place.examine();
    both.fires("ssh-password", "critical", "root too");
    both.fires("ssh-root", "warning", "root may log in");
    place.cover("/etc/ssh/sshd_config", "nonsense yes\n");
    place.examine().fires("ssh-password", "unchecked", "could not be checked: `sshd` failed");
}

#[test]
fn security_updates_old_lists_and_a_restart_that_is_due_are_told() {
    let place = Place::new();
    for path in ["/etc/apt", "/var/cache/apt"] {
        place.empty(path);
    }
    place.must(&[
        "mkdir",
        "-p",
        "/etc/apt/apt.conf.d",
        "/etc/apt/preferences.d",
        "/etc/apt/trusted.gpg.d",
        "/var/cache/apt/archives/partial",
    ]);
    place.examine().fires("package-lists", "warning", "never fetched");

    // An archive of security updates that has nothing, and then something newer of a package that is installed.
    // apt fetches lists again when the archive has another date.
    let repository = |day: u8, packages: &str| {
        place.write("/run/archive/Packages", packages, "644");
        let release = format!(
            "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nVersion: 12\nDate: Sat, {day:02} Nov 2025 00:00:00 UTC\n"
        );
        place.write("/run/archive/Release", &release, "644");
        place.write("/etc/apt/sources.list", "deb [trusted=yes] file:/run/archive ./\n", "644");
        place.must(&["apt-get", "-q", "-o", "APT::Sandbox::User=root", "update"]);
    };
    repository(1, "");
    let well = place.examine();
    well.silent("security-updates");
    well.silent("package-lists");
    well.fires("automatic-updates", "note", "do not install themselves");
    well.silent("reboot");

    let architecture = place.must(&["dpkg", "--print-architecture"]);
    let packages = format!(
        "Package: base-files\nEssential: yes\nVersion: 999+deb12u7\nArchitecture: {}\nMaintainer: nobody\nFilename: ./base-files.deb\nSize: 1\nSHA256: {}\nDescription: planted\n",
        architecture.trim(),
        "0".repeat(64)
    );
    repository(8, &packages);
    place.examine().fires("security-updates", "warning", "1 security update waits: base-files 999+deb12u7");

    place.must(&["touch", "--date=40 days ago", "/var/lib/apt/lists/partial", "/var/lib/apt/lists"]);
    place.examine().fires("package-lists", "warning", "40 days old");

    place.write("/run/reboot-required", "", "644");
    place.write("/run/reboot-required.pkgs", "linux-image-amd64\n", "644");
    place.examine().fires("reboot", "warning", "a restart is asked for by linux-image-amd64");

    place.write("/etc/apt/apt.conf.d/99broken", "not { apt\n", "644");
    place.examine().fires("security-updates", "unchecked", "could not be checked: `apt-get` failed");
}

#[test]
fn memory_that_ends_or_has_ended_is_told() {
    let meminfo = |total: u64, available: u64, swap: u64, free: u64| {
        format!("MemTotal: {total} kB\nMemFree: 1 kB\nMemAvailable: {available} kB\nSwapTotal: {swap} kB\nSwapFree: {free} kB\n")
    };
    let place = Place::new();
    place.cover("/proc/meminfo", &meminfo(8_000_000, 6_000_000, 1_000_000, 900_000));
    place.cover("/proc/vmstat", "pgfault 1\noom_kill 0\n");
    let well = place.examine();
    for check in ["memory", "swap", "oom-kills"] {
        well.silent(check);
    }
    place.cover("/proc/meminfo", &meminfo(8_000_000, 200_000, 1_000_000, 9_000));
    place.cover("/proc/vmstat", "pgfault 1\noom_kill 3\n");
    let ended = place.examine();
    ended.fires("memory", "critical", "204.8 MB of 8.2 GB are left");
    ended.fires("swap", "warning", "are left");
    ended.fires("oom-kills", "warning", "3 processes were killed");
    place.cover("/proc/meminfo", &meminfo(1_000_000, 900_000, 0, 0));
    place.examine().fires("swap", "note", "there is none");
    place.cover("/proc/meminfo", "nothing\n");
    place.examine().fires("memory", "unchecked", "/proc/meminfo does not tell MemTotal");
}

#[test]
fn a_disk_that_is_full_of_bytes_or_of_files_is_told() {
    let place = Place::new();
    let image = place.path().join("image");
    let made = Command::new("mkfs.ext4").args(["-q", "-m", "0", "-N", "64"]).arg(&image).arg("8M").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    place.must(&["mkdir", "-p", "/run/disk"]);
    place.must(&["mount", "-o", "loop", image.to_str().unwrap(), "/run/disk"]);
    let named = |check: &str| {
        place.examine().of_check(check).into_iter().filter(|(_, seen)| seen.contains("/run/disk")).map(|(s, _)| s).collect::<Vec<_>>()
    };
    assert_eq!((named("disk-space"), named("inodes")), (vec!["ok".to_owned()], vec!["ok".to_owned()]));
    place.must(&["dd", "status=none", "if=/dev/zero", "of=/run/disk/file", "bs=100k", "count=66"]);
    place.examine().fires("disk-space", "critical", "/run/disk is 9");
    place.must(&["rm", "/run/disk/file"]);
    let files: Vec<String> = (0..50).map(|n| format!("/run/disk/{n}")).collect();
    place.must(&[&["touch"], files.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat());
    place.examine().fires("inodes", "critical", "/run/disk is 9");
    place.must(&["umount", "/run/disk"]);
}

#[test]
fn a_clock_that_nobody_keeps_right_is_told() {
    let place = Place::new();
    place.examine().fires("clock", "unchecked", "could not be checked");
    place.empty("/usr/local/sbin");
    // What chronyc(1) prints; a real one would set the clock of this machine.
    let chrony = |leap: &str| {
        let said = format!("Reference ID    : CB007105 (203.0.113.5)\\nStratum         : 3\\nLeap status     : {leap}\\n");
        place.write("/usr/local/sbin/chronyc", &format!("#!/usr/bin/env python3\nprint('{said}', end='')\n"), "755");
    };
    chrony("Normal");
    place.examine().silent("clock");
    chrony("Not synchronised");
    place.examine().fires("clock", "warning", "nobody keeps it right");
}

#[test]
fn files_with_secrets_that_others_can_read_are_told() {
    let place = Place::new();
    for path in ["/srv", "/opt", "/home", "/var/www", "/root"] {
        if std::path::Path::new(path).exists() {
            place.empty(path);
        }
    }
    place.write("/srv/app/.env", "A=1\n", "600");
    place.examine().silent("readable-secret");
    place.must(&["chmod", "644", "/srv/app/.env"]);
    place.write("/home/deploy/.ssh/id_ed25519", "key\n", "644");
    let open = place.examine();
    open.fires("readable-secret", "warning", "/srv/app/.env is a file of variables, and its mode 644 lets others in");
    open.fires("readable-secret", "warning", "/home/deploy/.ssh/id_ed25519 is a private key");
    let finding =
        open.report["findings"].as_array().unwrap().iter().find(|f| f["seen"].as_str().unwrap().contains("/srv/app/.env")).unwrap();
    assert_eq!(finding["remedy"][0]["run"][0], "chmod 600 /srv/app/.env");
    // Pasted as it stands, it is gone.
    place.must(&["chmod", "600", "/srv/app/.env"]);
    place.must(&["chmod", "700", "/home/deploy"]);
    place.examine().silent("readable-secret");
}
