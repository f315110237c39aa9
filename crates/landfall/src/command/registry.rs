//! `landfall registry`: who the server is at registries of images. A password comes from a terminal without echo or from standard input, never from the
//! command line, where every user of the machine could read it.

use super::Context;
use crate::cli::{Registry, RegistryPart};
use crate::error::{Outcome, Plain};
use landfall_model::image::{Login, MAX_PASSWORD, Password};
use landfall_model::name::RegistryHost;
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

/// Logs in, lists or logs out.
pub async fn run(context: &Context, args: Registry) -> Outcome<ExitCode> {
    let (client, printer) = (context.client_at(args.part.server())?, &context.printer);
    match args.part {
        RegistryPart::Login { host, user, .. } => {
            let login = ask(context, &host, user)?;
            client.log_in(&host, &login).await?;
            if printer.is_json() {
                printer.json_line(&serde_json::json!({ "registry": host, "user": login.user, "logged_in": true }))?;
            } else {
                printer.done(&format!("the server is logged in to {host} as {}", login.user))?;
            }
        }
        RegistryPart::List { .. } => {
            let registries = client.registries().await?;
            if printer.is_json() {
                printer.json(&registries)?;
            } else if registries.is_empty() {
                printer.line("the server is logged in to no registry")?;
            } else {
                printer.registries(&registries)?;
            }
        }
        RegistryPart::Logout { host, .. } => {
            client.log_out(&host).await?;
            if printer.is_json() {
                printer.json_line(&serde_json::json!({ "registry": host, "logged_in": false }))?;
            } else {
                printer.done(&format!("the server has forgotten its login at {host}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(context: &Context, host: &RegistryHost, user: Option<String>) -> Outcome<Login> {
    let hint = format!("pipe it: `landfall registry login {host} --user NAME < token-file`");
    let user = match user {
        Some(user) => user,
        None => {
            let missing = || Plain::usage("no-user", "which user? nobody can type it here").hint(hint.clone());
            context.printer.ask(&format!("User at {host}:")).ok_or_else(missing)?
        }
    };
    let typed = if std::io::stdin().is_terminal() {
        context.printer.ask_hidden(&format!("Password or token of {user} at {host}:"))
    } else {
        let mut text = String::new();
        let read = std::io::stdin().take(MAX_PASSWORD as u64 + 2).read_to_string(&mut text);
        read.ok().map(|_| text.trim_end_matches(['\r', '\n']).to_owned())
    };
    match typed.filter(|text| !text.is_empty()) {
        Some(text) => Ok(Login { user, password: Password::new(text) }),
        None => Err(Plain::usage("no-password", "no password was given").hint(hint).into()),
    }
}
