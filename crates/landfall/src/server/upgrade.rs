//! Moves a server to another binary while it carries requests, or back.
//!
//! The proxy goes first: the new one accepts before the old one ends, and if it does not come up the old one has never stopped. Then the agent, which
//! copies its store before it migrates it. An agent that does not answer in time is replaced by the old one, with the store it knows; requests pass by all of this, for
//! they are the proxy's. The process that holds the sockets keeps running its old code: it does nothing but hold them and start the two.

use super::apply::{Hands, PATH, last_lines};
use super::facts::Facts;
use super::generation;
use super::there::done;
use super::wire::{Proposed, Tell, say};
use crate::client::{Channel, Client};
use crate::error::{Outcome, Plain, Problem};
use crate::settings::Home;
use crate::supervise::Record;
use landfall_agent::AgentError;
use landfall_model::api::AgentInfo;
use rustix::process::Signal;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// How long `--version` may take.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// How long a new proxy may take: the supervisor's own limit, and a margin.
const PROXY_LIMIT: Duration = Duration::from_secs(25);
/// How long a new agent may take, its migrations too.
const AGENT_LIMIT: Duration = Duration::from_secs(20);
/// How long going back may take: a new agent that does not obey is killed first.
const BACK_LIMIT: Duration = Duration::from_secs(60);
/// How long the journal may take to say what it has.
const LOG_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// An upgrade that can be made.
pub(super) struct Upgrade<'a> {
    hands: &'a Hands<'a>,
    client: Client,
    before: String,
    systemd: bool,
    /// Process id of the agent that runs now.
    agent: u32,
    nothing: bool,
}

/// Looks whether there is something to upgrade, and nothing in the way.
pub(super) async fn prepare<'a>(facts: &Facts, hands: &'a Hands<'a>) -> Outcome<Upgrade<'a>> {
    let Some(current) = facts.current.clone() else {
        return Err(Plain::usage("not-set-up", "this server was not prepared for Landfall yet")
            .hint("prepare it: `landfall server setup`")
            .into());
    };
    let client = Client::new(Channel::Here(hands.home.clone()));
    let info = await_agent(&client, |_| true).await?;
    let apps = client.apps().await?;
    if let Some(busy) = apps.iter().find(|app| app.rollout.is_some()) {
        return Err(Plain::failed(
            "busy",
            format!("{} is being rolled out, and an upgrade would disturb it; nothing was changed", busy.app),
        )
        .hint(format!("watch it with `landfall events -f -p {}`, and upgrade when it has ended", busy.app))
        .into());
    }
    let record = supervisor(hands.home)?;
    let runs = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == generation::binary(&facts.brought));
    // `setup` may have pointed at another one since: what runs is what is gone back to.
    let before = generation::of(info.pid).unwrap_or_else(|| current.clone());
    let nothing = facts.brought == current && runs(info.pid) && runs(record.proxy.pid.unsigned_abs());
    Ok(Upgrade { hands, client, before, systemd: facts.systemd, agent: info.pid, nothing })
}

