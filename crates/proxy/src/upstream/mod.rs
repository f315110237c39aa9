//! The application's side: which replica, over which connection, and what comes back.

pub(crate) mod balance;
pub(crate) mod body;
mod call;
pub(crate) mod coming;
pub(crate) mod fault;
pub(crate) mod forward;
pub(crate) mod http1;
pub(crate) mod interim;
pub(crate) mod multiplex;
mod pace;
pub(crate) mod patience;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod reach;
pub(crate) mod send;
pub(crate) mod upload;
