//! What can go wrong with secrets of an app.

use super::{StoreError, chain};
use crate::seal::SealError;
use landfall_model::api::Failure;
use landfall_model::name::{AppName, EnvKey, EnvironmentName, SecretName};
use std::collections::BTreeSet;

/// A secret is missing or cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Secrets a release needs.
    #[error("{app} lacks {}", listed(names))]
    Missing {
        /// Whose.
        app: AppName,
        /// Which variant of the app it is.
        environment: Option<EnvironmentName>,
        /// All of them.
        names: BTreeSet<SecretName>,
    },
    /// Values the server keeps, which the release would be made without.
    #[error("{app} would be deployed without {}, which this server keeps: nothing declares {}, {}", listed(names), if names.len() == 1 { "it" } else { "them" }, unfound(names, files))]
    Undeclared {
        /// Whose.
        app: AppName,
        /// Which variant of the app it is.
        environment: Option<EnvironmentName>,
        /// All of them.
        names: BTreeSet<SecretName>,
        /// Files of variables that are not where the deploy is made.
        files: BTreeSet<String>,
    },
    /// It was forgotten with the releases that had it.
    #[error("version {version} of the secret {name} of {app} is not kept any more")]
    Gone {
        /// Whose.
        app: AppName,
        /// Which.
        name: SecretName,
        /// Of it.
        version: u32,
    },
    /// There is none of that name.
    #[error("{app} has no secret {name}")]
    Unknown {
        /// Whose.
        app: AppName,
        /// Asked for.
        name: SecretName,
    },
    /// The contract asks for more.
    #[error("the secret {name} has {length} characters, and the contract asks for {want}")]
    Short {
        /// Which.
        name: SecretName,
        /// It has.
        length: u64,
        /// It must have.
        want: u64,
    },
    /// Nobody replaced what stood in an example.
    #[error("the secret {name} still has a placeholder for a value")]
    Placeholder {
        /// Which.
        name: SecretName,
    },
    /// A variable cannot hold it.
    #[error("the variable {key} would hold bytes that are no text")]
    NoText {
        /// Which.
        key: EnvKey,
    },
    /// Beyond what is kept.
    #[error("{what}")]
    TooLarge {
        /// In words.
        what: String,
    },
}

/// `the secret A`, `the secrets A and B`.
fn listed(names: &BTreeSet<SecretName>) -> String {
    let names: Vec<&str> = names.iter().map(SecretName::as_str).collect();
    match names.as_slice() {
        [one] => format!("the secret {one}"),
        _ => format!("the secrets {}", names.join(", ")),
    }
}

/// Why the values are not found where the deploy is made.
fn unfound(names: &BTreeSet<SecretName>, files: &BTreeSet<String>) -> String {
    let are = if names.len() == 1 { "it is" } else { "they are" };
    match files.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ") {
        files if files.is_empty() => format!("and {are} not set where this is deployed from"),
        files => format!("and {are} not set where this is deployed from ({files} is not there)"),
    }
}

/// `-p shop -e production`
fn options(app: &AppName, environment: Option<&EnvironmentName>) -> String {
    match environment.and_then(|e| Some((app.as_str().strip_suffix(e.as_str())?.strip_suffix('-')?, e))) {
        Some((app, environment)) => format!("-p {app} -e {environment}"),
        None => format!("-p {app}"),
    }
}

impl SecretError {
    pub(super) fn failure(&self) -> Failure {
        let (code, hints) = match self {
            Self::Store(e) => return chain("store-failed", e, vec!["is the disk full? `df -h` tells".into()], Vec::new()),
            Self::Seal(e) => return chain(e.code(), e, e.hints(), Vec::new()),
            Self::Missing { app, environment, names } => {
                let of = options(app, environment.as_ref());
                ("secret-missing", names.iter().map(|name| format!("`landfall secret set {name} {of}`")).collect())
            }
            Self::Undeclared { app, environment, names, .. } => {
                let of = options(app, environment.as_ref());
                let lines: Vec<String> = names.iter().map(|name| format!("{name}: {{ secret: true }}")).collect();
                let first = names.first().map_or("", SecretName::as_str);
                let plain = match environment {
                    Some(environment) => format!("under `x-landfall.environments.{environment}.values`"),
                    None => "in the Compose file".to_owned(),
                };
                let hints = vec![
                    format!("use the server's values: add to the Compose file `x-landfall: {{ env: {{ {} }} }}`", lines.join(", ")),
                    format!("a value that is no secret: set it where you deploy, or {plain}"),
                    format!("one that is not wanted any more: `landfall secret unset {first} {of}`"),
                ];
                ("secret-undeclared", hints)
            }
            Self::Gone { .. } => ("secret-gone", vec!["go back to a newer release, or deploy the old files again".to_owned()]),
            Self::Unknown { .. } => ("no-secret", vec!["`landfall secret list` shows what there is".to_owned()]),
            Self::Short { name, .. } | Self::Placeholder { name } => {
                ("secret-weak", vec![format!("make a real one: `openssl rand -hex 32 | landfall secret set {name}`")])
            }
            Self::NoText { .. } => ("secret-no-text", vec!["give it to the service as a file: `secrets:`".to_owned()]),
            Self::TooLarge { .. } => ("secret-too-large", Vec::new()),
        };
        chain(code, self, hints, Vec::new())
    }
}
