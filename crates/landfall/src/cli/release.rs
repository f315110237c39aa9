//! Words of the verbs about releases: what would change, making one, going back, what there is.

use super::{AppArgs, BuildArgs, ProjectArgs, TagChoice};
use clap::Args;
use landfall_model::name::{AppName, ServiceName};
use std::path::PathBuf;

/// `landfall plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// Exit with 4 when something would change
    #[arg(long)]
    pub exit_code: bool,
    /// As if the replicas of this service were replaced although nothing of it changed
    #[arg(long, value_name = "SERVICE")]
    pub force: Vec<ServiceName>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `landfall deploy`
#[derive(Debug, Args)]
pub struct Deploy {
    /// Environment that the Compose file here declares; or directory or Compose file
    #[arg(value_name = "ENVIRONMENT|PATH")]
    pub what: Option<String>,
    /// Agree to the deploy where `approve: true` asks for it
    #[arg(long)]
    pub approve: bool,
    /// Deploy these images: sets `${TAG}` in the file; `SERVICE=TAG` changes the tag of one service
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<TagChoice>,
    /// Send images that this machine's Docker has, so that the server need not ask a registry
    #[arg(long)]
    pub push: bool,
    /// Replace the replicas of this service although nothing of it changed
    #[arg(long, value_name = "SERVICE")]
    pub force: Vec<ServiceName>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub build: BuildArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `landfall rollback`
#[derive(Debug, Args)]
pub struct Rollback {
    /// Number of the release [default: the one before the current]
    pub release: Option<u64>,
    /// Agree to it where `approve: true` asks for it
    #[arg(long)]
    pub approve: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

/// `landfall releases`
#[derive(Debug, Args)]
pub struct Releases {
    /// Name of the app
    #[arg(value_name = "APP", conflicts_with = "app")]
    pub named: Option<AppName>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

/// `landfall status`
#[derive(Debug, Args)]
pub struct Status {
    /// Name of the app
    #[arg(value_name = "APP", conflicts_with = "app")]
    pub named: Option<AppName>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}
