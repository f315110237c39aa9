//! The container engine: its version and the holes of it, and containers that have the whole server.

use super::advisory;
use super::look::{Seen, said};
use super::report::{Area, Check, Finding, Remedy, Severity};
use landfall_runtime::docker::{EngineSurvey, survey};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

const VERSION: Check =
    Check { id: "engine-version", area: Area::Engine, why: "the engine runs as root, and containers run what others wrote" };
const SOCKET: Check = Check {
    id: "docker-socket",
    area: Area::Engine,
    why: "whoever gets into a container that has the engine's socket starts another one with the server's whole disk in it",
};
const PRIVILEGED: Check =
    Check { id: "privileged-container", area: Area::Engine, why: "its root is the server's root: there is no wall between them" };

/// Longest wait for the engine.
const LIMIT: Duration = Duration::from_secs(20);
/// Where engines are, and what shows that one should answer.
const SIGNS: [&str; 4] = ["/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd", "/var/run/docker.sock"];
/// Parts the table knows.
const PARTS: [&str; 2] = ["Engine", "runc"];

/// What is known of the engine.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    /// `None` when there is none here.
    pub(super) seen: Seen<Option<EngineSurvey>>,
    /// `docker.io 20.10.24+dfsg1-1+deb12u1`, and the same of other packages of a distribution.
    pub(super) packages: Vec<(String, String)>,
}

/// Looks.
pub(super) async fn observe() -> Engine {
    let host = std::env::var("DOCKER_HOST").ok();
    let mut packages = Vec::new();
    for package in ["docker.io", "runc"] {
        // One that is not installed has no revision to tell.
        if let Ok(version) = said(&["dpkg-query", "--show", "--showformat", "${Version}", "--", package]).await {
            packages.push((package.to_owned(), version));
        }
    }
    if host.is_none() && !SIGNS.iter().any(|path| Path::new(path).exists()) {
        return Engine { seen: Ok(None), packages };
    }
    let seen = match timeout(LIMIT, survey(host.as_deref())).await {
        Ok(Ok(seen)) => Ok(Some(seen)),
        Ok(Err(e)) => Err(std::error::Error::source(&e).map_or_else(|| e.to_string(), |cause| format!("{e}: {cause}"))),
        Err(_) => Err(format!("the engine did not answer within {} s", LIMIT.as_secs())),
    };
    Engine { seen, packages }
}

/// Judges.
pub(super) fn judge(engine: &Engine) -> Vec<Finding> {
    let seen = match &engine.seen {
        Ok(Some(seen)) => seen,
        Ok(None) => return [VERSION, SOCKET, PRIVILEGED].map(|check| check.ok("there is no container engine here")).into(),
        Err(why) => return [VERSION, SOCKET, PRIVILEGED].map(|check| check.unchecked(why)).into(),
    };
    let mut findings = versions(seen, &engine.packages);
    findings.extend(containers(seen));
    findings
}

fn versions(seen: &EngineSurvey, packages: &[(String, String)]) -> Vec<Finding> {
    let told: Vec<String> = PARTS.iter().filter_map(|part| Some(format!("{part} {}", version(seen, part)?))).collect();
    let told = told.join(", ");
    let mut findings = Vec::new();
    for part in PARTS {
        let Some(version) = version(seen, part) else { continue };
        if is_of_distribution(version) {
            continue;
        }
        let Some(open) = advisory::of(part, version) else {
            findings.push(VERSION.unchecked(&format!("{part} calls itself {version}")));
            continue;
        };
        for advisory in open {
            let fixed = advisory.fixed.join(", ");
            let severity = if advisory.grave { Severity::Warning } else { Severity::Note };
            findings.push(VERSION.found(
                severity,
                format!("{part} {version} has {}: {}; closed in {fixed} (table of {})", advisory.ids, advisory.what, advisory::DATE),
                vec![Remedy::say("update the engine; apps of Landfall's go on while it restarts where `live-restore` is set, as `server setup` sets it")
                    .run(&["apt-get", "update"])
                    .run(&["apt-get", "install", "--only-upgrade", "docker-ce", "docker-ce-cli", "containerd.io"])],
            ));
        }
    }
    let distribution = PARTS.iter().any(|part| version(seen, part).is_some_and(is_of_distribution));
    let well = if distribution {
        let revisions: Vec<String> = packages.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let revisions = if revisions.is_empty() { told } else { revisions.join(", ") };
        format!(
            "{revisions}: packages of the distribution, which closes holes in revisions of its own; whether one waits is told by security-updates"
        )
    } else {
        format!("{told}: no hole is known of them (table of {})", advisory::DATE)
    };
    VERSION.each(findings, well)
}

