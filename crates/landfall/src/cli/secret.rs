//! Words of `landfall secret`. No value is ever an argument: arguments stand in process lists and in the shell's history.

use super::AppArgs;
use clap::{Args, Subcommand};
use landfall_model::name::SecretName;
use std::path::PathBuf;

/// `landfall secret`
#[derive(Debug, Args)]
pub struct Secret {
    /// What is done
    #[command(subcommand)]
    pub verb: SecretVerb,
}

/// What is done with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretVerb {
    /// Show names, when and by whom they were set, and what uses them
    List {
        #[command(flatten)]
        #[allow(missing_docs)]
        app: AppArgs,
    },
    /// Set one; its value is typed, or read from standard input
    Set {
        /// Its name: a variable of the file, or an entry of `secrets:`
        name: SecretName,
        #[command(flatten)]
        #[allow(missing_docs)]
        app: AppArgs,
    },
    /// Set those of a file of variables
    Import {
        /// File of `NAME=value` lines [default: standard input]
        path: Option<PathBuf>,
        #[command(flatten)]
        #[allow(missing_docs)]
        app: AppArgs,
    },
    /// Give one a new value and bring it to the services that use it
    Rotate {
        /// Which
        name: SecretName,
        /// Leave what runs as it is until the next deploy
        #[arg(long)]
        no_deploy: bool,
        /// Agree to it where `approve: true` asks for it
        #[arg(long)]
        approve: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        app: AppArgs,
    },
    /// Take one away; releases that have it keep it
    Unset {
        /// Which
        name: SecretName,
        #[command(flatten)]
        #[allow(missing_docs)]
        app: AppArgs,
    },
}

impl SecretVerb {
    /// Which app is meant.
    pub fn app(&self) -> &AppArgs {
        match self {
            Self::List { app } | Self::Set { app, .. } | Self::Import { app, .. } | Self::Rotate { app, .. } | Self::Unset { app, .. } => {
                app
            }
        }
    }

    /// Likewise, to complete it.
    pub fn app_mut(&mut self) -> &mut AppArgs {
        match self {
            Self::List { app } | Self::Set { app, .. } | Self::Import { app, .. } | Self::Rotate { app, .. } | Self::Unset { app, .. } => {
                app
            }
        }
    }
}
