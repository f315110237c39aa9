//! What is old: packages with security fixes that wait, lists of packages, a restart that is due. Asked of apt's own simulation, which changes nothing.

use super::look::{Seen, files, said, text_if_any};
use super::report::{Area, Check, Finding, Remedy, Severity};
use std::path::Path;
use std::time::SystemTime;

const SECURITY: Check = Check {
    id: "security-updates",
    area: Area::Updates,
    why: "the holes these close are public: whoever reads the notice knows how to come in",
};
const LISTS: Check =
    Check { id: "package-lists", area: Area::Updates, why: "what waits is only known as of the day the lists were fetched" };
const AUTOMATIC: Check =
    Check { id: "automatic-updates", area: Area::Updates, why: "somebody has to remember it every week, and one week nobody does" };
const REBOOT: Check =
    Check { id: "reboot", area: Area::Updates, why: "what was updated is on the disk; what runs is still the old kernel or library" };

/// Days after which lists are old.
const OLD_DAYS: u64 = 7;
/// Names of packages that are told.
const MAX_NAMES: usize = 8;

/// What apt and the kernel say.
#[derive(Debug, Clone)]
pub(super) struct Updates {
    /// Packages with a newer version in a security archive, and that version. `None` where there is no apt.
    pub(super) waiting: Seen<Option<Vec<(String, String)>>>,
    /// Days since the lists were fetched; `None` when they never were.
    pub(super) lists_days: Seen<Option<u64>>,
    /// Security updates install themselves.
    pub(super) automatic: Seen<bool>,
    /// Why a restart is due.
    pub(super) reboot: Seen<Option<String>>,
}

/// Looks.
pub(super) async fn observe() -> Updates {
    let waiting = async {
        match said(&["apt-get", "--simulate", "--with-new-pkgs", "-o", "Debug::NoLocking=true", "upgrade"]).await {
            Ok(text) => Ok(Some(waiting(&text))),
            Err(super::look::Silent::Absent(_)) => Ok(None),
            Err(why) => Err(why.to_string()),
        }
    };
    let automatic = async {
        let text = said(&["apt-config", "dump", "APT::Periodic::Unattended-Upgrade"]).await?;
        let on = text.lines().any(|line| line.contains("Unattended-Upgrade \"") && !line.contains("\"0\""));
        Ok(on && Path::new("/usr/bin/unattended-upgrade").exists())
    };
    let (waiting, automatic, lists_days, reboot) = tokio::join!(waiting, automatic, files(lists_days), files(reboot));
    Updates { waiting, lists_days, automatic, reboot }
}

/// `Inst openssl [3.0.14-1] (3.0.15-1 Debian-Security:12/stable-security [amd64])`
fn waiting(text: &str) -> Vec<(String, String)> {
    let security = |line: &str| {
        let rest = line.strip_prefix("Inst ")?;
        let (name, after) = rest.split_once(' ')?;
        let (version, source) = after.split_once('(')?.1.split_once(' ')?;
        let source = source.to_ascii_lowercase();
        // What is new is no update.
        (after.starts_with('[') && source.contains("security")).then(|| (name.to_owned(), version.to_owned()))
    };
    text.lines().filter_map(security).collect()
}

/// apt keeps the archive's own dates on the lists, so their directory tells when they were fetched.
fn lists_days() -> Seen<Option<u64>> {
    let lists = Path::new("/var/lib/apt/lists");
    let entries = match std::fs::read_dir(lists) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{}: {e}", lists.display())),
    };
    let fetched = entries.flatten().take(10_000).any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.contains("Packages") || name.ends_with("Release")
    });
    if !fetched {
        return Ok(None);
    }
    let places = [lists.to_owned(), lists.join("partial"), "/var/lib/apt/periodic/update-success-stamp".into()];
    let newest = places.iter().filter_map(|path| std::fs::metadata(path).ok()?.modified().ok()).max();
    // A date in the future is a clock that was put back: the lists are new as far as anybody can tell.
    Ok(newest.map(|at| SystemTime::now().duration_since(at).map_or(0, |age| age.as_secs() / 86_400)))
}

/// A flag that packages leave, or a kernel that is newer on the disk than the one that runs.
fn reboot() -> Seen<Option<String>> {
    if Path::new("/run/reboot-required").exists() || Path::new("/var/run/reboot-required").exists() {
        let packages = text_if_any("/run/reboot-required.pkgs")?.unwrap_or_default();
        let mut packages: Vec<&str> = packages.lines().filter(|line| !line.is_empty()).take(MAX_NAMES).collect();
        packages.dedup();
        let whose = if packages.is_empty() { String::new() } else { format!(" by {}", packages.join(", ")) };
        return Ok(Some(format!("a restart is asked for{whose}")));
    }
    let running = rustix::system::uname().release().to_string_lossy().into_owned();
    let date = |path: &Path| std::fs::metadata(path).ok()?.modified().ok();
    let Some(own) = date(&Path::new("/boot").join(format!("vmlinuz-{running}"))) else { return Ok(None) };
    let kernels = std::fs::read_dir("/boot").into_iter().flatten().flatten().take(1000);
    let newer = kernels.filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned();
        date(&entry.path()).filter(|at| *at > own).map(|at| (at, name))
    });
    Ok(newer.max().map(|(_, newest)| format!("kernel {running} runs, and {newest} is installed")))
}

