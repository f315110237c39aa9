//! Rules about secrets: what everybody knows, what is too short, and what stands where others read it. No message shows a value.

use super::super::node::Node;
use super::super::report::Place;
use super::secret::{self, Class, Secret, Worth};
use super::url::Url;
use super::view::{Kind, Service, Var, View, one_or_more, text};
use super::{Check, Findings, Rule, error, warning};
use crate::secret::marked;

/// Least length of what signs or encrypts: 256 bits in hexadecimal are twice this, and HS256 wants this many bytes (RFC 7518 §3.2).
const SIGNING: usize = 32;
/// Least length of a password nobody types.
const PASSWORD: usize = 12;

pub(super) const RULES: &[Rule] = &[
    error(
        "placeholder-secret",
        [
            "A secret still has a placeholder for a value",
            "Placeholders are copied from example files, so whoever reads the repository can sign tokens or open the database.",
            "Make a real one with `openssl rand -hex 32` and keep it outside of the file.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      JWT_SECRET: your-64-character-random-secret-key-here\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      JWT_SECRET: ${JWT_SECRET:?make one with openssl rand -hex 32}\n---- env\nJWT_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\n",
        ],
        Check::Service(placeholder),
    ),
    error(
        "default-secret",
        [
            "A secret has a value everybody knows",
            "Defaults of images and passwords from documentation are the first ones a scanner tries, minutes after a port is open.",
            "Make a real one with `openssl rand -hex 24` and keep it outside of the file.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      DATABASE_URL: postgres://app:postgres@db.internal/app\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      DATABASE_URL: postgres://app:${DB_PASSWORD}@db.internal/app\n---- env\nDB_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
        ],
        Check::Service(known),
    ),
    error(
        "short-secret",
        [
            "A signing or encryption key is shorter than 32 characters",
            "A short key is found by trying all of them on one stolen token, offline and unnoticed; then anybody can be anybody.",
            "Make one with `openssl rand -hex 32`.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      SESSION_SECRET: ${SESSION_SECRET}\n---- env\nSESSION_SECRET=kT9-vR2x\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      SESSION_SECRET: ${SESSION_SECRET}\n---- env\nSESSION_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\n",
        ],
        Check::Service(short),
    ),
    warning(
        "short-password",
        [
            "A password is shorter than 12 characters",
            "Programs type it, not people, so length costs nothing; short ones fall to a list of words.",
            "Make one with `openssl rand -hex 24`.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      SMTP_PASSWORD: ${SMTP_PASSWORD}\n---- env\nSMTP_PASSWORD=hu7ter\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      SMTP_PASSWORD: ${SMTP_PASSWORD}\n---- env\nSMTP_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
        ],
        Check::Service(short_password),
    ),
    error(
        "empty-secret",
        [
            "A password or signing key is empty",
            "An empty key signs tokens anybody can make, and an empty password opens the door; most programs start with it all the same.",
            "Set the variable, or remove the line if the program does not need it.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      JWT_SECRET: ''\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      JWT_SECRET: ${JWT_SECRET:?}\n---- env\nJWT_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\n",
        ],
        Check::Service(empty),
    ),
    warning(
        "secret-in-file",
        [
            "A secret is written in the Compose file",
            "The file is in git and on every laptop, and so is every value it ever had.",
            "Write `${NAME}` and keep the value in `.env` or in the server's secrets; then change it, for it was seen.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      SMTP_PASSWORD: mVq82hTz-91kLx\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      SMTP_PASSWORD: ${SMTP_PASSWORD:?}\n---- env\nSMTP_PASSWORD=mVq82hTz-91kLx\n",
        ],
        Check::Service(in_file),
    ),
    error(
        "token-in-file",
        [
            "A token that somebody issued is written in the Compose file",
            "Its form says that it is real; robots read public commits for such tokens and use them within minutes.",
            "Revoke it where it was issued, then write `${NAME}` in its place.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      EXTRA_ARGS: --key AKIAIOSFODNN7EXAMPLE\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      EXTRA_ARGS: --key ${AWS_ACCESS_KEY_ID}\n---- env\nAWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n",
        ],
        Check::Service(token),
    ),
    warning(
        "secret-with-default",
        [
            "A secret falls back to a value written in the file",
            "The day the variable is missing, the app starts without a complaint and with a secret everybody can read.",
            "Write `${NAME:?}`: the release then stops when the variable is missing.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      JWT_SECRET: ${JWT_SECRET:-local-signing-key}\n---- env\nJWT_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      JWT_SECRET: ${JWT_SECRET:?}\n---- env\nJWT_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\n",
        ],
        Check::Service(with_default),
    ),
    warning(
        "secret-in-build-arg",
        [
            "A secret is handed to the build as an argument",
            "Arguments stay in the image's history: whoever can pull the image can read them.",
            "Use a build secret: `build: { secrets: [NAME] }` and `RUN --mount=type=secret,id=NAME`.",
            "services:\n  web:\n    build:\n      context: .\n      args:\n        NPM_TOKEN: ${NPM_TOKEN}\n---- env\nNPM_TOKEN=mVq82hTz-91kLx\n",
            "services:\n  web:\n    build:\n      context: .\n      secrets: [NPM_TOKEN]\nsecrets:\n  NPM_TOKEN: { environment: NPM_TOKEN }\n---- env\nNPM_TOKEN=mVq82hTz-91kLx\n",
        ],
        Check::Service(build_arg),
    ),
    warning(
        "secret-in-image",
        [
            "A Dockerfile writes a secret into the image's environment",
            "The image carries it wherever it is pushed, and it cannot be changed without a build.",
            "Remove the line and hand the value on in `environment`.",
            "services:\n  web:\n    build: .\n---- file Dockerfile\nFROM node:22-alpine\nENV SESSION_SECRET=kT9vR2xPq7Lm4Zs8\nUSER node\n",
            "services:\n  web:\n    build: .\n    environment:\n      SESSION_SECRET: ${SESSION_SECRET:?}\n---- env\nSESSION_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\n---- file Dockerfile\nFROM node:22-alpine\nUSER node\n",
        ],
        Check::Service(in_image),
    ),
    warning(
        "secret-in-command",
        [
            "A password is an argument of a program",
            "Arguments are shown by `ps`, by `docker inspect` and by every monitoring agent, and health checks repeat them every few seconds.",
            "Hand it on as a variable or a file the program reads itself.",
            "services:\n  cache:\n    image: redis:7\n    command: [redis-server, --requirepass, '${REDIS_PASSWORD}']\n---- env\nREDIS_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
            "services:\n  cache:\n    image: redis:7\n    command: [redis-server, /run/secrets/redis.conf]\n",
        ],
        Check::Service(in_command),
    ),
    warning(
        "reused-secret",
        [
            "One value is both a password and a signing key",
            "Whoever reads the one has the other, and neither can be changed alone.",
            "Make one of its own for each with `openssl rand -hex 32`.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      DB_PASSWORD: ${SECRET}\n      JWT_SECRET: ${SECRET}\n---- env\nSECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment:\n      DB_PASSWORD: ${DB_PASSWORD}\n      JWT_SECRET: ${JWT_SECRET}\n---- env\nDB_PASSWORD=6c1f0e9d8b7a5f4e3d2c\nJWT_SECRET=0f9b1c7e5d3a48268f60a1b2c3d4e5f60718293a4b5c6d7e\n",
        ],
        Check::App(reused),
    ),
    error(
        "env-file-in-git",
        [
            "A file of variables with secrets is tracked by git",
            "Every clone and every fork has them, and removing the file later does not remove its history.",
            "Run `git rm --cached FILE`, add it to `.gitignore`, and change every secret in it.",
            "services:\n  api:\n    image: acme/api:1.4\n    env_file: [.env.production]\n---- file .env.production\nSMTP_PASSWORD=mVq82hTz-91kLx\n---- tracked\n.env.production\n",
            "services:\n  api:\n    image: acme/api:1.4\n    env_file: [.env.production]\n---- file .env.production\nSMTP_PASSWORD=mVq82hTz-91kLx\n---- tracked\ncompose.yaml\n",
        ],
        Check::App(env_in_git),
    ),
    error(
        "secret-file-in-git",
        [
            "A file that is used as a secret is tracked by git",
            "Every clone and every fork has it, and removing it later does not remove its history.",
            "Run `git rm --cached FILE`, add it to `.gitignore`, and replace what is in it.",
            "services:\n  api:\n    image: acme/api:1.4\n    secrets: [key]\nsecrets:\n  key: { file: ./key.pem }\n---- file key.pem\nx\n---- tracked\nkey.pem\n",
            "services:\n  api:\n    image: acme/api:1.4\n    secrets: [key]\nsecrets:\n  key: { file: ./key.pem }\n---- file key.pem\nx\n---- tracked\ncompose.yaml\n",
        ],
        Check::App(file_in_git),
    ),
    error(
        "secret-file-missing",
        [
            "A file of a secret or config is missing",
            "The service starts without it, or not at all, and the reason is found in the middle of a release.",
            "Create the file before the release, readable by its owner only (mode 600).",
            "services:\n  api:\n    image: acme/api:1.4\n    secrets: [account]\nsecrets:\n  account: { file: ./service-account.json }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    secrets: [account]\nsecrets:\n  account: { file: ./service-account.json }\n---- file service-account.json\n{}\n",
        ],
        Check::App(file_missing),
    ),
    warning(
        "secret-mounted-writable",
        [
            "A key or credentials file is mounted writable",
            "A program that was taken over can replace the file on the host, where the next release and other programs read it.",
            "Add `:ro` to the mount.",
            "services:\n  api:\n    image: acme/api:1.4\n    volumes:\n      - ./secrets/service-account.json:/run/account.json\n---- file secrets/service-account.json\n{}\n",
            "services:\n  api:\n    image: acme/api:1.4\n    volumes:\n      - ./secrets/service-account.json:/run/account.json:ro\n---- file secrets/service-account.json\n{}\n",
        ],
        Check::Container(mounted_writable),
    ),
];

