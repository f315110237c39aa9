//! Stands in for the `landfall` binary in this crate's tests: it has the verbs `shim run DIR` and `shim exec DIR` and nothing else.

use landfall_runtime::process::{shim_exec, shim_run};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<String> = std::env::args().collect();
    match argv.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "shim", "run", dir] => ExitCode::from(u8::try_from(shim_run(Path::new(dir))).unwrap_or(70)),
        [_, "shim", "exec", dir] => {
            let error = shim_exec(Path::new(dir));
            let _ = writeln!(std::io::stderr(), "landfall: cannot start: {error}");
            ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
        }
        _ => ExitCode::from(2),
    }
}
