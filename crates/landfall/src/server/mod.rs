//! Preparing a server, and moving it to another version of Landfall.
//!
//! The two verbs are one conversation between this binary here and the same binary there, which `reach` brings over: there it looks (`observe` → `Facts`),
//! decides (`plan`, pure), tells the plan, and after a yes does it (`apply`). Nothing is decided here and nothing is typed there: what crosses is data
//! (`wire`). `server doctor` takes the same way: it is `crate::doctor` that looks then, and nothing is done. Nothing is changed before the plan was agreed to, and what cannot work is refused by the plan.

mod apply;
mod change;
mod deployer;
mod engine;
mod facts;
mod firewall;
mod generation;
mod misfit;
mod observe;
mod plan;
mod reach;
mod refusal;
mod sshd;
mod there;
mod upgrade;
mod wire;

pub(crate) use apply::PATH;
pub use deployer::Deployer;
pub use reach::{Program, Reached, Server};
pub use there::answer;
pub use wire::{Ask, Proposal, Tell, Wish};

/// Where a prepared server keeps Landfall's state.
const HOME: &str = landfall_agent::SYSTEM_HOME;
