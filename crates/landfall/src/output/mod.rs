//! The only place that prints.
//!
//! Results go to standard output, everything about the way there (diagnostics, progress, errors) to standard error, so that a pipe gets
//! the result alone. Text is always written with colours and stripped at the edge when they are not wanted; colour never carries meaning
//! alone. Whoever reads standard output may leave (`landfall logs | head`): that ends the command quietly.

mod build;
mod certificate;
mod checked;
mod code;
mod diagnostic;
mod diff;
mod doctor;
mod event;
mod failure;
mod log;
mod plan;
mod progress;
mod release;
mod sarif;
mod secret;
mod server;
mod size;
mod status;
mod style;
mod table;
mod time;
mod transfer;
mod verify;
mod wrap;

pub use build::BuildView;
pub use checked::Checked;
pub use log::LogView;
pub use progress::Progress;
pub use size::bytes;
pub use style::{harmless, paint};
pub use time::took;
pub use transfer::Transfer;

use crate::cli::Color;
use crate::doctor::Report;
use crate::error::{Explain, Kind, Outcome, Problem};
use crate::server::{Proposal, Tell};
use crate::verify::{Finding, Verdict};
use anstream::{AutoStream, ColorChoice};
use landfall_model::api::{AppStatus, Event, Planned, Release};
use landfall_model::certificate::CertificateStatus;
use landfall_model::code::Code;
use landfall_model::diagnostic::Diagnostic;
use landfall_model::image::RegistryStatus;
use landfall_model::name::ServiceName;
use landfall_model::secret::SecretStatus;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use table::Align;

/// Nobody reads standard output any more.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
struct OutputClosed(#[source] std::io::Error);

impl Explain for OutputClosed {
    fn code(&self) -> &str {
        "output-closed"
    }
    fn kind(&self) -> Kind {
        // A reader that left is no failure; a full disk is.
        if self.0.kind() == std::io::ErrorKind::BrokenPipe { Kind::OutputClosed } else { Kind::Failed }
    }
}

/// A line of a child that will not become its program: to its log, through its standard error.
pub fn child_note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "landfall: {text}");
}

/// Something that cannot be. Told by the panic hook, which has nothing to rely on.
pub fn bug(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it does not say what");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "bug: this is a bug in Landfall: {what} ({place}, version {}) [bug]", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(err, "  try: report it with this message and the command that you typed");
}

/// Prints, as the user wants it. Passed down from `main`.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    json: bool,
    out: ColorChoice,
    err: ColorChoice,
    live: bool,
    terminal: bool,
}

impl Printer {
    /// `color` as typed; NO_COLOR and the like are honoured for `auto`.
    pub fn new(json: bool, color: Color) -> Self {
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let choice = |automatic: ColorChoice| match color {
            Color::Auto => automatic,
            Color::Always => ColorChoice::AlwaysAnsi,
            Color::Never => ColorChoice::Never,
        };
        Self {
            json,
            out: choice(AutoStream::choice(&stdout)),
            err: choice(AutoStream::choice(&stderr)),
            live: !json && stderr.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
            terminal: stdout.is_terminal(),
        }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard output is a terminal, so that control characters must not reach it.
    fn to_terminal(self) -> bool {
        self.terminal
    }

    /// Text as it is, to standard output.
    pub fn text(&self, text: &str) -> Outcome {
        let mut out = AutoStream::new(std::io::stdout().lock(), self.out);
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Problem::from(OutputClosed(e)))
    }

    /// Text that quotes others, to standard output: nothing in it commands the terminal.
    pub fn shown(&self, text: &str) -> Outcome {
        self.text(&style::edge(text))
    }

    /// One line to standard output, likewise.
    pub fn line(&self, text: &str) -> Outcome {
        self.shown(&format!("{text}\n"))
    }

    /// A whole value to standard output.
    pub fn json<T: Serialize>(&self, value: &T) -> Outcome {
        self.json_text(serde_json::to_string_pretty(value))
    }

    /// One value of a stream to standard output.
    pub fn json_line<T: Serialize>(&self, value: &T) -> Outcome {
        self.json_text(serde_json::to_string(value))
    }

    fn json_text(&self, text: serde_json::Result<String>) -> Outcome {
        let text = text.map_err(|e| crate::error::Plain::failed("json", "cannot write JSON").because(e))?;
        self.text(&format!("{}\n", style::json_edge(&text)))
    }

    /// One line about the way there, to standard error. Nothing can be done when that fails.
    pub fn note(&self, text: &str) {
        self.note_raw(&style::edge(text));
    }

