//! What can be typed of `landfall server`.

use clap::{Args, Subcommand};
use landfall_model::name::AppName;
use landfall_model::server::ServerAddress;
use std::net::IpAddr;
use std::path::PathBuf;

/// `landfall server`
#[derive(Debug, Args)]
pub struct Server {
    /// What to do with it
    #[command(subcommand)]
    pub verb: ServerVerb,
}

/// What can be done with a server.
#[derive(Debug, Subcommand)]
pub enum ServerVerb {
    /// Make a bare Debian or Ubuntu machine a server for Landfall: shows what it would change, asks, does it
    Setup(ServerSetup),
    /// Move a server to this version of Landfall while it carries requests
    Upgrade(ServerUpgrade),
    /// Examine a server: what is open, old, full or about to end, each with what to do about it; changes nothing
    Doctor(ServerDoctor),
}

/// `landfall server setup`
#[derive(Debug, Args)]
pub struct ServerSetup {
    /// Of the server: ssh://user@host[:port] [default: this machine]
    pub address: Option<ServerAddress>,
    /// Have security updates installed every day
    #[arg(long)]
    pub updates: bool,
    /// Leave the firewall as it is
    #[arg(long)]
    pub no_firewall: bool,
    /// Let the key in this file, a `.pub`, deploy the apps named by `--app` and nothing else
    #[arg(long, value_name = "KEY", requires = "apps")]
    pub deployer: Option<PathBuf>,
    /// An app that the key of `--deployer` may deploy
    #[arg(long = "app", value_name = "NAME", requires = "deployer")]
    pub apps: Vec<AppName>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// The landfall that goes to the server, when it cannot be this one: for another processor
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
}

/// `landfall server upgrade`
#[derive(Debug, Args)]
pub struct ServerUpgrade {
    /// Of the server: ssh://user@host[:port] [default: this machine]
    pub address: Option<ServerAddress>,
    /// The landfall that goes to the server, when it cannot be this one: for another processor
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
}

/// `landfall server doctor`
#[derive(Debug, Args)]
pub struct ServerDoctor {
    /// Of the server: ssh://user@host[:port] [default: this machine]
    pub address: Option<ServerAddress>,
    /// Show what is in order too
    #[arg(short, long)]
    pub all: bool,
    /// An address that leads to the server though it does not know it: of NAT, a load balancer or a CDN
    #[arg(long = "address", value_name = "IP")]
    pub addresses: Vec<IpAddr>,
    /// The landfall that goes to the server, when it cannot be this one: for another processor
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
}

/// `landfall server-side`
#[derive(Debug, Args)]
pub struct ServerSide {
    /// The binary that was brought
    #[arg(long, value_name = "FILE")]
    pub received: PathBuf,
}
