//! Rules about images and what they are made from.

use super::dockerfile::Instruction;
use super::view::{Service, View, base_name, split_reference};
use super::{Check, Findings, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    warning(
        "latest-image",
        [
            "An image is named without a version",
            "`latest` is whatever was pushed last: two releases of the same file differ, and going back to the old one gets the new image.",
            "Write a version, or `${TAG:?}` and give each release its own.",
            "services:\n  web:\n    image: acme/web:latest\n",
            "services:\n  web:\n    image: acme/web:1.4.2\n",
        ],
        Check::Container(latest),
    ),
    warning(
        "moving-tag",
        [
            "An image's tag names a branch or channel, not a version",
            "`edge` or `nightly` is a different program every day, and nobody decided on the day it was taken.",
            "Write a version, or `${TAG:-…}` so that a release can choose.",
            "services:\n  web:\n    image: acme/web:nightly\n",
            "services:\n  web:\n    image: acme/web:1.4.2\n",
        ],
        Check::Container(moving),
    ),
    warning(
        "database-unpinned",
        [
            "A database's image has no major version",
            "The next pull brings a new major version, which does not start on the old one's files.",
            "Write the major version: `postgres:16`.",
            "services:\n  db:\n    image: postgres:alpine\n",
            "services:\n  db:\n    image: postgres:16-alpine\n",
        ],
        Check::Container(unpinned),
    ),
    warning(
        "end-of-life-image",
        [
            "An image's major version gets no security fixes any more",
            "The next hole in it stays open.",
            "Move to a supported version; for a database, dump and restore.",
            "services:\n  db:\n    image: postgres:11\n",
            "services:\n  db:\n    image: postgres:16\n",
        ],
        Check::Container(end_of_life),
    ),
    warning(
        "abandoned-image",
        [
            "An image is no longer maintained under this name",
            "It gets no fixes, and may be removed from the registry: a new server then cannot be set up.",
            "Use the name its makers maintain.",
            "services:\n  api:\n    image: openjdk:17-slim\n",
            "services:\n  api:\n    image: eclipse-temurin:17-jre\n",
        ],
        Check::Container(abandoned),
    ),
    warning(
        "development-target",
        [
            "A development stage of the Dockerfile is built",
            "It carries compilers and test tools, and usually starts a server that reloads code.",
            "Build the production stage.",
            "services:\n  web:\n    build: { context: ., target: development }\n",
            "services:\n  web:\n    build: { context: ., target: production }\n",
        ],
        Check::Container(target),
    ),
    error(
        "dockerfile-missing",
        [
            "The Dockerfile a service is built from does not exist",
            "The build fails, after everything before it was done.",
            "Check the path; it is relative to `context`.",
            "services:\n  web:\n    build: { context: ., dockerfile: Dockerfile.prod }\n",
            "services:\n  web:\n    build: { context: ., dockerfile: Dockerfile.prod }\n---- file Dockerfile.prod\nFROM node:22-alpine\nUSER node\n",
        ],
        Check::App(missing),
    ),
    warning(
        "unpinned-base",
        [
            "A Dockerfile is based on an image without a version",
            "The same commit builds another program next month, and nobody changed anything.",
            "Write a version: `FROM node:22-alpine`.",
            "services:\n  web:\n    build: .\n---- file Dockerfile\nFROM node:latest\nUSER node\n",
            "services:\n  web:\n    build: .\n---- file Dockerfile\nFROM node:22-alpine\nUSER node\n",
        ],
        Check::Container(base),
    ),
    warning(
        "root-user",
        [
            "A program runs as root",
            "A hole in the program is then a hole in the container's walls: root inside is root for every file that is mounted.",
            "Add `USER` to the Dockerfile, or `user: \"1000:1000\"` to the service.",
            "services:\n  web:\n    build: .\n---- file Dockerfile\nFROM node:22-alpine\nCMD [\"node\", \"server.js\"]\n",
            "services:\n  web:\n    build: .\n---- file Dockerfile\nFROM node:22-alpine\nUSER node\nCMD [\"node\", \"server.js\"]\n",
        ],
        Check::Container(root),
    ),
    warning(
        "secrets-copied-into-image",
        [
            "A Dockerfile copies a file of variables into the image",
            "Whoever can pull the image has the secrets, in every version of it.",
            "Add the file to `.dockerignore`, and hand it on with `env_file`.",
            "services:\n  web:\n    build: .\n---- file Dockerfile\nFROM node:22-alpine\nCOPY package.json .env ./\nUSER node\n",
            "services:\n  web:\n    build: .\n---- file Dockerfile\nFROM node:22-alpine\nCOPY package.json ./\nUSER node\n",
        ],
        Check::Container(copied),
    ),
    warning(
        "rival-manager",
        [
            "A service does what Landfall does, behind its back",
            "Two managers undo each other: what replaces containers ends a release half way, what renews certificates or serves port 80 takes it from the proxy.",
            "Remove it: Landfall watches, restarts, updates and serves https itself.",
            "services:\n  watchtower:\n    image: containrrr/watchtower:1.7.1\n",
            "services:\n  web:\n    image: acme/web:1.4.2\n    x-landfall: { port: 8000, routes: [/], health: { path: /health } }\n",
        ],
        Check::Container(rival),
    ),
];

