//! What can be typed of `landfall verify`.

use super::{ListenAddress, ProjectArgs};
use clap::Args;
use std::path::PathBuf;

/// `landfall verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Environment that the Compose file here declares; or directory or Compose file; or one address to look at
    #[arg(value_name = "ENVIRONMENT|PATH|URL")]
    pub what: Option<String>,
    /// Where plain HTTP is [default: port 80 of what names resolve to]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<ListenAddress>,
    /// Where HTTPS is [default: port 443 of what names resolve to]
    #[arg(long, value_name = "ADDRESS")]
    pub https: Option<ListenAddress>,
    /// Certificates of authorities to trust beside those of this machine
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Path that must take a WebSocket, instead of those the file tells of
    #[arg(long = "websocket", value_name = "PATH")]
    pub websockets: Vec<String>,
    /// Path that must send events as they happen
    #[arg(long = "stream", value_name = "PATH")]
    pub streams: Vec<String>,
    /// Requests of a short load; 0 for none
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub requests: u32,
    /// How many of them at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub concurrency: u32,
    /// Fail when one answer in a hundred takes longer
    #[arg(long, value_name = "MILLISECONDS")]
    pub p99: Option<u32>,
    /// How long one look may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub timeout: u16,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}
