//! A rule about servers inside the app that look a name up once, when they start.
//!
//! A service has another address after each release. Names are answered anew by Landfall, but nginx asks for a name that stands
//! in its configuration only while it reads it.

use super::super::MAX_TEXT;
use super::super::path;
use super::view::{Kind, Service, View};
use super::{Check, Findings, Rule, warning};
use std::collections::BTreeSet;

/// Directives that pass a request on.
const PASS: [&str; 6] = ["proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"];
/// Files looked for in a mounted directory.
const USUAL: [&str; 2] = ["default.conf", "nginx.conf"];

pub(super) const RULES: &[Rule] = &[warning(
    "upstream-resolved-once",
    [
        "A server looks up the name of a service only when it starts",
        "After the next release of that service nginx still sends requests to the address it had, where nobody is.",
        "Write `resolver 127.0.0.11 valid=5s;` and a variable: `set $up http://api:8000; proxy_pass $up;`.",
        "services:\n  web:\n    image: nginx:1.28\n    volumes: ['./nginx.conf:/etc/nginx/nginx.conf:ro']\n  api:\n    image: acme/api:1.4\n---- file nginx.conf\nserver { location / { proxy_pass http://api:8000; } }\n",
        "services:\n  web:\n    image: nginx:1.28\n    volumes: ['./nginx.conf:/etc/nginx/nginx.conf:ro']\n  api:\n    image: acme/api:1.4\n---- file nginx.conf\nresolver 127.0.0.11 valid=5s;\nserver { location / { set $up http://api:8000; proxy_pass $up; } }\n",
    ],
    Check::Container(once),
)];

fn once(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for mount in service.mounts.iter().filter(|m| m.kind == Kind::Bind && m.target.contains("/nginx")) {
        let source = path::absolute(view.project_dir, mount.source);
        let inside = USUAL.iter().map(|name| format!("{source}/{name}"));
        let files = std::iter::once(source.clone()).chain(inside);
        let mut names = BTreeSet::new();
        for text in files.filter_map(|file| view.files.read(&file).ok()).filter(|bytes| bytes.len() <= MAX_TEXT) {
            names.extend(passed_to(&String::from_utf8_lossy(&text), &view.names));
        }
        if !names.is_empty() {
            let names = names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
            let message = format!("nginx in `{}` looks up {names} only when it starts (`{}`)", service.name, view.relative(mount.source));
            out.at(mount.place, message);
        }
    }
}

/// Names of services that a configuration of nginx passes requests to by a name that stands in it.
fn passed_to(text: &str, names: &BTreeSet<&str>) -> BTreeSet<String> {
    let bare: String = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let directives: Vec<Vec<&str>> = bare.split([';', '{', '}']).map(|d| d.split_whitespace().collect()).collect();
    let upstreams: BTreeSet<&str> =
        directives.iter().filter(|d| d.first() == Some(&"upstream")).filter_map(|d| d.get(1).copied()).collect();
    let host = |address: &str| {
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        rest.split([':', '/']).next().unwrap_or_default().to_ascii_lowercase()
    };
    let named = |directive: &Vec<&str>| match directive.as_slice() {
        [word, address, ..] if PASS.contains(word) && !address.contains('$') => {
            Some(host(address)).filter(|h| !upstreams.contains(h.as_str()))
        }
        ["server", address, rest @ ..] if !rest.contains(&"resolve") => Some(host(address)),
        _ => None,
    };
    directives.iter().filter_map(named).filter(|name| names.contains(name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_names_are_found_in_every_spelling_and_variables_are_not() {
        let names = BTreeSet::from(["api", "web"]);
        let found = |text: &str| passed_to(text, &names).into_iter().collect::<Vec<_>>();
        for text in [
            "server { location / { proxy_pass http://api:8000/x; } }",
            "location /{proxy_pass\n  https://API;}",
            "grpc_pass grpc://api:9000;",
            "fastcgi_pass api:9000;",
            "upstream back { server api:8000 weight=2; } server { location / { proxy_pass http://back; } }",
            "upstream api { server api:8000; } server { location / { proxy_pass http://api; } }",
        ] {
            assert_eq!(found(text), ["api"], "{text}");
        }
        for text in [
            "# proxy_pass http://api:8000;",
            "set $up http://api:8000; proxy_pass $up;",
            "proxy_pass http://elsewhere.example.com;",
            "server_name api;",
            "upstream api { zone a 64k; server api:8000 resolve; } server { location / { proxy_pass http://api; } }",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }
}
