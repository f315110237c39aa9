//! Rules about databases and queues: who may come in, and whether they survive a stop.

use super::engine::Id;
use super::view::{Kind, Mount, Service, View, millis, text};
use super::{Check, Findings, Rule, error, warning};
use std::collections::BTreeMap;

/// A database needs more than the engine's ten seconds to write its last checkpoint.
const GRACE_MS: u64 = 30_000;

pub(super) const RULES: &[Rule] = &[
    error(
        "database-published",
        [
            "A database is published on all addresses of the server",
            "Docker opens the port past the firewall of the host; scanners find it within the hour and guess passwords from then on.",
            "Remove `ports`: services of the app reach it by name. For your own access write `127.0.0.1:5432:5432` and use an SSH tunnel.",
            "services:\n  db:\n    image: postgres:16\n    ports: ['5432:5432']\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
            "services:\n  db:\n    image: postgres:16\n    ports: ['127.0.0.1:5432:5432']\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
        ],
        Check::Container(published),
    ),
    error(
        "trust-authentication",
        [
            "PostgreSQL lets everybody in without a password",
            "Every container of the network, and everything that gets into one of them, is a superuser.",
            "Remove `POSTGRES_HOST_AUTH_METHOD` and set `POSTGRES_PASSWORD`.",
            "services:\n  db:\n    image: postgres:16\n    environment: { POSTGRES_HOST_AUTH_METHOD: trust }\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
            "services:\n  db:\n    image: postgres:16\n    environment: { POSTGRES_PASSWORD: '${DB_PASSWORD:?}' }\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n---- env\nDB_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
        ],
        Check::Container(trust),
    ),
    error(
        "empty-password-allowed",
        [
            "A database is told to take empty passwords",
            "The administrator's account has none, and whoever reaches the port is the administrator.",
            "Remove the line and set a password.",
            "services:\n  db:\n    image: mysql:8.4\n    environment: { MYSQL_ALLOW_EMPTY_PASSWORD: 'yes' }\n    volumes: ['data:/var/lib/mysql']\nvolumes: { data: }\n",
            "services:\n  db:\n    image: mysql:8.4\n    environment: { MYSQL_ROOT_PASSWORD: '${DB_PASSWORD:?}' }\n    volumes: ['data:/var/lib/mysql']\nvolumes: { data: }\n---- env\nDB_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
        ],
        Check::Container(empty_password),
    ),
    warning(
        "database-without-login",
        [
            "A database runs without accounts",
            "Whatever gets into one container of the network reads and deletes everything; such databases are held to ransom every day.",
            "Set the administrator's name and password of the image.",
            "services:\n  db:\n    image: mongo:8\n    volumes: ['data:/data/db']\nvolumes: { data: }\n",
            "services:\n  db:\n    image: mongo:8\n    environment:\n      MONGO_INITDB_ROOT_USERNAME: app\n      MONGO_INITDB_ROOT_PASSWORD: ${DB_PASSWORD:?}\n    volumes: ['data:/data/db']\nvolumes: { data: }\n---- env\nDB_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
        ],
        Check::Container(no_login),
    ),
    error(
        "default-login",
        [
            "A service is reachable with the login of its documentation",
            "`minioadmin` and `admin` are the first names and passwords that are tried.",
            "Set a name and a password of your own.",
            "services:\n  files:\n    image: minio/minio:RELEASE.2024-10-02T17-50-41Z\n    command: [server, /data]\n    volumes: ['data:/data']\n    x-landfall: { port: 9000, routes: [/], health: { path: /minio/health/live } }\nvolumes: { data: }\n",
            "services:\n  files:\n    image: minio/minio:RELEASE.2024-10-02T17-50-41Z\n    command: [server, /data]\n    environment:\n      MINIO_ROOT_USER: files\n      MINIO_ROOT_PASSWORD: ${FILES_PASSWORD:?}\n    volumes: ['data:/data']\n    x-landfall: { port: 9000, routes: [/], health: { path: /minio/health/live } }\nvolumes: { data: }\n---- env\nFILES_PASSWORD=6c1f0e9d8b7a5f4e3d2c\n",
        ],
        Check::Container(default_login),
    ),
    error(
        "durability-off",
        [
            "A database is told not to write its data to the disk",
            "After a power cut or a crash of the host the database is not old, it is broken.",
            "Remove the option.",
            "services:\n  db:\n    image: postgres:16\n    command: [postgres, -c, fsync=off]\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
            "services:\n  db:\n    image: postgres:16\n    command: [postgres, -c, shared_buffers=256MB]\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
        ],
        Check::Container(durability),
    ),
    error(
        "database-replicas",
        [
            "A database runs in several replicas",
            "Replicas of a service are copies of a program, not of its data: two servers on one directory destroy it.",
            "Run one replica; for more, use what the database offers (streaming replication) with a service for each.",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\n    deploy: { replicas: 2 }\nvolumes: { data: }\n",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\n    deploy: { replicas: 1 }\nvolumes: { data: }\n",
        ],
        Check::Container(replicas),
    ),
    error(
        "database-start-first",
        [
            "A database's new container starts before the old one stops",
            "For a moment two servers have one directory: the new one refuses to start, or the data is destroyed.",
            "Remove `order: start-first`; a database needs a short stop.",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\n    deploy: { update_config: { order: start-first } }\nvolumes: { data: }\n",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\n    deploy: { update_config: { order: stop-first } }\nvolumes: { data: }\n",
        ],
        Check::Container(start_first),
    ),
    error(
        "one-volume-two-databases",
        [
            "Two databases have one volume for their data",
            "The second one to start finds the files of the first, and one of them is destroyed.",
            "Give each a volume of its own.",
            "services:\n  one:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\n  two:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
            "services:\n  one:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\n  two:\n    image: postgres:16\n    volumes: ['more:/var/lib/postgresql/data']\nvolumes: { data: , more: }\n",
        ],
        Check::App(one_volume),
    ),
    warning(
        "database-killed-early",
        [
            "A database has less than 30 seconds to stop",
            "It is killed while it writes its last checkpoint; the next start replays the log, which takes minutes when it is needed least.",
            "Write `stop_grace_period: 1m`.",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
            "services:\n  db:\n    image: postgres:16\n    stop_grace_period: 1m\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
        ],
        Check::Container(killed_early),
    ),
    warning(
        "cache-without-bound",
        [
            "Redis has a memory limit and does not know it",
            "It grows until the kernel kills it, with everything it held; told the limit, it lets old entries go instead.",
            "Add `--maxmemory` below the limit and a `--maxmemory-policy`.",
            "services:\n  cache:\n    image: redis:7\n    mem_limit: 512m\n",
            "services:\n  cache:\n    image: redis:7\n    command: [redis-server, --maxmemory, 400mb, --maxmemory-policy, allkeys-lru]\n    mem_limit: 512m\n",
        ],
        Check::Container(unbounded_cache),
    ),
    warning(
        "small-shared-memory",
        [
            "A program that lives in shared memory has 64 MiB of it",
            "Browsers crash on larger pages, and PostgreSQL fails large queries with `could not resize shared memory segment`.",
            "Write `shm_size: 1g`.",
            "services:\n  browser:\n    image: browserless/chromium:v2.24.0\n",
            "services:\n  browser:\n    image: browserless/chromium:v2.24.0\n    shm_size: 1g\n",
        ],
        Check::Container(shared_memory),
    ),
];

