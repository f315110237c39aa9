//! A bare Debian over real SSH: what is found before faults are planted, and after.

use crate::machine::{Init, Machine, text, until};
use crate::place::Examined;
use std::collections::BTreeSet;

fn examine(machine: &Machine) -> Examined {
    Examined::of(&machine.landfall(&["server", "doctor", "--json", &machine.address("deploy")]))
}

#[test]
fn a_server_is_examined_over_ssh_and_what_was_planted_is_what_is_found() {
    let machine = Machine::start(Init::Sshd);
    let trace = machine.trace();
    let first = examine(&machine);
    assert_eq!(machine.trace(), trace, "an examination changes nothing");
    first.fires("agent", "note", "there is no Landfall on this machine yet");
    // The image's sshd is set so.
    first.fires("ssh-root", "warning", "root may log in");
    first.silent("ssh-password");

    assert!(machine.setup(&["--yes"]).status.success());
    let before = examine(&machine);
    before.silent("agent");
    assert!(before.report["server"].as_str().unwrap().contains("Debian"), "{}", before.report);

    // Other faults than those of the image.
    machine.begin(&[
        "perl",
        "-MIO::Socket::INET",
        "-e",
        "my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '0.0.0.0', LocalPort => 6379) or die; sleep 600",
    ]);
    until("perl listens", || machine.says(&["cat", "/proc/net/tcp"]).contains(":18EB ").then_some(()));
    machine.says(&["install", "-D", "-m", "644", "/etc/hostname", "/srv/app/.env"]);
    machine.says(&["touch", "/run/reboot-required"]);
    machine.says(&["chmod", "755", "/var/lib/landfall"]);
    let dir = tempfile::tempdir().unwrap();
    let setting = dir.path().join("setting");
    std::fs::write(&setting, "PasswordAuthentication yes\n").unwrap();
    machine.copy(&setting, "/etc/ssh/sshd_config.d/05-planted.conf");
    let after = examine(&machine);
    assert_eq!(after.code, Some(1));

    let new: BTreeSet<(String, String)> = after.bad().into_iter().filter(|bad| !before.bad().contains(bad)).collect();
    let planted = [
        ("open-port", "critical"),
        ("ssh-password", "critical"),
        ("readable-secret", "critical"),
        ("readable-secret", "warning"),
        ("reboot", "warning"),
    ];
    let planted: BTreeSet<(String, String)> = planted.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    assert_eq!(new, planted, "{}", after.report);
    assert_eq!(after.report["grade"], "F");

    // As people see it.
    let output = machine.landfall(&["server", "doctor", &machine.address("deploy")]);
    println!("{}", text(&output));
    for words in ["✖ critical  perl (process ", "listens on port 6379 (Redis) of every address", "$ chmod 700 /var/lib/landfall", "Grade F"]
    {
        assert!(text(&output).contains(words), "{words}: {}", text(&output));
    }
    assert!(!text(&output).contains("\u{1b}["), "no colour but on a terminal");
    let all = machine.landfall(&["server", "doctor", "--all", &machine.address("deploy")]);
    assert!(text(&all).contains("✔ ok        the agent answers (version "), "{}", text(&all));

    // Whoever may not be root there is told so, and nothing is examined.
    let refused = machine.landfall(&["server", "doctor", &machine.address("visitor")]);
    assert!(!refused.status.success() && text(&refused).contains("visitor may not use sudo"), "{}", text(&refused));
}
