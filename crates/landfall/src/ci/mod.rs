//! `landfall ci`: the pipeline that the plans write by hand, from what the Compose file says.
//!
//! [`plan`] reads the project once into a [`Plan`], which is the same for every system; [`github`] and [`gitlab`] say it in their words, as a typed tree
//! ([`yaml`]) around constant scripts ([`script`]). Nothing a user wrote becomes part of a script or of an expression: it is a variable's value.

mod github;
mod gitlab;
mod plan;
mod read;
mod script;
mod test;
mod word;
mod yaml;

pub use plan::Plan;
pub use read::{Wanted, read};
pub use word::{Branch, Digest, Download};

use crate::cli::CiSystem;

/// A file of a pipeline.
#[derive(Debug)]
pub struct Pipeline {
    /// Relative to the root of the repository.
    pub path: &'static str,
    /// All of it.
    pub text: String,
}

/// The files of a system.
pub fn pipelines(system: CiSystem, plan: &Plan) -> Vec<Pipeline> {
    match system {
        CiSystem::Github => vec![
            Pipeline { path: ".github/workflows/landfall.yml", text: github::release(plan) },
            Pipeline { path: ".github/workflows/landfall-deploy.yml", text: github::manual(plan) },
        ],
        CiSystem::Gitlab => vec![Pipeline { path: ".gitlab-ci.yml", text: gitlab::pipeline(plan) }],
    }
}
