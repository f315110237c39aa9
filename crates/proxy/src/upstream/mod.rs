//! The application's side: which replica, over which connection, and what comes back.

pub(crate) mod balance;
pub(crate) mod body;
pub(crate) mod forward;
pub(crate) mod http1;
mod pace;
pub(crate) mod pool;
pub(crate) mod send;
