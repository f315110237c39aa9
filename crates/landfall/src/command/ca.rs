//! `landfall ca`: the root of this server's own certificate authority, for whoever should trust it.

use super::Context;
use crate::cli::Ca;
use crate::error::{Outcome, Plain};
use landfall_model::server::ServerAddress;
use std::process::ExitCode;

/// Prints its path, or itself.
pub async fn run(context: &Context, args: &Ca) -> Outcome<ExitCode> {
    if let Some(server) = &context.settings.server {
        return show_remote(context, server).await;
    }
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

/// Its path is of no use here, so the certificate itself is printed.
async fn show_remote(context: &Context, server: &ServerAddress) -> Outcome<ExitCode> {
    let authority = context.client().authority().await?;
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&serde_json::json!({ "server": server, "pem": authority.pem }))?;
    } else {
        printer.shown(&authority.pem)?;
    }
    Ok(ExitCode::SUCCESS)
}
