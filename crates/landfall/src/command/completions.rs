//! `landfall completions`: a script for the shell, generated from the same declarations as the help.

use super::Context;
use crate::cli::{Cli, Completions};
use crate::error::{Outcome, Plain};
use clap::{Command, CommandFactory as _};
use std::process::ExitCode;

/// Prints the script.
pub fn run(context: &Context, args: Completions) -> Outcome<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), "landfall", &mut script);
    let script = String::from_utf8(script).map_err(|e| Plain::failed("bad-script", "the script is not UTF-8").because(e))?;
    context.printer.text(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The command line without the verbs nobody types, which the generators would offer.
fn visible() -> Command {
    let full = Cli::command();
    let verbs: Vec<Command> = full.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    Command::new("landfall").args(full.get_arguments().cloned()).subcommands(verbs)
}
