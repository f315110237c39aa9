//! Verbs that stand between processes of ours; nobody types them.

use clap::{Args, Subcommand};
use landfall_model::name::AppName;
use std::path::PathBuf;

/// `landfall stage`
#[derive(Debug, Args)]
pub struct Stage {
    /// Process id of the supervisor
    #[arg(long)]
    pub parent: i32,
    /// Arguments of the `landfall` it becomes
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub argv: Vec<std::ffi::OsString>,
}

/// `landfall agent-stdio`
#[derive(Debug, Args)]
pub struct AgentStdio {
    /// The only apps that may be asked about
    #[arg(long = "app", value_name = "NAME")]
    pub apps: Vec<AppName>,
}

/// `landfall shim`
#[derive(Debug, Args)]
pub struct Shim {
    /// Which part
    #[command(subcommand)]
    pub part: ShimPart,
}

/// The two halves of the shim.
#[derive(Debug, Subcommand)]
pub enum ShimPart {
    /// Supervise the replica in this directory
    Run {
        /// Of the replica.
        dir: PathBuf,
    },
    /// Become the program of the replica in this directory
    Exec {
        /// Of the replica.
        dir: PathBuf,
    },
}
