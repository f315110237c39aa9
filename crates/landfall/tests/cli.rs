//! The command line as a whole: the real binary with a home and a project of its own, what it says and how it exits.
//!
//! Whole texts are golden files in `tests/golden`; `BLESS=1 cargo test -p landfall --test cli` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A project and a home that nobody else has.
struct Place {
    dir: tempfile::TempDir,
}

/// What a run said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new(compose: &str) -> Self {
        // A short path: a Unix socket must fit in it.
        let dir = tempfile::Builder::new().prefix("lf").tempdir_in("/tmp").unwrap();
        std::fs::create_dir(dir.path().join("project")).unwrap();
        if !compose.is_empty() {
            std::fs::write(dir.path().join("project/compose.yaml"), compose).unwrap();
        }
        Self { dir }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command
            .args(arguments)
            .current_dir(self.dir.path().join("project"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LANDFALL_HOME", self.home())
            .env("COLUMNS", "100")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let output: Output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap().replace(self.dir.path().to_str().unwrap(), "/PLACE");
            // Lines may end with blanks where a picture is drawn; editors and diffs dislike them.
            text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
        };
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    /// The run as a golden file shows it.
    fn shown(&self, arguments: &[&str]) -> String {
        format!("$ landfall {}\n{}---- standard error ----\n{}---- exit code {} ----\n", arguments.join(" "), self.out, self.err, self.code)
    }
}

#[track_caller]
fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == actual, "{name} changed; BLESS=1 writes it anew.\n---- wanted\n{wanted}\n---- got\n{actual}");
}

#[track_caller]
fn golden_runs(name: &str, place: &Place, runs: &[&[&str]]) {
    let shown: Vec<String> = runs.iter().map(|arguments| place.run(arguments).shown(arguments)).collect();
    golden(name, &shown.join("\n"));
}

const VERBS: [&str; 24] = [
    "up",
    "down",
    "check",
    "explain",
    "config",
    "init",
    "schema",
    "plan",
    "deploy",
    "push",
    "registry",
    "prune",
    "rollback",
    "releases",
    "status",
    "logs",
    "events",
    "exec",
    "run",
    "ca",
    "verify",
    "ci",
    "server",
    "completions",
];

const BAD: &str = "\
name: tutor
services:
  web:
    imgae: nginx
    depends_on: [dba]
  db:
    image: postgres:15
    privileged: true
";

