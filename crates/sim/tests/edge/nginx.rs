//! A real nginx with a plan's own configuration. Changed in it is only what a test must change: ports, addresses of applications, directories,
//! and the file of the certificate.

use crate::plans::{Plan, Upstream};
use crate::talk::Front;
use crate::wire::{Root, identity_for, until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;

/// What its log says when it cannot go on.
const FATAL: &str = "[emerg]";

pub(crate) struct Nginx {
    child: Child,
    front: Front,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its workers when asked to end.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Nginx {
    pub(crate) fn front(&self) -> &Front {
        &self.front
    }
}

/// Starts it. A port that was free a moment ago may be somebody else's by now; then others are tried.
pub(crate) async fn start(plan: &Plan, stage: &Path) -> Nginx {
    let mut said = String::new();
    for attempt in 0..5 {
        match attempt_at(plan, stage, &stage.join(format!("nginx-{attempt}"))).await {
            Ok(nginx) => return nginx,
            Err(log) => said = log,
        }
    }
    panic!("nginx does not start: {said}")
}

async fn attempt_at(plan: &Plan, stage: &Path, home: &Path) -> Result<Nginx, String> {
    std::fs::create_dir_all(home.join("temp")).unwrap();
    let (root, leaf) = identity_for(plan.hosts);
    std::fs::write(home.join("chain.pem"), &leaf.chain).unwrap();
    std::fs::write(home.join("key.pem"), &leaf.key).unwrap();
    let (http, https) = (free_port(), free_port());
    let text = configuration(plan, home, stage, http, https);
    let file = home.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let log = home.join("error.log");
    let globals = format!("daemon off; pid {}; user root;", home.join("pid").display());
    let child = Command::new("nginx")
        .args(["-e", log.to_str().unwrap(), "-p", home.to_str().unwrap(), "-c", file.to_str().unwrap(), "-g", &globals])
        .stdin(Stdio::null())
        .spawn()
        .expect("nginx runs; `./test` installs it");
    let mut nginx = Nginx {
        child,
        front: Front { http: ([127, 0, 0, 1], http).into(), https: ([127, 0, 0, 1], https).into(), root: Root { pem: root.pem } },
    };
    for port in [http, https] {
        until("nginx listens", || async { TcpStream::connect(("127.0.0.1", port)).await.is_ok() || nginx_ended(&log) }).await;
    }
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    if nginx.child.try_wait().unwrap().is_some() || said.contains(FATAL) { Err(said) } else { Ok(nginx) }
}

fn nginx_ended(log: &Path) -> bool {
    std::fs::read_to_string(log).is_ok_and(|text| text.contains(FATAL))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configuration(plan: &Plan, home: &Path, stage: &Path, http: u16, https: u16) -> String {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(plan.example);
    let read = |name: &str| std::fs::read_to_string(examples.join(name)).unwrap();
    let mut text = read("nginx.conf");
    if plan.fragment {
        // The plan shows HTTPS apart and says "rest of config" where the first server's inside belongs.
        let inside = text.split_once("server_name _;").and_then(|(_, rest)| rest.rsplit_once('}')).unwrap().0.to_owned();
        text = read("nginx-ssl.conf").replace("# ... rest of config", &inside);
    }
    for (name, value) in plan.variables {
        text = text.replace(name, value);
    }
    for Upstream { service, port, address } in plan.upstreams {
        text = text.replace(&format!("{service}:{port}"), &format!("{address}:{port}"));
    }
    let key = |name: &str| home.join(name).display().to_string();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.trim().trim_end_matches(';').split_ascii_whitespace().collect();
        lines.push(match words.as_slice() {
            ["listen", at, ..] if at.starts_with("[::]") => continue,
            ["listen", "80"] => format!("listen 127.0.0.1:{http};"),
            ["listen", "443", "ssl", "http2"] => format!("listen 127.0.0.1:{https} ssl http2;"),
            ["ssl_certificate", _] => format!("ssl_certificate {};", key("chain.pem")),
            ["ssl_certificate_key", _] => format!("ssl_certificate_key {};", key("key.pem")),
            ["root", "/usr/share/nginx/html"] => format!("root {};", stage.join("html").display()),
            _ => line.to_owned(),
        });
    }
    let text = lines.join("\n");
    let temp: Vec<String> = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};", home.join("temp").join(kind).display()))
        .into();
    let more = format!("access_log off; {}", temp.join(" "));
    if text.contains("http {") {
        return text.replacen("http {", &format!("http {{ {more}"), 1);
    }
    // What the nginx image's own file says around the servers of a plan.
    format!("events {{}}\nhttp {{ include /etc/nginx/mime.types; default_type application/octet-stream; {more}\n{text}\n}}\n")
}
