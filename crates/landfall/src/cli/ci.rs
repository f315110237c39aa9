//! What can be typed of `landfall ci`.

use super::ProjectArgs;
use crate::ci::{Branch, Digest, Download};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `landfall ci`
#[derive(Debug, Args)]
pub struct Ci {
    /// For which system
    #[command(subcommand)]
    pub verb: CiVerb,
}

/// Systems a pipeline can be written for.
#[derive(Debug, Subcommand)]
pub enum CiVerb {
    /// Write workflows of GitHub Actions into .github/workflows
    Github(CiArgs),
    /// Write .gitlab-ci.yml
    Gitlab(CiArgs),
}

/// For which system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiSystem {
    Github,
    Gitlab,
}

/// `landfall ci github`, `landfall ci gitlab`
#[derive(Debug, Args)]
pub struct CiArgs {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// Branch that the environment `staging` follows [default: that of production, before it]
    #[arg(long, value_name = "BRANCH")]
    pub staging: Option<Branch>,
    /// Branch that the environment `production` follows
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub production: Branch,
    /// How the project is tested [default: the stage `test` of a Dockerfile, else as its language does]
    #[arg(long, value_name = "COMMAND")]
    pub test: Option<String>,
    /// Print what would be written, and write nothing
    #[arg(long, conflicts_with_all = ["check", "force"])]
    pub print: bool,
    /// Write nothing; exit with 4 when what is there is not what would be written
    #[arg(long, conflicts_with = "force")]
    pub check: bool,
    /// Write over files that somebody changed
    #[arg(long)]
    pub force: bool,
    /// Where the jobs fetch Landfall from [default: the release of this version]
    #[arg(long, value_name = "URL")]
    pub landfall_url: Option<Download>,
    /// SHA-256 of what they fetch [default: that of this program]
    #[arg(long, value_name = "DIGEST")]
    pub landfall_sha256: Option<Digest>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

impl Ci {
    /// What was typed after the system.
    pub fn args_mut(&mut self) -> &mut CiArgs {
        match &mut self.verb {
            CiVerb::Github(args) | CiVerb::Gitlab(args) => args,
        }
    }
}
