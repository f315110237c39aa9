//! Verbs about images: `push`, `registry` and `prune`.

use super::ServerArgs;
use clap::{Args, Subcommand};
use landfall_model::name::{ImageRef, RegistryHost};

/// `landfall push`
#[derive(Debug, Args)]
pub struct Push {
    /// Images as `docker image ls` names them
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<ImageRef>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub server: ServerArgs,
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
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the registries the server is logged in to
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Forget a login
    Logout {
        /// Which
        host: RegistryHost,
        #[command(flatten)]
        server: ServerArgs,
    },
}

impl RegistryPart {
    /// Which server it is about.
    pub fn server(&self) -> &ServerArgs {
        match self {
            Self::Login { server, .. } | Self::List { server } | Self::Logout { server, .. } => server,
        }
    }

    pub(super) fn server_mut(&mut self) -> &mut ServerArgs {
        match self {
            Self::Login { server, .. } | Self::List { server } | Self::Logout { server, .. } => server,
        }
    }
}

/// `landfall prune`
#[derive(Debug, Args)]
pub struct Prune {
    /// Only say what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub server: ServerArgs,
}
