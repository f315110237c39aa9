//! The units that a server gets, judged by systemd's own tools; none of them needs a systemd that runs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn units() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/unit");
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert_eq!(found.len(), 5, "{found:?}");
    found
}

#[test]
fn systemd_reads_every_unit_without_a_complaint() {
    // Programs that are not on this machine: files that are programs stand for them.
    let dir = tempfile::tempdir().unwrap();
    let stand_in = dir.path().join("program");
    std::fs::copy("/bin/true", &stand_in).unwrap();
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    let copies: Vec<PathBuf> = units()
        .iter()
        .map(|unit| {
            let text = std::fs::read_to_string(unit).unwrap();
            let here = stand_in.display().to_string();
            let text = text
                .replace("=/usr/local/lib/landfall/current/landfall ", &format!("={here} "))
                .replace("=/usr/sbin/nft ", &format!("={here} "));
            let copy = dir.path().join(unit.file_name().unwrap());
            std::fs::write(&copy, text).unwrap();
            copy
        })
        .collect();
    let output = Command::new("systemd-analyze").arg("verify").args(&copies).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // Units of the system that runs the test may have faults of their own.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("landfall-")).collect();
    assert!(ours.is_empty(), "{said}");
}

/// `systemd-analyze security` counts what a service could do, from 0 (nothing) to 10. The agent may start programs of the process runtime, which need
/// more than a proxy.
#[test]
fn services_may_do_little() {
    let limits = [("landfall-agent.service", 3.4), ("landfall-firewall.service", 2.2), ("landfall-proxy.service", 2.0)];
    for (name, limit) in limits {
        let unit = units().into_iter().find(|unit| unit.ends_with(name)).unwrap();
        let output = Command::new("systemd-analyze").args(["security", "--no-pager", "--offline=true"]).arg(unit).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let exposure = said
            .lines()
            .find_map(|line| line.split_once("Overall exposure level for ")?.1.split_once(": ")?.1.split(' ').next()?.parse::<f32>().ok());
        let exposure = exposure.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
        println!("{name}: {exposure}");
        assert!(exposure <= limit, "{name}: {exposure} is over {limit}\n{said}");
    }
}
