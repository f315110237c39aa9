//! What a replica finds in its file system besides its image, and the named volumes that outlive it.

use super::network::engine_name;
use crate::container::is_default;
use crate::name::VolumeName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    /// Cannot be written.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum MountSource {
    /// A named volume.
    Volume {
        /// Its key under `volumes:`.
        name: VolumeName,
        /// A new one stays empty, whatever the image has at the target.
        #[serde(default, skip_serializing_if = "is_default")]
        no_copy: bool,
    },
    /// A volume without a name, gone with the container.
    Anonymous {
        /// It stays empty, whatever the image has at the target.
        #[serde(default, skip_serializing_if = "is_default")]
        no_copy: bool,
    },
    /// A file or directory of the host.
    Bind {
        /// Absolute path on the host.
        path: String,
        /// A directory is made there when there is nothing.
        #[serde(default, skip_serializing_if = "is_default")]
        create: bool,
        /// SELinux: relabelled for this container alone (`Z`) or for several (`z`); empty: left as it is.
        #[serde(default, skip_serializing_if = "is_default")]
        relabel: String,
        /// What happens to mounts below it.
        #[serde(default, skip_serializing_if = "is_default")]
        propagation: Propagation,
        /// Digest of a file of the project: a replica keeps the file it began with, also when another has taken its name, so a
        /// change makes a new one. Empty for directories, and for what is not watched.
        #[serde(default, skip_serializing_if = "is_default")]
        content: String,
    },
    /// Memory.
    Tmpfs {
        /// Upper bound, 0 for none.
        size_bytes: u64,
        /// Permission bits of its root; 0 for the engine's default.
        #[serde(default, skip_serializing_if = "is_default")]
        mode: u32,
    },
}

/// Whether mounts made later below a bind are seen on the other side (mount(2), shared subtrees).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    /// On neither side, at any depth.
    #[default]
    Rprivate,
    /// On neither side.
    Private,
    /// In the container.
    Slave,
    /// In the container, at any depth.
    Rslave,
    /// On both sides.
    Shared,
    /// On both sides, at any depth.
    Rshared,
}

impl Propagation {
    /// Mounts made in the container are seen on the host.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Propagation::Shared | Propagation::Rshared)
    }
}

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Volume {
    /// The name outside the app: `<app>_<key>` unless the file says `name:`.
    #[serde(deserialize_with = "engine_name")]
    pub external_name: String,
    /// Made by somebody else; never created or removed.
    pub external: bool,
    /// Who keeps it; empty: the engine itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub driver: String,
    /// What the driver is told when it is made.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: BTreeMap<String, String>,
    /// Labels of the user's own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
}