fn published(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(engine) = service.engine else { return };
    for port in service.ports.iter().filter(|p| p.is_everywhere()) {
        let (name, own) = (service.name, engine.port);
        out.hinted(
            port.place,
            format!("{} in `{name}` is published on all addresses of the server", engine.name),
            format!(
                "remove it: services reach `{name}:{own}` by name; for your own access write `127.0.0.1:{own}:{own}` and use an SSH tunnel"
            ),
        );
    }
}

fn trust(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if let Some(var) = service.var("POSTGRES_HOST_AUTH_METHOD").filter(|v| v.text.eq_ignore_ascii_case("trust")) {
        out.var(&var, format!("PostgreSQL in `{}` lets everybody in without a password", service.name));
    }
}

fn empty_password(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in service.vars.iter().filter(|v| v.name.contains("ALLOW_EMPTY") && v.name.ends_with("PASSWORD")) {
        if !matches!(var.text.to_ascii_lowercase().as_str(), "" | "no" | "false" | "0") {
            out.var(var, format!("`{}` of `{}` opens the database to everybody", var.name, service.name));
        }
    }
    if let Some(var) = service.var("NEO4J_AUTH").filter(|v| v.text == "none") {
        out.var(&var, format!("Neo4j in `{}` asks for no password", service.name));
    }
}

fn no_login(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let any = |names: &[&str]| names.iter().any(|n| service.set(n));
    let command = service.command_text();
    match service.engine.map(|e| e.id) {
        Some(Id::Mongo) => {
            let asks = any(&["MONGO_INITDB_ROOT_PASSWORD", "MONGO_INITDB_ROOT_PASSWORD_FILE", "MONGODB_ROOT_PASSWORD"]);
            if !asks && !command.contains("--auth") && !command.contains("--keyFile") && !command.contains("--config") {
                out.hinted(
                    service.place,
                    format!("MongoDB in `{}` runs without accounts", service.name),
                    "set `MONGO_INITDB_ROOT_USERNAME` and `MONGO_INITDB_ROOT_PASSWORD`",
                );
            }
        }
        Some(Id::Elastic) => {
            let off = |name: &str| service.var(name).filter(|v| v.text.eq_ignore_ascii_case("false"));
            if let Some(var) = off("xpack.security.enabled") {
                out.var(&var, format!("Elasticsearch in `{}` runs without accounts", service.name));
            }
            if let Some(var) = service.var("DISABLE_SECURITY_PLUGIN").filter(|v| v.text.eq_ignore_ascii_case("true")) {
                out.var(&var, format!("OpenSearch in `{}` runs without accounts", service.name));
            }
        }
        Some(Id::Redis) if service.ports.iter().any(|p| !p.is_loopback()) => {
            let asks = command.contains("--requirepass") || command.contains(".conf") || any(&["REDIS_PASSWORD", "VALKEY_PASSWORD"]);
            if !asks {
                out.hinted(
                    service.place,
                    format!("Redis in `{}` is published and asks for no password", service.name),
                    "remove `ports`, or start it with a file that sets `requirepass`",
                );
            }
        }
        _ => {}
    }
}

