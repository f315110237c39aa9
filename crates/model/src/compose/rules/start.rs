//! Rules about what a container runs: servers for development, work that belongs into the image or into the release, and signals that get lost.

use super::super::report::Place;
use super::engine::is_shell;
use super::view::{Service, View};
use super::{Check, Findings, Rule, warning};

pub(super) const RULES: &[Rule] = &[
    warning(
        "development-server",
        [
            "A server for development runs in production",
            "It serves one request at a time, reloads when a file changes, and says of itself that it is not for production.",
            "Run the production server: `gunicorn`, `uvicorn` without `--reload`, `node server.js`, or static files.",
            "services:\n  api:\n    image: acme/api:1.4\n    command: [uvicorn, app:app, --host, 0.0.0.0, --reload]\n",
            "services:\n  api:\n    image: acme/api:1.4\n    command: [uvicorn, app:app, --host, 0.0.0.0]\n",
        ],
        Check::Service(development),
    ),
    warning(
        "install-at-start",
        [
            "A container installs software each time it starts",
            "A restart at night then needs the package registry, takes minutes, and may get other versions than were tested.",
            "Install in the Dockerfile.",
            "services:\n  web:\n    image: node:22\n    command: sh -c \"npm install && exec node server.js\"\n",
            "services:\n  web:\n    image: acme/web:1.4\n    command: [node, server.js]\n",
        ],
        Check::Service(install),
    ),
    warning(
        "migration-at-start",
        [
            "A container migrates the database each time it starts",
            "Each replica does it, at the same time, and again after each restart; a migration that fails leaves the app half up and no way back.",
            "Move it to `x-landfall: { migrate: [...] }`: once per release, before the switch.",
            "services:\n  api:\n    image: acme/api:1.4\n    command: sh -c \"alembic upgrade head && exec uvicorn app:app\"\n",
            "services:\n  api:\n    image: acme/api:1.4\n    command: [uvicorn, app:app]\n    x-landfall: { migrate: [alembic, upgrade, head] }\n",
        ],
        Check::Service(migration),
    ),
    warning(
        "signal-lost",
        [
            "A shell stands between the program and the signal to stop",
            "The shell does not pass SIGTERM on, so the program never finishes its requests and is killed when the grace period is over.",
            "Write `exec` before the last command, or set `init: true`.",
            "services:\n  api:\n    image: acme/api:1.4\n    command: sh -c \"mkdir -p /tmp/cache && uvicorn app:app\"\n",
            "services:\n  api:\n    image: acme/api:1.4\n    command: sh -c \"mkdir -p /tmp/cache && exec uvicorn app:app\"\n",
        ],
        Check::Container(signal),
    ),
    warning(
        "debugger-open",
        [
            "A debugger listens for whoever connects",
            "It runs any code it is sent, without a password.",
            "Remove the debugger's option; debug a copy, not the app people use.",
            "services:\n  api:\n    image: acme/api:1.4\n    command: [node, --inspect=0.0.0.0, server.js]\n",
            "services:\n  api:\n    image: acme/api:1.4\n    command: [node, server.js]\n",
        ],
        Check::Service(debugger),
    ),
    warning(
        "listens-on-loopback",
        [
            "A program listens on the container's own loopback address",
            "Nobody outside of the container reaches it: the proxy gets `connection refused`, though the program says that it is up.",
            "Listen on `0.0.0.0`; the container's network decides who reaches it.",
            "services:\n  api:\n    image: acme/api:1.4\n    command: [uvicorn, app:app, --host, 127.0.0.1]\n    x-landfall: { port: 8000, routes: [/], health: { path: /health } }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    command: [uvicorn, app:app, --host, 0.0.0.0]\n    x-landfall: { port: 8000, routes: [/], health: { path: /health } }\n",
        ],
        Check::Container(loopback),
    ),
];

/// What a service runs: its own command, else the Dockerfile's. With the place of it.
fn commands(service: &Service<'_>) -> Vec<(String, Place)> {
    if !service.command.is_empty() {
        return vec![(service.command_text(), service.command_place())];
    }
    let Some(file) = service.dockerfile else { return Vec::new() };
    let parts = ["ENTRYPOINT", "CMD"].iter().filter_map(|w| file.last(w));
    parts.map(|i| (plain(&i.text), i.place)).collect()
}

/// An instruction's argument as words: `["a", "b"]` is `a b`.
fn plain(text: &str) -> String {
    let list = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    list.map_or_else(|| text.to_owned(), |l| l.split(',').map(|w| w.trim().trim_matches('"')).collect::<Vec<_>>().join(" "))
}

/// True when the words stand in the text as whole words.
fn says(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
        let after = text[at + phrase.len()..].chars().next().is_none_or(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
        before && after
    })
}

fn first_said<'p>(text: &str, phrases: &[&'p str]) -> Option<&'p str> {
    phrases.iter().copied().find(|p| says(text, p))
}

fn development(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const PHRASES: [&str; 21] = [
        "--reload",
        "npm run dev",
        "npm run start:dev",
        "yarn dev",
        "yarn run dev",
        "pnpm dev",
        "pnpm run dev",
        "bun run dev",
        "next dev",
        "nuxt dev",
        "vite dev",
        "react-scripts start",
        "ng serve",
        "vue-cli-service serve",
        "webpack-dev-server",
        "nodemon",
        "ts-node-dev",
        "flask run",
        "manage.py runserver",
        "fastapi dev",
        "php artisan serve",
    ];
    for (text, place) in commands(service) {
        if let Some(found) = first_said(&text, &PHRASES) {
            out.at(place, format!("`{}` runs `{found}`", service.name));
        }
    }
    for var in service.vars.iter().filter(|v| v.name.ends_with("_RELOAD") || v.name == "RELOAD") {
        if matches!(var.text.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on") {
            out.var(var, format!("`{}` of `{}` reloads code", var.name, service.name));
        }
    }
}

