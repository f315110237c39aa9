//! Looks at this machine. Reads only; what cannot be read is absent, and the plan then does it again or refuses.

use super::facts::{Facts, Os, Path as Lying};
use super::plan::{GROUP, JOURNAL, PACKAGES, UNITS, UPDATES, unit_path};
use super::{HOME, deployer, engine, firewall, generation, sshd};
use crate::program::sha256_of;
use crate::settings::Home;
use crate::supervise::{Record, listener_of, ports_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Longest text of a file or a program that is looked at.
const MAX_TEXT: u64 = 256 * 1024;
/// Ports of the sites.
const SITES: [u16; 2] = [80, 443];

/// Who came, and with what.
pub(super) struct Visit<'a> {
    /// The binary that was brought.
    pub brought: &'a Path,
    /// `client port server port`, as sshd says it.
    pub from: Option<&'a str>,
    /// Who logged in.
    pub login: Option<&'a str>,
    /// Landfall's home here.
    pub home: &'a Home,
}

/// Looks.
pub(super) fn observe(visit: &Visit<'_>) -> io::Result<Facts> {
    let systemd = Path::new("/run/systemd/system").is_dir();
    let login = visit.login.filter(|login| *login != "root" && is_login(login)).map(str::to_owned);
    let (group, members) = group();
    let in_group = login.as_ref().is_some_and(|login| members.contains(login));
    let units = UNITS.iter().map(|(unit, _)| *unit).chain([firewall::UNIT]);
    let sshd_says = said(&["sshd", "-T"]);
    let ufw_rules = said(&["ufw", "status"]);
    let paths =
        [engine::SETTINGS, JOURNAL, UPDATES, firewall::RULES, sshd::SETTINGS, sshd::OURS, generation::COMMAND, HOME, deployer::KEYS];
    let lying =
        paths.into_iter().map(str::to_owned).chain(units.clone().map(unit_path)).filter_map(|path| Some((path.clone(), lying(&path)?)));
    Ok(Facts {
        os: os(&text("/etc/os-release").or_else(|| text("/usr/lib/os-release")).unwrap_or_default()),
        machine: rustix::system::uname().machine().to_string_lossy().into_owned(),
        systemd,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        in_group,
        deployer: has_deployer(),
        login,
        group,
        packages: packages(),
        engine: ["/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd", "/run/docker.sock"]
            .iter()
            .any(|path| Path::new(path).exists()),
        paths: lying.collect(),
        brought: sha256_of(visit.brought)?,
        current: generation::current(),
        running: if systemd { units.filter(|unit| runs(unit)).map(str::to_owned).collect() } else { BTreeSet::new() },
        supervised: Record::alive(visit.home).is_some(),
        holders: if is_ours(visit.home, systemd) { BTreeMap::new() } else { holders() },
        ssh_ports: ssh_ports(visit.from, &sshd_says),
        exposes: exposes(&sshd_says),
        ufw: ufw_rules.lines().any(|line| line.trim() == "Status: active"),
        ufw_rules,
        free: ["/var/lib", "/usr/local"].into_iter().filter_map(|path| Some((path.to_owned(), free(path)?))).collect(),
    })
}

/// What this machine is, in words, and whether systemd runs it.
pub(super) fn machine() -> (String, bool) {
    let facts = Facts {
        os: os(&text("/etc/os-release").or_else(|| text("/usr/lib/os-release")).unwrap_or_default()),
        machine: rustix::system::uname().machine().to_string_lossy().into_owned(),
        systemd: Path::new("/run/systemd/system").is_dir(),
        ..Facts::default()
    };
    (facts.describe(), facts.systemd)
}

/// Ports 80 and 443 are held by what an earlier setup started.
fn is_ours(home: &Home, systemd: bool) -> bool {
    let held = if systemd { runs("landfall-http.socket") } else { Record::alive(home).is_some() };
    held && generation::current().is_some()
}

fn holders() -> BTreeMap<u16, String> {
    SITES.into_iter().filter_map(|port| Some((port, listener_of(port)?))).collect()
}

