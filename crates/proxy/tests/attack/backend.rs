//! Real applications and servers to stand behind the proxy. Each writes every request it understood, once the body has ended, to a log.

use crate::harness::{listener, until};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use tempfile::TempDir;

/// What can stand behind the proxy; hyper is served by the test itself.
pub(crate) const SERVERS: [&str; 6] = ["nginx", "apache", "node", "aiohttp", "gunicorn", "uvicorn"];

/// A server that is running.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    child: Child,
    log: PathBuf,
    _home: TempDir,
}

impl Backend {
    pub(crate) async fn start(name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let address = listener().local_addr().unwrap();
        let log = home.path().join("seen");
        std::fs::write(&log, "").unwrap();
        let mut command = command(name, home.path(), address.port());
        let output = std::fs::File::create(home.path().join("output")).unwrap();
        command.stdin(std::process::Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}; ./test installs it"));
        until(&format!("{name} listens"), || {
            let said = std::fs::read_to_string(home.path().join("output")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "{name} has ended: {said}");
            std::future::ready(TcpStream::connect(address).is_ok())
        })
        .await;
        Self { address, child, log, _home: home }
    }

    /// `METHOD TARGET HOST LENGTH` of every request it has seen.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::fs::read_to_string(&self.log).unwrap().lines().map(entry).collect()
    }
}

/// One line of a log, as all servers write it: the request line, the host and the length of the body.
fn entry(line: &str) -> String {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    let (request, host, length) = (next(), next(), next());
    let request = request.rsplit_once(" HTTP/").map_or(request, |(request, _)| request);
    format!("{request} {host} {}", if length.is_empty() || length == "-" { "0" } else { length })
}

fn command(name: &str, home: &Path, port: u16) -> Command {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attack/backend");
    let log = home.join("seen");
    let fill = |file: &str| {
        let inner = listener().local_addr().unwrap().port();
        let mut text = std::fs::read_to_string(source.join(file)).unwrap();
        for (mark, value) in [("DIR", home.display().to_string()), ("PORT", port.to_string()), ("INNER", inner.to_string())] {
            text = text.replace(&format!("@{mark}@"), &value);
        }
        text = text.replace("@LOG@", &log.display().to_string()).replace("@SOURCE@", &source.display().to_string());
        let filled = home.join(file);
        std::fs::write(&filled, text).unwrap();
        filled
    };
    // Dies with the test, however that ends; in a group of its own, because Apache ends everything in its group.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).process_group(0).current_dir(home).env("SEEN", &log).env("PYTHONPATH", &source);
    match name {
        "nginx" => command.args(["nginx", "-p"]).arg(home).arg("-c").arg(fill("nginx.conf")),
        "apache" => command.args(["apache2", "-DFOREGROUND", "-f"]).arg(fill("apache.conf")),
        "node" => command.arg("node").arg(source.join("node.js")).arg(port.to_string()).arg(&log),
        "aiohttp" => command.args(["/usr/bin/python3", "-B"]).arg(source.join("with_aiohttp.py")).arg(port.to_string()).arg(&log),
        "gunicorn" => command
            .args(["/usr/bin/python3", "-B", "-m", "gunicorn", "wsgi:application", "-k", "gthread", "--threads", "8", "-b"])
            .arg(format!("127.0.0.1:{port}")),
        "uvicorn" => command
            .args(["/usr/bin/python3", "-B", "-m", "uvicorn", "asgi:application", "--log-level", "warning", "--port"])
            .arg(port.to_string()),
        other => panic!("no server is called {other}"),
    };
    command
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id())
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
