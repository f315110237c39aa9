//! The supervisor of one replica: what is between the agent, which may die, and the program, which must not.
//!
//! `landfall shim run DIR` detaches itself (own session, adopted by init) and stays for the replica's life: it starts the program, carries its
//! output to the log, starts it again as the restart policy says, and stops it on SIGTERM. It is one small process of plain threads: no
//! async runtime, no network, no configuration beyond its directory. The program is started through `landfall shim exec DIR`, because
//! between fork and exec only unsafe code could ask the kernel to kill the program when its supervisor dies.
//!
//! It assumes that the agent wrote `launch.json` before starting it. It refuses to run beside another supervisor of the same directory.

use crate::process::identity::Identity;
use crate::process::log_writer::{LogWriter, SharedLog, add, carry, now_ms};
use crate::process::record::{Record, ReplicaDir, State, StopRequest};
use crate::signal;
use landfall_model::observed::ReplicaState;
use landfall_model::spec::Restart;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Set for the detached stage: which run of the replica it is.
pub(crate) const RUN: &str = "LANDFALL_SHIM_RUN";
/// Set for the first stage's child, which supervises.
const DETACHED: &str = "LANDFALL_SHIM_DETACHED";
/// Set for `shim exec`: the supervisor's process id.
const PARENT: &str = "LANDFALL_SHIM_PARENT";

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A program that was up so long starts with the first backoff again.
const STEADY: Duration = Duration::from_secs(10);
/// How long output of a program that has ended is waited for; only something that left its process group can hold it open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a former supervisor of the same directory may take to leave.
const SUCCESSION: Duration = Duration::from_secs(15);
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// `landfall shim run DIR`: supervises the replica in `dir` until it has ended for good. Answers the exit code for the verb: 0, or 1 when it
/// could not supervise, with the reason on standard error (`shim.log`).
pub fn shim_run(dir: &Path) -> i32 {
    let supervised = if std::env::var_os(DETACHED).is_some() { supervise(dir) } else { detach(dir) };
    match supervised {
        Ok(()) => 0,
        Err(e) => {
            let _ = writeln!(io::stderr(), "{} {}: {e}", now_ms(), dir.display());
            1
        }
    }
}

/// `landfall shim exec DIR`: becomes the program of the replica in `dir`. Returns only if it cannot. The caller writes the reason to standard
/// error, which is the replica's log, and ends with 127 for a program that is not there and 126 for one that may not be run.
pub fn shim_exec(dir: &Path) -> io::Error {
    if let Err(e) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return e.into();
    }
    // The supervisor may have died before the kernel was asked.
    let parent = std::env::var(PARENT).ok().and_then(|p| p.parse().ok());
    if parent != rustix::process::getppid().map(|p| p.as_raw_nonzero().get()) {
        return io::Error::other("its supervisor is gone");
    }
    let record = match ReplicaDir::new(dir).opened() {
        Ok(Some(record)) => record,
        Ok(None) => return io::Error::new(io::ErrorKind::NotFound, "it has no launch.json"),
        Err(e) => return e,
    };
    let mut command = Command::new(&record.program);
    command.args(record.argv.iter().skip(1)).env_clear().current_dir(&record.working_dir);
    if let Some(name) = record.argv.first() {
        command.arg0(name);
    }
    command.envs(record.environment.iter().map(|(k, v)| (k, v.reveal())));
    // A copy that was just written is busy as long as a process forked meanwhile holds it open (execve(2), ETXTBSY).
    let mut tries = 0;
    loop {
        let error = command.exec();
        tries += 1;
        if error.kind() != io::ErrorKind::ExecutableFileBusy || tries > 50 {
            return error;
        }
        pause(Duration::from_millis(20));
    }
}

/// Between two looks at something the kernel offers no way to wait for: a file that is no longer busy, a lock with a deadline.
#[allow(clippy::disallowed_methods, reason = "a process of plain threads, looking again at a bounded condition")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Starts the supervisor proper and ends, so that init adopts it.
fn detach(dir: &Path) -> io::Result<()> {
    own_binary().args(["shim", "run"]).arg(dir).env(DETACHED, "1").current_dir("/").stdin(Stdio::null()).spawn().map(drop)
}

