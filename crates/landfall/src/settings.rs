//! From what was typed to what holds: the server that is meant, the home directory and the paths in it.
//!
//! Flags win over the environment, which wins over defaults. The layout of the home directory is agreed between supervisor, agent and
//! proxy; this is the command line's only copy of it. Everything in it is for its owner alone (0700).

use crate::cli::Global;
use crate::error::{Outcome, Plain};
use crate::ssh::SshProgram;
use landfall_model::name::NameError;
use landfall_model::server::ServerAddress;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What a verb works with, besides the project's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing else.
    Nothing,
    /// The home on this machine.
    Home,
    /// An agent, here or on a server.
    Agent,
    /// Likewise, if there is one.
    AgentIfAny,
}

/// What holds for every verb.
#[derive(Debug, Clone)]
pub struct Settings {
    /// State of Landfall on this machine.
    pub home: Home,
    /// `--home` as it was typed, for a verb that asks another machine about a home there. The variable LANDFALL_HOME is about this machine.
    pub typed_home: Option<PathBuf>,
    /// Another machine, whose agent is meant instead of the one here.
    pub server: Option<ServerAddress>,
    /// How it is reached.
    pub ssh: SshProgram,
    /// Where the command was typed; absolute.
    pub cwd: PathBuf,
}

impl Settings {
    /// Reads the environment once; nothing below asks it again. A verb that only reads files, or whose agent is elsewhere, runs without a home, as in a bare container of CI.
    pub fn resolve(global: &Global, needs: Needs) -> Outcome<Self> {
        let cwd = current_dir().map_err(|e| {
            Plain::failed("no-directory", "the current directory cannot be read").because(e).hint("change into a directory that exists")
        })?;
        let ssh = SshProgram::new(std::env::var("LANDFALL_SSH").ok().as_deref(), !std::io::stdin().is_terminal())?;
        // A process of the server may have inherited the variable from a shell; it is about this machine all the same.
        let server = if matches!(needs, Needs::Agent | Needs::AgentIfAny) { server(global)? } else { None };
        let home = match &global.home {
            _ if needs == Needs::Nothing || server.is_some() => Home::new(".landfall".into()),
            Some(typed) => Home::new(cwd.join(typed)),
            None => match default_home(rustix::process::geteuid().is_root(), |name| std::env::var_os(name)) {
                Err(_) if needs == Needs::AgentIfAny => Home::new(".landfall".into()),
                path => Home::assumed(path?),
            },
        }?;
        let variable = std::env::var_os("LANDFALL_HOME");
        let typed_home = global.home.clone().filter(|typed| variable.as_deref() != Some(typed.as_os_str()));
        Ok(Self { home, typed_home, cwd, server, ssh })
    }
}

/// The server that was typed, or that of the environment; an empty variable is none, as CI systems have it.
fn server(global: &Global) -> Outcome<Option<ServerAddress>> {
    let wrong = |e: NameError| Plain::usage("bad-server", e.to_string()).hint("LANDFALL_SERVER is where it was said");
    match (&global.server, std::env::var_os("LANDFALL_SERVER").filter(|text| !text.is_empty())) {
        (Some(typed), _) => Ok(Some(typed.clone())),
        (None, Some(text)) => Ok(Some(text.to_string_lossy().parse().map_err(wrong)?)),
        (None, None) => Ok(None),
    }
}

/// Where the command was typed, by the name it was reached by: the shell's PWD, when that is the same directory (POSIX `pwd -L`, and what
/// `docker compose` makes paths absolute with).
fn current_dir() -> std::io::Result<PathBuf> {
    let here = std::env::current_dir()?;
    let named = std::env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute());
    let same = |path: &PathBuf| match (path.metadata(), here.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    };
    Ok(named.filter(same).unwrap_or(here))
}

