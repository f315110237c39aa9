//! Answers the name questions of containers: a service's name stands for its ready replicas, as of the present table.
//!
//! One pair of sockets (UDP and TCP) per container network, bound to the host's address in it; who asks decides whose names are meant (`book`), and
//! only addresses of the network are answered. Everything that is no name of the app is relayed to the host's own name servers. All of it runs on the control
//! thread: questions are few, and requests never wait for them here.

mod answer;
mod book;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod relay;
mod server;

pub use relay::NameServers;
pub(crate) use server::Names;
