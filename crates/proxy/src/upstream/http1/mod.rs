//! HTTP/1.1 with applications, spoken in the task that carries the request.
//!
//! hyper's client gives every connection a task of its own and talks to it through channels: two more wakes and a handful of allocations for each
//! request (decision 7). Here the request's own task writes, waits and reads. What applications say is
//! judged strictly: an answer whose end is in doubt, or that something follows, costs the connection and never looks whole.

mod connection;
mod exchange;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod head;
mod outgoing;
mod space;

pub(crate) use connection::{Connection, Switched};
pub(crate) use exchange::{Answer, AnswerBody, Exchange, Failure};
pub(crate) use head::{MAX_HEAD, TOO_LARGE, TOO_MANY, settle_length};
pub(crate) use outgoing::Outgoing;
pub(crate) use space::Space;
