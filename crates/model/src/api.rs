//! The agent's API: HTTP/1.1 with JSON over its Unix socket, version in the path (`/v1/…`).
//!
//! The client decides the rollout's id, so a request that was cut off can be asked again and never starts a second rollout. Lists and streams
//! are bounded; a stream (`events`, `logs`) is one JSON object per line.

mod want;

pub use want::Want;

use crate::control::LastFault;
use crate::name::{AppName, CertificateName, ImageRef, ReleaseNumber, ReplicaId, RolloutId, ServiceName, VolumeName};
use crate::observed::ReplicaState;
use crate::plan::Plan;
use crate::spec::RuntimeKind;
use crate::survey::CutOff;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the words in this file; the path's `/v1`.
pub const VERSION: u32 = 1;

/// `GET /v1/agent`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// Of the binary.
    pub version: String,
    /// [`VERSION`].
    pub api: u32,
    /// Process id of the agent.
    pub pid: u32,
    /// Where sites are served: `https://localhost:8443`.
    pub https: Option<String>,
    /// Likewise for plain HTTP.
    pub http: Option<String>,
}

/// `POST /v1/apps/{app}/rollouts` and, to look only, `POST /v1/apps/{app}/plan`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRequest {
    /// Asking twice with one id is asking once.
    pub id: RolloutId,
    /// What is wanted.
    pub want: Want,
}

/// `POST /v1/audit`: root did something to this server that is no call of the API, and has it recorded as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// In words.
    pub action: String,
    /// The code of its failure.
    pub refused: Option<String>,
}

/// Answer to a plan request, and to a rollout request that was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// As it stands before the first step. A rollout that pulls images plans again after that.
    pub plan: Plan,
    /// The lines `landfall plan` prints.
    pub lines: Vec<String>,
}

/// Answer to `POST …/rollouts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Accepted {
    /// The rollout runs (or ran, when asked again); its events tell the rest.
    Rollout {
        /// As asked.
        id: RolloutId,
        /// The release it makes.
        release: ReleaseNumber,
    },
    /// There is nothing to change.
    Unchanged {
        /// The release that serves.
        release: ReleaseNumber,
    },
}

/// How a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutState {
    /// Its steps are being done.
    Running,
    /// A step failed; what was done is being undone.
    Undoing,
    /// It made its release and retired the old one.
    Succeeded,
    /// It failed and was undone: the old release serves.
    RolledBack,
    /// It failed and could not be undone wholly; `reason` says what is left.
    Failed,
}

impl RolloutState {
    /// Nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, RolloutState::Running | RolloutState::Undoing)
    }
}

/// One line of `GET /v1/events` and of `GET /v1/rollouts/{id}/events`: something that happened and was stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one; where to go on from after a cut connection.
    pub seq: u64,
    /// Milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// Whose.
    pub app: Option<AppName>,
    /// Part of which rollout.
    pub rollout: Option<RolloutId>,
    /// Who asked, such as `root (uid 0)`; absent for what the agent did by itself.
    pub who: Option<String>,
    /// What.
    pub what: What,
}