    fn note_raw(&self, text: &str) {
        let mut err = AutoStream::new(std::io::stderr().lock(), self.err);
        let _ = err.write_all(format!("{text}\n").as_bytes());
    }

    /// A warning, to standard error.
    pub fn warning(&self, text: &str) {
        self.note(&format!("{} {text}", paint(style::WARNING, "warning:")));
    }

    /// What was wanted is done.
    pub fn done(&self, text: &str) -> Outcome {
        self.line(&format!("{} {text}", paint(style::GOOD, "✔")))
    }

    /// Something that happened beside what this command does.
    pub fn news(&self, event: &Event) -> Outcome {
        if self.json {
            return self.json_line(event);
        }
        self.note(&format!("{} {}", paint(style::FAINT, time::clock(event.at_ms)), event::what(&event.what)));
        Ok(())
    }

    /// Whether builds write to the terminal as they go.
    pub fn shows_builds(&self) -> bool {
        self.live
    }

    /// A build begins.
    pub fn building(&self, service: &ServiceName, argv: &str) {
        self.note(&format!("{} {} {argv}", paint(style::STRONG, service), paint(style::FAINT, "builds:")));
    }

    /// Bytes of another program, which has this terminal for its own. When nobody reads them the program's end still tells.
    pub fn pass_stdout(bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// Likewise.
    pub fn pass_stderr(bytes: &[u8]) {
        let _ = std::io::stderr().lock().write_all(bytes);
    }

    /// Why the command did not end well.
    pub fn problem(&self, problem: &Problem) {
        if problem.kind() == Kind::OutputClosed {
            return;
        }
        let failure = problem.failure();
        if self.json {
            let text = serde_json::json!({ "error": failure });
            self.note_raw(&style::json_edge(&text.to_string()));
        } else {
            self.note(failure::render(&failure, problem.kind()).trim_end());
        }
    }

    /// Complaints about files, to standard error, drawn on the excerpt.
    pub fn diagnostics(&self, diagnostics: &[Diagnostic], sources: &BTreeMap<String, String>) {
        let width = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(140, |size| usize::from(size.ws_col).clamp(60, 160));
        // Written at once: hundreds of them are one system call and not a thousand.
        let drawn: Vec<String> = diagnostics.iter().map(|d| diagnostic::render(d, sources, width) + "\n").collect();
        if !drawn.is_empty() {
            self.note(&drawn.join("\n"));
        }
    }

    /// What `landfall check` found: the complaints, and a line that sums them up.
    pub fn checked(&self, checked: &Checked<'_>) -> Outcome {
        self.diagnostics(checked.diagnostics, checked.sources);
        if let Some(more) = checked.more() {
            self.note(&more);
        }
        self.line(&checked.summary())
    }

    /// The same for code scanning.
    pub fn sarif(&self, checked: &Checked<'_>) -> Outcome {
        self.json(&sarif::log(checked))
    }

    /// A code and what it means.
    pub fn code(&self, code: &Code) -> Outcome {
        if self.json {
            return self.json(&code::json(code));
        }
        let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(100, |size| usize::from(size.ws_col).clamp(40, 100));
        self.text(&code::page(code, width))
    }

    /// All codes.
    pub fn codes(&self, codes: &[Code]) -> Outcome {
        if self.json {
            return self.json(&codes.iter().map(code::json).collect::<Vec<_>>());
        }
        self.text(&code::list(codes))
    }

    /// What would change in a file, as a unified diff.
    pub fn diff(&self, name: &str, old: &str, new: &str) -> Outcome {
        self.text(&diff::render(name, old, new))
    }

    /// What `landfall status` shows.
    pub fn status(&self, apps: &[AppStatus], now_ms: u64) -> Outcome {
        self.shown(&status::render(apps, now_ms))
    }

    /// What `landfall certs` shows.
    pub fn certificates(&self, certs: &[CertificateStatus], now_ms: u64) -> Outcome {
        self.shown(&certificate::render(certs, now_ms))
    }

    /// What `landfall registry list` shows.
    pub fn registries(&self, registries: &[RegistryStatus]) -> Outcome {
        let row = |r: &RegistryStatus| {
            vec![r.host.as_str().into(), style::harmless(&r.user).into(), time::date_clock(r.at_ms).into(), style::harmless(&r.who).into()]
        };
        let columns = [("REGISTRY", Align::Left), ("USER", Align::Left), ("SINCE", Align::Left), ("BY", Align::Left)];
        self.shown(&table::render(&columns, &registries.iter().map(row).collect::<Vec<_>>()))
    }

    /// What `landfall releases` shows.
    pub fn releases(&self, releases: &[Release]) -> Outcome {
        self.shown(&release::render(releases))
    }

    /// What `landfall plan` shows.
    pub fn plan(&self, planned: &Planned) -> Outcome {
        self.shown(&plan::render(planned))
    }

    /// What would be changed on a server.
    pub fn proposal(&self, name: &str, proposal: &Proposal) -> Outcome {
        if self.json {
            return self.json_line(proposal);
        }
        let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(usize::MAX, |size| usize::from(size.ws_col).clamp(40, 120));
        self.shown(&server::proposal(name, proposal, width))
    }

    /// What an examination of a server found.
    pub fn examined(&self, name: &str, report: &Report, all: bool) -> Outcome {
        let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(100, |size| usize::from(size.ws_col).clamp(60, 120));
        if self.json { self.json(report) } else { self.shown(&doctor::render(name, report, all, width)) }
    }

    /// How changing it goes: where a line can be written over, what is under way is shown and then replaced by what is done.
    pub fn server_step(&self, proposal: &Proposal, tell: &Tell) -> Outcome {
        if self.json {
            return self.json_line(tell);
        }
        let width = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(usize::MAX, |size| usize::from(size.ws_col).max(20));
        let Some(line) = server::step(proposal, tell, width) else {
            if self.live {
                self.note("");
            }
            return Ok(());
        };
        match tell {
            Tell::Begun { .. } if self.live => {
                let _ = AutoStream::new(std::io::stderr().lock(), self.err).write_all(style::edge(&line).as_bytes());
            }
            Tell::Begun { .. } => {}
            _ if self.live => self.note_raw(&format!("\r\x1b[K{}", style::edge(&line))),
            _ => self.note(&line),
        }
        Ok(())
    }

    /// One look of `landfall verify`; programs get them all at once.
    pub fn finding(&self, finding: &Finding) -> Outcome {
        if self.json { Ok(()) } else { self.line(&verify::finding(finding)) }
    }

    /// All of them.
    pub fn looked(&self, name: &str, findings: &[Finding]) -> Outcome {
        if self.json {
            let ok = findings.iter().all(|finding| finding.verdict != Verdict::Failed);
            return self.json(&serde_json::json!({ "ok": ok, "target": name, "findings": findings }));
        }
        self.line(&verify::sum(name, findings))
    }

    /// `landfall secret list`.
    pub fn secrets(&self, secrets: &[SecretStatus]) -> Outcome {
        match (self.json, secrets) {
            (true, _) => self.json(&secrets),
            (false, []) => self.line("there is no secret; `landfall secret set NAME` makes one"),
            (false, _) => self.shown(&secret::render(secrets)),
        }
    }

    /// One line of `landfall events`.
    pub fn event(&self, event: &Event) -> Outcome {
        if self.json { self.json_line(event) } else { self.line(&event::render(event)) }
    }

    /// Asks for words to be typed; `None` when there is nobody to type.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut err = AutoStream::new(std::io::stderr().lock(), self.err);
        let _ = write!(err, "{question} ").and_then(|()| err.flush());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    }