/// Where state is kept when nobody says: root has the system's directory, others their own (XDG Base Directory Specification).
fn default_home(root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Outcome<PathBuf> {
    if root {
        return Ok(landfall_agent::SYSTEM_HOME.into());
    }
    // The specification says that a relative path is to be ignored.
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match (absolute("XDG_STATE_HOME"), absolute("HOME")) {
        (Some(state), _) => Ok(state.join("landfall")),
        (None, Some(home)) => Ok(home.join(".local/state/landfall")),
        (None, None) => Err(Plain::usage("no-home", "there is no place for Landfall's state: neither XDG_STATE_HOME nor HOME is set")
            .hint("say where: `--home DIR` or LANDFALL_HOME")
            .into()),
    }
}

/// Longest path of a Unix socket (`sun_path` of unix(7), less its terminating zero).
const MAX_SOCKET_PATH: usize = 107;

/// The home directory and what lies where in it.
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
    assumed: bool,
}

impl Home {
    /// One that somebody named.
    pub fn new(path: PathBuf) -> Outcome<Self> {
        let home = Self { path, assumed: false };
        if home.notify_socket().as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
            return Err(Plain::usage(
                "home-too-long",
                format!("the path of the home directory is too long for a Unix socket in it: {}", home.path.display()),
            )
            .hint("choose a shorter one with `--home DIR`")
            .into());
        }
        Ok(home)
    }

    /// The one that is meant when nobody named one.
    fn assumed(path: PathBuf) -> Outcome<Self> {
        Ok(Self { assumed: true, ..Self::new(path)? })
    }

    /// Nobody named it.
    pub fn is_assumed(&self) -> bool {
        self.assumed
    }
    /// Itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Where the agent answers.
    pub fn agent_socket(&self) -> PathBuf {
        self.path.join("run/agent.sock")
    }
    /// Where the supervisor hears its children (sd_notify protocol).
    pub fn notify_socket(&self) -> PathBuf {
        self.path.join("run/notify.sock")
    }
    /// Every socket of agent, proxy and supervisor.
    pub fn sockets(&self) -> [PathBuf; 3] {
        [self.agent_socket(), self.notify_socket(), self.path.join("run/proxy.sock")]
    }
    /// Who supervises.
    pub fn supervisor_record(&self) -> PathBuf {
        self.path.join("run/supervisor.json")
    }
    /// Held as long as somebody supervises.
    pub fn supervisor_lock(&self) -> PathBuf {
        self.path.join("run/supervisor.lock")
    }
    /// Log of one of our own processes: `agent`, `proxy`, `supervisor`.
    pub fn log(&self, of: &str) -> PathBuf {
        self.path.join("logs").join(format!("{of}.log"))
    }
    /// Root certificate of this server's own authority.
    pub fn ca(&self) -> PathBuf {
        self.path.join("certs/ca.pem")
    }

    /// Makes it and what the supervisor needs in it.
    pub fn create(&self) -> Outcome {
        for part in ["", "run", "logs"] {
            let dir = self.path.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|e| {
                Plain::failed("home-unusable", format!("cannot make {}", dir.display()))
                    .because(e)
                    .hint("choose another place with `--home DIR` or LANDFALL_HOME")
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(root: bool, variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| variables.iter().find(|(k, _)| *k == name).map(|(_, v)| OsString::from(v));
        default_home(root, variable).ok().map(|path| path.display().to_string())
    }

    #[test]
    fn the_home_follows_user_and_environment() {
        assert_eq!(home(true, &[("HOME", "/root")]).as_deref(), Some("/var/lib/landfall"));
        assert_eq!(home(false, &[("HOME", "/home/a")]).as_deref(), Some("/home/a/.local/state/landfall"));
        assert_eq!(home(false, &[("HOME", "/home/a"), ("XDG_STATE_HOME", "/s")]).as_deref(), Some("/s/landfall"));
        assert_eq!(home(false, &[("HOME", "/home/a"), ("XDG_STATE_HOME", "relative")]).as_deref(), Some("/home/a/.local/state/landfall"));
        assert_eq!(home(false, &[]), None);
    }

    #[test]
    fn a_home_that_no_socket_fits_in_is_refused_at_once() {
        assert!(Home::new(format!("/{}", "x".repeat(100)).into()).is_err());
        assert!(Home::new("/tmp/x".into()).is_ok());
    }
}