/// Kinds of event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum What {
    /// A rollout began.
    RolloutStarted {
        /// "deploy", "rollback to release 3", "down", "repair".
        purpose: String,
        /// The release it makes.
        release: ReleaseNumber,
    },
    /// It knows its steps now. Comes again when it plans again (after pulling, after a crash).
    Planned {
        /// As `landfall plan` prints them.
        lines: Vec<String>,
    },
    /// A step is begun.
    StepStarted {
        /// Counted from 0 within the plan.
        index: u32,
        /// Of so many.
        of: u32,
        /// Undoing.
        undo: bool,
        /// What it does, one line.
        line: String,
        /// Services it concerns.
        services: Vec<ServiceName>,
    },
    /// Something worth telling inside a step: "web-3-1 answers 503, asked 4 times".
    Progress {
        /// Which service.
        service: Option<ServiceName>,
        /// One line.
        line: String,
    },
    /// A step is done.
    StepDone {
        /// As begun.
        index: u32,
        /// As begun.
        undo: bool,
        /// Milliseconds.
        took_ms: u64,
    },
    /// A step failed.
    StepFailed {
        /// As begun.
        index: u32,
        /// As begun.
        undo: bool,
        /// The whole chain of causes.
        failure: Failure,
    },
    /// The release was made: it serves, the old one drains.
    Released {
        /// Its number.
        release: ReleaseNumber,
    },
    /// A rollout ended.
    RolloutEnded {
        /// How.
        state: RolloutState,
        /// Why, unless it succeeded.
        failure: Option<Failure>,
        /// Milliseconds from start to end.
        took_ms: u64,
    },
    /// Images that no release needs were deleted.
    ImagesPruned {
        /// As they were called.
        images: Vec<ImageRef>,
        /// As the engine counts them, layers they share with others among them.
        bytes: u64,
    },
    /// Somebody asked the agent for something that changes something.
    Called {
        /// What was asked for: `deploy`, `secret set JWT_SECRET`, `exec psql in db`.
        action: String,
        /// From where.
        from: String,
        /// Why it was refused: a stable word. Absent when it was done, or begun.
        refused: Option<String>,
    },
    /// The agent began to run.
    AgentStarted {
        /// Of the binary.
        version: String,
    },
    /// A replica ended without being asked to.
    ReplicaDied {
        /// Which.
        replica: ReplicaId,
        /// Exit code and cause, in words.
        reason: String,
    },
    /// A certificate was issued, and is served from now on.
    CertificateIssued {
        /// For which name.
        name: CertificateName,
        /// By whom.
        issuer: String,
        /// Good until then, milliseconds since 1970 UTC.
        until_ms: u64,
    },
    /// A certificate was asked for in vain.
    CertificateFailed {
        /// For which name.
        name: CertificateName,
        /// Why.
        failure: Failure,
        /// What is served meanwhile, in words.
        meanwhile: String,
        /// Not asked for again before then, milliseconds since 1970 UTC.
        again_ms: u64,
    },
    /// A certificate comes to its end and nothing has replaced it.
    CertificateExpires {
        /// For which name.
        name: CertificateName,
        /// Whole days that are left; 0 when it has expired.
        days: u32,
        /// When it ends, milliseconds since 1970 UTC.
        until_ms: u64,
    },
}

/// `GET /v1/apps/{app}/volumes`: data that only `reset` and `down --volumes` delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeStatus {
    /// Its key under `volumes:`.
    pub volume: VolumeName,
    /// Its name outside the app.
    pub external_name: String,
    /// What lies in it; absent where that cannot be found out.
    pub bytes: Option<u64>,
}

/// An error as it crosses a process boundary: printable by the same function as a local one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable word, such as `gate-failed`.
    pub code: String,
    /// What failed, naming the object.
    pub message: String,
    /// From the outermost to the innermost.
    pub causes: Vec<String>,
    /// What to try.
    pub hints: Vec<String>,
    /// The last log lines of the replica concerned.
    pub log: Vec<String>,
}

/// `GET /v1/apps/{app}/releases`, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Counted from 1.
    pub number: ReleaseNumber,
    /// Made by which rollout.
    pub rollout: RolloutId,
    /// Digest of its spec, shortened.
    pub revision: String,
    /// "deploy", "rollback to release 3".
    pub purpose: String,
    /// Who asked.
    pub who: String,
    /// When it was committed, milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// From the rollout's start to the commit, milliseconds.
    pub took_ms: u64,
    /// It serves now.
    pub current: bool,
    /// Service → image or program, as people read it.
    pub programs: BTreeMap<ServiceName, String>,
}