/// No version at all.
fn is_latest(tag: &str, digest: bool) -> bool {
    !digest && (tag.is_empty() || tag == "latest")
}

/// A service's image is not built here.
fn is_pulled(service: &Service<'_>) -> bool {
    service.node.get("build").is_none()
}

fn latest(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(image) = service.image.as_ref().filter(|i| is_latest(i.tag, i.digest)) else { return };
    if !is_pulled(service) || service.database().is_some() || is_rival(image.name).is_some() {
        return;
    }
    let how = if image.tag.is_empty() { "names no version, which is `latest`" } else { "is `latest`" };
    if image.substituted {
        out.hinted(
            image.place,
            format!("the image of `{}` {how}", service.name),
            "set the variable it comes from to a version, and let it have no default: `${TAG:?}`",
        );
    } else {
        out.at(image.place, format!("the image of `{}` {how}", service.name));
    }
}

fn moving(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const TAGS: [&str; 13] =
        ["main", "master", "edge", "nightly", "dev", "develop", "development", "canary", "beta", "alpha", "rc", "testing", "snapshot"];
    // One that was put in was chosen for this release; the release pins its digest.
    let written = |i: &&super::view::Image<'_>| !i.digest && !i.substituted && TAGS.contains(&i.tag);
    if let Some(image) = service.image.as_ref().filter(written).filter(|_| is_pulled(service)) {
        out.at(image.place, format!("the tag `{}` of `{}` moves", image.tag, service.name));
    }
}

fn unpinned(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let (Some(image), Some(engine)) = (&service.image, service.database()) else { return };
    if is_pulled(service) && !image.digest && !image.tag.bytes().any(|b| b.is_ascii_digit()) {
        out.at(image.place, format!("the image of `{}` does not say which {}", service.name, engine.name));
    }
}

/// Last major (or `major.minor`) versions without fixes, as of November 2026, by their makers' calendars.
const ENDED: [(&str, (u32, u32)); 15] = [
    ("postgres", (13, 99)),
    ("mysql", (8, 0)),
    ("mariadb", (10, 5)),
    ("mongo", (6, 99)),
    ("redis", (6, 0)),
    ("elasticsearch", (7, 99)),
    ("node", (18, 99)),
    ("python", (3, 9)),
    ("php", (8, 1)),
    ("ruby", (3, 1)),
    ("golang", (1, 23)),
    ("debian", (10, 99)),
    ("ubuntu", (20, 4)),
    ("alpine", (3, 19)),
    ("nginx", (1, 25)),
];

/// True when this version of this image is over.
fn is_ended(base: &str, tag: &str) -> bool {
    let Some((_, last)) = ENDED.iter().find(|(b, _)| *b == base) else { return false };
    let mut numbers = tag.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().ok());
    let Some(major) = numbers.next().flatten() else { return false };
    // `python:3` is the newest 3: no version that has ended.
    let minor = if tag.contains('.') { numbers.next().flatten() } else { None };
    match minor {
        Some(minor) => (major, minor) <= *last,
        None => major < last.0 || (major == last.0 && last.1 == 99),
    }
}

