//! What a pipeline does, whatever the system: images, tests, and stages that deploy in order.

use super::word::{Branch, Digest, Download, Literal};
use landfall_model::name::{AppName, EnvironmentName, RegistryHost, ServiceName};
use std::collections::BTreeSet;

/// All of it.
#[derive(Debug)]
pub struct Plan {
    /// The app.
    pub app: AppName,
    /// Where the project lies in the repository; absent for its root.
    pub directory: Option<Literal>,
    /// What is built; may be nothing.
    pub images: Vec<Build>,
    /// What is tested; may be nothing.
    pub tests: Vec<Test>,
    /// Deployed at a push, in this order.
    pub stages: Vec<Stage>,
    /// What a person may deploy by hand: what a push deploys, in that order, and every other environment of the file.
    pub manual: Vec<Target>,
    /// `${TAG}` in the file says which images are deployed.
    pub tagged: bool,
    /// The landfall that the jobs run.
    pub tool: Tool,
}

/// An image that is built and pushed.
#[derive(Debug)]
pub struct Build {
    /// Whose.
    pub service: ServiceName,
    /// Its name, without tag.
    pub image: Literal,
    /// Where that is.
    pub registry: RegistryHost,
    /// Directory, relative to the project's.
    pub context: Literal,
    /// File, relative to the project's directory.
    pub dockerfile: Literal,
    /// Stage; empty for the last.
    pub target: Literal,
    /// `KEY=VALUE`, and `KEY` alone where the pipeline's settings give the value.
    pub args: Vec<Arg>,
}

/// A build argument.
#[derive(Debug)]
pub struct Arg {
    /// A name that is a variable's everywhere.
    pub key: Literal,
    /// Absent: the pipeline's settings give it.
    pub value: Option<Literal>,
}

/// Something that is tested.
#[derive(Debug)]
pub struct Test {
    /// How it is shown.
    pub name: Literal,
    /// What is done.
    pub how: How,
}

/// How something is tested.
#[derive(Debug)]
pub enum How {
    /// By the stage `test` of a Dockerfile.
    Stage {
        /// The file.
        dockerfile: Literal,
        /// Its context.
        context: Literal,
    },
    /// By commands of its language, in this directory.
    Language {
        /// Which.
        language: Language,
        /// Where.
        directory: Literal,
    },
    /// By what the user typed: a command of theirs, for a shell of theirs.
    Typed(Literal),
}

/// What a directory's files tell about how it is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `package.json`
    Node,
    /// `requirements.txt` or `pyproject.toml`
    Python,
    /// `go.mod`
    Go,
    /// `Cargo.toml`
    Rust,
}

impl Language {
    /// Its usual commands.
    pub fn commands(self) -> &'static str {
        match self {
            Language::Node => "npm ci\nnpm test --if-present\n",
            Language::Python => {
                "python3 -m venv \"$HOME/venv\"\nif [ -f requirements.txt ]; then \"$HOME/venv/bin/pip\" install --requirement requirements.txt; else \"$HOME/venv/bin/pip\" install .; fi\n\"$HOME/venv/bin/pip\" install pytest\n\"$HOME/venv/bin/python\" -m pytest\n"
            }
            Language::Go => "go vet ./...\ngo test ./...\n",
            Language::Rust => "cargo test --locked\n",
        }
    }

    /// The image a job without tools of its own runs in.
    pub fn image(self) -> &'static str {
        match self {
            Language::Node => "node:22-bookworm",
            Language::Python => "python:3.12-bookworm",
            Language::Go => "golang:1.25-bookworm",
            Language::Rust => "rust:1.90-bookworm",
        }
    }
}

/// A deploy that a push brings about.
#[derive(Debug)]
pub struct Stage {
    /// What is deployed to.
    pub target: Target,
    /// Of which branch.
    pub branch: Branch,
    /// A person agrees first.
    pub asks: bool,
}

/// What is deployed to.
#[derive(Debug, Clone)]
pub struct Target {
    /// Absent: the file declares none, and the pipeline's settings say which server.
    pub environment: Option<EnvironmentName>,
    /// The system's name for it.
    pub name: EnvironmentName,
    /// `landfall` wants `--approve`.
    pub approve: bool,
    /// Its canonical address.
    pub url: Option<Literal>,
}

/// Which landfall.
#[derive(Debug)]
pub struct Tool {
    /// Its version.
    pub version: &'static str,
    /// Where it is.
    pub url: Download,
    /// What it is.
    pub sha256: Digest,
}

impl Plan {
    /// Branches whose pushes deploy, each once.
    pub fn branches(&self) -> Vec<String> {
        let mut branches: Vec<String> = Vec::new();
        for stage in &self.stages {
            if !branches.contains(&stage.branch.to_string()) {
                branches.push(stage.branch.to_string());
            }
        }
        branches
    }

    /// Registries that images are pushed to.
    pub fn registries(&self) -> BTreeSet<&RegistryHost> {
        self.images.iter().map(|image| &image.registry).collect()
    }

    /// Deploys by tag what it built.
    pub fn builds(&self) -> bool {
        !self.images.is_empty()
    }
}

impl Build {
    /// What `--build-arg` is given, one a line.
    pub fn lines(&self) -> String {
        let line = |arg: &Arg| match &arg.value {
            Some(value) => format!("{}={value}\n", arg.key),
            None => format!("{}\n", arg.key),
        };
        self.args.iter().map(line).collect::<String>().trim_end().to_owned()
    }
}