/// `GET /v1/apps/{app}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Which.
    pub app: AppName,
    /// What runs it.
    pub runtime: RuntimeKind,
    /// The release that serves; absent before the first.
    pub release: Option<ReleaseNumber>,
    /// A rollout under way.
    pub rollout: Option<RolloutStatus>,
    /// How the last rollout ended, when none is under way.
    pub last_rollout: Option<RolloutStatus>,
    /// Where it can be reached.
    pub urls: Vec<String>,
    /// By name.
    pub services: Vec<ServiceStatus>,
    /// Its networks in which no name is answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_off: Vec<CutOff>,
}

/// A rollout in brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// Which.
    pub id: RolloutId,
    /// "deploy", …
    pub purpose: String,
    /// The release it makes.
    pub release: ReleaseNumber,
    /// How it stands.
    pub state: RolloutState,
    /// Who asked.
    pub who: String,
    /// Milliseconds since 1970 UTC.
    pub started_ms: u64,
    /// The step it is at.
    pub step: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// A service as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Which.
    pub service: ServiceName,
    /// It runs to its end.
    pub job: bool,
    /// Replicas wanted.
    pub wanted: u32,
    /// What runs, and what ran last for a job.
    pub replicas: Vec<ReplicaStatus>,
    /// Paths from outside.
    pub routes: Vec<String>,
}

/// A replica as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// Which.
    pub id: ReplicaId,
    /// Release that made it.
    pub release: ReleaseNumber,
    /// What it does.
    pub state: ReplicaState,
    /// It stands for its service.
    pub serving: bool,
    /// The proxy's active check passes; absent where the proxy has no endpoint for it.
    pub healthy: Option<bool>,
    /// Why it gave no answer that could be passed on, if that was a short while ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<LastFault>,
    /// `172.18.0.3:8000`
    pub address: Option<String>,
    /// Requests in flight and streams open.
    pub active: u64,
    /// Since it was made.
    pub restarts: u32,
    /// Milliseconds since 1970 UTC.
    pub started_ms: u64,
}

/// Query of `GET /v1/apps/{app}/logs`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LogsQuery {
    /// Comma-separated services; all when empty.
    #[serde(default)]
    pub services: String,
    /// So many lines of each replica from the past; the server bounds it.
    #[serde(default)]
    pub tail: Option<u32>,
    /// Go on with new lines.
    #[serde(default)]
    pub follow: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// From which replica.
    pub replica: ReplicaId,
    /// It came on standard error.
    pub stderr: bool,
    /// Without its newline; invalid UTF-8 replaced; at most 16 KiB.
    pub line: String,
    /// The line goes on in the next one of this replica and stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// `POST /v1/apps/{app}/exec` (in a running replica) and `POST /v1/apps/{app}/run` (in a new one that is removed afterwards). Answered by
/// 101 and then frames of [`ExecFrame`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// In which service.
    pub service: ServiceName,
    /// Which replica; the first that serves when absent. Ignored by `run`.
    pub replica: Option<ReplicaId>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// With a terminal.
    pub tty: bool,
    /// Variables added to the environment, `run` only.
    pub environment: BTreeMap<String, String>,
}

/// First byte of an exec frame; then four bytes of length, big-endian; then that many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExecFrame {
    /// Client → agent; an empty one is the end of standard input.
    Stdin = 0,
    /// Agent → client.
    Stdout = 1,
    /// Agent → client.
    Stderr = 2,
    /// Agent → client, the last: four bytes, the exit code.
    Exit = 3,
    /// Client → agent: two times two bytes, columns and rows.
    Resize = 4,
    /// Agent → client, instead of `Exit`: a [`Failure`] as JSON.
    Failed = 5,
}

impl TryFrom<u8> for ExecFrame {
    type Error = u8;
    fn try_from(byte: u8) -> Result<Self, u8> {
        Ok(match byte {
            0 => Self::Stdin,
            1 => Self::Stdout,
            2 => Self::Stderr,
            3 => Self::Exit,
            4 => Self::Resize,
            5 => Self::Failed,
            other => return Err(other),
        })
    }
}