impl Upgrade<'_> {
    /// What it will do.
    pub(super) fn proposed(&self) -> Vec<Proposed> {
        if self.nothing {
            return Vec::new();
        }
        let told =
            |what: &str, why: &str| Proposed { what: what.to_owned(), why: why.to_owned(), undo: "by itself, when it fails".to_owned() };
        let short = self.hands.digest.get(..12).unwrap_or_default();
        vec![
            told(
                &format!("copy the binary to {}/{short}… and see that it runs", generation::ROOT),
                "what does not run there replaces nothing",
            ),
            told("replace the proxy", "the new one accepts before the old one ends"),
            told("replace the agent", "its store is copied before it is migrated"),
        ]
    }

    /// Does it, or leaves the server as it was.
    /// Its changes are those from `first` on.
    pub(super) async fn apply(self, output: &mut tokio::io::Stdout, first: usize) -> Outcome {
        for index in 0..3 {
            let began = Instant::now();
            // A client that is gone does not stop what it asked for.
            let _ = say(output, &Tell::Begun { change: first + index }).await;
            match index {
                0 => self.lay_down().await?,
                1 => self.replace_proxy().await?,
                _ => self.replace_agent().await?,
            }
            let _ = say(output, &done(first + index, began)).await;
        }
        generation::retain(Some(&self.before)).map_err(|e| written(generation::ROOT, e))
    }

    async fn lay_down(&self) -> Outcome {
        generation::lay_down(self.hands.brought, self.hands.digest).map_err(|e| written(generation::ROOT, e))?;
        let binary = generation::binary(self.hands.digest);
        let checked = version_of(&binary).await;
        if checked.is_err() && self.hands.digest != self.before {
            let _ = generation::retain(Some(&self.before));
        }
        checked
    }

    async fn replace_proxy(&self) -> Outcome {
        landfall_agent::forget_store_copy(&landfall_agent::Home::new(self.hands.home.path())).map_err(|e| written(super::HOME, e))?;
        self.point_at(self.hands.digest)?;
        let Err(reason) = change_proxy(self.hands.home).await else { return Ok(()) };
        self.point_at(&self.before)?;
        generation::retain(None).map_err(|e| written(generation::ROOT, e))?;
        Err(Plain::failed("upgrade-failed", "the new proxy did not come up; the old one never stopped, and everything is as it was")
            .because(reason)
            .hint(format!("its log is {} on the server", self.hands.home.log("proxy").display()))
            .into())
    }

    async fn replace_agent(&self) -> Outcome {
        let up = match self.restart_agent().await {
            Ok(()) => await_agent(&self.client, |info| info.pid != self.agent).await.map(drop),
            Err(problem) => Err(problem),
        };
        let Err(problem) = up else { return Ok(()) };
        let (why, log) = (problem.failure(), self.agent_log().await);
        self.go_back().await?;
        Err(Plain::failed("upgrade-failed", "the new agent did not come up; the old binary and its store are back, and no request noticed")
            .because(why.message)
            .log(log)
            .hint("nothing is left to put right; report the log if the binary is one of ours")
            .into())
    }

    /// What the agent that does not answer said: systemd keeps it in the journal.
    async fn agent_log(&self) -> Vec<String> {
        if !self.systemd {
            return last_lines(&std::fs::read_to_string(self.hands.home.log("agent")).unwrap_or_default());
        }
        let mut command = tokio::process::Command::new("journalctl");
        command.args(["--unit=landfall-agent.service", "--lines=20", "--output=cat", "--no-pager"]);
        command.env_clear().env("PATH", PATH).stdin(Stdio::null()).kill_on_drop(true);
        let said = timeout(LOG_LIMIT, command.output()).await.ok().and_then(Result::ok);
        said.map(|said| last_lines(&String::from_utf8_lossy(&said.stdout))).unwrap_or_default()
    }

    /// The old binary, its store, its agent, its proxy.
    async fn go_back(&self) -> Outcome {
        self.point_at(&self.before)?;
        // Whether that worked is what is looked at below.
        let _ = self.restart_agent().await;
        let (home, began) = (landfall_agent::Home::new(self.hands.home.path()), Instant::now());
        let old = generation::binary(&self.before);
        loop {
            // One that answers has a store it knows: it was not migrated, or it was put back.
            let answers = timeout(Duration::from_secs(2), self.client.agent()).await;
            if let Ok(Ok(info)) = answers
                && std::fs::read_link(format!("/proc/{}/exe", info.pid)).is_ok_and(|exe| exe == old)
            {
                break;
            }
            match landfall_agent::put_store_back(&home) {
                Ok(true) => self.restart_agent().await?,
                Ok(false) | Err(AgentError::AlreadyRuns(_)) => {}
                Err(error) => return Err(not_back().because(error).into()),
            }
            if began.elapsed() > BACK_LIMIT {
                return Err(not_back().into());
            }
            sleep(PAUSE).await;
        }
        change_proxy(self.hands.home).await.map_err(|reason| not_back().because(reason))?;
        generation::retain(None).map_err(|e| written(generation::ROOT, e))
    }

    fn point_at(&self, digest: &str) -> Outcome {
        generation::point_at(digest).map_err(|e| written(generation::ROOT, e))
    }

    async fn restart_agent(&self) -> Outcome {
        if !self.systemd {
            supervisor(self.hands.home)?.signal(Signal::USR2);
            return Ok(());
        }
        let mut command = tokio::process::Command::new("systemctl");
        command.args(["restart", "--no-block", "landfall-agent.service"]).env_clear().env("PATH", PATH).stdin(Stdio::null());
        let status = command.status().await.map_err(|e| Plain::failed("upgrade-failed", "systemctl cannot be run").because(e))?;
        if status.success() {
            Ok(())
        } else {
            Err(Plain::failed("upgrade-failed", format!("systemd does not restart the agent ({status})")).into())
        }
    }
}

