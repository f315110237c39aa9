//! What a container may be given beyond what every replica has: details of its network, its kernel, its share of the machine, and the powers
//! over the host that only the server's owner can grant.
//!
//! The default of every field is the engine's own, so a service that says nothing of this has no trace of it in its spec, and its revision stays
//! what it was before the field existed. Only the Docker runtime reads any of it.

mod content;

pub use content::Content;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Details of a container.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// The name it has for itself; empty: the engine's choice.
    #[serde(skip_serializing_if = "is_default")]
    pub hostname: String,
    /// The domain it has for itself; empty: none.
    #[serde(skip_serializing_if = "is_default")]
    pub domain: String,
    /// Lines of its `/etc/hosts`, `name:address`; the address may be `host-gateway`.
    #[serde(skip_serializing_if = "is_default")]
    pub extra_hosts: Vec<String>,
    /// Domains tried after a name of one label.
    #[serde(skip_serializing_if = "is_default")]
    pub dns_search: Vec<String>,
    /// Options of its resolver.
    #[serde(skip_serializing_if = "is_default")]
    pub dns_options: Vec<String>,
    /// Groups of its user besides the first, by name or number.
    #[serde(skip_serializing_if = "is_default")]
    pub groups: Vec<String>,
    /// Kernel parameters of its own namespaces.
    #[serde(skip_serializing_if = "is_default")]
    pub sysctls: BTreeMap<String, String>,
    /// Limits of its processes (setrlimit(2)), by name.
    #[serde(skip_serializing_if = "is_default")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Standard output is a terminal.
    #[serde(skip_serializing_if = "is_default")]
    pub tty: bool,
    /// Standard input stays open.
    #[serde(skip_serializing_if = "is_default")]
    pub stdin_open: bool,
    /// `tmpfs:` of the file: where, and the options of the mount.
    #[serde(skip_serializing_if = "is_default")]
    pub tmpfs: BTreeMap<String, String>,
    /// Options of the engine's storage driver.
    #[serde(skip_serializing_if = "is_default")]
    pub storage: BTreeMap<String, String>,
    /// `/dev/shm` and System V objects: empty for the engine's default, else `private`, `none` or `shareable`.
    #[serde(skip_serializing_if = "is_default")]
    pub ipc: String,
    /// Sees only its own control groups, also where the engine's default is the host's (cgroup v1).
    #[serde(skip_serializing_if = "is_default")]
    pub private_cgroup: bool,
    /// Options that strengthen its walls, or that take them away (then they are powers).
    #[serde(skip_serializing_if = "is_default")]
    pub security: Vec<String>,
    /// Capabilities taken from the engine's usual set, without `CAP_`; `ALL` for all.
    #[serde(skip_serializing_if = "is_default")]
    pub dropped: BTreeSet<String>,
    /// Its share of the machine.
    #[serde(skip_serializing_if = "is_default")]
    pub share: Share,
    /// Secrets and configs.
    #[serde(skip_serializing_if = "is_default")]
    pub files: Vec<MountedFile>,
    /// What it has of the host.
    #[serde(skip_serializing_if = "is_default")]
    pub access: Access,
    /// The file turns health checks off, that of the image as well.
    #[serde(skip_serializing_if = "is_default")]
    pub no_healthcheck: bool,
    /// Which `deploy --force` made its replicas; empty: none. It changes the template and nothing else.
    #[serde(skip_serializing_if = "is_default")]
    pub forced: String,
}

/// A limit of setrlimit(2); -1 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ulimit {
    /// What holds.
    pub soft: i64,
    /// How far the process itself may raise it.
    pub hard: i64,
}

