//! Development only: the real agent on a fake server, crashed at will.
//!
//! What is real: the agent's engine, its store on disk, its planner, its monitor. What is made up: the runtime (`landfall_runtime::fake`), which outlives every
//! agent as a Docker Engine would, and the proxy, which keeps the last table it was told. An agent's life is a tokio runtime; a crash ends it where it stands, as
//! SIGKILL would, before or after the effect of any call to the runtime.

mod app;
mod crash;
mod disk;
mod proxy;
mod server;

pub use app::App;
pub use crash::{CrashAt, Moment};
pub use disk::Full;
pub use server::{Ending, Server};
