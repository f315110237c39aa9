//! Refusals for the sake of what an app shares with others, or has from before.

use landfall_model::api::Failure;
use landfall_model::name::AppName;
use landfall_model::plan::Difference;
use landfall_runtime::Stranger;

/// A network or volume stands in the way of a release.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SharedError {
    /// Containers that Landfall did not make use it.
    #[error("{}", used(strangers))]
    Used {
        /// Whose it is to be.
        app: AppName,
        /// Who uses what.
        strangers: Vec<Stranger>,
        /// Data was to be deleted, not used.
        deleting: bool,
    },
    /// It exists and is not as the file says.
    #[error("{}", differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Made {
        /// Whose.
        app: AppName,
        /// All of them.
        differences: Vec<Difference>,
    },
}

fn used(strangers: &[Stranger]) -> String {
    let each = strangers.iter().map(|s| {
        let of = s.project.as_ref().map_or_else(String::new, |p| format!(" of the Compose project {p}"));
        let state = if s.runs { "" } else { " (stopped)" };
        format!("{} {} is in use by container {}{of}{state}, which Landfall did not make", s.what, s.name, s.container)
    });
    each.collect::<Vec<_>>().join("\n")
}

impl SharedError {
    /// As it crosses to the client.
    pub(crate) fn failure(&self) -> Failure {
        let (code, hints) = match self {
            Self::Used { app, strangers, deleting } => ("in-use", self::leave(app, strangers, *deleting)),
            Self::Made { app, differences } => ("options-changed", stay(app, differences)),
        };
        Failure { code: code.to_owned(), message: self.to_string(), hints, causes: Vec::new(), log: Vec::new() }
    }
}

/// How those who use it give it up.
fn leave(app: &AppName, strangers: &[Stranger], deleting: bool) -> Vec<String> {
    let mut projects: Vec<&String> = strangers.iter().filter_map(|s| s.project.as_ref()).collect();
    projects.sort();
    projects.dedup();
    let mut plain: Vec<&str> = strangers.iter().filter(|s| s.project.is_none()).map(|s| s.container.as_str()).collect();
    plain.sort_unstable();
    plain.dedup();
    let mut hints: Vec<String> = projects
        .iter()
        .map(|p| format!("to move from Compose: `docker compose -p {p} down` (without `--volumes`: the data stays), then try again"))
        .collect();
    if !plain.is_empty() {
        hints.push(format!("`docker rm --force {}` ends it; data in named volumes stays", plain.join(" ")));
    }
    if !deleting {
        hints.push(format!("where both are meant to use it, make it outside of {app} and write `external: true`"));
    }
    hints
}

/// What can be done about something that cannot be changed.
fn stay(app: &AppName, differences: &[Difference]) -> Vec<String> {
    let has = |what| differences.iter().find(|d| d.what == what).map(|d| &d.key);
    let mut hints = Vec::new();
    if let Some(key) = has("network") {
        hints.push(format!(
            "an existing network cannot be changed: write it under a new key (`{key}-2`) for one that is made beside the old, or take the \
             app down (`landfall down {app}`, volumes stay) and deploy again"
        ));
    }
    if let Some(key) = has("volume") {
        hints.push(format!(
            "an existing volume is never made anew, for it has data: put the options of `{key}` back; or add a volume under a new key and \
             copy the data into it"
        ));
    }
    hints
}
