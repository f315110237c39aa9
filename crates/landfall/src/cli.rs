//! The words of the command line: what can be typed, one line per verb.
//!
//! Only declarations: a verb's behaviour is in `command/<verb>.rs`, and what was typed becomes [`crate::settings::Settings`] before
//! any of it is used. Doc comments here are the help text, which a golden test keeps.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use landfall_model::name::{AppName, CertificateName, ReplicaId, ServiceName};
use std::path::PathBuf;

/// Puts a compose.yaml into production on your own server and keeps it there.
#[derive(Debug, Parser)]
#[command(
    name = "landfall",
    version,
    max_term_width = 100,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Start with `landfall up` in a directory that has a compose.yaml.")]
pub struct Cli {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
pub struct Global {
    /// Where Landfall keeps its state [default: /var/lib/landfall for root, else ~/.local/state/landfall]
    #[arg(long, global = true, env = "LANDFALL_HOME", hide_env_values = true, value_name = "DIR", help_heading = "Everywhere")]
    pub home: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// When to use colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true, help_heading = "Everywhere")]
    pub color: Color,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    // On a terminal, unless NO_COLOR is set. (Doc comments on values would double the length of every help page.)
    Auto,
    Always,
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run agent and proxy here, in the foreground, and deploy
    Up(Up),
    /// Stop an app
    Down(Down),
    /// Say what is wrong with a Compose file
    Check(Check),
    /// Print the resolved Compose file
    Config(Config),
    /// Say what a deploy would do
    Plan(Plan),
    /// Make a release
    Deploy(Deploy),
    /// Go back to an earlier release
    Rollback(Rollback),
    /// List releases
    Releases(Releases),
    /// Show what runs
    Status(Status),
    /// Show what services wrote
    Logs(Logs),
    /// Show what happened
    Events(Events),
    /// Run a command inside a running replica
    Exec(Exec),
    /// Run a command in a new replica that is removed afterwards
    Run(RunIn),
    /// Show certificates, and have them issued anew
    Certs(Certs),
    /// Show the certificate authority of this server
    Ca(Ca),
    /// Print a completion script
    Completions(Completions),
    /// The daemon that keeps this server as its apps' specs say (a systemd unit)
    #[command(hide = true)]
    Agent(Agent),
    /// The reverse proxy (a systemd unit); takes its sockets by LISTEN_FDS
    #[command(hide = true)]
    Proxy(Proxy),
    /// What `up --detach` leaves running: holds the sockets, keeps agent and proxy alive
    #[command(hide = true)]
    Supervise(Supervise),
    /// Between the supervisor and a child: sets LISTEN_PID and becomes the child
    #[command(hide = true)]
    Stage(Stage),
    /// What stands between the agent and a program of the process runtime
    #[command(hide = true)]
    Shim(Shim),
}

/// Which file, for verbs that read it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Project")]
pub struct ProjectArgs {
    /// Compose file; several are merged in order [default: compose.yaml and compose.override.yaml]
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Directory of the project [default: that of the first file]
    #[arg(long, value_name = "DIR")]
    pub project_dir: Option<PathBuf>,
    /// Name of the app [default: `name:` in the file, else the directory's]
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<AppName>,
    /// Enable services of this profile
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// File of variables for `${…}` [default: .env]
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
}

/// Which app, for verbs that only need its name.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which app")]
pub struct AppArgs {
    /// Name of the app [default: that of the Compose file here, else the only one that runs]
    #[arg(short = 'p', long = "project-name", visible_alias = "app", value_name = "NAME")]
    pub app: Option<AppName>,
    /// Compose file that names the app
    #[arg(long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Directory of the project
    #[arg(long, value_name = "DIR")]
    pub project_dir: Option<PathBuf>,
}

/// `landfall up`
#[derive(Debug, Args)]
pub struct Up {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// Leave it running in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Do not show what the services write
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub listen: ListenArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// Where the proxy listens.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// Address for plain HTTP, or `off`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: ListenAddress,
    /// Address for HTTPS, or `off`
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub https: ListenAddress,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(pub Option<std::net::SocketAddr>);

impl std::str::FromStr for ListenAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        // `:443` and `443` are what people type for "every address".
        let bare = text.strip_prefix(':').unwrap_or(text);
        if let Ok(port) = bare.parse::<u16>() {
            return Ok(Self(Some(std::net::SocketAddr::from(([0, 0, 0, 0], port)))));
        }
        let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse().map(|address| Self(Some(address))).map_err(|_| "expected ADDRESS:PORT such as 127.0.0.1:8443, or `off`".to_owned())
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

/// `landfall down`
#[derive(Debug, Args)]
pub struct Down {
    /// Name of the app, or its directory or Compose file
    pub app: Option<String>,
    /// Delete its named volumes too: all data is lost
    #[arg(long)]
    pub volumes: bool,
    /// Instead of typing the confirmation: RESET_ALL_VOLUMES
    #[arg(long, value_name = "WORDS")]
    pub confirm: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `landfall check`
#[derive(Debug, Args)]
pub struct Check {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `landfall config`
#[derive(Debug, Args)]
pub struct Config {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// As what: yaml or json
    #[arg(long, value_name = "FORMAT", default_value = "yaml", hide_possible_values = true)]
    pub format: Format,
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

/// `landfall plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// Exit with 4 when something would change
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `landfall deploy`
#[derive(Debug, Args)]
pub struct Deploy {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `landfall rollback`
#[derive(Debug, Args)]
pub struct Rollback {
    /// Number of the release [default: the one before the current]
    pub release: Option<u64>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

/// `landfall releases`
#[derive(Debug, Args)]
pub struct Releases {
    /// Name of the app
    #[arg(value_name = "APP", conflicts_with = "app")]
    pub named: Option<AppName>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

/// `landfall status`
#[derive(Debug, Args)]
pub struct Status {
    /// Name of the app
    #[arg(value_name = "APP", conflicts_with = "app")]
    pub named: Option<AppName>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

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
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

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
#[derive(Debug, Args)]
pub struct RunIn {
    /// Of which service
    pub service: ServiceName,
    /// Program and arguments; nothing is interpreted by a shell
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGV")]
    pub argv: Vec<String>,
    /// Variable added to the environment
    #[arg(short, long = "env", value_name = "KEY=VALUE")]
    pub environment: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub app: AppArgs,
}

/// `landfall certs`
#[derive(Debug, Args)]
pub struct Certs {
    /// Only these names
    #[arg(value_name = "NAME")]
    pub names: Vec<CertificateName>,
    /// Have them issued anew by their authority, now, and wait for it
    #[arg(long)]
    pub renew: bool,
}

/// `landfall ca`
#[derive(Debug, Args)]
pub struct Ca {
    /// Print the certificate itself instead of its path
    #[arg(long)]
    pub pem: bool,
}

/// `landfall completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell
    pub shell: Shell,
}

/// `landfall agent`
#[derive(Debug, Args)]
pub struct Agent {
    /// Where sites are served by plain HTTP, as clients see it
    #[arg(long, value_name = "URL")]
    pub http: Option<String>,
    /// Where sites are served by HTTPS, as clients see it
    #[arg(long, value_name = "URL")]
    pub https: Option<String>,
}

/// `landfall proxy`
#[derive(Debug, Args)]
pub struct Proxy {
    /// Seconds connections may finish in when it is asked to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub drain: u64,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

/// `landfall supervise`
#[derive(Debug, Args)]
pub struct Supervise {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub listen: ListenArgs,
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_declarations_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn addresses_are_read_as_people_type_them() {
        let read = |text: &str| text.parse::<ListenAddress>().map(|a| a.to_string());
        assert_eq!(read("443").unwrap(), "0.0.0.0:443");
        assert_eq!(read(":443").unwrap(), "0.0.0.0:443");
        assert_eq!(read("localhost:80").unwrap(), "127.0.0.1:80");
        assert_eq!(read("[::1]:80").unwrap(), "[::1]:80");
        assert_eq!(read("off").unwrap(), "off");
        assert!(read("example.com:80").is_err() && read("").is_err() && read("70000").is_err());
    }
}
