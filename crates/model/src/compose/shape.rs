//! What a service is, as far as its own keys and its neighbours' decide it: which port, job or not, which order, which gate.
//!
//! One deviation from Compose, on purpose: there, a service without `restart` is not restarted. In production a service that has died and stays
//! dead is never what was meant, so here it restarts unless it was stopped; only a written `restart: "no"` (or a neighbour that waits for
//! `service_completed_successfully`) makes a job.

use super::health::HealthFile;
use super::mount::SourceFile;
use super::report::Report;
use super::service::ServiceFile;
use crate::container::Namespace;
use crate::filter::Answer;
use crate::name::ServiceName;
use crate::route::Protocol;
use crate::spec::{Condition, Gate, Probe, Restart, RuntimeKind, UpdateOrder};
use std::collections::{BTreeMap, BTreeSet};

/// Services that take part, by name.
pub(crate) type Enabled<'a> = BTreeMap<&'a ServiceName, &'a ServiceFile>;

/// Port of a program that names none.
const DEFAULT_PORT: u16 = 8000;
const DEADLINE_MS: u64 = 60_000;
const STAYS_MS: u64 = 1000;

/// TCP ports the service says it listens on.
pub(crate) fn declared_ports(service: &ServiceFile) -> BTreeSet<u16> {
    let published = service.ports.iter().filter(|p| !p.value.udp).map(|p| p.value.port);
    service.expose.iter().map(|p| p.value).chain(published).collect()
}

/// The port that routes and probes go to.
pub(crate) fn port(service: &ServiceFile, runtime: RuntimeKind) -> Option<u16> {
    if let Some(port) = &service.landfall.port {
        return Some(port.value);
    }
    let declared = declared_ports(service);
    match runtime {
        RuntimeKind::Docker => declared.first().copied().filter(|_| declared.len() == 1),
        // A program is told its port in `PORT`; the number only says that it has one.
        RuntimeKind::Process if !service.landfall.routes.is_empty() || !declared.is_empty() => {
            Some(declared.first().copied().unwrap_or(DEFAULT_PORT))
        }
        RuntimeKind::Process => None,
    }
}

/// The restart policy as written, `deploy.restart_policy` first, as in Compose.
pub(crate) fn written_restart(service: &ServiceFile) -> Option<Restart> {
    service.deploy.restart.as_ref().or(service.restart.as_ref()).map(|r| r.value)
}

/// True when another service waits for this one's successful end.
pub(crate) fn is_awaited(name: &ServiceName, enabled: &Enabled<'_>) -> bool {
    let waits =
        |s: &&ServiceFile| -> bool { s.depends_on.get(name).is_some_and(|(d, _)| d.condition == Condition::ServiceCompletedSuccessfully) };
    enabled.values().any(waits)
}

/// True for a service that runs to its end once per release.
pub(crate) fn is_job(name: &ServiceName, service: &ServiceFile, enabled: &Enabled<'_>) -> bool {
    if !service.landfall.routes.is_empty() {
        return false;
    }
    let stays =
        service.landfall.port.is_some() || !declared_ports(service).is_empty() || matches!(service.healthcheck, HealthFile::Given(..));
    match written_restart(service) {
        Some(Restart::No) => is_awaited(name, enabled) || !stays,
        None | Some(Restart::OnFailure { .. }) => is_awaited(name, enabled),
        Some(Restart::Always | Restart::UnlessStopped) => false,
    }
}

/// Nothing of it is run: every route is answered by the proxy, and the service is there for the files, which lie in the project or in its image.
pub(crate) fn is_files_only(service: &ServiceFile) -> bool {
    let mut answers = service.landfall.routes.iter().map(|r| r.filters.answer.as_ref());
    answers.clone().all(|answer| answer.is_some()) && answers.any(|answer| matches!(answer, Some(Answer::Files(_))))
}

/// Only there for its files, and no replica is asked for: it needs no program.
pub(crate) fn is_idle(service: &ServiceFile) -> bool {
    is_files_only(service) && service.deploy.replicas.as_ref().is_none_or(|r| r.value == 0)
}

