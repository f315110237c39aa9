//! `plan(facts, wish)`: what is missing on a server, in the order in which it can be done. Pure.
//!
//! A server on which everything was done yields no change. With systemd the machine becomes a whole server; without it (a container) the same binary runs
//! under a supervisor of our own, and what belongs to the machine around it (engine, firewall, journal) is left to that machine.

use super::change::{Act, Change};
use super::facts::{Facts, Path};
use super::wire::Wish;
use super::{HOME, deployer, engine, firewall, generation, refusal, sshd};
use landfall_model::api::Failure;

/// Whom the agent's socket admits.
pub(super) const GROUP: &str = "landfall";
/// Limits of the journal.
pub(super) const JOURNAL: &str = "/etc/systemd/journald.conf.d/60-landfall.conf";
/// When security updates are installed.
pub(super) const UPDATES: &str = "/etc/apt/apt.conf.d/52landfall";
/// What updates itself.
const UPDATER: &str = "unattended-upgrades";
/// Every package a plan may ask for.
pub(super) const PACKAGES: [&str; 4] = ["docker.io", "ca-certificates", "nftables", UPDATER];

const JOURNAL_TEXT: &str = "# Written by `landfall server setup`.\n[Journal]\nSystemMaxUse=500M\nMaxRetentionSec=1month\n";
const UPDATES_TEXT: &str = "// Written by `landfall server setup --updates`.\nAPT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n";

/// Units, in the order in which they are started.
pub(super) const UNITS: [(&str, &str); 4] = [
    ("landfall-http.socket", include_str!("unit/landfall-http.socket")),
    ("landfall-https.socket", include_str!("unit/landfall-https.socket")),
    ("landfall-proxy.service", include_str!("unit/landfall-proxy.service")),
    ("landfall-agent.service", include_str!("unit/landfall-agent.service")),
];
const FIREWALL_UNIT: &str = include_str!("unit/landfall-firewall.service");

/// What is to be done, and what is left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub changes: Vec<Change>,
    pub notes: Vec<String>,
}

/// Where a unit lies.
pub(super) fn unit_path(unit: &str) -> String {
    format!("/etc/systemd/system/{unit}")
}

