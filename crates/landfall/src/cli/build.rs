//! `--build`, of the verbs that make releases.

use clap::{Args, ValueEnum};

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