/// Which comes first at an update, with a warning when the file wants what cannot be.
pub(crate) fn order(service: &ServiceFile, runtime: RuntimeKind, report: &mut Report) -> UpdateOrder {
    let wish = service.deploy.start_first.as_ref();
    let forced = match runtime {
        RuntimeKind::Docker => written_volume(service).or_else(|| fixed_port(service)).or_else(|| host_network(service)),
        RuntimeKind::Process => written_volume(service),
    };
    match (forced, wish) {
        (Some(reason), Some(wish)) if wish.value => {
            let message = format!("`order: start-first` cannot be: {reason}");
            report
                .warning("stop-first-only", wish.place, message)
                .hint("the old replica is stopped before the new one starts; remove the key");
            UpdateOrder::StopFirst { reason }
        }
        (Some(reason), _) => UpdateOrder::StopFirst { reason },
        (None, Some(wish)) if wish.value => UpdateOrder::StartFirst,
        (None, Some(_)) => UpdateOrder::StopFirst { reason: "the file says `order: stop-first`".into() },
        (None, None) => match writable_bind(service).filter(|_| runtime == RuntimeKind::Docker) {
            Some(path) => UpdateOrder::StopFirst { reason: format!("`{path}` of the host has one writer") },
            None => UpdateOrder::StartFirst,
        },
    }
}

/// A volume that two replicas side by side would both write.
fn written_volume(service: &ServiceFile) -> Option<String> {
    service.mounts.iter().find_map(|m| match &m.source {
        SourceFile::Volume(name) if !m.read_only => Some(format!("volume `{name}` has one writer")),
        _ => None,
    })
}

/// A port of the host that only one replica can have.
fn fixed_port(service: &ServiceFile) -> Option<String> {
    let port = service.ports.iter().find(|p| p.value.host_port > 0 && service.landfall.routes.is_empty())?;
    Some(format!("port {} of the host has one owner", port.value.host_port))
}

/// Every port of a program on the host's own network.
fn host_network(service: &ServiceFile) -> Option<String> {
    service.container.access.host.contains(&Namespace::Network).then(|| "a port of the host's network has one owner".to_owned())
}

/// A directory of the host may hold a database as well as source code, so the cautious order is the default and the file may ask for the other.
fn writable_bind(service: &ServiceFile) -> Option<&str> {
    service.mounts.iter().find_map(|m| match &m.source {
        SourceFile::Bind(path) if !m.read_only => Some(path.as_str()),
        _ => None,
    })
}

/// What a new replica must pass: `x-landfall.health`, else the Compose healthcheck, else a TCP connection, else that it stays.
pub(crate) fn gate(service: &ServiceFile, runtime: RuntimeKind) -> Gate {
    let health = service.landfall.health.as_ref();
    let own_port = port(service, runtime);
    let asked = health.and_then(|h| h.port.as_ref()).map(|p| p.value).filter(|_| runtime == RuntimeKind::Docker);
    let path = health.and_then(|h| h.path.as_ref());
    let start_period_ms = match &service.healthcheck {
        HealthFile::Given(check, _) => check.start_period_ms,
        _ => 0,
    };
    let probe = match (path, asked.or(own_port), &service.healthcheck) {
        (Some(path), Some(port), _) => {
            // Another port than the service's own, for metrics or health, is no gRPC.
            let protocol = if own_port == Some(port) { service.landfall.protocol } else { Protocol::Http1 };
            Probe::Http { path: path.value.clone(), port, protocol }
        }
        (None, Some(port), _) if asked.is_some() => Probe::Tcp { port },
        (_, _, HealthFile::Given(check, _)) => Probe::Command { test: check.test.clone(), timeout_ms: check.timeout_ms },
        (None, Some(port), _) => Probe::Tcp { port },
        _ => Probe::Stays { for_ms: STAYS_MS },
    };
    let deadline_ms = health.and_then(|h| h.deadline_ms).unwrap_or(DEADLINE_MS + start_period_ms);
    Gate { probe, deadline_ms }
}
