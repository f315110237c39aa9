//! Brings the binary to a server and speaks to it there.
//!
//! There is no Landfall there yet, so what `ssh` is given is one constant command (`bootstrap.sh`): it says what the machine is, takes a size, a digest and the binary from its
//! standard input into a directory that only root can read, checks it, runs it, and removes it. No word of the user's is part of that command. A binary
//! that is there already is not sent again.

use super::wire::{Ask, Tell, hear, line, say};
use crate::error::{Outcome, Plain, Problem};
use crate::program::sha256_of;
use crate::ssh::{HostKey, SshError, SshProgram};
use landfall_model::server::ServerAddress;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What runs on the server before there is a Landfall.
const BOOTSTRAP: &str = include_str!("bootstrap.sh");
/// How its first line begins.
const GREETING: &str = "landfall-server 1 ";
/// Longest wait for it: somebody may type a passphrase.
const GREETING_LIMIT: Duration = Duration::from_secs(120);
/// Lines a login may print before.
const MAX_CHATTER: usize = 200;
/// Longest wait for the binary to say that it runs there.
const HELLO_LIMIT: Duration = Duration::from_secs(15);
/// How long an `ssh` that says nothing more may take to end by itself.
const LEAVE_LIMIT: Duration = Duration::from_millis(500);
/// Longest wait for it to end when there is nothing more to say.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Most that is kept of what the connection's own programs say.
const MAX_SAID: u64 = 16 * 1024;
/// Largest binary.
const MAX_BINARY: u64 = 1024 * 1024 * 1024;

/// Which machine.
#[derive(Debug, Clone)]
pub enum Server {
    /// This one.
    Here,
    /// That one.
    There(ServerAddress),
}

/// The binary that goes to a server.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    size: u64,
    sha256: String,
    /// For which processor it is, as `uname -m` says it; a script is for any.
    machine: Option<&'static str>,
}

impl Program {
    /// The file named, or this very binary.
    pub fn new(named: Option<&Path>) -> Outcome<Self> {
        let path = named.map_or_else(crate::supervise::own_binary, |path| Ok(path.to_owned()))?;
        let unreadable = |e: std::io::Error| Plain::usage("no-binary", format!("{} cannot be read", path.display())).because(e);
        let mut file = std::fs::File::open(&path).map_err(unreadable)?;
        let mut head = [0; 20];
        let size = file.metadata().map_err(unreadable)?.len();
        let read = file.read(&mut head).map_err(unreadable)?;
        let machine = match head.get(..read) {
            Some([0x7f, b'E', b'L', b'F', 2, .., 62, 0]) => Some("x86_64"),
            Some([0x7f, b'E', b'L', b'F', 2, .., 183, 0]) => Some("aarch64"),
            Some([b'#', b'!', ..]) => None,
            _ => {
                return Err(Plain::usage("no-binary", format!("{} is no program for Linux on x86_64 or aarch64", path.display()))
                    .hint("name the landfall for the server: `--binary FILE`")
                    .into());
            }
        };
        if size > MAX_BINARY {
            return Err(Plain::usage("no-binary", format!("{} is larger than {} MB", path.display(), MAX_BINARY >> 20)).into());
        }
        let sha256 = sha256_of(&path).map_err(unreadable)?;
        Ok(Self { path, size, sha256, machine })
    }
}

/// A conversation with the binary on the server.
pub struct Reached {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    said: JoinHandle<String>,
    /// First line of what the login printed before; every other verb stumbles over it.
    pub chatter: Option<String>,
    /// Of the binary there.
    pub version: String,
}

