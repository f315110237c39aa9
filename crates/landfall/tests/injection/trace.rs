//! What processes did, as `strace` wrote it: which programs they became, and which files they made, changed or removed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that begins a program, or makes, changes or removes a file.
const CALLS: &str = "trace=execve,execveat,open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
                     unlink,unlinkat,rmdir,truncate,chmod,fchmodat,chown,fchownat,lchown";

/// The command that runs the binary traced; its arguments follow.
pub(crate) fn traced(log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "4096", "-xx", "--seccomp-bpf", "-e", CALLS, "-o"]).arg(log).arg(env!("CARGO_BIN_EXE_landfall"));
    command
}

/// One call that succeeded.
struct Call {
    name: String,
    /// Texts among its arguments.
    paths: Vec<String>,
    writes: bool,
}

/// The calls of a log that succeeded.
fn calls(log: &Path) -> Vec<Call> {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    let mut calls = Vec::new();
    for line in text.lines() {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        // The second half of a call that another interrupted repeats nothing that is asked for here; what it began is counted as done.
        let (call, result) = line.rsplit_once(" = ").unwrap_or((line, "0"));
        if result.starts_with('-') || call.starts_with("<...") || call.starts_with("+++") || call.starts_with("---") {
            continue;
        }
        let Some((name, arguments)) = call.split_once('(') else { continue };
        let opens = matches!(name, "open" | "openat" | "openat2");
        let writes = name != "execve"
            && name != "execveat"
            && (!opens || ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| arguments.contains(flag)));
        calls.push(Call { name: name.to_owned(), paths: arguments.split('"').skip(1).step_by(2).map(decode).collect(), writes });
    }
    calls
}

/// `\x2f\x74` as text.
fn decode(escaped: &str) -> String {
    let bytes: Vec<u8> = escaped.split("\\x").skip(1).filter_map(|b| u8::from_str_radix(b.get(..2)?, 16).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Programs that were begun, without the binary itself.
pub(crate) fn programs(log: &Path) -> Vec<String> {
    let own = |p: &String| p == env!("CARGO_BIN_EXE_landfall") || p.starts_with("/proc/self/");
    calls(log).into_iter().filter(|c| c.name.starts_with("exec")).filter_map(|c| c.paths.into_iter().next()).filter(|p| !own(p)).collect()
}

/// No program but these by name, and no file touched but below the roots.
pub(crate) fn stayed_inside(log: &Path, roots: &[&Path], programs_allowed: &[&str]) {
    for program in programs(log) {
        let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(programs_allowed.contains(&name.as_str()), "{program:?} was run");
    }
    let mut seen = 0;
    for call in calls(log) {
        seen += 1;
        let Some(path) = call.paths.first().filter(|_| call.writes) else { continue };
        // Relative ones are below a directory that was opened, or the working directory, which is a root.
        let inside = PathBuf::from(path).is_relative() && !path.split('/').any(|part| part == "..");
        let known = ["/dev/null", "/dev/tty", "/dev/ptmx", "/proc/self/", "/proc/thread-self/"].iter().any(|p| path.starts_with(p));
        assert!(inside || known || roots.iter().any(|root| Path::new(path).starts_with(root)), "{} of {path:?}", call.name);
    }
    assert!(seen > 0, "nothing was traced");
}