    /// Asks for something that is not shown while it is typed; `None` when there is nobody to type.
    pub fn ask_hidden(&self, question: &str) -> Option<String> {
        let shown = tcgetattr(std::io::stdin()).ok()?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden).ok()?;
        let answer = self.ask(question);
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &shown);
        let _ = writeln!(AutoStream::new(std::io::stderr().lock(), self.err));
        answer
    }

    /// Shows a rollout as it goes.
    pub fn progress(&self) -> Progress {
        Progress::new(*self)
    }

    /// Shows an image that is built of so many files.
    pub fn build(&self, name: &str, files: usize, bytes: u64) -> BuildView {
        BuildView::new(*self, name, files, bytes)
    }

    /// Shows bytes on their way.
    pub fn transfer(&self, what: &str, bytes: u64) -> Transfer {
        Transfer::new(*self, what, Some(bytes))
    }

    /// Shows bytes that are read before it is known how many there are to send.
    pub fn reading(&self, what: &str) -> Transfer {
        Transfer::new(*self, what, None)
    }

    /// What clap says about the command line; it knows where it belongs. It quotes what was typed.
    pub fn usage(error: &clap::Error) {
        if !error.use_stderr() {
            let _ = error.print();
            return;
        }
        let lines: String = error.render().ansi().to_string().lines().map(|line| style::harmless(line) + "\n").collect();
        let _ = anstream::stderr().write_all(lines.as_bytes());
    }
}