fn default_login(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if !service.is_public() {
        return;
    }
    let any = |names: &[&str]| names.iter().any(|n| service.set(n));
    let (base, _) = service.base_image();
    let (what, missing) = match (service.engine.map(|e| e.id), base) {
        (Some(Id::Minio), _) => ("MinIO", !any(&["MINIO_ROOT_PASSWORD", "MINIO_ROOT_PASSWORD_FILE", "MINIO_SECRET_KEY"])),
        (Some(Id::Rabbit), _) => ("RabbitMQ", !any(&["RABBITMQ_DEFAULT_PASS", "RABBITMQ_PASSWORD", "RABBITMQ_DEFAULT_PASS_FILE"])),
        (_, "grafana" | "grafana-oss" | "grafana-enterprise") => {
            ("Grafana", !any(&["GF_SECURITY_ADMIN_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD__FILE", "GF_AUTH_DISABLE_LOGIN_FORM"]))
        }
        _ => return,
    };
    if missing {
        out.at(service.place, format!("{what} in `{}` is reachable with the login of its documentation", service.name));
    }
}

fn durability(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const OFF: [&str; 4] = ["fsync=off", "full_page_writes=off", "--innodb-doublewrite=0", "--innodb-flush-log-at-trx-commit=0"];
    for word in service.command.iter().filter(|w| OFF.iter().any(|o| w.text.contains(o))) {
        out.at(word.place, format!("`{}` does not write its data to the disk", service.name));
    }
}

fn replicas(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(engine) = service.database() else { return };
    let node = service.at(&["deploy", "replicas"]).or(service.node.get("scale"));
    let Some((node, count)) = node.and_then(|n| Some((n, n.scalar()?.text.parse::<u64>().ok()?))) else { return };
    if count > 1 && data_mount(service).is_some() {
        out.at(node.place, format!("{count} replicas of {} in `{}` write one directory", engine.name, service.name));
    }
}

fn start_first(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let order = service.at(&["deploy", "update_config", "order"]);
    let Some(order) = order.filter(|n| n.scalar().is_some_and(|s| s.text == "start-first")) else { return };
    if service.database().is_some() && data_mount(service).is_some() {
        out.at(order.place, format!("for a moment two databases of `{}` have one directory", service.name));
    }
}

/// The mount that holds a database's data, if it is kept.
pub(super) fn data_mount<'s, 'a>(service: &'s Service<'a>) -> Option<&'s Mount<'a>> {
    let engine = service.database()?;
    let own = service.var("PGDATA").map(|v| v.text);
    service
        .mounts
        .iter()
        .find(|m| matches!(m.kind, Kind::Volume | Kind::Bind) && engine.data.iter().copied().chain(own).any(|d| m.holds(d)))
}

fn one_volume(view: &View<'_>, out: &mut Findings) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for service in &view.services {
        let Some(mount) =
            data_mount(service).filter(|m| m.kind == Kind::Volume && m.node.get("volume").is_none_or(|v| v.get("subpath").is_none()))
        else {
            continue;
        };
        if let Some(other) = owners.insert(mount.source, service.name) {
            out.at(mount.place, format!("`{other}` and `{}` keep their data in one volume, `{}`", service.name, mount.source));
        }
    }
}

fn killed_early(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(engine) = service.database() else { return };
    let given = service.node.get("stop_grace_period");
    if millis(given).unwrap_or(10_000) < GRACE_MS && data_mount(service).is_some() {
        let place = given.map_or(service.place, |n| n.place);
        out.at(place, format!("{} in `{}` has less than 30 seconds to stop", engine.name, service.name));
    }
}

fn unbounded_cache(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let command = service.command_text();
    let told = command.contains("maxmemory") || command.contains(".conf") || service.set("REDIS_MAXMEMORY");
    if let Some((_, place)) = service.memory().filter(|_| service.is(Id::Redis) && !told) {
        out.at(place, format!("Redis in `{}` does not know its memory limit", service.name));
    }
}

fn shared_memory(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let (base, _) = service.base_image();
    let browser =
        ["browserless", "chromium", "chrome", "playwright", "puppeteer", "selenium", "standalone-chrome", "node-chrome", "firefox"];
    let name = service.image.as_ref().map_or("", |i| i.name);
    let browser = browser.iter().any(|b| base == *b || name.contains(b));
    let postgres = service.is(Id::Postgres) && service.memory().is_some_and(|(m, _)| m >= 4 << 30);
    let given = service.node.get("shm_size").is_some() || service.mounts.iter().any(|m| m.target == "/dev/shm");
    let host = text(service.node, "ipc") == "host";
    if (browser || postgres) && !given && !host {
        out.at(service.place, format!("`{}` has 64 MiB of shared memory", service.name));
    }
}
