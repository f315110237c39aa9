//! What a rollout leads to, as a client asks for it.

use crate::digest::{Revision, digest};
use crate::name::{EnvironmentName, ReleaseNumber, SecretName, ServiceName};
use crate::secret::{SecretValue, Unset};
use crate::spec::{Program, Service, Spec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a rollout leads to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "want")]
pub enum Want {
    /// This spec.
    Deploy {
        /// Complete.
        spec: Box<Spec>,
        /// Values of secrets the project has; used as long as the server has none of its own.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        given: BTreeMap<SecretName, SecretValue>,
        /// What the project asks for and whoever deploys does not have.
        #[serde(default, skip_serializing_if = "Unset::is_empty")]
        unset: Unset,
        /// The environment whose images it has, when they are promoted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<EnvironmentName>,
    },
    /// The spec of the release that serves, with the secrets the server has now.
    Renew {
        /// Which secret changed.
        secret: SecretName,
    },
    /// The spec of an earlier release.
    Rollback {
        /// Which; the one before the current when absent.
        release: Option<ReleaseNumber>,
    },
    /// Nothing of the app: replicas and networks gone, volumes kept.
    Down {
        /// Volumes too.
        volumes: bool,
    },
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Want::Deploy { from: Some(from), .. } => write!(f, "promote from {from}"),
            Want::Deploy { .. } => f.write_str("deploy"),
            Want::Renew { secret } => write!(f, "rotate {secret}"),
            Want::Rollback { release: Some(release) } => write!(f, "rollback to release {release}"),
            Want::Rollback { release: None } => f.write_str("rollback"),
            Want::Down { volumes: false } => f.write_str("down"),
            Want::Down { volumes: true } => f.write_str("down with volumes"),
        }
    }
}

impl Want {
    /// The same with what is deployed: `deploy web=ghcr.io/acme/web:4`.
    pub fn told(&self) -> String {
        let Want::Deploy { spec, .. } = self else { return self.to_string() };
        let image = |(name, service): (&ServiceName, &Service)| match &service.template.program {
            Program::Image { reference, .. } => Some(format!(" {name}={reference}")),
            Program::Executable { .. } => None,
        };
        let environment = spec.environment.as_ref().map(|name| format!(" to {name}")).unwrap_or_default();
        self.to_string() + &environment + &spec.services.iter().filter_map(image).collect::<String>()
    }

    /// Equal for two requests that ask for the same. Values of secrets do not count: it is stored, and a digest of a short value says the value.
    pub fn revision(&self) -> Revision {
        match self {
            Want::Deploy { spec, .. } => {
                digest(&Want::Deploy { spec: spec.clone(), given: BTreeMap::new(), unset: Unset::default(), from: None })
            }
            other => digest(other),
        }
    }
}
