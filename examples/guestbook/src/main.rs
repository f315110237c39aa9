//! The guestbook: one program that is a page (`web`), a REST API (`api`) or a background worker (`worker`).
//!
//! It is what an app needs to be to be released without a failed request: it listens where `PORT` says, answers `/health`, finds
//! its neighbours by `LANDFALL_URL_<SERVICE>`, and on SIGTERM finishes what it holds and ends. Nothing here knows Landfall.

mod api;
mod client;
mod serve;
mod store;
mod web;
mod worker;

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&e),
    };
    let ended = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["web"] => runtime.block_on(web::run()),
        ["api"] => runtime.block_on(api::run()),
        ["worker"] => runtime.block_on(worker::run()),
        _ => {
            log(format_args!("usage: guestbook web | api | worker"));
            return ExitCode::from(2);
        }
    };
    // A blocking SQLite call must not keep a stopping program alive.
    runtime.shutdown_background();
    ended.map_or_else(|e| failed(e.as_ref()), |()| ExitCode::SUCCESS)
}

/// How a service ends; the text is for its log.
type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The version this release shows; `VERSION` of its environment.
fn version() -> String {
    std::env::var("VERSION").unwrap_or_else(|_| "1".into())
}

/// One line for the service's log. A log that cannot be written is no reason to fail.
fn log(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    log(format_args!("guestbook: {error}"));
    ExitCode::FAILURE
}
