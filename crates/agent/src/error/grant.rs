//! What the server's owner did not grant.

use super::chain;
use landfall_model::api::Failure;
use landfall_model::name::{AppName, ServiceName};
use landfall_model::power::{Power, grant_line};
use std::collections::{BTreeMap, BTreeSet};

/// A release takes of the server what its owner did not grant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// It was not granted.
    #[error("{app} takes what the owner of this server did not grant: {}", shown(powers))]
    Missing {
        /// Whose.
        app: AppName,
        /// By service.
        powers: BTreeMap<ServiceName, BTreeSet<Power>>,
        /// Where it would be granted.
        file: String,
        /// Why it needs a grant, where the kind of power does not say.
        why: Option<String>,
    },
    /// The file of grants cannot be believed or read.
    #[error("the grants in {file} cannot be used: {why}")]
    Unusable {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
}

/// `web: privileged, cap:NET_ADMIN; db: gpus`.
fn shown(powers: &BTreeMap<ServiceName, BTreeSet<Power>>) -> String {
    let one = |(service, powers): (&ServiceName, &BTreeSet<Power>)| {
        let powers: Vec<String> = powers.iter().map(Power::to_string).collect();
        format!("{service}: {}", powers.join(", "))
    };
    powers.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl GrantError {
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Missing { app, powers, file, why } => {
                let kinds = powers.values().flatten().filter(|_| why.is_none()).map(|power| -> &str { power.reason() });
                let reasons: BTreeSet<&str> = why.as_deref().into_iter().chain(kinds).collect();
                let words = powers.iter().map(|(service, powers)| (service, powers.iter().map(Power::to_string).collect()));
                let grant = format!("if you own this server and trust this app, write into {file}: `{}`", grant_line(app, words));
                chain("not-granted", self, reasons.into_iter().map(str::to_owned).chain([grant]).collect(), Vec::new())
            }
            Self::Unusable { file, .. } => chain(
                "grants-unusable",
                self,
                vec![format!("the file must be the owner's own: `chown root {file} && chmod 600 {file}`")],
                Vec::new(),
            ),
        }
    }
}
