//! `landfall server doctor`: a server examined by itself.
//!
//! Each family of checks is a file: `observe` gathers facts, bounded in size and time, and `judge` makes findings of them, purely. A source that cannot be
//! read is a finding too, never silence. It reads only: nothing is changed, nobody outside is asked but the machine's own resolver for the names of apps,
//! and no value of a secret leaves the agent.

mod advisory;
mod agent;
mod certificate;
mod clock;
mod disk;
mod engine;
mod firewall;
mod look;
mod memory;
mod name;
mod port;
mod quote;
mod report;
mod secret;
mod socket;
mod ssh;
mod update;

pub use report::{Area, Counts, Finding, Grade, Remedy, Report, Severity};

use crate::settings::Home;
use landfall_agent::{Clock as _, WallClock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

/// What whoever asks tells of himself and of the server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Examination {
    /// The asking machine's clock, when it is another machine; milliseconds since 1970 UTC.
    pub now_ms: Option<u64>,
    /// Addresses that lead to the server though it does not have them itself.
    pub addresses: Vec<IpAddr>,
    /// The home that is meant; the server's own when nothing is said.
    #[serde(default)]
    pub home: Option<PathBuf>,
}

/// Examines this machine. `server` is what it is; `systemd` whether systemd runs it.
pub async fn examine(asked: &Examination, home: &Home, (server, systemd): (String, bool)) -> Report {
    let at_ms = WallClock.now_ms();
    let (agent, engine, sockets, firewall, ssh) =
        tokio::join!(agent::observe(home), engine::observe(), socket::observe(), firewall::observe(), ssh::observe());
    let survey = agent.survey();
    let projects = survey.map(|survey| survey.projects.clone()).unwrap_or_default();
    let served = survey.map(|survey| survey.domains.as_slice()).unwrap_or_default();
    let (updates, disks, clock, names, secrets) = tokio::join!(
        update::observe(),
        disk::observe(),
        clock::observe(asked.now_ms, at_ms),
        name::observe(served, &asked.addresses),
        secret::observe(home.path(), projects),
    );
    let ssh_ports = ssh.as_ref().ok().and_then(|ssh| ssh.as_ref()).map(|ssh| ssh.ports.clone()).unwrap_or_else(|| BTreeSet::from([22]));
    let view = port::View { sockets: &sockets, engine: &engine.seen, firewall: &firewall, ssh: &ssh_ports, ephemeral: ephemeral() };
    let mut findings = port::judge(&view);
    findings.extend(firewall::judge(&firewall, systemd));
    findings.extend(ssh::judge(&ssh));
    findings.extend(update::judge(&updates));
    findings.extend(engine::judge(&engine));
    findings.extend(disk::judge(&disks, survey.map(|survey| survey.disks.as_slice()), at_ms));
    findings.extend(memory::judge(&memory::observe()));
    findings.extend(clock::judge(&clock));
    findings.extend(agent::judge(&agent, at_ms));
    findings.extend(name::judge(&names));
    findings.extend(secret::judge(&secrets));
    let counts = Counts::of(&findings);
    Report { server, version: env!("CARGO_PKG_VERSION").to_owned(), at_ms, grade: counts.grade(), counts, findings }
}

/// Ports the kernel gives to those who do not care which (ip(7)).
fn ephemeral() -> (u16, u16) {
    let range = look::text("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = range.split_ascii_whitespace().filter_map(|port| port.parse().ok());
    // The kernel's own default.
    (ports.next().unwrap_or(32_768), ports.next().unwrap_or(60_999))
}