/// Judges.
pub(super) fn judge(updates: &Updates) -> Vec<Finding> {
    let apt = matches!(updates.waiting, Ok(Some(_)) | Err(_));
    let mut findings = vec![match &updates.waiting {
        Err(why) => SECURITY.unchecked(why),
        Ok(None) => SECURITY.unchecked("there is no apt here, and Landfall asks no other"),
        Ok(Some(waiting)) if waiting.is_empty() => SECURITY.ok("no security update waits"),
        Ok(Some(waiting)) => {
            let names: Vec<String> = waiting.iter().take(MAX_NAMES).map(|(name, version)| format!("{name} {version}")).collect();
            let more = waiting.len().saturating_sub(MAX_NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let count =
                if waiting.len() == 1 { "1 security update waits".to_owned() } else { format!("{} security updates wait", waiting.len()) };
            SECURITY.found(
                Severity::Warning,
                format!("{count}: {}{more}", names.join(", ")),
                vec![Remedy::say("install them").run(&["apt-get", "update"]).run(&["apt-get", "upgrade", "--with-new-pkgs"])],
            )
        }
    }];
    if apt {
        let fetch = || vec![Remedy::say("fetch them").run(&["apt-get", "update"])];
        findings.push(match updates.lists_days {
            Err(ref why) => LISTS.unchecked(why),
            Ok(None) => LISTS.found(Severity::Warning, "the lists of packages were never fetched: no update is known of", fetch()),
            Ok(Some(days)) if days > OLD_DAYS => {
                LISTS.found(Severity::Warning, format!("the lists of packages are {days} days old"), fetch())
            }
            Ok(Some(days)) => LISTS.ok(format!("the lists of packages are {days} days old")),
        });
        findings.push(match &updates.automatic {
            Err(why) => AUTOMATIC.unchecked(why),
            Ok(true) => AUTOMATIC.ok("security updates install themselves"),
            Ok(false) => AUTOMATIC.found(
                Severity::Note,
                "security updates do not install themselves",
                vec![Remedy::say("let them (shows its plan first)").run(&["landfall", "server", "setup", "--updates"])],
            ),
        });
    }
    findings.push(match &updates.reboot {
        Err(why) => REBOOT.unchecked(why),
        Ok(None) => REBOOT.ok("no restart is due"),
        Ok(Some(why)) => REBOOT.found(
            Severity::Warning,
            why,
            vec![
                Remedy::say("restart the machine when few people are there; every app of Landfall's comes back by itself")
                    .run(&["systemctl", "reboot"]),
            ],
        ),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_updates_of_a_security_archive_count() {
        let text = "Inst openssl [3.0.14-1] (3.0.15-1~deb12u1 Debian-Security:12/stable-security [amd64])\n\
            Inst vim [9.0] (9.1 Debian:12.9/stable [amd64])\n\
            Inst linux-image-6.1.0-30 (6.1.124-1 Debian-Security:12/stable-security [amd64])\n\
            Inst curl [7.81.0-1ubuntu1.15] (7.81.0-1ubuntu1.16 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64])\n\
            Conf openssl (3.0.15-1~deb12u1 Debian-Security:12/stable-security [amd64])\n";
        let found = waiting(text);
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["openssl", "curl"]);
    }

    #[test]
    fn what_is_old_is_told() {
        let good = Updates { waiting: Ok(Some(Vec::new())), lists_days: Ok(Some(1)), automatic: Ok(true), reboot: Ok(None) };
        let severities = |updates: &Updates| judge(updates).iter().map(|f| f.severity).collect::<Vec<_>>();
        assert_eq!(severities(&good), [Severity::Ok; 4]);
        let bad = Updates {
            waiting: Ok(Some(vec![("openssl".into(), "3.0.15".into())])),
            lists_days: Ok(Some(40)),
            automatic: Ok(false),
            reboot: Ok(Some("kernel".into())),
        };
        assert_eq!(severities(&bad), [Severity::Warning, Severity::Warning, Severity::Note, Severity::Warning]);
        assert_eq!(severities(&Updates { lists_days: Ok(None), ..good.clone() })[1], Severity::Warning);
        assert_eq!(severities(&Updates { waiting: Ok(None), ..good }), [Severity::Unchecked, Severity::Ok]);
    }
}
