//! What a runtime reports, as the planner reads it. It may be a moment old; no step may assume otherwise.

use crate::digest::Revision;
use crate::name::{ImageId, ImageRef, InterfaceName, NetworkName, ReleaseNumber, ReplicaId, ServiceName, VolumeName};
use crate::spec::{Healthcheck, Network, Volume};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Everything of one app that exists now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// Replicas and jobs, running or not.
    pub replicas: BTreeMap<ReplicaId, Replica>,
    /// Images asked for that the server has.
    pub images: BTreeMap<ImageRef, ImageId>,
    /// Volumes of the app that exist.
    pub volumes: BTreeSet<VolumeName>,
    /// Networks of the app that exist.
    pub networks: BTreeMap<NetworkName, ObservedNetwork>,
    /// What the images found say of themselves.
    #[serde(default)]
    pub about: BTreeMap<ImageId, ImageAbout>,
    /// How the volumes were made, where the runtime tells.
    #[serde(default)]
    pub volume_options: BTreeMap<VolumeName, Volume>,
    /// Volumes the app uses that somebody else made: never deleted.
    #[serde(default)]
    pub adopted: BTreeSet<VolumeName>,
    /// Ports of this machine that are taken (process runtime only; containers have addresses of their own).
    pub busy_ports: BTreeSet<u16>,
}

/// What an image says of the containers made of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageAbout {
    /// Its `HEALTHCHECK`, the engine's defaults filled in.
    pub health: Option<Healthcheck>,
    /// Paths of its `VOLUME`s.
    pub volumes: BTreeSet<String>,
}

/// One replica or job as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// The service it is of.
    pub service: ServiceName,
    /// Revision of the template it was made from.
    pub revision: Revision,
    /// Release that made it.
    pub release: ReleaseNumber,
    /// True for a job or migration, which is meant to end.
    pub job: bool,
    /// What it does.
    pub state: ReplicaState,
    /// Where it can be reached, by network; a process has 127.0.0.1 under `default`.
    pub addresses: BTreeMap<NetworkName, IpAddr>,
    /// Port assigned to it (process runtime).
    pub port: Option<u16>,
    /// How often it was started again since it was made.
    pub restarts: u32,
    /// When it was last started, milliseconds since 1970 UTC; 0 if never.
    pub started_ms: u64,
    /// Where it has volumes without a name: data that nothing else holds.
    #[serde(default)]
    pub unnamed: BTreeSet<String>,
}

impl Replica {
    /// The address the proxy and probes use: that of the first network in name order.
    pub fn address(&self) -> Option<IpAddr> {
        self.place().map(|(_, address)| address)
    }

    /// The same, and in which network it is.
    pub fn place(&self) -> Option<(&NetworkName, IpAddr)> {
        self.addresses.iter().next().map(|(network, address)| (network, *address))
    }
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ReplicaState {
    /// Made, never started.
    Created,
    /// Runs.
    Running,
    /// Ended and is about to be started again by its restart policy.
    Restarting {
        /// Of its last run.
        code: i32,
    },
    /// Ended for good.
    Exited {
        /// Exit code; 128 + the signal's number for a death by signal.
        code: i32,
        /// The kernel killed it for its memory limit.
        out_of_memory: bool,
    },
}

impl ReplicaState {
    /// It runs now.
    pub fn is_running(self) -> bool {
        matches!(self, ReplicaState::Running)
    }
}

/// A network as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObservedNetwork {
    /// The host's own address in it, where names are answered.
    pub gateway: Option<IpAddr>,
    /// Its addresses, `10.1.0.0/16`.
    pub subnet: Option<String>,
    /// The bridge by which this machine is in it; absent where there is none.
    #[serde(default)]
    pub interface: Option<InterfaceName>,
    /// How it was made, where the runtime tells.
    #[serde(default)]
    pub made: Option<Network>,
    /// Running containers in it that are not of this app, by name.
    #[serde(default)]
    pub others: BTreeSet<String>,
    /// `made` is all that was asked for then; otherwise it is what can be seen of it now.
    #[serde(default)]
    pub exact: bool,
    /// It has no way out.
    #[serde(default)]
    pub internal: bool,
}