const GOOD: &str = "\
name: tutor
x-landfall: { domains: [tutor.example.com] }
services:
  web:
    image: nginx:1.27
    environment: { GREETING: \"${GREETING:-hello}\" }
    x-landfall: { port: 80, routes: [/] }
  db:
    image: postgres:15
    volumes: [pgdata:/var/lib/postgresql/data]
volumes: { pgdata: }
";

/// A service that needs nothing but a system with `sleep`.
const SLEEPER: &str = "\
name: sleeper
x-landfall: { runtime: process }
services:
  worker:
    command: [sleep, \"100000\"]
    environment: { VERSION: \"${VERSION:-1}\" }
";

#[test]
fn help_of_every_verb() {
    let place = Place::new("");
    let mut text = place.run(&["--help"]).out;
    let mut page = format!("# The command line\n\nWhat `landfall --help` and the help of every verb say.\n\n```text\n{text}```\n");
    for verb in VERBS.into_iter().chain(["server setup", "server upgrade", "ci github"]) {
        let said = place.run(&verb.split(' ').chain(["--help"]).collect::<Vec<_>>());
        assert_eq!(said.code, 0, "{verb}");
        text.push_str(&format!("\n==== landfall {verb} ====\n{}", said.out));
        page.push_str(&format!("\n## landfall {verb}\n\n```text\n{}```\n", said.out));
    }
    golden("help.txt", &text);
    golden("../../../../docs/reference/cli.md", &page);
}

#[test]
fn a_bad_file_is_drawn_and_told_as_json() {
    let place = Place::new(BAD);
    golden_runs("check-bad.txt", &place, &[&["check"], &["check", "--json"], &["config"], &["up"], &["deploy", "--json"]]);
    assert!(!place.home().join("run/supervisor.json").exists(), "a bad file starts nothing");
}

/// With a warning and no error.
const RISKY: &str = "\
name: tutor
services:
  web:
    image: nginx:1.27
    container_name: web
    environment: { MODE: \"${MODE}\" }
";

#[test]
fn complaints_are_told_to_code_scanning_and_warnings_are_denied_on_request() {
    let place = Place::new(RISKY);
    golden_runs(
        "check-risky.txt",
        &place,
        &[&["check"], &["check", "--deny", "warnings"], &["check", "--format", "json"], &["check", "--format", "sarif"]],
    );
}

#[test]
fn a_first_block_is_written_once() {
    let place = Place::new("# ours\nservices:\n  web:\n    image: nginx:1.27   # pinned\n    ports: [\"8080:80\"]\n");
    let file = place.dir.path().join("project/compose.yaml");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    golden_runs(
        "init.txt",
        &place,
        &[&["init", "--dry-run"], &["init"], &["check"], &["init"], &["init", "nowhere"], &["init", "-f", "-"]],
    );
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions()) & 0o777, 0o640);
    assert!(std::fs::read_to_string(&file).unwrap().contains("image: nginx:1.27   # pinned\n"));
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn codes_are_explained() {
    golden_runs(
        "explain.txt",
        &Place::new(""),
        &[&["explain", "unknown-key"], &["explain", "[wrong-type]", "--json"], &["explain", "nothing"], &["explain", "unkown-key"]],
    );
    for (asked, kept) in [(&["schema"][..], "schema.json"), (&["schema", "--reference"], "x-landfall.yaml")] {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(kept);
        assert!(Place::new("").run(asked).out == std::fs::read_to_string(kept).unwrap(), "{asked:?}");
    }
    let list = Place::new("").run(&["explain"]).out;
    assert!(list.lines().count() > 100 && list.contains("unknown-key") && list.contains("latest-image"), "{list}");
}

#[test]
fn parts_of_the_resolved_file_are_printed_one_per_line() {
    let place = Place::new(GOOD);
    golden_runs(
        "config-parts.txt",
        &place,
        &[
            &["config", "--services"],
            &["config", "--volumes"],
            &["config", "--images"],
            &["config", "--profiles"],
            &["config", "--hash"],
            &["config", "--hash", "nobody"],
            &["config", "--services", "--images"],
            &["config", "-q"],
            &["config", "-o", "out.yaml"],
            &["-p", "other", "config", "--format", "json"],
            &["config", "-f", "out.yaml", "-f", "nowhere.yaml"],
        ],
    );
    assert!(std::fs::read_to_string(place.dir.path().join("project/out.yaml")).unwrap().contains("name: tutor_pgdata"));
}

#[test]
fn a_file_may_come_from_standard_input() {
    let place = Place::new("");
    let mut run = place.command(&["-f", "-", "-p", "x", "config"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut run.stdin.take().unwrap(), RISKY.as_bytes()).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains("name: x_default"));
}

#[test]
fn a_good_file_is_resolved() {
    golden_runs("config-good.txt", &Place::new(GOOD), &[&["check"], &["check", "--json"], &["config"], &["config", "--format", "json"]]);
}

#[test]
fn without_a_file_or_an_agent_every_verb_says_what_to_do() {
    golden_runs(
        "nothing-here.txt",
        &Place::new(""),
        &[&["check"], &["up"], &["status"], &["status", "--json"], &["deploy", "nowhere"], &["ca"]],
    );
    let place = Place::new(GOOD);
    golden_runs(
        "no-agent.txt",
        &place,
        &[
            &["deploy"],
            &["plan"],
            &["rollback"],
            &["releases"],
            &["logs"],
            &["events"],
            &["exec", "web", "ls"],
            &["run", "web", "--", "ls", "-l"],
            &["down"],
        ],
    );
    assert!(!place.home().exists(), "reading leaves no traces");
}

#[test]
fn destroying_needs_words_that_somebody_typed() {
    let place = Place::new(GOOD);
    golden_runs("not-confirmed.txt", &place, &[&["down", "--volumes"], &["down", "--volumes", "--confirm", "yes"]]);
}

#[test]
fn a_taken_port_is_named_with_who_has_it() {
    let place = Place::new(SLEEPER);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for detach in [&["up", "--http=off", "--https", &address][..], &["up", "-d", "--http=off", "--https", &address]] {
        let said = place.run(detach);
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert!(said.err.starts_with(&format!("error: cannot listen on {address}: it is taken by ")), "{}", said.err);
        assert!(said.err.contains(&format!("(process {}) [port-taken]", std::process::id())), "{}", said.err);
        assert!(said.err.contains("`--https 127.0.0.1:"), "{}", said.err);
    }
}

#[test]
fn what_cannot_be_understood_exits_with_2() {
    let place = Place::new(GOOD);
    for typed in [&["fly"][..], &["deploy", "--nope"], &["exec", "../x", "ls"], &["up", "--https", "somewhere"], &["logs", "-n", "x"], &[]]
    {
        let said = place.run(typed);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{typed:?}");
        assert!(!said.err.is_empty());
    }
}

#[test]
fn completions_know_every_verb_and_no_hidden_one() {
    let place = Place::new("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).out;
        for verb in VERBS {
            assert!(script.contains(verb), "{shell} {verb}");
        }
        assert!(!script.contains("shim") && !script.contains("supervise") && !script.contains("server-side"), "{shell}");
    }
}

#[test]
fn colour_is_asked_for_and_refused() {
    let place = Place::new(BAD);
    assert!(!place.run(&["check"]).err.contains('\x1b'));
    assert!(place.run(&["check", "--color", "always"]).err.contains('\x1b'));
}

/// The pids of a supervisor's children, from /proc.
fn children(pid: &str, verb: &str) -> Vec<String> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let is = |child: &&str| {
        std::fs::read(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.split(|b| *b == 0).nth(1) == Some(verb.as_bytes()))
    };
    list.split_whitespace().filter(is).map(str::to_owned).collect()
}

/// Whether a process of that name has that as its last argument, from /proc.
fn runs(name: &str, last: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
        std::fs::read(process.path().join("cmdline")).is_ok_and(|line| {
            let mut arguments = line.split(|b| *b == 0).filter(|a| !a.is_empty());
            arguments.next() == Some(name.as_bytes()) && arguments.next_back() == Some(last.as_bytes())
        })
    })
}

