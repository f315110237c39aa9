//! Words of the verbs that run a command beside an app.

use super::AppArgs;
use clap::Args;
use landfall_model::name::{ReplicaId, ServiceName};

/// `landfall exec`
#[derive(Debug, Args)]
pub struct Exec {
    /// In which service
    pub service: ServiceName,
    /// Program and arguments; nothing is interpreted by a shell
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGV")]
    pub argv: Vec<String>,
    /// In which replica [default: the first that serves]
    #[arg(long, value_name = "ID")]
    pub replica: Option<ReplicaId>,
    /// No terminal, even when there is one
    #[arg(short = 'T', long)]
    pub no_tty: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

/// `landfall run`
// `-e` is a variable here, as for `docker compose run`.
#[derive(Debug, Args)]
#[command(mut_arg("environment", |arg| arg.short(None)))]
pub struct RunIn {
    /// Of which service
    pub service: ServiceName,
    /// Program and arguments; nothing is interpreted by a shell
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGV")]
    pub argv: Vec<String>,
    /// Variable added to the environment
    #[arg(short = 'e', long = "env", value_name = "KEY=VALUE")]
    pub variables: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}
