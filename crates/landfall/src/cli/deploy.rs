//! Words of `landfall deploy`.

use super::{ProjectArgs, TagChoice};
use clap::{Args, ValueEnum};

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
    #[command(flatten)]
    #[allow(missing_docs)]
    pub build: BuildArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// Whether images are built.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Build images of `build:` sections, `here` or on the `server` [default: here where there is Docker]
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "auto", hide_possible_values = true)]
    pub build: Option<BuildPlace>,
}

/// Where an image is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuildPlace {
    #[value(hide = true)]
    Auto,
    Here,
    Server,
}