/// How much of the machine a container gets when there is not enough, and what it may never exceed besides [`crate::spec::Limits`]. 0 and
/// empty: the engine's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    /// Weight among containers that want the processor; 1024 is usual.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_shares: u64,
    /// Microseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_period: u64,
    /// Microseconds of each period; -1 for no bound.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_quota: i64,
    /// Microseconds, real-time scheduler.
    #[serde(skip_serializing_if = "is_default")]
    pub realtime_period: u64,
    /// Microseconds of each such period.
    #[serde(skip_serializing_if = "is_default")]
    pub realtime_runtime: u64,
    /// Which cores: `0-3`, `0,1`.
    #[serde(skip_serializing_if = "is_default")]
    pub cores: String,
    /// Bytes the kernel tries to leave it when memory is short.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_reservation: u64,
    /// Bytes of memory and swap together; -1 for no bound.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_and_swap: i64,
    /// 0 to 100.
    #[serde(skip_serializing_if = "is_default")]
    pub swappiness: Option<u8>,
    /// -1000 to 1000: who is killed first when memory ends.
    #[serde(skip_serializing_if = "is_default")]
    pub oom_score: i16,
    /// 10 to 1000.
    #[serde(skip_serializing_if = "is_default")]
    pub disk_weight: u16,
    /// Likewise for one device, by path.
    #[serde(skip_serializing_if = "is_default")]
    pub disk_weights: BTreeMap<String, u16>,
    /// Bytes a second, by device.
    #[serde(skip_serializing_if = "is_default")]
    pub read_bytes: BTreeMap<String, u64>,
    /// Bytes a second, by device.
    #[serde(skip_serializing_if = "is_default")]
    pub write_bytes: BTreeMap<String, u64>,
    /// Operations a second, by device.
    #[serde(skip_serializing_if = "is_default")]
    pub reads: BTreeMap<String, u64>,
    /// Operations a second, by device.
    #[serde(skip_serializing_if = "is_default")]
    pub writes: BTreeMap<String, u64>,
}

/// What reaches over the container's walls. Each of these is a power of [`crate::power`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Root on the host.
    #[serde(skip_serializing_if = "is_default")]
    pub privileged: bool,
    /// Capabilities given, without `CAP_`; those of the engine's usual set are no power.
    #[serde(skip_serializing_if = "is_default")]
    pub capabilities: BTreeSet<String>,
    /// Devices of the host.
    #[serde(skip_serializing_if = "is_default")]
    pub devices: Vec<Device>,
    /// Rules of the device controller.
    #[serde(skip_serializing_if = "is_default")]
    pub device_rules: Vec<String>,
    /// Devices asked for by what they can do.
    #[serde(skip_serializing_if = "is_default")]
    pub gpus: Vec<Gpus>,
    /// Namespaces shared with the host.
    #[serde(skip_serializing_if = "is_default")]
    pub host: BTreeSet<Namespace>,
    /// Joins no network at all.
    #[serde(skip_serializing_if = "is_default")]
    pub no_network: bool,
    /// Parent of its control group; empty: the engine's.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup_parent: String,
    /// Another OCI runtime than the engine's default.
    #[serde(skip_serializing_if = "is_default")]
    pub runtime: String,
}

/// A namespace of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// Control groups.
    Cgroup,
    /// Shared memory, semaphores, message queues.
    Ipc,
    /// Interfaces and ports.
    Network,
    /// Processes.
    Pid,
    /// Users.
    Userns,
    /// The host's name.
    Uts,
}

impl Namespace {
    /// As Compose and the engine write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Namespace::Cgroup => "cgroup",
            Namespace::Ipc => "ipc",
            Namespace::Network => "network",
            Namespace::Pid => "pid",
            Namespace::Userns => "userns",
            Namespace::Uts => "uts",
        }
    }
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// On the host, or the name of a CDI device.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Of `rwm`.
    pub permissions: String,
}

/// Devices asked for by what they can do (Compose `gpus` and device reservations).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpus {
    /// `nvidia`; empty: the engine finds one.
    #[serde(skip_serializing_if = "is_default")]
    pub driver: String,
    /// How many; -1 for all; 0 when they are named.
    #[serde(skip_serializing_if = "is_default")]
    pub count: i64,
    /// Which.
    #[serde(skip_serializing_if = "is_default")]
    pub ids: Vec<String>,
    /// What they must be able to do, all of these.
    #[serde(skip_serializing_if = "is_default")]
    pub capabilities: Vec<String>,
    /// Options of the driver.
    #[serde(skip_serializing_if = "is_default")]
    pub options: BTreeMap<String, String>,
}

/// A secret or config as a file in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountedFile {
    /// Absolute path in the container.
    pub target: String,
    /// What it holds.
    pub content: Content,
    /// Owner and group are those of the container's user, whoever that is: the image says it. `uid` and `gid` count where that cannot be found out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub of_user: bool,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// True for a value that need not be written: it is what a reader fills in by itself.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_survive_json_and_are_not_shown() {
        let content = Content::new([0, 159, 255]);
        let json = serde_json::to_string(&content).unwrap();
        assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content);
        assert_eq!(format!("{content:?}"), "Content(…)");
    }

    #[test]
    fn a_container_of_an_older_landfall_is_one_that_says_nothing() {
        assert_eq!(serde_json::from_str::<Container>("{}").unwrap(), Container::default());
    }
}
