//! Words of the verbs that show what services wrote and what happened.

use super::AppArgs;
use clap::Args;
use landfall_model::name::ServiceName;

/// `landfall logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// Services [default: all]
    pub services: Vec<ServiceName>,
    /// Go on with new lines
    #[arg(short, long)]
    pub follow: bool,
    /// So many lines of each replica from the past
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub tail: u32,
    /// Show when each line was written
    #[arg(short, long)]
    pub timestamps: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

/// `landfall events`
#[derive(Debug, Args)]
pub struct Events {
    /// Go on with new ones
    #[arg(short, long)]
    pub follow: bool,
    /// So many from the past
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Only who asked for what, and from where
    #[arg(long)]
    pub audit: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}