fn end_of_life(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if let Some(image) = service.image.as_ref().filter(|_| is_pulled(service)).filter(|i| is_ended(i.base, i.tag)) {
        out.at(image.place, format!("`{}:{}` gets no security fixes any more", image.base, shown_tag(image.tag, image.substituted)));
    }
    for from in froms(service) {
        let (name, tag, _) = split_reference(from.0);
        if is_ended(base_name(name), tag) {
            out.at(from.1.place, format!("`{name}:{tag}` gets no security fixes any more"));
        }
    }
}

fn shown_tag(tag: &str, substituted: bool) -> &str {
    if substituted { "…" } else { tag }
}

/// Images the Dockerfile is made from, without its own stages.
fn froms<'s>(service: &'s Service<'_>) -> Vec<(&'s str, &'s Instruction)> {
    let Some(file) = service.dockerfile else { return Vec::new() };
    let all: Vec<(&Instruction, Vec<&str>)> = file
        .all
        .iter()
        .filter(|i| i.word == "FROM")
        .map(|i| (i, i.text.split_whitespace().filter(|w| !w.starts_with("--")).collect()))
        .collect();
    let stages: Vec<String> = all.iter().filter_map(|(_, w)| w.get(2).map(|n| n.to_ascii_lowercase())).collect();
    let outside = |name: &&str| !stages.contains(&name.to_ascii_lowercase()) && *name != "scratch" && !name.contains('$');
    all.iter().filter_map(|(i, w)| Some((w.first().copied().filter(outside)?, *i))).collect()
}

fn abandoned(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let gone = |name: &str| {
        let plain = name.trim_start_matches("docker.io/").trim_start_matches("library/");
        match plain {
            "openjdk" => Some("use `eclipse-temurin` or `amazoncorretto`"),
            "java" | "dockerfile/java" => Some("use `eclipse-temurin`"),
            "jwilder/nginx-proxy" => Some("use `nginxproxy/nginx-proxy`, or let Landfall's proxy serve"),
            "mailhog/mailhog" => Some("use `axllent/mailpit`"),
            "k8s.gcr.io/pause" => Some("use `registry.k8s.io`"),
            "centos" => Some("use `quay.io/centos/centos:stream9`, `rockylinux` or `almalinux`"),
            _ if plain.starts_with("bitnami/") => {
                Some("its versions moved to `bitnamilegacy` in 2025 without fixes; use the image of the program's makers")
            }
            _ => None,
        }
    };
    if let Some(image) = service.image.as_ref().filter(|_| is_pulled(service))
        && let Some(hint) = gone(image.name)
    {
        out.hinted(image.place, format!("the image `{}` of `{}` is no longer maintained", image.name, service.name), hint);
    }
    for (reference, line) in froms(service) {
        if let Some(hint) = gone(split_reference(reference).0) {
            out.hinted(line.place, format!("the image `{}` is no longer maintained", split_reference(reference).0), hint);
        }
    }
}

fn target(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(node) = service.at(&["build", "target"]) else { return };
    let Some(text) = node.scalar().map(|s| s.text.to_ascii_lowercase()) else { return };
    if matches!(text.as_str(), "dev" | "development" | "local" | "debug" | "test" | "testing" | "builder-dev") {
        out.at(node.place, format!("`{}` is built for development", service.name));
    }
}

fn missing(view: &View<'_>, out: &mut Findings) {
    for (service, place, path) in view.missing_dockerfiles {
        out.at(*place, format!("`{service}` is built from `{path}`, which does not exist"));
    }
}

fn base(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (reference, line) in froms(service) {
        let (name, tag, digest) = split_reference(reference);
        if is_latest(tag, digest) {
            out.at(line.place, format!("`{name}` is taken without a version"));
        }
    }
}