/// Secrets of a service that have a value. A database reads no keys of others, though an `env_file` gives it all.
fn secrets<'s>(service: &'s Service<'_>) -> impl Iterator<Item = (&'s Var<'s>, Secret<'s>)> {
    let found = service.vars.iter().filter_map(|v| Some((v, v.secret?)));
    found.filter(|(_, secret)| service.engine.is_none() || secret.class == Class::Password)
}

/// Those about which nothing worse is known.
fn own<'s>(service: &'s Service<'_>) -> impl Iterator<Item = (&'s Var<'s>, Secret<'s>)> {
    // What the server keeps is known to nobody here; the agent holds it against the contract.
    secrets(service).filter(|(var, secret)| secret.worth == Worth::Own && marked(var.text).is_empty())
}

fn placeholder(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (var, secret) in secrets(service).filter(|(_, s)| s.worth == Worth::Placeholder) {
        // The contract says the same of what it calls a secret.
        if secret.value.len() == var.text.len() && view.in_contract(var.name, "secret") {
            continue;
        }
        let message = format!("{} still has a placeholder for a value", called(service, var, secret));
        match secret.class {
            Class::Token => out.var_hinted(var, message, "set the one its issuer gave you, and keep it outside of the file"),
            _ => out.var(var, message),
        }
    }
}

