//! Carries requests: the data plane of one server.
//!
//! One thread per core with an event loop of its own; what a request touches never leaves its thread. A control thread answers the agent and
//! prepares tables. The way of a request is `edge::carry`; everything else is there for it:
//!
//! - `edge` — the client's side: connections, limits, what may be said, errors as answers
//! - `table` — where requests go: compiled once per swap, never changed
//! - `upstream` — the application's side: which replica, over which connection, bodies
//! - `stream` — WebSockets and event streams, which can be asked to end
//! - `control` — the agent's questions, swaps, sockets, the table on disk; with `names` (DNS for containers) and `health`
//!
//! The proxy reads what the agent wrote (table, certificates) and nothing else. It refuses what could be understood in two ways.

mod accepted;
mod access;
mod boot;
mod certificate;
mod chunked;
mod control;
mod edge;
mod error;
mod exhausted;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod health;
mod listener;
mod meter;
mod names;
mod notify;
mod parts;
mod proxy;
mod shared;
mod stream;
mod table;
mod tls;
mod upstream;
mod worker;

pub use boot::id as boot_id;
pub use error::ProxyError;
pub use listener::Listeners;
pub use names::NameServers;
pub use proxy::{Config, Handle, Proxy, Settings, run};
