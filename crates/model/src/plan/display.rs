//! A plan in lines, as `landfall plan` prints it and events carry it.

use super::{Gated, Plan, Serving, Step};
use crate::name::ServiceName;
use crate::spec::Probe;
use std::collections::BTreeSet;
use std::fmt::Display;

impl Plan {
    /// One line a step, then the notes.
    pub fn lines(&self) -> Vec<String> {
        let notes = self.notes.iter().map(|n| format!("note: {n}"));
        self.steps.iter().map(Step::line).chain(notes).collect()
    }
}

impl Step {
    /// What it does, in one line.
    pub fn line(&self) -> String {
        match self {
            Step::Pull { images } => format!("pull {}", list(images)),
            Step::EnsureNetworks { networks, external } if external.is_empty() => format!("create network {}", list(networks)),
            Step::EnsureNetworks { networks, external } if networks.is_empty() => format!("look for network {}", list(external)),
            Step::EnsureNetworks { networks, external } => format!("create network {}, look for {}", list(networks), list(external)),
            Step::EnsureVolumes { volumes } => format!("create volume {}", list(volumes)),
            Step::Unpack { services } => format!("keep the files that {} serves", list(services)),
            Step::Run { job } => match &job.argv {
                Some(argv) => format!("migrate {}: {}", job.service, argv.join(" ")),
                None => format!("run {} to its end", job.service),
            },
            Step::Start { replicas } => format!("start {}", list(replicas.iter().map(|r| &r.id))),
            Step::Gate { replicas } => format!("gate {}", list(replicas.iter().map(gate))),
            Step::Serve { serving, switch: true } => format!("switch to {}", serving_line(serving)),
            Step::Serve { serving, switch: false } => format!("serve by {}", serving_line(serving)),
            Step::Commit => "commit".to_owned(),
            Step::Drain { replicas } => {
                format!("drain {}", list(replicas.iter().map(|d| format!("{} (up to {})", d.id, seconds(d.limit_ms)))))
            }
            Step::Stop { replicas } => {
                format!(
                    "stop {}",
                    list(replicas.iter().map(|s| match &s.signal {
                        Some(signal) => format!("{} ({signal}, {} to end)", s.id, seconds(s.grace_ms)),
                        None => format!("{} ({} to end)", s.id, seconds(s.grace_ms)),
                    }))
                )
            }
            Step::StartAgain { replicas } => format!("start {} again", list(replicas)),
            Step::Remove { replicas } => format!("remove {}", list(replicas)),
            Step::RemoveNetworks { networks } => format!("remove network {}", list(networks)),
            Step::RemoveVolumes { volumes } => format!("remove volume {} and its data", list(volumes)),
        }
    }

    /// Services it concerns, for progress per service.
    pub fn services(&self) -> BTreeSet<ServiceName> {
        match self {
            Step::Run { job } => BTreeSet::from([job.service.clone()]),
            Step::Start { replicas } => replicas.iter().map(|r| r.service.clone()).collect(),
            Step::Gate { replicas } => replicas.iter().map(|r| r.service.clone()).collect(),
            Step::Serve { serving, .. } => serving.names.keys().cloned().collect(),
            _ => BTreeSet::new(),
        }
    }
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|i| i.to_string()).collect::<Vec<_>>().join(", ")
}

fn serving_line(serving: &Serving) -> String {
    let replicas = serving.replicas();
    if replicas.is_empty() { "nobody".to_owned() } else { list(replicas) }
}

fn gate(gated: &Gated) -> String {
    let probe = match &gated.gate.probe {
        Probe::Http { path, port, .. } => format!("GET {path} on port {port}"),
        Probe::Command { .. } => "its healthcheck".to_owned(),
        Probe::Tcp { port } => format!("a connection to port {port}"),
        Probe::Stays { for_ms } => format!("running for {}", seconds(*for_ms)),
    };
    format!("{} by {probe} within {}", gated.id, seconds(gated.gate.deadline_ms))
}

/// `30 s`, `1.5 s`, `250 ms`.
pub(crate) fn seconds(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        _ if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        _ => format!("{:.1} s", ms as f64 / 1000.0),
    }
}