fn known(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (var, secret) in secrets(service) {
        match secret.worth {
            Worth::Known => out.var(var, format!("{} is one everybody knows", called(service, var, secret))),
            Worth::Own if is_user(service, var, secret) => {
                out.var(var, format!("{} is the name of its user", called(service, var, secret)))
            }
            _ => {}
        }
    }
}

/// A password that is its user's name.
fn is_user(service: &Service<'_>, var: &Var<'_>, secret: Secret<'_>) -> bool {
    secret.class == Class::Password && user_of(service, var) == Some(secret.value)
}

/// The user a password belongs to: in the same URL, or in the variable beside it.
fn user_of<'s>(service: &'s Service<'_>, var: &'s Var<'_>) -> Option<&'s str> {
    if let Some(url) = var.url {
        return Some(url.user);
    }
    let head = var.name.strip_suffix("PASSWORD").or(var.name.strip_suffix("PASS"))?;
    ["USER", "USERNAME"].iter().find_map(|end| service.var(&format!("{head}{end}"))).map(|v| v.text)
}

fn short(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (var, secret) in own(service).filter(|(_, s)| s.class == Class::Signing) {
        let length = secret.value.chars().count();
        if length < SIGNING && !view.in_contract(var.name, "min_length") {
            out.var(var, format!("`{}` of `{}` signs or encrypts and has {}", var.name, service.name, characters(length)));
        }
    }
}

fn short_password(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (var, secret) in own(service).filter(|(_, s)| s.class == Class::Password) {
        let length = secret.value.chars().count();
        if length < PASSWORD && !is_user(service, var, secret) && !view.in_contract(var.name, "min_length") {
            out.var(var, format!("{} has {}", called(service, var, secret), characters(length)));
        }
    }
}

fn empty(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let classes = |v: &Var<'_>| matches!(secret::class(v.name), Some(Class::Signing | Class::Password));
    for var in service.vars.iter().filter(|v| v.text.is_empty() && classes(v)) {
        // Mail servers inside a network want none; a file beside it may hold the value.
        let elsewhere = service.set(&format!("{}_FILE", var.name)) || var.name.contains("SMTP") || var.name.contains("MAIL");
        if !elsewhere {
            out.var(var, format!("`{}` of `{}` is empty", var.name, service.name));
        }
    }
}

fn in_file(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for (var, secret) in own(service).filter(|(v, s)| v.written && secret::issued(s.value).is_none()) {
        out.var(var, format!("{} is written in this file", called(service, var, secret)));
    }
}

