//! The words of the command line: what can be typed, one line per verb.
//!
//! Only declarations: a verb's behaviour is in `command/<verb>.rs`, and what was typed becomes [`crate::settings::Settings`] before
//! any of it is used. Doc comments here are the help text, which a golden test keeps.

mod build;
mod ci;
mod daemon;
mod environment;
mod exec;
mod file;
mod image;
mod listen;
mod project;
mod release;
mod secret;
mod server;
mod tag;
mod verify;
mod watch;

pub use build::{BuildArgs, BuildPlace};
pub use ci::{Ci, CiSystem, CiVerb};
pub use daemon::{AgentStdio, Shim, ShimPart, Stage};
pub use environment::{Promote, Reset};
pub use exec::{Exec, RunIn};
pub use file::{Check, CheckFormat, Config, Deny, ExplainCode, Format, Init, Schema};
pub use image::{Prune, Push, Registry, RegistryPart};
pub use listen::{ListenAddress, ListenArgs};
pub use project::{AppArgs, ProjectArgs, ServerArgs};
pub use release::{Deploy, Plan, Releases, Rollback, Status};
pub use secret::{Secret, SecretVerb};
pub use server::{Server, ServerDoctor, ServerSetup, ServerSide, ServerUpgrade, ServerVerb};
pub use tag::TagChoice;
pub use verify::Verify;
pub use watch::{Events, Logs};

use crate::settings::Needs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use landfall_model::filter::Network;
use landfall_model::name::CertificateName;
use landfall_model::server::ServerAddress;
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
    /// Which project, when it is said before the verb.
    #[command(flatten)]
    pub project: ProjectArgs,
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
    /// The server that is meant: `ssh://[user@]host[:port]`, reached by your own `ssh` [env: LANDFALL_SERVER] [default: this machine]
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Everywhere")]
    pub server: Option<ServerAddress>,
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
    /// Stop an app and delete all its data
    Reset(Reset),
    /// Say what is wrong with a Compose file
    Check(Check),
    /// Say what a complaint means and what to do about it
    Explain(ExplainCode),
    /// Print the resolved Compose file
    Config(Config),
    /// Write a first `x-landfall` into a Compose file
    Init(Init),
    /// Print the JSON Schema of a Compose file with `x-landfall`, for editors
    Schema(Schema),
    /// Say what a deploy would do
    Plan(Plan),
    /// Make a release
    Deploy(Deploy),
    /// Deploy the images one environment runs to another
    Promote(Promote),
    /// Go back to an earlier release
    Rollback(Rollback),
    /// Send images of this machine's Docker to the server, without a registry
    Push(Push),
    /// Who the server is at registries of images
    Registry(Registry),
    /// Delete images that no release needs
    Prune(Prune),
    /// Keep values on the server that nobody gets to see
    Secret(Secret),
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
    /// Print what the proxy has counted, as Prometheus reads it
    Metrics,
    /// Show certificates, and have them issued anew
    Certs(Certs),
    /// Show the certificate authority of this server
    Ca(Ca),
    /// Prepare a server, move it to this version, or examine it
    Server(Server),
    /// Look at an app from outside, as its users do, and say what is not right
    Verify(Verify),
    /// Write the pipeline of a CI system: check, test, build, deploy, look
    Ci(Ci),
    /// Print a completion script
    Completions(Completions),
    /// The daemon that keeps this server as its apps' specs say (a systemd unit)
    #[command(hide = true)]
    Agent(Agent),
    /// What `ssh` runs on a server: joins a command line to the agent
    #[command(hide = true)]
    AgentStdio(AgentStdio),
    /// The reverse proxy (a systemd unit); takes its sockets by LISTEN_FDS
    #[command(hide = true)]
    Proxy(Proxy),
    /// What `up --detach` leaves running, or systemd runs: holds the sockets, keeps agent and proxy alive
    #[command(hide = true)]
    Supervise(Supervise),
    /// The other end of `server setup`, `upgrade` and `doctor`: what they bring to the server and run there
    #[command(hide = true)]
    ServerSide(ServerSide),
    /// Between the supervisor and a child: sets LISTEN_PID and becomes the child
    #[command(hide = true)]
    Stage(Stage),
    /// What stands between the agent and a program of the process runtime
    #[command(hide = true)]
    Shim(Shim),
}

impl Verb {
    /// What it works with.
    pub fn needs(&self) -> Needs {
        match self {
            Verb::Check(_) | Verb::Explain(_) | Verb::Config(_) | Verb::Init(_) | Verb::Schema(_) | Verb::Completions(_) | Verb::Ci(_) => {
                Needs::Nothing
            }
            Verb::Verify(_) => Needs::AgentIfAny,
            Verb::Agent(_)
            | Verb::AgentStdio(_)
            | Verb::Proxy(_)
            | Verb::Supervise(_)
            | Verb::ServerSide(_)
            | Verb::Stage(_)
            | Verb::Shim(_) => Needs::Home,
            _ => Needs::Agent,
        }
    }
}

/// `landfall up`
#[derive(Debug, Args)]
pub struct Up {
    /// Directory or Compose file
    pub path: Option<PathBuf>,
    /// Leave it running in the background
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub build: BuildArgs,
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
    /// Agree to it where `approve: true` asks for it
    #[arg(long)]
    pub approve: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
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
    /// Load balancers that speak PROXY protocol, version 2
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub proxy_protocol: Vec<Network>,
}

/// `landfall supervise`
#[derive(Debug, Args)]
pub struct Supervise {
    /// The program agent and proxy are, looked up at each of their starts [default: this one]
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Keep the proxy only: somebody else runs the agent
    #[arg(long)]
    pub without_agent: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub listen: ListenArgs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_declarations_hold_together() {
        Cli::command().debug_assert();
    }
}
