//! Which project a verb is about: the options of `docker compose`, before or after the verb.
//!
//! Compose wants them before its verb, everybody else after it; Landfall takes both, and what stands before counts as written first.

use super::Verb;
use clap::Args;
use landfall_model::name::{AppName, EnvironmentName};
use std::path::PathBuf;

/// Which file, for verbs that read it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Project")]
pub struct ProjectArgs {
    /// Compose file; several are merged in order [default: compose.yaml and compose.override.yaml]
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Directory of the project [default: that of the first file]
    #[arg(long, alias = "project-dir", value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
    /// Name of the app [default: `name:` in the file, else the directory's]
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<AppName>,
    /// Enable services of this profile
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// File of variables for `${…}` [default: .env]
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Named variant of the app, as `x-landfall.environments` declares it
    #[arg(short, long, value_name = "NAME")]
    pub environment: Option<EnvironmentName>,
    /// Read files that the project names outside of its repository, too
    #[arg(long)]
    pub allow_outside: bool,
}

/// Which app, for verbs that only need its name.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which app")]
pub struct AppArgs {
    /// Name of the app [default: that of the Compose file here, else the only one that runs]
    #[arg(short = 'p', long = "project-name", visible_alias = "app", value_name = "NAME")]
    pub app: Option<AppName>,
    /// Compose file that names the app
    #[arg(long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Directory of the project
    #[arg(long, alias = "project-dir", value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
    /// Named variant of the app, as `x-landfall.environments` declares it
    #[arg(short, long, value_name = "NAME")]
    pub environment: Option<EnvironmentName>,
}

/// Which server, for verbs that are about no app.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which server")]
pub struct ServerArgs {
    /// The server of this named variant, as `x-landfall.environments` declares it
    #[arg(short, long, value_name = "NAME")]
    pub environment: Option<EnvironmentName>,
    /// Compose file that declares it
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Directory of the project
    #[arg(long, alias = "project-dir", value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
}

impl ServerArgs {
    fn after(&mut self, outer: ProjectArgs) {
        self.files = outer.files.into_iter().chain(self.files.drain(..)).collect();
        self.project_directory = self.project_directory.take().or(outer.project_directory);
        self.environment = self.environment.take().or(outer.environment);
    }
}

impl ProjectArgs {
    /// Puts what stands before the verb in front.
    fn after(&mut self, outer: ProjectArgs) {
        let in_front = |inner: &mut Vec<PathBuf>, outer: Vec<PathBuf>| *inner = outer.into_iter().chain(inner.drain(..)).collect();
        in_front(&mut self.files, outer.files);
        in_front(&mut self.env_files, outer.env_files);
        self.profiles = outer.profiles.into_iter().chain(self.profiles.drain(..)).collect();
        self.project_directory = self.project_directory.take().or(outer.project_directory);
        self.project_name = self.project_name.take().or(outer.project_name);
        self.allow_outside |= outer.allow_outside;
        self.environment = self.environment.take().or(outer.environment);
    }
}

impl AppArgs {
    fn after(&mut self, outer: ProjectArgs) {
        self.files = outer.files.into_iter().chain(self.files.drain(..)).collect();
        self.project_directory = self.project_directory.take().or(outer.project_directory);
        self.app = self.app.take().or(outer.project_name);
        self.environment = self.environment.take().or(outer.environment);
    }
}

impl Verb {
    /// Hands what stands before the verb to it; a verb that is about no project has no use for it.
    pub fn after(&mut self, outer: ProjectArgs) {
        match self {
            Verb::Up(args) => args.project.after(outer),
            Verb::Down(args) => args.project.after(outer),
            Verb::Check(args) => args.project.after(outer),
            Verb::Config(args) => args.project.after(outer),
            Verb::Init(args) => args.project.after(outer),
            Verb::Plan(args) => args.project.after(outer),
            Verb::Deploy(args) => args.project.after(outer),
            Verb::Rollback(args) => args.app.after(outer),
            Verb::Releases(args) => args.app.after(outer),
            Verb::Status(args) => args.app.after(outer),
            Verb::Logs(args) => args.app.after(outer),
            Verb::Events(args) => args.app.after(outer),
            Verb::Exec(args) => args.app.after(outer),
            Verb::Run(args) => args.app.after(outer),
            Verb::Reset(args) => args.project.after(outer),
            Verb::Promote(args) => args.project.after(outer),
            Verb::Verify(args) => args.project.after(outer),
            Verb::Ci(args) => args.args_mut().project.after(outer),
            Verb::Push(args) => args.server.after(outer),
            Verb::Registry(args) => args.part.server_mut().after(outer),
            Verb::Prune(args) => args.server.after(outer),
            Verb::Secret(args) => args.verb.app_mut().after(outer),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Verb};
    use clap::Parser as _;

    #[test]
    fn options_may_stand_before_the_verb_as_in_compose() {
        let cli = Cli::try_parse_from(["landfall", "-f", "a", "--profile", "p", "config", "-f", "b", "--profile", "q"]).unwrap();
        let (mut verb, outer) = (cli.verb, cli.project);
        verb.after(outer);
        let Verb::Config(args) = verb else { panic!("not config") };
        assert_eq!(args.project.files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(args.project.profiles, ["p", "q"]);
    }
}
