//! One file per verb; this one only chooses.

mod approve;
mod ca;
mod certs;
mod check;
mod ci;
mod completions;
mod config;
mod daemon;
mod deploy;
mod down;
mod events;
mod exec;
mod explain;
mod init;
mod logs;
mod metrics;
mod plan;
mod promote;
mod prune;
mod push;
mod registry;
mod releases;
mod reset;
mod rollback;
mod schema;
mod secret;
mod server;
mod status;
mod stdio;
mod up;
mod verify;

use crate::cli::{AppArgs, ProjectArgs, ServerArgs, Verb};
use crate::client::{Channel, Client};
use crate::error::{Outcome, Plain};
use crate::output::Printer;
use crate::project::{Project, app_named, of_app};
use crate::settings::Settings;
use crate::ssh::{Link, Notice};
use landfall_model::api::AppStatus;
use landfall_model::name::AppName;
use landfall_model::server::ServerAddress;
use std::process::ExitCode;
use std::sync::Arc;

/// What a verb works with.
pub struct Context {
    /// Where.
    pub settings: Settings,
    /// How to tell.
    pub printer: Printer,
}

/// Does what was asked. The exit code is that of a good end; most have one, `exec` has its command's.
pub fn run(verb: Verb, context: &Context) -> Outcome<ExitCode> {
    match verb {
        // These two end up as other programs, or stand beside every replica: they get no runtime and no threads.
        Verb::Stage(args) => daemon::stage(args),
        Verb::Shim(args) => Ok(daemon::shim(&args)),
        Verb::Agent(args) => daemon::agent(context, args),
        Verb::Proxy(args) => daemon::proxy(context, &args),
        Verb::Completions(args) => completions::run(context, args),
        Verb::Check(args) => check::run(context, &args),
        Verb::Ci(args) => ci::run(context, args),
        Verb::Config(args) => config::run(context, &args),
        Verb::Init(args) => init::run(context, &args),
        Verb::Schema(args) => schema::run(context, &args),
        Verb::Explain(args) => explain::run(context, &args),
        verb => talk(verb, context),
    }
}

/// Verbs that speak to other processes.
fn talk(verb: Verb, context: &Context) -> Outcome<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Plain::failed("no-runtime", "cannot set up input and output").because(e))?;
    let done = runtime.block_on(async {
        match verb {
            Verb::Up(args) => up::run(context, args).await,
            Verb::Server(args) => server::run(context, args.verb).await,
            Verb::ServerSide(args) => server::side(context, &args).await,
            Verb::Supervise(args) => daemon::supervise(context, args).await,
            Verb::Down(args) => down::run(context, args).await,
            Verb::Plan(args) => plan::run(context, args).await,
            Verb::Deploy(args) => deploy::run(context, args).await,
            Verb::Push(args) => push::run(context, args).await,
            Verb::Registry(args) => registry::run(context, args).await,
            Verb::Prune(args) => prune::run(context, &args).await,
            Verb::Promote(args) => promote::run(context, args).await,
            Verb::Reset(args) => reset::run(context, args).await,
            Verb::Secret(args) => secret::run(context, args).await,
            Verb::Rollback(args) => rollback::run(context, args).await,
            Verb::Releases(args) => releases::run(context, args).await,
            Verb::Status(args) => status::run(context, args).await,
            Verb::Logs(args) => logs::run(context, args).await,
            Verb::Certs(args) => certs::run(context, args).await,
            Verb::Ca(args) => ca::run(context, &args).await,
            Verb::AgentStdio(args) => stdio::run(context, args).await,
            Verb::Verify(args) => verify::run(context, args).await,
            Verb::Metrics => metrics::run(context).await,
            Verb::Events(args) => events::run(context, args).await,
            Verb::Exec(args) => exec::exec(context, args).await,
            Verb::Run(args) => exec::run(context, args).await,
            other => run(other, context),
        }
    });
    // A read of standard input cannot be taken back; it must not keep the process alive.
    runtime.shutdown_background();
    done
}

impl Context {
    /// A client of the agent that is meant: the one here, or a server's.
    pub fn client(&self) -> Client {
        self.client_of(self.settings.server.as_ref())
    }

    /// A client of the agent of a server, or of the one here.
    pub fn client_of(&self, server: Option<&ServerAddress>) -> Client {
        Client::new(match server {
            None => Channel::Here(self.settings.home.clone()),
            Some(server) => {
                let printer = self.printer;
                let notice = Notice::new(move |text| printer.note(text));
                Channel::There(Arc::new(Link::new(self.settings.ssh.clone(), server.clone(), notice)))
            }
        })
    }

    /// A client of the agent of the environment that is meant, for verbs that need no more than the app's name.
    pub fn client_for(&self, args: &AppArgs) -> Outcome<Client> {
        match &args.environment {
            Some(_) => self.client_of_project(&of_app(&self.settings, args)?),
            None => Ok(self.client()),
        }
    }

    /// Likewise, for verbs that are about no app.
    pub fn client_at(&self, args: &ServerArgs) -> Outcome<Client> {
        if args.environment.is_none() {
            return Ok(self.client());
        }
        let project = ProjectArgs {
            files: args.files.clone(),
            project_directory: args.project_directory.clone(),
            environment: args.environment.clone(),
            ..ProjectArgs::default()
        };
        self.client_of_project(&Project::locate(&self.settings, None, &project)?)
    }

    /// Likewise, for verbs that read the project.
    pub fn client_of_project(&self, project: &Project) -> Outcome<Client> {
        // What is typed wins over what the file says.
        Ok(self.client_of(self.settings.server.as_ref().or(project.server()?.as_ref())))
    }

    /// The app a verb is about: named, that of the file here, or the only one there is.
    pub async fn app(&self, client: &Client, args: &AppArgs) -> Outcome<AppName> {
        if let Some(app) = app_named(&self.settings, args)? {
            return Ok(app);
        }
        let mut apps = client.apps().await?;
        // One that is down is remembered, and is meant only when there is no other.
        if apps.iter().any(runs) {
            apps.retain(runs);
        }
        match apps.as_slice() {
            [only] => Ok(only.app.clone()),
            [] => {
                Err(Plain::usage("which-app", "no app runs here and there is no Compose file").hint("`landfall up PATH` makes one").into())
            }
            several => {
                let names: Vec<&str> = several.iter().map(|app| app.app.as_str()).collect();
                Err(Plain::usage("which-app", format!("which app? there are {}", names.join(", "))).hint("name one: `-p NAME`").into())
            }
        }
    }
}

/// It serves, or somebody is making it.
fn runs(app: &AppStatus) -> bool {
    app.release.is_some() || app.rollout.is_some()
}