fn signal(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a condition is looked at again after a while; nothing is asserted of the time")]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "it never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn up_in_the_background_survives_its_parts_and_ends_with_its_last_app() {
    let place = Place::new(SLEEPER);
    let up = place.run(&["up", "-d", "--http=127.0.0.1:0", "--https=127.0.0.1:0"]);
    assert_eq!(up.code, 0, "{}", up.err);
    assert!(up.out.starts_with("✔ Release 1 of sleeper serves"), "{}", up.out);
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(place.home().join("run/supervisor.json")).unwrap()).unwrap();
    let supervisor = record["pid"].to_string();

    // The agent is killed; whoever asks next does not notice.
    let agent = children(&supervisor, "agent");
    assert_eq!(agent.len(), 1);
    signal("-KILL", &agent[0]);
    let status = place.run(&["status", "--json"]);
    assert_eq!(status.code, 0, "{}", status.err);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status[0]["services"][0]["replicas"][0]["state"]["state"], "running");

    // The proxy is replaced on request, and started again when it dies.
    let first = children(&supervisor, "proxy");
    signal("-USR1", &supervisor);
    until("another proxy alone", || children(&supervisor, "proxy").len() == 1 && children(&supervisor, "proxy") != first);
    let second = children(&supervisor, "proxy");
    signal("-KILL", &second[0]);
    until("a third proxy", || children(&supervisor, "proxy").len() == 1 && children(&supervisor, "proxy") != second);

    // A second `up` deploys to the one that runs.
    let again = place.run(&["up"]);
    assert_eq!(
        (again.code, again.out.as_str()),
        (0, "✔ nothing to change: release 1 of sleeper serves without routes from outside\n"),
        "{}",
        again.err
    );
    assert_eq!(place.run(&["plan", "--exit-code"]).code, 0);
    std::fs::write(place.dir.path().join("project/compose.yaml"), SLEEPER.replace(":-1", ":-2")).unwrap();
    assert_eq!(place.run(&["plan", "--exit-code"]).code, 4);
    let inside = place.run(&["run", "worker", "--env", "A=$(id) \"b\"", "--", "printenv", "A"]);
    assert_eq!((inside.code, inside.out.as_str()), (0, "$(id) \"b\"\n"), "{}", inside.err);
    assert_eq!(place.run(&["exec", "worker", "--", "false"]).code, 1);

    // Who asked for a command is killed, and the command, which writes nothing, ends too. Its argument is nobody else's.
    let endless = place.dir.path().join("endless");
    std::fs::write(&endless, "").unwrap();
    for verb in ["exec", "run"] {
        let endless = endless.to_str().unwrap();
        let mut asking = place.command(&[verb, "worker", "--", "tail", "-f", endless]).stdout(Stdio::null()).spawn().unwrap();
        until("the command runs", || runs("tail", endless));
        asking.kill().unwrap();
        asking.wait().unwrap();
        until("the command has ended", || !runs("tail", endless));
    }

    let down = place.run(&["down"]);
    assert_eq!(down.code, 0, "{}", down.err);
    assert!(down.err.ends_with("no app is left: agent and proxy have ended\n"), "{}", down.err);
    assert!(!Path::new(&format!("/proc/{supervisor}")).exists() || children(&supervisor, "proxy").is_empty());
    assert_eq!(place.run(&["status"]).code, 1);
    let left = std::fs::read_dir(place.home().join("run")).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left, ["supervisor.lock"], "no socket is left");
}
