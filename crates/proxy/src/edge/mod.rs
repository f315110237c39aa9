//! The client's side: connections, what may be said on them, and what a request is made of.

mod answer;
pub(crate) mod arriving;
mod batch;
pub(crate) mod carry;
mod client;
pub(crate) mod connection;
pub(crate) mod file;
pub(crate) mod filter;
mod frames;
pub(crate) mod front;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
pub(crate) mod guess;
pub(crate) mod header;
mod http1;
mod io;
pub(crate) mod prelude;
pub(crate) mod quota;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod serve;
pub(crate) mod target;
pub(crate) mod unread;
pub(crate) mod watch;
mod websocket;
