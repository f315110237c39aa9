//! `landfall ca`: the root of this server's own certificate authority, for whoever should trust it.

use super::Context;
use crate::cli::Ca;
use crate::error::{Outcome, Plain};
use std::process::ExitCode;

/// Prints its path, or itself.
pub fn run(context: &Context, args: &Ca) -> Outcome<ExitCode> {
    let path = context.settings.home.ca();
    let pem = std::fs::read_to_string(&path).map_err(|e| {
        let plain = Plain::failed("no-ca", format!("there is no certificate authority at {}", path.display())).because(e);
        plain.hint("deploy an app that is served by HTTPS: the first one makes it")
    })?;
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&serde_json::json!({ "path": path, "pem": pem }))?;
    } else if args.pem {
        printer.text(&pem)?;
    } else {
        printer.line(&path.display().to_string())?;
        printer.note(&format!("try it: curl --cacert {} https://…", path.display()));
        printer.note("trust it: import it into the browser, or into the system (Debian: copy it to /usr/local/share/ca-certificates/landfall.crt, then update-ca-certificates)");
    }
    Ok(ExitCode::SUCCESS)
}
