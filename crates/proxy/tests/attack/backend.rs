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

/// Servers and routers as they come, with something at `/admin` that is not for everybody. They write nothing down.
pub(crate) const FOLDING: [&str; 6] =
    ["folding nginx", "folding apache", "folding tomcat", "folding express", "folding flask", "folding rails"];

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
    let source = if name.starts_with("folding ") { source.join("folding") } else { source };
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
        "nginx" | "folding nginx" => command.args(["nginx", "-p"]).arg(home).arg("-c").arg(fill("nginx.conf")),
        "apache" | "folding apache" => command.args(["apache2", "-DFOREGROUND", "-f"]).arg(fill("apache.conf")),
        "node" => command.arg("node").arg(source.join("node.js")).arg(port.to_string()).arg(&log),
        "aiohttp" => command.args(["/usr/bin/python3", "-B"]).arg(source.join("with_aiohttp.py")).arg(port.to_string()).arg(&log),
        "gunicorn" => command
            .args(["/usr/bin/python3", "-B", "-m", "gunicorn", "wsgi:application", "-k", "gthread", "--threads", "8", "-b"])
            .arg(format!("127.0.0.1:{port}")),
        "uvicorn" => command
            .args(["/usr/bin/python3", "-B", "-m", "uvicorn", "asgi:application", "--log-level", "warning", "--port"])
            .arg(port.to_string()),
        "folding tomcat" => tomcat(&mut command, home, [fill("server.xml"), fill("web.xml")]),
        "folding express" => command.env("NODE_PATH", "/usr/share/nodejs").arg("node").arg(source.join("express.js")).arg(port.to_string()),
        "folding flask" => command.args(["/usr/bin/python3", "-B"]).arg(source.join("with_flask.py")).arg(port.to_string()),
        "folding rails" => command.args(["puma", "-t", "4:4", "-b"]).arg(format!("tcp://127.0.0.1:{port}")).arg(source.join("rails.ru")),
        other => panic!("no server is called {other}"),
    };
    command
}

/// Without its scripts, and without looking into every archive there is.
fn tomcat<'a>(command: &'a mut Command, home: &Path, [server, web]: [PathBuf; 2]) -> &'a mut Command {
    const BIN: &str = "/usr/share/tomcat10/bin";
    for (directory, file, content) in [
        ("conf", "server.xml", std::fs::read_to_string(server).unwrap()),
        ("apps/ROOT/WEB-INF", "web.xml", std::fs::read_to_string(web).unwrap()),
        ("apps/ROOT", "secret.jsp", "secret".to_owned()),
        ("apps/ROOT", "public.jsp", "public".to_owned()),
        ("temp", "none", String::new()),
    ] {
        std::fs::create_dir_all(home.join(directory)).unwrap();
        std::fs::write(home.join(directory).join(file), content).unwrap();
    }
    command
        .args(["java", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-Dcatalina.home=/usr/share/tomcat10"])
        .arg("-Dtomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar")
        .arg(format!("-Dcatalina.base={}", home.display()))
        .arg(format!("-Djava.io.tmpdir={}", home.join("temp").display()))
        .args(["-cp", &format!("{BIN}/bootstrap.jar:{BIN}/tomcat-juli.jar"), "org.apache.catalina.startup.Bootstrap", "start"])
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