fn install(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const PHRASES: [&str; 15] = [
        "npm install",
        "npm ci",
        "npm i",
        "yarn install",
        "pnpm install",
        "bun install",
        "pip install",
        "pip3 install",
        "poetry install",
        "uv sync",
        "apt-get install",
        "apk add",
        "bundle install",
        "composer install",
        "go mod download",
    ];
    for (text, place) in commands(service) {
        if let Some(found) = first_said(&text, &PHRASES) {
            out.at(place, format!("`{}` runs `{found}` when it starts", service.name));
        }
    }
}

fn migration(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const PHRASES: [&str; 16] = [
        "alembic upgrade",
        "prisma migrate deploy",
        "prisma db push",
        "manage.py migrate",
        "flask db upgrade",
        "rails db:migrate",
        "rake db:migrate",
        "knex migrate:latest",
        "sequelize db:migrate",
        "sequelize-cli db:migrate",
        "typeorm migration:run",
        "drizzle-kit migrate",
        "artisan migrate",
        "npm run migrate",
        "goose up",
        "dbmate up",
    ];
    if service.job {
        return;
    }
    for (text, place) in commands(service) {
        if let Some(found) = first_said(&text, &PHRASES) {
            out.at(place, format!("`{}` runs `{found}` each time it starts", service.name));
        }
    }
}

/// What a shell is given to run: the argument after `-c`, or a Dockerfile's command that is no list.
fn shell_script(service: &Service<'_>) -> Option<(String, Place)> {
    if service.command.is_empty() {
        let line = service.dockerfile?.last("CMD").or(service.dockerfile?.last("ENTRYPOINT"))?;
        return Some((line.text.clone(), line.place)).filter(|(t, _)| !t.starts_with('['));
    }
    let words = &service.command;
    let shell = words.iter().position(|w| is_shell(w.text.rsplit('/').next().unwrap_or("")))?;
    let option = words.get(shell + 1).filter(|w| w.text.starts_with('-') && w.text.ends_with('c'))?;
    let script = words.get(shell + 2)?;
    Some((script.text.to_string(), if script.place.end > 0 { script.place } else { option.place }))
}

fn signal(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let init = service.node.get("init").and_then(|n| n.scalar()).is_some_and(|s| s.text == "true");
    if init || service.job {
        return;
    }
    let Some((script, place)) = shell_script(service) else { return };
    // A shell that is given one simple command becomes that command.
    let last = script.rsplit(['\n', ';', '&', '|']).find(|c| !c.trim().is_empty()).unwrap_or("").trim().to_owned();
    let several = script.trim().trim_end_matches(';').contains(['\n', ';', '&', '|']);
    if several && !last.starts_with("exec ") && !last.starts_with("wait") {
        out.at(place, format!("the shell of `{}` does not pass on the signal to stop", service.name));
    }
}

fn debugger(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let open = |text: &str| {
        let address =
            |option: &str| text.find(option).map(|at| text[at + option.len()..].split_whitespace().next().unwrap_or("").to_owned());
        let outside = |a: &str| a.contains("0.0.0.0") || a.contains('*') || a.contains("[::]");
        let node = ["--inspect=", "--inspect-brk="].iter().any(|o| address(o).is_some_and(|a| outside(&a)));
        let python = text.contains("debugpy") && outside(text);
        let java = address("jdwp=").is_some_and(|a| a.contains("address=*") || a.contains("address=0.0.0.0"));
        let go = text.contains("dlv ") && text.contains("--headless");
        node || python || java || go
    };
    for (text, place) in commands(service) {
        if open(&text) {
            out.at(place, format!("`{}` opens a debugger", service.name));
        }
    }
    for var in service.vars.iter().filter(|v| matches!(v.name, "NODE_OPTIONS" | "JAVA_OPTS" | "JAVA_TOOL_OPTIONS")) {
        if open(var.text) {
            out.var(var, format!("`{}` of `{}` opens a debugger", var.name, service.name));
        }
    }
}

fn loopback(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if service.routes.is_empty() && service.ports.is_empty() {
        return;
    }
    if let Some(var) = super::env::listens_for_itself(service) {
        out.var(var, format!("`{}` of `{}` lets nobody outside of its container connect", var.name, service.name));
        return;
    }
    for (text, place) in commands(service) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let option = |w: &str| matches!(w, "--host" | "--bind" | "-b" | "--hostname" | "--listen" | "--address" | "-H");
        let host = |w: &str| {
            let host = w.rsplit_once(':').map_or(w, |(h, _)| h);
            super::url::is_loopback(host)
        };
        let apart = words.windows(2).any(|w| matches!(w, [a, b] if option(a) && host(b)));
        let joined = words.iter().filter_map(|w| w.split_once('=')).any(|(a, b)| option(a) && host(b));
        if apart || joined {
            out.at(place, format!("`{}` lets nobody outside of its container connect", service.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_whole_words() {
        assert!(says("uvicorn app --reload", "--reload") && !says("uvicorn --reload-dir x", "--reload"));
        assert!(says("npm install && x", "npm install") && !says("cnpm install", "npm install"));
        assert_eq!(plain("[\"node\", \"dist/main.js\"]"), "node dist/main.js");
    }
}