/// This very binary, even if the file it came from has been replaced or deleted since.
fn own_binary() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("landfall");
    command
}

fn supervise(dir: &Path) -> io::Result<()> {
    // It fails only for the leader of a session, which is what is wanted.
    let _ = rustix::process::setsid();
    let run = std::env::var(RUN).ok().and_then(|r| r.parse().ok()).unwrap_or(1);
    let dir = ReplicaDir::new(dir);
    let Some(_lock) = succeed(&dir, run)? else { return Ok(()) };
    let (sender, events) = channel();
    watch_signals(sender.clone())?;
    let record = dir.record()?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no launch.json"))?;
    let shim = Identity::own().ok_or_else(|| io::Error::other("/proc cannot be read"))?;
    let log = Arc::new(Mutex::new(LogWriter::open(&dir.log(), record.log)?));
    for note in &record.notes {
        add(&log, true, format!("landfall: {note}").as_bytes());
    }
    let state = State { run, shim, state: ReplicaState::Created, restarts: 0, started_ms: 0 };
    Shim { dir, record, state, log, events, sender, starts: 0, silent: 0, asked: false }.run();
    Ok(())
}

/// Waits until this is the only supervisor of the directory. `None`: this run is or was another's.
fn succeed(dir: &ReplicaDir, run: u32) -> io::Result<Option<File>> {
    let file = dir.lock_file()?;
    let until = Instant::now() + SUCCESSION;
    loop {
        let locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(e)) => return Err(e),
        };
        if dir.state()?.is_some_and(|s| s.run >= run) {
            return Ok(None);
        }
        if locked {
            return Ok(Some(file));
        }
        if Instant::now() > until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "another supervisor holds the directory"));
        }
        pause(Duration::from_millis(10));
    }
}

fn watch_signals(sender: Sender<Event>) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;
    thread("signals", move || {
        for _ in signals.forever() {
            if sender.send(Event::Stop).is_err() {
                break;
            }
        }
    })
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(128 * 1024).spawn(work).map(drop)
}

enum Event {
    /// SIGTERM or SIGINT came.
    Stop,
    /// The program of that start has ended and can be collected.
    Ended(u32),
    /// One of its two pipes has ended.
    Silent(u32),
}

struct Shim {
    dir: ReplicaDir,
    record: Record,
    state: State,
    log: SharedLog,
    events: Receiver<Event>,
    sender: Sender<Event>,
    starts: u32,
    /// Pipes of the current start that have ended.
    silent: u32,
    /// It was asked to end.
    asked: bool,
}

impl Shim {
    fn run(mut self) {
        let mut backoff = FIRST_BACKOFF;
        let mut code = 0;
        self.asked = self.dir.stop_request(self.state.run).is_some();
        while !self.asked {
            let since = Instant::now();
            code = self.one_life();
            if self.asked || !self.starts_again(code) {
                break;
            }
            if since.elapsed() >= STEADY {
                backoff = FIRST_BACKOFF;
            }
            self.write(ReplicaState::Restarting { code });
            self.pause(backoff);
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
            self.state.restarts = self.state.restarts.saturating_add(1);
        }
        self.write(ReplicaState::Exited { code, out_of_memory: false });
    }

    /// Starts the program and stays with it to its end, which has this code.
    fn one_life(&mut self) -> i32 {
        self.starts = self.starts.wrapping_add(1);
        self.silent = 0;
        self.state.started_ms = now_ms();
        let begun = self.spawn();
        // Written even if it failed: the agent waits to hear that there was a start.
        self.write(ReplicaState::Running);
        let ended = begun.and_then(|mut child| {
            let group = Pid::from_child(&child);
            let attended = self.attend(group);
            // Until it is collected nobody else can have its number, so the rest of its group can be killed without a doubt.
            let _ = kill_process_group(group, Signal::KILL);
            let status = child.wait()?;
            self.hear_last_words();
            attended.map(|()| code_of(status))
        });
        ended.unwrap_or_else(|e| {
            add(&self.log, true, format!("landfall: cannot run the program: {e}").as_bytes());
            126
        })
    }

