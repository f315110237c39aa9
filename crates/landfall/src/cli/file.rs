//! Words of the verbs that read a Compose file and ask no agent.

use super::ProjectArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `landfall check`
#[derive(Debug, Args)]
pub struct Check {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// How complaints are told: text, json or sarif
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub format: CheckFormat,
    /// What to fail on besides errors: `warnings`
    #[arg(long, value_name = "WHAT", hide_possible_values = true)]
    pub deny: Option<Deny>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// How `check` tells complaints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    Text,
    Json,
    Sarif,
}

/// What `check` fails on besides errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Deny {
    Warnings,
}

/// `landfall explain`
#[derive(Debug, Args)]
pub struct ExplainCode {
    /// The code in brackets: `unknown-key` [default: list all]
    pub code: Option<String>,
}

/// `landfall config`
#[derive(Debug, Args)]
#[group(id = "parts", multiple = false, args = ["services", "volumes", "images", "profile_names", "hash"])]
pub struct Config {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// As what: yaml or json
    #[arg(long, value_name = "FORMAT", default_value = "yaml", hide_possible_values = true)]
    pub format: Format,
    /// Only the names of services, one per line
    #[arg(long)]
    pub services: bool,
    /// Only the names of volumes
    #[arg(long)]
    pub volumes: bool,
    /// Only the images
    #[arg(long)]
    pub images: bool,
    /// Only the names of profiles
    #[arg(long = "profiles")]
    pub profile_names: bool,
    /// Only the digest by which Compose tells whether a service changed; `*` is all services
    #[arg(long, value_name = "SERVICES", num_args = 0..=1, default_missing_value = "*")]
    pub hash: Option<String>,
    /// Print nothing: only the exit code tells
    #[arg(short, long)]
    pub quiet: bool,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// How `config` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Yaml,
    Json,
}

/// `landfall schema`
#[derive(Debug, Args)]
pub struct Schema {
    /// Print a file instead that has every key of `x-landfall`, with comments
    #[arg(long)]
    pub reference: bool,
}

/// `landfall init`
#[derive(Debug, Args)]
pub struct Init {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}