/// Waits for an agent that answers and is the one that is meant.
pub(super) async fn await_agent(client: &Client, meant: impl Fn(&AgentInfo) -> bool) -> Outcome<AgentInfo> {
    let began = Instant::now();
    loop {
        match timeout(Duration::from_secs(2), client.agent()).await {
            Ok(Ok(info)) if meant(&info) => return Ok(info),
            _ if began.elapsed() < AGENT_LIMIT => sleep(PAUSE).await,
            _ => {
                return Err(Plain::failed("agent-silent", format!("the agent does not answer within {} s", AGENT_LIMIT.as_secs()))
                    .hint("its log is /var/lib/landfall/logs/agent.log on the server, or `journalctl -u landfall-agent`")
                    .into());
            }
        }
    }
}

/// Has the proxy replaced by one of the current binary.
async fn change_proxy(home: &Home) -> Result<(), String> {
    let record = Record::alive(home).ok_or_else(|| "nobody keeps the proxy".to_owned())?;
    let asked = record.proxy.replacements;
    record.signal(Signal::USR1);
    let began = Instant::now();
    loop {
        if let Some(now) = Record::alive(home).map(|record| record.proxy).filter(|proxy| proxy.replacements > asked) {
            return now.refused.map_or(Ok(()), Err);
        }
        if began.elapsed() > PROXY_LIMIT {
            return Err(format!("nothing was heard of it within {} s", PROXY_LIMIT.as_secs()));
        }
        sleep(PAUSE).await;
    }
}

async fn version_of(binary: &Path) -> Outcome {
    let failed = |why: String| -> Problem {
        Plain::failed("binary-broken", "the new binary does not run on this server; nothing was replaced").because(why).into()
    };
    let mut command = tokio::process::Command::new(binary);
    command.arg("--version").env_clear().env("PATH", PATH).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(VERSION_LIMIT, command.output()).await {
        Err(_) => Err(failed(format!("`landfall --version` does not end within {} s", VERSION_LIMIT.as_secs()))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(output)) if output.status.success() && output.stdout.starts_with(b"landfall ") => Ok(()),
        Ok(Ok(output)) => Err(failed(format!("`landfall --version` is no answer of Landfall ({})", output.status))),
    }
}

fn supervisor(home: &Home) -> Outcome<Record> {
    Ok(Record::alive(home).ok_or_else(|| {
        Plain::failed("no-supervisor", "nobody keeps the proxy of this server")
            .hint("`landfall server setup` starts what is missing; with systemd: `systemctl start landfall-proxy`")
    })?)
}

fn not_back() -> Plain {
    Plain::failed("upgrade-stuck", "the upgrade failed, and the old agent is not back yet; requests are carried all the same")
        .hint("see /var/lib/landfall/logs/agent.log on the server, or `journalctl -u landfall-agent`; `landfall server upgrade` with a binary that works puts it right")
}

fn written(path: &str, error: std::io::Error) -> Problem {
    Plain::failed("upgrade-failed", format!("cannot write {path}")).because(error).hint("is the disk full, or mounted read-only?").into()
}