fn root(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let is_root = |user: &str| matches!(user.split(':').next().unwrap_or("").trim(), "0" | "root");
    if let Some(user) = service.node.get("user").filter(|n| !n.is_null()) {
        if user.scalar().is_some_and(|s| is_root(&s.text)) {
            out.hinted(user.place, format!("`{}` runs as root", service.name), "name another user, or leave the choice to the image");
        }
        return;
    }
    let Some(file) = service.dockerfile else { return };
    let (base, tag) = service.base_image();
    // Images that change their user themselves, by `USER` or when they start.
    let drops = tag.contains("nonroot") || tag.contains("unprivileged") || base.contains("unprivileged") || service.engine.is_some();
    let drops = drops || matches!(base, "nginx" | "httpd" | "caddy" | "haproxy" | "traefik" | "grafana" | "wordpress" | "php");
    match file.last("USER") {
        Some(user) if is_root(&user.text) => out.at(user.place, format!("the Dockerfile of `{}` ends as root", service.name)),
        None if !drops => {
            let place = file.last("FROM").map_or(service.place, |i| i.place);
            out.at(place, format!("the Dockerfile of `{}` has no `USER`", service.name));
        }
        _ => {}
    }
}

fn copied(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(file) = service.dockerfile else { return };
    for line in file.image.iter().filter(|i| matches!(i.word.as_str(), "COPY" | "ADD") && !i.text.contains("--from")) {
        let words: Vec<&str> = line.text.split_whitespace().filter(|w| !w.starts_with("--")).collect();
        let sources = words.split_last().map_or(&[][..], |(_, s)| s);
        let named = sources.iter().find(|w| is_env_file(base_name(w))).map(|w| super::super::yaml::shorten(w));
        let whole = sources.iter().any(|s| matches!(*s, "." | "./"));
        let swept = || whole.then(|| swept_env_file(view, service)).flatten();
        if let Some(source) = named.or_else(swept) {
            out.at(line.place, format!("the Dockerfile of `{}` copies `{source}` into the image", service.name));
        }
    }
}

fn is_env_file(name: &str) -> bool {
    let sample = ["example", "sample", "template", "dist"].iter().any(|e| name.ends_with(e));
    (name == ".env" || name.starts_with(".env.")) && !sample
}

/// A file of variables that `COPY .` takes along because `.dockerignore` does not leave it out.
fn swept_env_file(view: &View<'_>, service: &Service<'_>) -> Option<String> {
    let context = service.node.get("build").map_or("", |b| super::view::text(b, "context"));
    let context = super::super::path::absolute(view.project_dir, context);
    let ignore =
        view.files.read(&format!("{context}/.dockerignore")).ok().filter(|b| b.len() <= super::super::MAX_TEXT).unwrap_or_default();
    let ignore = String::from_utf8_lossy(&ignore).into_owned();
    let ignored = |name: &str| {
        ignore.lines().map(|l| l.trim().trim_start_matches("**/").trim_start_matches('/')).any(|pattern| match pattern.split_once('*') {
            Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
            None => pattern == name,
        })
    };
    let names = [".env", ".env.production", ".env.prod", ".env.local"];
    names.into_iter().find(|n| !ignored(n) && view.files.exists(&format!("{context}/{n}"))).map(str::to_owned)
}

/// What the image does that Landfall does too.
fn is_rival(name: &str) -> Option<&'static str> {
    Some(match base_name(name) {
        "watchtower" | "ouroboros" | "diun" => "replaces containers on its own",
        "autoheal" | "docker-autoheal" => "restarts unhealthy containers on its own",
        "certbot" | "letsencrypt-nginx-proxy-companion" | "acme-companion" | "lego" => "obtains certificates, as the proxy does",
        "nginx-proxy-manager" | "traefik" | "nginx-proxy" | "swag" => "is a proxy in front of the proxy",
        _ => return None,
    })
}

fn rival(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if let Some(image) = &service.image
        && let Some(does) = is_rival(image.name)
    {
        out.at(image.place, format!("`{}` {does}", service.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_end_when_their_makers_say() {
        for (base, tag, want) in [
            ("postgres", "13.4-alpine", true),
            ("postgres", "16", false),
            ("python", "3", false),
            ("python", "3.9-slim", true),
            ("python", "3.11", false),
            ("node", "18-alpine", true),
            ("node", "lts", false),
            ("mysql", "5.7", true),
            ("mysql", "8.4", false),
            ("mysql", "8", false),
            ("unknown", "1", false),
        ] {
            assert_eq!(is_ended(base, tag), want, "{base}:{tag}");
        }
    }
}
