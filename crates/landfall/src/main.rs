//! The binary: the command line, the agent, the proxy and the supervisor are one program.
//!
//! Parse, run, say how it ended. What can be typed is in `cli`, what it does in `command`, what it prints in `output`, how it fails in `error`.

#![allow(unreachable_pub, reason = "a binary exports nothing: `pub` here means what a module offers to the others")]

mod build;
mod ci;
mod cli;
mod client;
mod command;
mod doctor;
mod error;
mod follow;
mod output;
mod program;
mod project;
mod push;
mod rollout;
mod server;
mod settings;
mod ssh;
mod supervise;
mod tag;
mod trace;
mod verify;

use clap::Parser as _;
use cli::{Cli, Verb};
use command::Context;
use output::Printer;
use settings::Settings;
use std::process::ExitCode;

/// The proxy asks for a few dozen small pieces of memory for each request, each worker its own: this one gives them without a lock and without
/// walking through a heap that a long life has cut to pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ends here and not by unwinding: on a thread of its own a panic would end that thread alone, and on the main one with an exit code that does not say "bug".
#[expect(clippy::disallowed_methods, reason = "nothing that could still be saved is held by a command that panicked")]
fn end_with_bug(panic: &std::panic::PanicHookInfo<'_>) {
    output::bug(panic);
    std::process::exit(i32::from(error::Kind::Bug.exit_code()));
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            Printer::usage(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // A server process survives (or is started again after) a panic in one of its tasks; a command does not go on after one.
    if !matches!(cli.verb, Verb::Agent(_) | Verb::Proxy(_) | Verb::Supervise(_)) {
        std::panic::set_hook(Box::new(end_with_bug));
    }
    let Cli { global, project, mut verb } = cli;
    verb.after(project);
    let printer = Printer::new(global.json, global.color);
    let done = Settings::resolve(&global, verb.needs()).and_then(|settings| command::run(verb, &Context { settings, printer }));
    done.unwrap_or_else(|problem| {
        printer.problem(&problem);
        ExitCode::from(problem.kind().exit_code())
    })
}
