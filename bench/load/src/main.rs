//! `landfall-load`: a load from the command line, its report as JSON on standard output.
//!
//! Runs for `--seconds`, or until SIGTERM, SIGINT or the line `stop` on standard input. The line `release VERSION` marks the
//! beginning of a release, `report` prints what was seen so far. Ends with 1 when anything failed.

use clap::Parser;
use landfall_load::{Ask, Expect, Handle, Load, Mix, Requests, Sockets, Streams, Target, Trust};
use std::error::Error;
use std::fmt::Display;
use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Loads a server on a fixed schedule and counts every way it fails.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to connect, such as 127.0.0.1:8443
    #[arg(long, value_name = "ADDRESS:PORT")]
    connect: SocketAddr,
    /// The host to ask for [default: the address]
    #[arg(long)]
    host: Option<String>,
    /// PEM file of the only certificate authority to believe; plain HTTP without it
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Requests per second
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Path to ask for; several are asked in turn
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: Vec<String>,
    /// The body must equal the header x-version
    #[arg(long)]
    expect_version: bool,
    /// Shares of requests on kept, HTTP/2 and fresh connections
    #[arg(long, value_name = "KEPT,H2,FRESH", value_parser = mix, default_value = "7,2,1")]
    mix: Mix,
    /// WebSockets to keep open
    #[arg(long, default_value_t = 0)]
    sockets: u32,
    /// Their path
    #[arg(long, value_name = "PATH", default_value = "/ws")]
    socket_path: String,
    /// Event streams to keep open
    #[arg(long, default_value_t = 0)]
    streams: u32,
    /// Their path
    #[arg(long, value_name = "PATH", default_value = "/events/ticks")]
    stream_path: String,
    /// Seconds for which a release leaves WebSockets and streams alone
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    drain: f64,
    /// Seconds that any answer, echo or event may take
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    deadline: f64,
    /// Seconds to run
    #[arg(long)]
    seconds: Option<f64>,
}

impl Arguments {
    fn target(self) -> Result<Target, Box<dyn Error>> {
        let body = if self.expect_version { Expect::Version } else { Expect::Any };
        let asks = self.path.into_iter().map(|path| Ask { path, body: body.clone() }).collect();
        let host = self.host.unwrap_or_else(|| self.connect.to_string());
        let mut target = Target::http(self.connect, host);
        if let Some(ca) = self.ca {
            target.trust = Trust::Ca(ca);
        }
        target.requests = Requests { per_second: self.rate, asks, mix: self.mix };
        target.sockets = Sockets { path: self.socket_path, count: self.sockets, ..Sockets::default() };
        target.streams = Streams { path: self.stream_path, count: self.streams };
        target.drain = Duration::try_from_secs_f64(self.drain)?;
        target.deadline = Duration::try_from_secs_f64(self.deadline)?;
        Ok(target)
    }
}

fn mix(text: &str) -> Result<Mix, String> {
    let shares: Vec<u32> = text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|e| format!("{e}"))?;
    let [kept, h2, fresh] = shares[..] else { return Err("three numbers are wanted".into()) };
    Ok(Mix { kept, h2, fresh })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            let mut words = vec![e.to_string()];
            words.extend(std::iter::successors(e.source(), |&e| e.source()).map(ToString::to_string));
            let _ = writeln!(std::io::stderr(), "landfall-load: {}", words.join(": "));
            ExitCode::from(2)
        }
    }
}

/// True when nothing failed.
async fn run(arguments: Arguments) -> Result<bool, Box<dyn Error>> {
    let seconds = arguments.seconds.map(Duration::try_from_secs_f64).transpose()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let load = Load::start(arguments.target()?)?;
    let mut lines = standard_input();
    let end = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(seconds).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(line) = lines.recv() => {
                if line.trim() == "stop" {
                    break;
                }
                obey(&load, line.trim())?;
            }
        }
    }
    let report = load.stop();
    print(&report)?;
    Ok(report.failed() == 0)
}

fn obey(load: &Handle, line: &str) -> std::io::Result<()> {
    match line.split_once(' ') {
        Some(("release", version)) => load.mark_release(version.trim()),
        None if line == "report" => print(&load.snapshot())?,
        None if line.is_empty() => {}
        _ => writeln!(std::io::stderr(), "landfall-load: not understood: {line} (release VERSION, report, stop)")?,
    }
    Ok(())
}

fn print(report: &impl Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{report}")
}

/// Lines of standard input, read where blocking is harmless; its end is not the end of the load.
fn standard_input() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receive
}