fn token(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in service.vars.iter().filter(|v| v.written) {
        if let Some(issuer) = secret::issued(var.text) {
            out.var(var, format!("`{}` of `{}` holds a real {issuer}", var.name, service.name));
        }
    }
}

fn with_default(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in &service.vars {
        // Looked for as it is written, for the resolved value does not say where it came from.
        let raw = view.report.raw(var.place);
        for part in raw.split("${").skip(1) {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let default = rest.strip_prefix(":-").or(rest.strip_prefix('-')).unwrap_or("");
            let nothing = default.is_empty() || default.starts_with(['}', '$']);
            if secret::class(name).is_some() && !nothing {
                out.var(var, format!("`{name}` falls back to a value written in this file"));
            }
        }
    }
}

fn build_arg(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for entry in service.at(&["build", "args"]).map(Node::entries).unwrap_or_default() {
        let filled = entry.value.scalar().is_some_and(|s| !s.text.is_empty());
        if filled && secret::class(&entry.key).is_some() {
            out.at(entry.key_place, format!("the build of `{}` gets `{}` as an argument", service.name, entry.key));
        }
    }
}

fn in_image(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(file) = service.dockerfile else { return };
    for line in file.all.iter().filter(|i| matches!(i.word.as_str(), "ENV" | "ARG")) {
        let pairs = line.text.split_whitespace().filter_map(|w| w.split_once('='));
        // `ENV NAME value`, the old way.
        let old = line.text.split_once(' ').filter(|(k, _)| line.word == "ENV" && !k.contains('='));
        for (name, value) in pairs.chain(old) {
            let value = value.trim_matches(['"', '\'']);
            if !value.is_empty() && !value.starts_with('$') && secret::class(name).is_some() {
                out.at(line.place, format!("the Dockerfile of `{}` writes `{name}` into the image", service.name));
            }
        }
    }
}

fn in_command(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let words: Vec<(&str, Place)> = service.command.iter().map(|w| (w.text.as_ref(), w.place)).collect();
    if let Some(place) = password_argument(&words, view) {
        out.at(place, format!("the command of `{}` has a password among its arguments", service.name));
    }
    let Some(test) = service.at(&["healthcheck", "test"]) else { return };
    let words: Vec<(&str, Place)> = one_or_more(Some(test))
        .filter_map(|n| n.scalar().map(|s| (s.text.as_str(), n.place)))
        .flat_map(|(text, place)| text.split_whitespace().map(move |w| (w, place)))
        .collect();
    if let Some(place) = password_argument(&words, view) {
        out.at(place, format!("the health check of `{}` has a password among its arguments", service.name));
    }
}

/// The place of an argument that is a password, whether written or put in.
fn password_argument(words: &[(&str, Place)], view: &View<'_>) -> Option<Place> {
    const FLAGS: [&str; 6] = ["--requirepass", "--password", "--masterauth", "--pass", "--token", "--secret"];
    let database = words.iter().any(|(w, _)| {
        matches!(
            w.rsplit('/').next().unwrap_or(w),
            "cypher-shell" | "mongosh" | "mongo" | "mysql" | "mysqladmin" | "mariadb" | "mariadb-admin" | "redis-cli" | "valkey-cli"
        )
    });
    // What a shell of the container puts in is not among the arguments in the file.
    let real = |word: &str| !word.is_empty() && !word.starts_with(['$', '-', '<']);
    for (index, (word, place)) in words.iter().enumerate() {
        let next = words.get(index + 1).filter(|(w, _)| real(w));
        let joined = FLAGS.iter().any(|f| word.strip_prefix(f).and_then(|r| r.strip_prefix('=')).is_some_and(real));
        let short = database && matches!(*word, "-p" | "-a") && next.is_some();
        let glued = database && word.len() > 3 && word.starts_with("-p") && !word.starts_with("-p$") && !word.starts_with("-port");
        if joined || glued {
            return Some(*place);
        }
        if short || (FLAGS.contains(word) && next.is_some()) {
            // The value is what is to be removed; when a shell command holds both, they have one place.
            return next.map(|(_, p)| *p).filter(|p| !view.report.raw(*p).is_empty()).or(Some(*place));
        }
    }
    None
}

fn reused(view: &View<'_>, out: &mut Findings) {
    let all: Vec<(&Var<'_>, Secret<'_>)> = view.services.iter().flat_map(own).filter(|(_, s)| s.value.len() >= 8).collect();
    let passwords: std::collections::BTreeMap<&str, &str> =
        all.iter().filter(|(_, s)| s.class == Class::Password).map(|(var, secret)| (secret.value, var.name)).collect();
    for (var, secret) in all.iter().filter(|(_, s)| s.class == Class::Signing) {
        if let Some(other) = passwords.get(secret.value) {
            out.var(var, format!("`{}` has the same value as `{other}`", var.name));
        }
    }
}

