//! Reaching a server's agent over the user's own OpenSSH.
//!
//! `ssh` runs as a child with one constant remote command; what the user's configuration, agent, known_hosts, jump hosts and multiplexing say holds. Nothing of a
//! project ever becomes an argument. What the child carries is a hello ([`landfall_model::hello`]) and then HTTP/2: each CONNECT is one connection to the agent's socket,
//! with windows and a number of streams that are bounded, and pings that notice a link that is dead.

mod command;
mod error;
mod key;
mod link;

pub use command::SshProgram;
pub use error::SshError;
pub use key::HostKey;
pub use link::{Link, Notice, PATIENCE};

/// What one stream may have on its way without being read.
pub const STREAM_WINDOW: u32 = 1024 * 1024;
/// And all of a connection together.
pub const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Streams at once.
pub const MAX_STREAMS: u32 = 64;
/// Between two pings of a connection that somebody waits for, and how long an answer may take.
pub const PING: std::time::Duration = std::time::Duration::from_secs(10);
