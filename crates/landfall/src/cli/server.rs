//! What can be typed of `landfall server`.

use clap::{Args, Subcommand};
use landfall_model::server::ServerAddress;
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

/// `landfall server-side`
#[derive(Debug, Args)]
pub struct ServerSide {
    /// The binary that was brought
    #[arg(long, value_name = "FILE")]
    pub received: PathBuf,
}
