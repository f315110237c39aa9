//! `landfall exec` and `landfall run`: a command in a replica, with this terminal as its own.
//!
//! The command's exit code becomes ours. With a terminal the local one is raw for as long as it runs, and put back whatever happens.

use super::Context;
use crate::cli::{Exec, RunIn};
use crate::client::{Session, SessionInput, SessionOutput};
use crate::error::{Outcome, Plain};
use crate::output::Printer;
use landfall_model::api::ExecRequest;
use landfall_model::name::EnvKey;
use landfall_model::spec::RuntimeKind;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

/// In a running replica.
pub async fn exec(context: &Context, args: Exec) -> Outcome<ExitCode> {
    let client = context.client_for(&args.app)?;
    let app = context.app(&client, &args.app).await?;
    // The process runtime gives no terminal; a raw one here would then only take Ctrl-C away.
    let tty = wants_tty(args.no_tty) && client.app(&app).await?.runtime == RuntimeKind::Docker;
    let asked = ExecRequest { service: args.service, replica: args.replica, argv: args.argv, tty, environment: BTreeMap::new() };
    let (session, input) = client.session(&app, "exec", &asked).await?;
    attach(session, input, tty).await
}

/// In a new replica.
pub async fn run(context: &Context, args: RunIn) -> Outcome<ExitCode> {
    let client = context.client_for(&args.app)?;
    let app = context.app(&client, &args.app).await?;
    let environment = args.variables.iter().map(|pair| variable(pair)).collect::<Outcome<BTreeMap<String, String>>>()?;
    // It is a job: its output is its log, and it reads nothing, so the terminal stays as it is and Ctrl-C ends it.
    let asked = ExecRequest { service: args.service, replica: None, argv: args.argv, tty: false, environment };
    let (session, input) = client.session(&app, "run", &asked).await?;
    attach(session, input, false).await
}

fn wants_tty(never: bool) -> bool {
    !never && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// `KEY=value`, or `KEY` for the value it has here.
fn variable(pair: &str) -> Outcome<(String, String)> {
    let (key, value) = match pair.split_once('=') {
        Some((key, value)) => (key, value.to_owned()),
        None => {
            let here = std::env::var(pair).map_err(|_| {
                Plain::usage("no-variable", format!("`{pair}` has no value here")).hint(format!("give it one: `--env {pair}=VALUE`"))
            })?;
            (pair, here)
        }
    };
    let key: EnvKey = key.parse().map_err(|e: landfall_model::name::NameError| Plain::usage("bad-name", e.to_string()))?;
    Ok((key.into(), value))
}

/// Carries bytes both ways until the command ends.
async fn attach(mut session: Session, mut input: SessionInput, tty: bool) -> Outcome<ExitCode> {
    let raw = if tty { Raw::enter() } else { None };
    let mut resized =
        signal(SignalKind::window_change()).map_err(|e| Plain::failed("no-signals", "cannot listen for signals").because(e))?;
    let mut stdin = tokio::io::stdin();
    let (mut buffer, mut open) = (vec![0; 8 * 1024], true);
    if tty {
        tell_size(&mut input).await;
    }
    let done = loop {
        tokio::select! {
            output = session.next() => match output {
                Ok(SessionOutput::Stdout(bytes)) => Printer::pass_stdout(&bytes),
                Ok(SessionOutput::Stderr(bytes)) => Printer::pass_stderr(&bytes),
                Ok(SessionOutput::Exit(code)) => break Ok(code),
                Err(error) => break Err(error),
            },
            read = stdin.read(&mut buffer), if open => {
                let bytes = read.ok().and_then(|n| buffer.get(..n)).unwrap_or_default();
                open = !bytes.is_empty();
                // A command that reads no more has its reasons; its end tells.
                if input.stdin(bytes).await.is_err() {
                    open = false;
                }
            }
            _ = resized.recv(), if tty => tell_size(&mut input).await,
        }
    };
    drop(raw);
    Ok(ExitCode::from(u8::try_from(done?).unwrap_or(1)))
}

async fn tell_size(input: &mut SessionInput) {
    if let Ok(size) = tcgetwinsize(std::io::stdout()) {
        let _ = input.resize(size.ws_col, size.ws_row).await;
    }
}

/// A terminal that passes every key on; as it was before when dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_names() {
        assert_eq!(variable("A=b=c").unwrap(), ("A".into(), "b=c".into()));
        assert!(variable("=x").is_err() && variable("A B=x").is_err() && variable("LANDFALL_TEST_SURELY_UNSET").is_err());
    }
}
