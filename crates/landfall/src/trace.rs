//! Where our own processes write what they do: server processes to standard error (their log file, or the journal under systemd), the
//! supervisor inside `landfall up` to its log file, so that the terminal is the app's.

use crate::error::{Outcome, Plain};
use std::path::Path;
use std::sync::Mutex;
use tracing::level_filters::LevelFilter;

/// LANDFALL_LOG: `error`, `warn`, `info` (the default), `debug`, `trace` or `off`.
fn level() -> LevelFilter {
    std::env::var("LANDFALL_LOG").ok().and_then(|word| word.parse().ok()).unwrap_or(LevelFilter::INFO)
}

/// To standard error.
pub fn to_stderr() {
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(ansi).with_max_level(level()).init();
}

/// To a file, appended.
pub fn to_file(path: &Path) -> Outcome {
    let file = crate::supervise::open_log(path)
        .map_err(|e| Plain::failed("home-unusable", format!("cannot write {}", path.display())).because(e))?;
    tracing_subscriber::fmt().with_writer(Mutex::new(file)).with_ansi(false).with_max_level(level()).init();
    Ok(())
}
