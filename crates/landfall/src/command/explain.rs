//! `landfall explain`: the page of a code, or the list of all. Needs no file and no agent.

use super::Context;
use crate::cli::ExplainCode;
use crate::error::{Outcome, Plain};
use landfall_model::code;
use std::process::ExitCode;

/// Prints it.
pub fn run(context: &Context, args: &ExplainCode) -> Outcome<ExitCode> {
    let Some(word) = &args.code else {
        context.printer.codes(&code::all())?;
        return Ok(ExitCode::SUCCESS);
    };
    // People paste what they see, brackets and all.
    let word = word.trim_matches(['[', ']', '`']).to_ascii_lowercase();
    let Some(code) = code::find(&word) else {
        return Err(Plain::usage("no-code", format!("no complaint has the code `{word}`"))
            .hint("`landfall explain` lists them all")
            .into());
    };
    context.printer.code(&code)?;
    Ok(ExitCode::SUCCESS)
}
