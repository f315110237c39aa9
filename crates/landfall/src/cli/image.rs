//! Verbs about images: `push`, `registry` and `prune`.

use clap::{Args, Subcommand};
use landfall_model::name::{ImageRef, RegistryHost};

/// `landfall push`
#[derive(Debug, Args)]
pub struct Push {
    /// Images as `docker image ls` names them
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<ImageRef>,
}

/// `landfall registry`
#[derive(Debug, Args)]
pub struct Registry {
    /// Which part
    #[command(subcommand)]
    pub part: RegistryPart,
}

/// What can be done with logins.
#[derive(Debug, Subcommand)]
pub enum RegistryPart {
    /// Log the server in; the password or token is asked for, or read from standard input
    Login {
        /// As in the names of its images: `ghcr.io`; `docker.io` is Docker Hub
        host: RegistryHost,
        /// The account [default: asked for]
        #[arg(short, long)]
        user: Option<String>,
    },
    /// List the registries the server is logged in to
    List,
    /// Forget a login
    Logout {
        /// Which
        host: RegistryHost,
    },
}

/// `landfall prune`
#[derive(Debug, Args)]
pub struct Prune {
    /// Only say what would be deleted
    #[arg(long)]
    pub dry_run: bool,
}