impl Reached {
    /// Connects, brings the binary if it is not there, and waits until it speaks. `note` hears what takes long.
    pub async fn open(server: &Server, program: &Program, ssh: &SshProgram, note: impl Fn(&str)) -> Outcome<Self> {
        let mut command = match server {
            Server::Here => here(program)?,
            Server::There(address) => ssh.command(address, &[BOOTSTRAP]),
        };
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = started.map_err(|e| {
            Plain::failed("no-ssh", "the conversation with the server cannot be begun").because(e).hint("is `ssh` installed?")
        })?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(Plain::failed("no-ssh", "the conversation with the server has no ends").into());
        };
        let said = tokio::spawn(async move {
            let (mut kept, mut errors) = (Vec::new(), errors);
            let _ = (&mut errors).take(MAX_SAID).read_to_end(&mut kept).await;
            // Nobody must wait for us to read on.
            let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
            String::from_utf8_lossy(&kept).into_owned()
        });
        let mut reached = Self { child, input, output: BufReader::new(output), said, chatter: None, version: String::new() };
        if let Server::There(address) = server {
            reached.bring(address, program, (ssh, note)).await?;
        }
        match timeout(HELLO_LIMIT, hear::<Tell>(&mut reached.output)).await {
            Ok(Ok(Some(Tell::Hello { version }))) => reached.version = version,
            Err(_) => {
                return Err(reached
                    .failed("binary-broken", "the binary does not run on the server: it says nothing; nothing was changed")
                    .await);
            }
            Ok(_) => return Err(super::misfit::explain(&reached.last_words().await).into()),
        }
        Ok(reached)
    }

    async fn bring(&mut self, address: &ServerAddress, program: &Program, (ssh, note): (&SshProgram, impl Fn(&str))) -> Outcome {
        let greeting = match timeout(GREETING_LIMIT, self.greeting()).await {
            Ok(Some(greeting)) => greeting,
            Err(_) | Ok(None) => return Err(self.unreached(address, ssh).await),
        };
        let have = greeting.judge(address, program)?;
        let lost =
            |e: std::io::Error| Problem::from(Plain::failed("server-lost", format!("the connection to {address} broke off")).because(e));
        if have == program.sha256 {
            return self.input.write_all(format!("0 {have}\n").as_bytes()).await.map_err(lost);
        }
        note(&format!("copying landfall to the server ({:.1} MB)", program.size as f64 / 1e6));
        self.input.write_all(format!("{} {}\n", program.size, program.sha256).as_bytes()).await.map_err(lost)?;
        let file = tokio::fs::File::open(&program.path).await.map_err(lost)?;
        let sent = tokio::io::copy(&mut file.take(program.size), &mut self.input).await;
        // A server that refuses it says why.
        if sent.is_err() {
            return Err(self.failed("server-lost", "the server did not take the binary; nothing was changed").await);
        }
        self.input.flush().await.map_err(lost)
    }

    /// Whatever a login prints comes first.
    async fn greeting(&mut self) -> Option<Greeting> {
        for _ in 0..MAX_CHATTER {
            let line = line(&mut self.output).await.ok().filter(|line| !line.is_empty())?;
            let text = String::from_utf8_lossy(&line);
            if let Some(rest) = text.trim_end().strip_prefix(GREETING) {
                return Greeting::read(rest);
            }
            let shown = || text.chars().filter(|c| !c.is_control()).take(100).collect();
            self.chatter.get_or_insert_with(shown);
        }
        None
    }

    /// Asks for something.
    pub async fn ask(&mut self, ask: &Ask) -> Outcome {
        match say(&mut self.input, ask).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failed("server-lost", "the server speaks no more").await),
        }
    }

    /// The next thing it tells.
    pub async fn hear(&mut self) -> Outcome<Tell> {
        match hear(&mut self.output).await {
            Ok(Some(tell)) => Ok(tell),
            Ok(None) | Err(_) => {
                Err(self.failed("server-lost", "the server speaks no more; what was begun there goes on or is told by the next call").await)
            }
        }
    }

    /// Lets the other end finish and tidy up.
    pub async fn end(self) {
        let Self { mut child, input, .. } = self;
        drop(input);
        let _ = timeout(END_LIMIT, child.wait()).await;
    }

    /// With what the connection's own programs said.
    async fn failed(&mut self, code: &'static str, message: &str) -> Problem {
        let said = self.last_words().await;
        Plain::failed(code, message).log(super::apply::last_lines(&said)).into()
    }

    async fn last_words(&mut self) -> String {
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
        timeout(Duration::from_secs(1), &mut self.said).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// As every other verb says it.
    async fn unreached(&mut self, address: &ServerAddress, ssh: &SshProgram) -> Problem {
        let status = timeout(LEAVE_LIMIT, self.child.wait()).await.ok().and_then(Result::ok);
        let error = SshError::ended(address, status, &self.last_words().await);
        if error.wants_key() { error.with_key(HostKey::ask(ssh, address).await).into() } else { error.into() }
    }
}

/// What a machine says of itself: kernel, processor, how its user is root, digest of the binary it has.
struct Greeting {
    kernel: String,
    machine: String,
    root: String,
    have: String,
}

impl Greeting {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ').map(|word| word.chars().filter(char::is_ascii_graphic).take(64).collect::<String>());
        Some(Self { kernel: words.next()?, machine: words.next()?, root: words.next()?, have: words.next()? })
    }

    /// Refuses what cannot be a server, or answers what binary it has.
    fn judge(self, address: &ServerAddress, program: &Program) -> Outcome<String> {
        let refused = |message: String, hint: String| -> Problem { Plain::usage("unsupported-server", message).hint(hint).into() };
        if self.kernel != "Linux" {
            return Err(refused(
                format!("{address} runs {}, and Landfall's servers run Linux", self.kernel),
                "take a Debian or Ubuntu machine".to_owned(),
            ));
        }
        if let Some(machine) = program.machine.filter(|machine| *machine != self.machine) {
            return Err(refused(
                format!("{address} is {}, and this landfall is for {machine}", self.machine),
                format!("name the landfall for Linux on {}: `--binary FILE`", self.machine),
            ));
        }
        let user = address.user().unwrap_or("the user");
        match self.root.as_str() {
            "root" | "sudo" => Ok(self.have),
            "no-sudo" => Err(refused(
                format!("{user} is not root on {address}, and there is no sudo"),
                format!("come as root: `{}`, or install sudo and let {user} use it", address.as_user("root")),
            )),
            _ => Err(refused(
                format!("{user} may not use sudo on {address} without a password"),
                format!(
                    "let it, on the server: a file in /etc/sudoers.d with `{user} ALL=(ALL) NOPASSWD: ALL`; or come as root: `{}`",
                    address.as_user("root")
                ),
            )),
        }
    }
}

/// On this machine there is nothing to bring: the binary speaks through pipes.
fn here(program: &Program) -> Outcome<Command> {
    if !rustix::process::geteuid().is_root() {
        return Err(Plain::usage("not-root", "a server is prepared and examined by root")
            .hint("`sudo landfall server …`, or name a server: `ssh://user@host`")
            .into());
    }
    let mut command = Command::new(&program.path);
    command.arg("server-side").arg("--received").arg(&program.path);
    if let Some(login) = std::env::var_os("SUDO_USER") {
        command.env("LANDFALL_LOGIN", login);
    }
    if let Some(from) = std::env::var_os("SSH_CONNECTION") {
        command.env("LANDFALL_FROM", from);
    }
    Ok(command)
}