/// The port we came by, those sshd is set to, and those it listens on.
fn ssh_ports(from: Option<&str>, sshd_says: &str) -> BTreeSet<u16> {
    let came_by = from.and_then(|from| from.split_ascii_whitespace().nth(3)?.parse().ok());
    let set = sshd_says.lines().filter_map(|line| line.strip_prefix("port ")?.trim().parse().ok());
    let socket = said(&["systemctl", "show", "--property=Listen", "--", "ssh.socket"]);
    // `Listen=[::]:22 (Stream)`
    let socket = socket.lines().filter_map(|line| line.split_ascii_whitespace().next()?.rsplit_once(':')?.1.parse().ok());
    came_by.into_iter().chain(set).chain(socket).chain(ports_of("sshd")).collect()
}

fn exposes(sshd_says: &str) -> Option<bool> {
    sshd_says.lines().find_map(|line| Some(line.strip_prefix("exposeauthinfo ")?.trim() == "yes"))
}

/// Of a system: no leading `-`, no `:`, nothing that a terminal would obey.
fn is_login(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b))
}

fn os(release: &str) -> Os {
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches(['"', '\'']).chars().filter(|c| !c.is_control()).collect::<String>()).unwrap_or_default()
    };
    let id = value("ID");
    let pretty = Some(value("PRETTY_NAME")).filter(|name| !name.is_empty()).unwrap_or_else(|| "a system without a name".to_owned());
    Os { id, version: value("VERSION_ID"), pretty }
}

fn group() -> (Option<u32>, BTreeSet<String>) {
    let groups = text("/etc/group").unwrap_or_default();
    let line = groups.lines().find_map(|line| line.strip_prefix(GROUP)?.strip_prefix(':')).unwrap_or_default();
    let mut fields = line.split(':').skip(1);
    let number = fields.next().and_then(|number| number.parse().ok());
    let members = fields.next().unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    (number, members)
}

fn has_deployer() -> bool {
    let users = text("/etc/passwd").unwrap_or_default();
    users.lines().any(|line| line.split(':').next() == Some(landfall_agent::DEPLOYER))
}

fn packages() -> BTreeSet<String> {
    let mut argv = vec!["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", "--"];
    argv.extend(PACKAGES);
    said(&argv).lines().filter_map(|line| line.strip_suffix(" installed")).map(str::to_owned).collect()
}

fn runs(unit: &str) -> bool {
    let state = said(&["systemctl", "show", "--property=ActiveState,UnitFileState", "--", unit]);
    ["ActiveState=active", "UnitFileState=enabled"].iter().all(|word| state.lines().any(|line| line == *word))
}

fn lying(path: &str) -> Option<Lying> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some(if meta.is_dir() {
        Lying::Directory { mode: meta.mode() & 0o7777 }
    } else if meta.is_symlink() {
        fs::read_link(path).map_or(Lying::Other, |to| Lying::Link { to: to.to_string_lossy().into_owned() })
    } else {
        text(path).map_or(Lying::Other, |text| Lying::File { text })
    })
}

fn text(path: &str) -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    file.take(MAX_TEXT).read_to_string(&mut text).ok()?;
    Some(text)
}

fn free(path: &str) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What a program of the system says; nothing when it is not there or fails.
fn said(argv: &[&str]) -> String {
    let Some((program, arguments)) = argv.split_first() else { return String::new() };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", super::apply::PATH).env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stderr(Stdio::null());
    command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_read_from_its_own_file() {
        let debian = os("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\nVERSION=\"12 (bookworm)\"\n");
        assert_eq!(
            (debian.id.as_str(), debian.version.as_str(), debian.pretty.as_str()),
            ("debian", "12", "Debian GNU/Linux 12 (bookworm)")
        );
        assert_eq!(os("").pretty, "a system without a name");
        assert_eq!(os("PRETTY_NAME=a\x1b[2J").pretty, "a[2J");
    }

    #[test]
    fn a_login_cannot_be_an_option() {
        assert!(is_login("deploy") && is_login("first.last@example"));
        assert!(!["", "-G", "a b", "a:b", "a\n", "é"].into_iter().any(is_login));
    }
}
