//! What the tutor's two programs share: listening and stopping well, calling each other, and one line of log.
//!
//! An example app: nothing in it knows Landfall. It does what any app must do to be released without a failed request: listen,
//! answer `/health`, find its neighbours by service name, finish what it holds on SIGTERM.

pub mod client;
pub mod serve;

use std::io::Write as _;

/// How a program ends; the text is for its log.
pub type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The version this image shows; `VERSION`, which the image itself sets.
pub fn version() -> String {
    std::env::var("VERSION").unwrap_or_else(|_| "dev".into())
}

/// One line for the container's log. A log that cannot be written is no reason to fail.
pub fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Runs a program to its end on a single thread.
pub fn run(program: impl Future<Output = Ended>) -> std::process::ExitCode {
    let ended = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Into::into).and_then(|runtime| {
        let ended = runtime.block_on(program);
        // A name that is still being resolved must not keep a stopping program alive.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            log(format_args!("error: {e}"));
            let mut cause = e.source();
            while let Some(e) = cause {
                log(format_args!("  because: {e}"));
                cause = e.source();
            }
            std::process::ExitCode::FAILURE
        }
    }
}
