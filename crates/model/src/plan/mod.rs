//! A plan as a value: ordered, with every id and port decided, so that executing it takes no decisions.
//!
//! The same value is printed by `landfall plan`, sent as JSON, stored in the journal and tested as text. Each step is atomic for the
//! journal (written before it is begun, and again when it is done) and idempotent: a step begun twice ends as if begun once.

mod delta;
mod display;
mod down;
mod made;
mod planner;
mod undo;

pub use down::plan_down;
pub use made::{Difference, differences};
pub use planner::{Input, Mode, Policy, plan};
pub use undo::undo;

use crate::digest::Revision;
use crate::name::{AppName, ImageRef, NetworkName, ReleaseNumber, ReplicaId, ServiceName, VolumeName};
use crate::spec::Gate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What would be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose.
    pub app: AppName,
    /// The release it makes, or the current one for a repair.
    pub release: ReleaseNumber,
    /// The desired state it leads to.
    pub revision: Revision,
    /// Who was ready before it: what `undo` goes back to.
    pub before: Serving,
    /// In order.
    pub steps: Vec<Step>,
    /// What a reader should know: a service that will be down for a moment, and why.
    pub notes: Vec<String>,
}

impl Plan {
    /// Nothing to do: the runtime is as the spec says.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Which replicas stand for a service: inside by name, outside by route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Serving {
    /// Replicas that calls from other services reach.
    pub names: BTreeMap<ServiceName, BTreeSet<ReplicaId>>,
    /// Replicas that requests from outside reach.
    pub routes: BTreeMap<ServiceName, BTreeSet<ReplicaId>>,
}

impl Serving {
    /// Every replica that stands for something.
    pub fn replicas(&self) -> BTreeSet<&ReplicaId> {
        self.names.values().chain(self.routes.values()).flatten().collect()
    }
}

/// One atomic part of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// Fetch images the server lacks.
    Pull {
        /// Each once.
        images: BTreeSet<ImageRef>,
    },
    /// Make networks that do not exist.
    EnsureNetworks {
        /// Keys of the spec.
        networks: BTreeSet<NetworkName>,
        /// Keys of those that somebody else made and keeps: they are only looked for.
        #[serde(default)]
        external: BTreeSet<NetworkName>,
    },
    /// Make volumes that do not exist. Never undone: data is not thrown away by a failed rollout.
    EnsureVolumes {
        /// Keys of the spec.
        volumes: BTreeSet<VolumeName>,
    },
    /// Keep the files that routes of these services serve. Never undone: files nobody serves are deleted after a later release.
    Unpack {
        /// By name.
        services: BTreeSet<ServiceName>,
    },
    /// Run to the end, and fail the rollout unless the end is code 0.
    Run {
        /// What runs.
        job: Job,
    },
    /// Make and start replicas side by side.
    Start {
        /// Started together.
        replicas: Vec<NewReplica>,
    },
    /// Wait until each passes its gate.
    Gate {
        /// Probed together.
        replicas: Vec<Gated>,
    },
    /// Route requests and names to exactly these replicas, in one swap.
    Serve {
        /// Who stands for what from here on.
        serving: Serving,
        /// False for an intermediate swap (a service's first name, a stop-first service leaving), true for the release's switch.
        switch: bool,
    },
    /// The release is made: recorded, and no longer undone.
    Commit,
    /// Wait until replicas that serve nothing any more have finished what they hold; close the rest politely at the limit.
    Drain {
        /// By service, for the limit each has.
        replicas: Vec<Drained>,
    },
    /// Ask replicas to stop, kill them after their grace period.
    Stop {
        /// Stopped together.
        replicas: Vec<Stopped>,
    },
    /// Start stopped replicas again. Only undo does this.
    StartAgain {
        /// Started together.
        replicas: BTreeSet<ReplicaId>,
    },
    /// Delete stopped replicas and their logs. Volumes stay.
    Remove {
        /// Removed together.
        replicas: BTreeSet<ReplicaId>,
    },
    /// Delete networks of the app: `down`, and undo with those its rollout made.
    RemoveNetworks {
        /// Keys of the spec.
        networks: BTreeSet<NetworkName>,
    },
    /// Delete volumes of the app and the data in them. Only `down --volumes` does this, after a typed confirmation.
    RemoveVolumes {
        /// Keys of the spec.
        volumes: BTreeSet<VolumeName>,
    },
}

/// A replica to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewReplica {
    /// Decided here.
    pub id: ReplicaId,
    /// Template to make it from.
    pub service: ServiceName,
    /// Of that template.
    pub revision: Revision,
    /// Port assigned to it (process runtime).
    pub port: Option<u16>,
    /// The old replica whose volumes without a name it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<ReplicaId>,
}

/// A job to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Decided here.
    pub id: ReplicaId,
    /// Template to make it from.
    pub service: ServiceName,
    /// Of that template.
    pub revision: Revision,
    /// Instead of the template's command (a migration).
    pub argv: Option<Vec<String>>,
    /// Milliseconds after which it is killed and the rollout fails.
    pub deadline_ms: u64,
    /// The rollout goes on when it fails (a dependency with `required: false`).
    pub optional: bool,
}

/// A replica to be probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gated {
    /// Which.
    pub id: ReplicaId,
    /// Whose.
    pub service: ServiceName,
    /// By what.
    pub gate: Gate,
}

/// A replica to be drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Which.
    pub id: ReplicaId,
    /// How long at most, milliseconds.
    pub limit_ms: u64,
    /// How long at least, milliseconds: a caller inside the app may hold the replica's address a moment after the name is gone, and the
    /// proxy does not see such calls.
    pub linger_ms: u64,
}

/// A replica to be stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Which.
    pub id: ReplicaId,
    /// Signal name; absent: its own.
    pub signal: Option<String>,
    /// Milliseconds.
    pub grace_ms: u64,
    /// What it must pass should it be started again; absent for what will not be.
    pub again: Option<Gated>,
}
