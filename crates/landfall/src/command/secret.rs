//! `landfall secret`: values that live on the server only. They come in by standard input or are typed without being shown, never as an argument,
//! and never come out again.

use super::{Context, approve};
use crate::cli::{AppArgs, Secret, SecretVerb};
use crate::client::Client;
use crate::error::{Outcome, Plain};
use crate::project::{count, of_app};
use crate::rollout::{detachable, roll_out, tell_serving};
use landfall_model::api::Want;
use landfall_model::compose::{MAX_TEXT, variables_of};
use landfall_model::name::{AppName, SecretName};
use landfall_model::secret::{MAX_VALUE, Purpose, SecretStatus, SecretValue, SecretsSet, SetSecrets};
use landfall_model::spec::Spec;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

/// Does what was asked.
pub async fn run(context: &Context, args: Secret) -> Outcome<ExitCode> {
    let client = context.client_for(args.verb.app())?;
    let app = context.app(&client, args.verb.app()).await?;
    match args.verb {
        SecretVerb::List { .. } => context.printer.secrets(&client.secrets(&app).await?)?,
        SecretVerb::Set { name, app: args } => {
            let value = typed_or_piped(context, &name)?;
            let set = client.set_secrets(&app, &request(Purpose::Set, [(name, value)].into())).await?;
            told(context, &app, &set, &undeclared(context, &args, &set))?;
            later(context, &client, &app).await?;
        }
        SecretVerb::Unset { name, .. } => {
            client.unset_secret(&app, &name).await?;
            if context.printer.is_json() {
                context.printer.json_line(&serde_json::json!({ "app": app, "unset": [name] }))?;
            } else {
                context.printer.done(&format!("{name} is unset for {app}; releases that have it keep it"))?;
            }
        }
        SecretVerb::Import { path, app: args } => {
            let values = from_file(&context.settings.cwd, path.as_deref())?;
            let set = client.set_secrets(&app, &request(Purpose::Import, values)).await?;
            told(context, &app, &set, &undeclared(context, &args, &set))?;
            later(context, &client, &app).await?;
        }
        SecretVerb::Rotate { name, no_deploy, approve, app: args } => {
            // Without a deploy what runs stays as it is.
            if !no_deploy {
                approve::named(context, &args, &app, (format!("Rotate {name} of").as_str(), approve))?;
            }
            rotate(context, (&client, &app), name, no_deploy).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn request(purpose: Purpose, values: BTreeMap<SecretName, SecretValue>) -> SetSecrets {
    SetSecrets { purpose, values }
}

/// A new value for one that is in use, and a rollout that brings it to the services.
async fn rotate(context: &Context, (client, app): (&Client, &AppName), name: SecretName, no_deploy: bool) -> Outcome {
    let known = client.secrets(app).await?;
    let Some(secret) = known.iter().find(|s| s.name == name) else {
        return Err(Plain::usage("no-secret", format!("{app} has no secret {name}"))
            .hint(format!("`landfall secret set {name}` makes it; `landfall secret list` shows what there is"))
            .into());
    };
    let services: Vec<&str> = secret.used_by.iter().map(|s| s.as_str()).collect();
    context.printer.note(&match services.as_slice() {
        [] => format!("no service of {app} uses {name}: nothing starts again"),
        services => format!("starts again, one after the other: {}", services.join(", ")),
    });
    let nothing_runs = services.is_empty();
    let value = typed_or_piped(context, &name)?;
    let set = client.set_secrets(app, &request(Purpose::Rotate, [(name.clone(), value)].into())).await?;
    told(context, app, &set, &Undeclared::default())?;
    if no_deploy || nothing_runs {
        return later(context, client, app).await;
    }
    let ended = detachable(client, app, roll_out(client, &context.printer, app, Want::Renew { secret: name })).await?;
    tell_serving(client, &context.printer, app, &ended).await
}

/// Standard input, or what is typed at a terminal, twice; without the line's end.
fn typed_or_piped(context: &Context, name: &SecretName) -> Outcome<SecretValue> {
    if std::io::stdin().is_terminal() {
        let first = context.printer.ask_hidden(&format!("Value of {name}:")).unwrap_or_default();
        if context.printer.ask_hidden("Once more:").as_deref() != Some(first.as_str()) {
            return Err(Plain::usage("not-the-same", "the two values are not the same; nothing was set").into());
        }
        return value(first.into_bytes(), name);
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().take(MAX_VALUE as u64 + 2).read_to_end(&mut bytes);
    read.map_err(|e| Plain::failed("unreadable-input", "cannot read the value from standard input").because(e))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    value(bytes, name)
}

fn value(bytes: Vec<u8>, name: &SecretName) -> Outcome<SecretValue> {
    if bytes.is_empty() {
        return Err(Plain::usage("no-value", format!("there is no value for {name}"))
            .hint(format!("`landfall secret set {name} < file`, or type it at a terminal"))
            .into());
    }
    if bytes.len() > MAX_VALUE {
        return Err(Plain::usage("secret-too-large", format!("the value of {name} has more than {} kB", MAX_VALUE / 1000)).into());
    }
    Ok(SecretValue::new(bytes))
}

/// `NAME=value` lines of a file of variables, or of standard input.
fn from_file(cwd: &Path, path: Option<&Path>) -> Outcome<BTreeMap<SecretName, SecretValue>> {
    let shown = path.map_or_else(|| "standard input".to_owned(), |p| p.display().to_string());
    let failed = |e: std::io::Error| Plain::usage("unreadable-file", format!("cannot read {shown}")).because(e);
    let mut text = String::new();
    match path.filter(|p| p.as_os_str() != "-") {
        Some(path) => std::fs::File::open(cwd.join(path)).and_then(|f| f.take(MAX_TEXT as u64 + 1).read_to_string(&mut text)),
        None => std::io::stdin().take(MAX_TEXT as u64 + 1).read_to_string(&mut text),
    }
    .map_err(failed)?;
    if text.len() > MAX_TEXT {
        return Err(Plain::usage("unreadable-file", format!("{shown} is larger than 1 MiB")).into());
    }
    // A complaint names the line and shows nothing of it.
    let variables = variables_of(&shown, text).map_err(|complaints| {
        let first = complaints.first().map(|d| (d.span.as_ref().map_or(0, |s| s.line), d.message.clone())).unwrap_or_default();
        Plain::usage("bad-file", format!("{shown} cannot be used: line {}: {}", first.0, first.1)).hint("write one `NAME=value` per line")
    })?;
    let mut values = BTreeMap::new();
    for (name, value) in variables.into_iter().filter(|(_, value)| !value.is_empty()) {
        values.insert(
            name.parse().map_err(|e: landfall_model::name::NameError| Plain::usage("bad-name", e.to_string()))?,
            SecretValue::new(value),
        );
    }
    if values.is_empty() {
        return Err(Plain::usage("no-value", format!("{shown} has no variable with a value")).into());
    }
    Ok(values)
}

/// Values that no deploy would use.
#[derive(Default)]
struct Undeclared {
    names: BTreeSet<SecretName>,
    /// The Compose files that could declare them.
    files: String,
}

/// Which of them the Compose file here does not tell a deploy to use. Without a file, or with one that has errors, nobody can tell.
fn undeclared(context: &Context, args: &AppArgs, set: &SecretsSet) -> Undeclared {
    let Ok(project) = of_app(&context.settings, args) else { return Undeclared::default() };
    let Some(spec) = project.resolve().spec else { return Undeclared::default() };
    let mut used: BTreeSet<&SecretName> = spec.services.values().flat_map(Spec::secrets_of).map(|secret| &secret.name).collect();
    used.extend(spec.secrets.keys());
    let all = set.added.iter().chain(&set.changed).chain(&set.unchanged);
    Undeclared { names: all.filter(|name| !used.contains(name)).cloned().collect(), files: project.files() }
}

/// Names with what became of them.
fn told(context: &Context, app: &AppName, set: &SecretsSet, undeclared: &Undeclared) -> Outcome {
    if context.printer.is_json() {
        return context.printer.json_line(&serde_json::json!({
            "app": app, "added": set.added, "changed": set.changed, "unchanged": set.unchanged, "undeclared": undeclared.names,
        }));
    }
    for (mark, names) in [("+", &set.added), ("~", &set.changed), ("=", &set.unchanged)] {
        for name in names {
            context.printer.line(&format!("{mark} {name}"))?;
        }
    }
    let kept = set.added.len() + set.changed.len();
    context.printer.done(&match kept {
        0 => format!("nothing to change: {app} has these values"),
        kept => format!("{app}: {} kept on the server", count(kept, "secret")),
    })?;
    if undeclared.names.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = undeclared.names.iter().map(SecretName::as_str).collect();
    let (names, files) = (names.join(", "), &undeclared.files);
    context.printer.warning(&format!("no deploy uses {names}: nothing in {files} declares it a secret. Add to {files}:"));
    context.printer.line("x-landfall:\n  env:")?;
    undeclared.names.iter().try_for_each(|name| context.printer.line(&format!("    {name}: {{ secret: true }}")))
}

/// Says that what runs has older values.
async fn later(context: &Context, client: &Client, app: &AppName) -> Outcome {
    let old = |s: &&SecretStatus| s.in_use.is_some_and(|version| version != s.version);
    let secrets = client.secrets(app).await?;
    let names: Vec<&str> = secrets.iter().filter(old).map(|s| s.name.as_str()).collect();
    if !names.is_empty() {
        context.printer.note(&format!("what runs still has the old value of {}; the next deploy brings the new one", names.join(", ")));
    }
    Ok(())
}