    /// In the thread that stays: the kernel kills the program when the thread that made it ends.
    fn spawn(&self) -> io::Result<Child> {
        let mut command = own_binary();
        command.args(["shim", "exec"]).arg(self.dir.path()).env_clear().env(PARENT, std::process::id().to_string());
        command.current_dir("/").process_group(0);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let started = self.starts;
        if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
            let (log, sender) = (Arc::clone(&self.log), self.sender.clone());
            let carried = thread("stdout", move || {
                carry(out, false, &log);
                let _ = sender.send(Event::Silent(started));
            });
            let (log, sender) = (Arc::clone(&self.log), self.sender.clone());
            let carried = carried.and_then(|()| {
                thread("stderr", move || {
                    carry(err, true, &log);
                    let _ = sender.send(Event::Silent(started));
                })
            });
            if let Err(e) = carried {
                let _ = child.kill();
                let _ = child.wait();
                return Err(e);
            }
        }
        Ok(child)
    }

    /// Waits for the program's end, and asks for it when asked to.
    fn attend(&mut self, group: Pid) -> io::Result<()> {
        let (sender, started) = (self.sender.clone(), self.starts);
        thread("wait", move || {
            // Only waits: the program is collected by the main thread, after its group was killed.
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(group), look), Err(rustix::io::Errno::INTR)) {}
            let _ = sender.send(Event::Ended(started));
        })?;
        let mut deadline = Instant::now() + NEVER;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Ended(of)) if of == started => return Ok(()),
                Ok(Event::Silent(of)) if of == started => self.silent += 1,
                Ok(Event::Ended(_) | Event::Silent(_)) => {}
                Ok(Event::Stop) => {
                    let (ask, grace) = self.wish();
                    let _ = rustix::process::kill_process(group, ask);
                    // A second wish may shorten the first, never lengthen it.
                    deadline = deadline.min(Instant::now() + grace);
                    self.asked = true;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let _ = kill_process_group(group, Signal::KILL);
                    deadline = Instant::now() + NEVER;
                }
            }
        }
    }

    /// How it is to be stopped: as asked, or, when the machine goes down, as the file says.
    fn wish(&self) -> (Signal, Duration) {
        let wish = self.dir.stop_request(self.state.run).unwrap_or_else(|| StopRequest {
            run: self.state.run,
            signal: self.record.stop_signal.clone(),
            grace_ms: self.record.stop_grace_ms,
        });
        (signal::parse(&wish.signal).unwrap_or(Signal::TERM), Duration::from_millis(wish.grace_ms))
    }

    fn hear_last_words(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        while self.silent < 2 {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Silent(of)) if of == self.starts => self.silent += 1,
                Ok(Event::Stop) => self.asked = true,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Waits before the next start, unless it is asked to end.
    fn pause(&mut self, backoff: Duration) {
        let until = Instant::now() + backoff;
        while !self.asked {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Stop) => self.asked = true,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn starts_again(&self, code: i32) -> bool {
        match self.record.restart {
            _ if self.record.job => false,
            Restart::No => false,
            Restart::Always | Restart::UnlessStopped => true,
            Restart::OnFailure { max } => code != 0 && (max == 0 || self.state.restarts < max),
        }
    }

    /// A full disk must not end a program that runs; what it makes stale here is at worst taken for a death by SIGKILL.
    fn write(&mut self, state: ReplicaState) {
        self.state.state = state;
        if let Err(e) = self.dir.write_state(&self.state) {
            let _ = writeln!(io::stderr(), "{} cannot write state.json: {e}", now_ms());
        }
    }
}

/// As a shell reports it: 128 + the signal's number for a death by signal.
pub(crate) fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