/// Decides.
pub(super) fn plan(facts: &Facts, wish: &Wish) -> Result<Plan, Vec<Failure>> {
    let mut refusals = refusal::refusals(facts);
    let settings = engine::settings(facts.text(engine::SETTINGS)).unwrap_or_else(|error| {
        let hints = vec![format!("put {} right: `dockerd --validate` says whether it is", engine::SETTINGS)];
        refusals.push(refusal::refusal("bad-engine-settings", format!("{} is not what dockerd reads: {error}", engine::SETTINGS), hints));
        None
    });
    // A link leads to a file that somebody keeps elsewhere, and what cannot be read cannot be kept: neither is replaced.
    if facts.systemd && !matches!(facts.paths.get(engine::SETTINGS), None | Some(Path::File { .. })) {
        let hints = vec![format!("put the file itself there: what it says is kept, and limits on logs are added to it")];
        refusals.push(refusal::refusal("bad-engine-settings", format!("{} is no plain file of text", engine::SETTINGS), hints));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let (mut changes, mut notes) = (Vec::new(), Vec::new());
    if facts.systemd {
        changes.extend(settings.map(|text| log_limits(text, facts, &mut notes)));
    }
    let wanted = (facts.systemd && !wish.no_firewall).then(|| load(facts, &[(firewall::UNIT, FIREWALL_UNIT.to_owned())]));
    let firewall = wanted.and_then(|unit| firewall::change(facts, unit));
    changes.extend(packages(facts, wish, firewall.is_some()));
    changes.extend(people(facts));
    changes.extend(directories(facts));
    changes.extend(binary(facts));
    changes.extend(wish.deployer.as_ref().and_then(|key| deployer::change(facts, key)));
    if facts.systemd {
        changes.extend(journal(facts));
        changes.extend(wish.updates.then(|| updates(facts)).flatten());
        changes.extend(sshd::change(facts));
        changes.extend(firewall);
        changes.extend(units(facts, &mut notes));
        if !wish.updates && !facts.packages.contains(UPDATER) {
            notes.push("security updates are not installed by themselves: `--updates` sees to it".to_owned());
        }
        if wish.no_firewall {
            notes.push("the firewall is left as it is (`--no-firewall`)".to_owned());
        } else if facts.ssh_ports.is_empty() {
            notes
                .push("the firewall is left as it is: nobody can say on which port SSH is reached, and that one must stay open".to_owned());
        }
    } else {
        changes.extend(supervisor(facts));
        notes.push(
            "there is no systemd here: agent and proxy run under a supervisor of Landfall's own; engine, firewall, journal and updates are left to whatever runs this machine"
                .to_owned(),
        );
    }
    notes.extend(sshd::note(facts));
    Ok(Plan { changes, notes })
}

/// Written before the engine is installed, so that its first container has them.
fn log_limits(text: String, facts: &Facts, notes: &mut Vec<String>) -> Change {
    if facts.engine {
        notes.push(
            "the engine reads its new settings when it starts again; it is not restarted now, for that could stop containers".to_owned(),
        );
    }
    Change::new(
        "limit what containers log, and let them live while the engine is updated",
        "a container that writes without end fills the disk (30 MB each from now on); an update of the engine would stop them all",
        format!("take log-driver, log-opts and live-restore out of {}", engine::SETTINGS),
        vec![Act::file(engine::SETTINGS, text)],
    )
}

fn packages(facts: &Facts, wish: &Wish, firewall: bool) -> Option<Change> {
    let wanted = [
        ("docker.io", facts.systemd && !facts.engine),
        ("ca-certificates", true),
        ("nftables", firewall && !facts.ufw),
        (UPDATER, wish.updates && facts.systemd),
    ];
    let missing: Vec<&str> =
        wanted.into_iter().filter(|(name, wanted)| *wanted && !facts.packages.contains(*name)).map(|(name, _)| name).collect();
    if missing.is_empty() {
        return None;
    }
    let why: Vec<&str> = missing
        .iter()
        .map(|name| match *name {
            "docker.io" => "services run in containers",
            "ca-certificates" => "certificate authorities and registries are trusted by them",
            "nftables" => "the firewall",
            _ => "security updates",
        })
        .collect();
    let list = missing.join(" ");
    let mut install = vec!["apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "--"];
    install.extend(&missing);
    Some(Change::new(
        format!("install {list} from {}'s packages", facts.os.id),
        why.join("; "),
        format!("apt-get remove {list}"),
        vec![Act::run(&["apt-get", "update", "--quiet", "-o", "DPkg::Lock::Timeout=300"]), Act::run(&install)],
    ))
}

fn people(facts: &Facts) -> Option<Change> {
    let mut acts = Vec::new();
    if facts.group.is_none() {
        acts.push(Act::run(&["groupadd", "--system", GROUP]));
    }
    let joins = facts.login.as_deref().filter(|_| !facts.in_group);
    if let Some(login) = joins {
        acts.push(Act::run(&["usermod", "--append", "--groups", GROUP, "--", login]));
    }
    let (what, undo) = match joins {
        Some(login) => (format!("let `{login}` speak to the agent (group `{GROUP}`)"), format!("gpasswd --delete {login} {GROUP}")),
        None => (format!("make the group `{GROUP}`"), format!("groupdel {GROUP}")),
    };
    (!acts.is_empty()).then(|| Change::new(what, "its members deploy without being root", undo, acts))
}

fn directories(facts: &Facts) -> Option<Change> {
    (!matches!(facts.paths.get(HOME), Some(Path::Directory { mode: 0o700 }))).then(|| {
        Change::new(
            format!("make {HOME} for root alone"),
            "the store, keys and secrets are there; the group reaches the agent by its socket in /run/landfall",
            format!("`landfall down` for every app, then rm -r {HOME}: it holds all state"),
            vec![Act::Directory { path: HOME.to_owned(), mode: 0o700 }],
        )
    })
}

/// An agent runs of another binary than the one that was brought: it is replaced as `server upgrade` does it, by the same hands.
pub(super) fn is_upgrade(facts: &Facts) -> bool {
    let runs = facts.supervised || facts.running.contains("landfall-agent.service");
    runs && facts.current.as_ref().is_some_and(|current| *current != facts.brought)
}

fn binary(facts: &Facts) -> Option<Change> {
    if is_upgrade(facts) {
        return None;
    }
    let command = matches!(facts.paths.get(generation::COMMAND), Some(Path::Link { to }) if to == generation::CURRENT);
    if facts.current.as_deref() == Some(facts.brought.as_str()) && command {
        return None;
    }
    let short = facts.brought.get(..12).unwrap_or_default();
    let (root, command) = (generation::ROOT, generation::COMMAND);
    let (what, why, undo) = match facts.current.as_deref() {
        None => ("copy this binary", "agent and proxy are the same program that you type", format!("rm -r {command} {root}")),
        Some(current) if *current == facts.brought => ("link this binary", "it is what you type on the server", format!("rm {command}")),
        Some(before) => (
            "copy this binary beside the one that is there",
            "the server has another version, and nothing runs of it",
            format!("ln -sfn {before} {root}/current, then rm -r {root}/{}", facts.brought),
        ),
    };
    Some(Change::new(format!("{what} to {}/{short}… and link {}", generation::ROOT, generation::COMMAND), why, undo, vec![Act::Binary]))
}

fn journal(facts: &Facts) -> Option<Change> {
    (facts.text(JOURNAL) != Some(JOURNAL_TEXT)).then(|| {
        Change::new(
            "limit the journal to 500 MB and a month",
            "logs must not fill the disk",
            format!("rm {JOURNAL}, then systemctl restart systemd-journald"),
            vec![Act::file(JOURNAL, JOURNAL_TEXT), Act::run(&["systemctl", "restart", "systemd-journald.service"])],
        )
    })
}

fn updates(facts: &Facts) -> Option<Change> {
    (facts.text(UPDATES) != Some(UPDATES_TEXT)).then(|| {
        Change::new(
            "install security updates every day",
            "most servers that are broken into lack an update that was there",
            format!("rm {UPDATES}"),
            vec![Act::file(UPDATES, UPDATES_TEXT)],
        )
    })
}

fn units(facts: &Facts, notes: &mut Vec<String>) -> Option<Change> {
    let wanted: Vec<(&str, String)> = UNITS.iter().map(|(unit, text)| (*unit, unit_text(text, facts.cores))).collect();
    let mut acts = load(facts, &wanted);
    if acts.is_empty() {
        return None;
    }
    acts.push(Act::AwaitAgent);
    let stale = |(unit, text): &&(&str, String)| facts.running.contains(*unit) && facts.text(&unit_path(unit)) != Some(text.as_str());
    let stale: Vec<&str> = wanted.iter().filter(stale).map(|(unit, _)| *unit).collect();
    if !stale.is_empty() {
        let list = stale.join(" ");
        notes.push(format!(
            "{list} goes on as it was started, for it may carry requests; its new unit counts from `systemctl restart {list}`"
        ));
    }
    Some(Change::new(
        "run agent and proxy as services of systemd",
        "they start with the machine, are started again when they die, and may do little else; systemd holds ports 80 and 443, so no connection is refused meanwhile",
        "systemctl disable --now landfall-agent landfall-proxy landfall-https.socket landfall-http.socket; rm /etc/systemd/system/landfall-*",
        acts,
    ))
}

/// One socket for each core, so that the proxy's threads do not wake each other.
fn unit_text(text: &str, cores: usize) -> String {
    let listens = |line: &&str| line.starts_with("ListenStream=");
    text.lines()
        .flat_map(|line| std::iter::repeat_n(line, if listens(&line) { cores.max(1) } else { 1 }))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Writes units that differ, and starts those that do not run. A service that runs is not restarted: it may carry requests.
fn load(facts: &Facts, units: &[(&str, String)]) -> Vec<Act> {
    let mut acts: Vec<Act> = units
        .iter()
        .filter(|(unit, text)| facts.text(&unit_path(unit)) != Some(text.as_str()))
        .map(|(unit, text)| Act::file(&unit_path(unit), text.clone()))
        .collect();
    if !acts.is_empty() {
        acts.push(Act::run(&["systemctl", "daemon-reload"]));
    }
    acts.extend(
        units
            .iter()
            .filter(|(unit, _)| !facts.running.contains(*unit))
            .map(|(unit, _)| Act::run(&["systemctl", "enable", "--now", "--", *unit])),
    );
    acts
}

fn supervisor(facts: &Facts) -> Option<Change> {
    (!facts.supervised).then(|| {
        Change::new(
            "start agent and proxy under a supervisor in the background",
            "without systemd somebody must start them again when they die; it holds ports 80 and 443",
            "kill -TERM the process that /var/lib/landfall/run/supervisor.json names",
            vec![Act::Supervise, Act::AwaitAgent],
        )
    })
}

#[cfg(test)]
mod tests;