fn version<'a>(seen: &'a EngineSurvey, part: &str) -> Option<&'a str> {
    seen.versions.iter().find(|(name, _)| name == part).map(|(_, version)| version.as_str())
}

/// Debian and Ubuntu mark what they built: `20.10.24+dfsg1`, `1.1.5+ds1`, `28.2.2-0ubuntu1`.
fn is_of_distribution(version: &str) -> bool {
    ["+dfsg", "+ds", "ubuntu", "~deb"].iter().any(|mark| version.contains(mark))
}

fn containers(seen: &EngineSurvey) -> Vec<Finding> {
    let (mut sockets, mut privileged) = (Vec::new(), Vec::new());
    for container in &seen.containers {
        // What belongs to Landfall got it by the owner's own word in grants.yaml.
        let severity = if container.app.is_some() { Severity::Note } else { Severity::Warning };
        let whose = container.app.as_ref().map(|app| format!(" of app {app}, as granted")).unwrap_or_default();
        let who = format!("container `{}` ({}){whose}", container.name, container.image);
        let look = || Remedy::say("if nobody needs it").run(&["docker", "stop", &container.name]);
        let engines = |path: &&String| {
            matches!(path.as_str(), "/" | "/run" | "/var" | "/var/run")
                || path.ends_with("/docker.sock")
                || path.ends_with("/containerd.sock")
        };
        if let Some(path) = container.mounts.iter().find(engines) {
            sockets.push(SOCKET.found(
                severity,
                format!("{who} has {path}"),
                vec![Remedy::say("give it a proxy of the socket that lets through what it needs, or take the mount out"), look()],
            ));
        }
        if container.privileged {
            privileged.push(PRIVILEGED.found(
                severity,
                format!("{who} is privileged"),
                vec![Remedy::say("give it the one capability or device it needs: `cap_add`, `devices`"), look()],
            ));
        }
    }
    let mut findings = SOCKET.each(sockets, "no container has the engine's socket");
    findings.extend(PRIVILEGED.each(privileged, "no container is privileged"));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_runtime::docker::Seen as Container;

    fn found(versions: &[(&str, &str)], containers: Vec<Container>) -> Vec<(String, Severity, String)> {
        let versions = versions.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let engine = Engine { seen: Ok(Some(EngineSurvey { versions, containers, more: 0 })), packages: Vec::new() };
        judge(&engine).into_iter().map(|f| (f.check, f.severity, f.seen)).collect()
    }

    #[test]
    fn a_hole_is_named_with_its_fix_and_the_date_of_what_is_known() {
        let told = found(&[("Engine", "28.2.2"), ("runc", "1.2.5")], Vec::new());
        let all = told.iter().map(|(_, _, seen)| seen.as_str()).collect::<Vec<_>>().join("\n");
        assert!(
            all.contains("runc 1.2.5 has CVE-2025-31133") && all.contains("closed in 1.2.8, 1.3.3") && all.contains(advisory::DATE),
            "{all}"
        );
        assert_eq!(told[0].1, Severity::Warning);
        let new = found(&[("Engine", "29.6.0"), ("runc", "1.4.3")], Vec::new());
        assert_eq!(new.iter().map(|f| f.1).collect::<Vec<_>>(), [Severity::Ok; 3]);
    }

    #[test]
    fn revisions_of_a_distribution_are_its_own_business() {
        let told = found(&[("Engine", "20.10.24+dfsg1"), ("runc", "1.1.5+ds1")], Vec::new());
        assert!(told[0].1 == Severity::Ok && told[0].2.contains("security-updates"), "{told:?}");
    }

    #[test]
    fn a_container_with_the_whole_server_is_named() {
        let container =
            Container { name: "x".into(), mounts: vec!["/var/run/docker.sock".into()], privileged: true, ..Container::default() };
        let told = found(&[], vec![container.clone(), Container { app: Some("tutor".into()), ..container }]);
        let of = |check: &str| told.iter().filter(|f| f.0 == check).map(|f| f.1).collect::<Vec<_>>();
        assert_eq!(of("docker-socket"), [Severity::Warning, Severity::Note]);
        assert_eq!(of("privileged-container"), [Severity::Warning, Severity::Note]);
    }

    #[test]
    fn an_engine_that_does_not_answer_is_told() {
        let told = judge(&Engine { seen: Err("refused".into()), packages: Vec::new() });
        assert_eq!(told.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Unchecked; 3]);
    }
}
