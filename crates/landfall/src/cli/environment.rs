//! Words of the verbs that are about environments and data as a whole.

use super::ProjectArgs;
use clap::Args;
use landfall_model::name::EnvironmentName;

/// `landfall promote`
#[derive(Debug, Args)]
pub struct Promote {
    /// Environment whose images are taken
    #[arg(value_name = "FROM")]
    pub from: EnvironmentName,
    /// Environment they are deployed to
    #[arg(value_name = "TO")]
    pub to: EnvironmentName,
    /// Agree to the deploy where `approve: true` asks for it
    #[arg(long)]
    pub approve: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `landfall reset`
#[derive(Debug, Args)]
pub struct Reset {
    /// Name of the app, or its directory or Compose file
    pub app: Option<String>,
    /// Delete its named volumes: all data is lost
    #[arg(long, required = true)]
    pub volumes: bool,
    /// Instead of typing the confirmation: RESET_ALL_VOLUMES
    #[arg(long, value_name = "WORDS")]
    pub confirm: Option<String>,
    /// Agree to it where `approve: true` asks for it
    #[arg(long)]
    pub approve: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}