fn env_in_git(view: &View<'_>, out: &mut Findings) {
    let start = view.root.entries().first().map_or(view.root.place, |e| e.key_place);
    let default = super::super::path::absolute(view.project_dir, ".env");
    let named = view.env_files.iter().map(|(path, place)| (path.as_str(), *place));
    // Read by itself, `.env` is named nowhere; the complaint then stands where the file begins.
    let unnamed = Some((default.as_str(), start)).filter(|(path, _)| view.env_files.iter().all(|(named, _)| named != path));
    for (path, place) in unnamed.into_iter().chain(named) {
        if !view.facts.tracked.contains(path) {
            continue;
        }
        let text = view.files.read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(text.get(..super::super::MAX_TEXT.min(text.len())).unwrap_or_default()).into_owned();
        let pairs = text.lines().filter(|l| !l.trim_start().starts_with('#')).filter_map(|l| l.split_once('='));
        let secret = pairs
            .map(|(k, v)| (k.trim().trim_start_matches("export "), v.trim()))
            .map(|(k, v)| (k, v.trim_matches(['"', '\''])))
            .find(|(k, v)| secret::of(k, v, Url::parse(v)).is_some_and(|s| !s.value.starts_with('$')));
        if let Some((name, _)) = secret {
            let shown = view.relative(path);
            out.hinted(
                place,
                format!("`{shown}` is tracked by git and holds `{name}`"),
                format!("run `git rm --cached {shown}`, add it to `.gitignore`, and change every secret in it"),
            );
        }
    }
}

fn file_in_git(view: &View<'_>, out: &mut Findings) {
    for entry in view.root.get("secrets").map(Node::entries).unwrap_or_default() {
        let Some(file) = entry.value.get("file") else { continue };
        let path = super::super::path::absolute(view.project_dir, text(&entry.value, "file"));
        if view.facts.tracked.contains(&path) {
            out.at(file.place, format!("the secret `{}` is the file `{}`, which git tracks", entry.key, view.relative(&path)));
        }
    }
    for service in &view.services {
        for mount in
            service.mounts.iter().filter(|m| m.kind == Kind::Bind && is_secret_file(m.source) && view.facts.tracked.contains(m.source))
        {
            out.at(mount.place, format!("`{}` mounts `{}`, which git tracks", service.name, view.relative(mount.source)));
        }
    }
}

fn file_missing(view: &View<'_>, out: &mut Findings) {
    for section in ["secrets", "configs"] {
        let grants = view.services.iter().flat_map(|s| one_or_more(s.node.get(section)));
        let used: std::collections::BTreeSet<&str> = grants.map(|n| n.scalar().map_or(text(n, "source"), |s| &s.text)).collect();
        for entry in view.root.get(section).map(Node::entries).unwrap_or_default() {
            let Some(file) = entry.value.get("file").filter(|_| used.contains(entry.key.as_str())) else { continue };
            let path = super::super::path::absolute(view.project_dir, text(&entry.value, "file"));
            if !view.files.exists(&path) {
                let what = section.trim_end_matches('s');
                out.at(file.place, format!("the {what} `{}` is a file that does not exist", entry.key));
            }
        }
    }
}

/// Names that private keys and credentials have.
fn is_secret_file(path: &str) -> bool {
    let name = super::super::path::base_name(path).to_ascii_lowercase();
    let ends = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore"].iter().any(|e| name.ends_with(e));
    let named = ["service-account", "service_account", "credentials", "id_rsa", "id_ed25519", ".htpasswd"].iter().any(|w| name.contains(w));
    ends || named
}

fn mounted_writable(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for mount in service.mounts.iter().filter(|m| m.kind == Kind::Bind && !m.read_only && is_secret_file(m.source)) {
        out.at(mount.place, format!("`{}` can write `{}`", service.name, view.relative(mount.source)));
    }
}

fn characters(count: usize) -> String {
    if count == 1 { "1 character".into() } else { format!("{count} characters") }
}

/// How a secret is called in a message: by its variable, never by its value.
fn called(service: &Service<'_>, var: &Var<'_>, secret: Secret<'_>) -> String {
    if secret.value.len() < var.text.len() {
        format!("the password in `{}` of `{}`", var.name, service.name)
    } else {
        format!("`{}` of `{}`", var.name, service.name)
    }
}
