//! Rules about what is kept: data that is lost with its container, data nobody copies, and code where data should be.

use super::super::path;
use super::database::data_mount;
use super::engine::Id;
use super::url::Url;
use super::view::{Kind, Mount, Service, View, text};
use super::{Check, Findings, Rule, error, warning};

pub(super) const RULES: &[Rule] = &[
    error(
        "database-without-volume",
        [
            "A database keeps its data in its container",
            "The next release replaces the container, and the data is gone.",
            "Mount a named volume at the database's data directory.",
            "services:\n  db:\n    image: postgres:16\n",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
        ],
        Check::Container(no_volume),
    ),
    error(
        "moved-data-directory",
        [
            "PostgreSQL 18 keeps its data elsewhere than this volume",
            "From version 18 the image's data is in `/var/lib/postgresql/18/docker`; a volume at `/var/lib/postgresql/data` makes it refuse to start.",
            "Mount the volume at `/var/lib/postgresql`.",
            "services:\n  db:\n    image: postgres:18\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
            "services:\n  db:\n    image: postgres:18\n    volumes: ['data:/var/lib/postgresql']\nvolumes: { data: }\n",
        ],
        Check::Container(moved),
    ),
    warning(
        "no-backup",
        [
            "A database has no backup",
            "A bad migration, a wrong `DELETE` or a dead disk, and everything since the beginning is gone.",
            "Add `x-landfall: { backup: { engine: postgres, schedule: \"0 3 * * *\", before_deploy: true } }` to the service.",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\n    x-landfall: { backup: { engine: postgres, schedule: '0 3 * * *', before_deploy: true } }\nvolumes: { data: }\n",
        ],
        Check::Container(no_backup),
    ),
    warning(
        "no-file-backup",
        [
            "Files of users are in a volume without a backup",
            "Dumps of the database do not have them; after a restore every upload is a broken link.",
            "Add `x-landfall: { backup: { volumes: [NAME], schedule: \"0 3 * * *\" } }` to the service.",
            "services:\n  api:\n    image: acme/api:1.4\n    volumes: ['uploads:/data/uploads']\nvolumes: { uploads: }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    volumes: ['uploads:/data/uploads']\n    x-landfall: { backup: { volumes: [uploads], schedule: '0 3 * * *' } }\nvolumes: { uploads: }\n",
        ],
        Check::Container(no_file_backup),
    ),
    warning(
        "database-on-bind-mount",
        [
            "A database's data is in a directory of the project",
            "A checkout, a clean or a backup of the project reaches into a running database, and its owner is a user the host does not know.",
            "Use a named volume.",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['./pgdata:/var/lib/postgresql/data']\n---- file pgdata/PG_VERSION\n16\n",
            "services:\n  db:\n    image: postgres:16\n    volumes: ['pgdata:/var/lib/postgresql/data']\nvolumes: { pgdata: }\n",
        ],
        Check::Container(on_bind),
    ),
    warning(
        "anonymous-volume",
        [
            "A volume has no name",
            "It goes on with the replica that takes the place of the old one, which is therefore stopped first, and is deleted with the last one: by `down`, or with fewer replicas.",
            "Give it a name, or use `tmpfs` for what need not be kept.",
            "services:\n  web:\n    image: acme/web:1.4\n    volumes: ['/app/cache']\n",
            "services:\n  web:\n    image: acme/web:1.4\n    volumes: ['cache:/app/cache']\nvolumes: { cache: }\n",
        ],
        Check::Container(anonymous),
    ),
    warning(
        "source-mounted",
        [
            "Source code is mounted into the container",
            "What runs is then whatever lies on the server's disk, not the image that was tested; going back to an old release brings the new code.",
            "Remove the mount: the image has the code.",
            "services:\n  api:\n    build: .\n    volumes: ['./src:/app/src']\n---- file Dockerfile\nFROM node:22-alpine\nUSER node\n---- file src\n",
            "services:\n  api:\n    build: .\n---- file Dockerfile\nFROM node:22-alpine\nUSER node\n",
        ],
        Check::Container(source),
    ),
    warning(
        "volume-hides-code",
        [
            "A named volume is mounted over the program itself",
            "A volume is filled from the image once, when it is new: from the second release on, the old code in it hides the new one.",
            "Mount the volume at the directory that holds data only.",
            "services:\n  api:\n    image: acme/api:1.4\n    volumes: ['app:/app']\nvolumes: { app: }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    volumes: ['data:/app/data']\nvolumes: { data: }\n",
        ],
        Check::Container(hides_code),
    ),
    warning(
        "tmpfs-without-size",
        [
            "A memory file system has no size",
            "It may grow to half of the server's memory, and takes every other service with it.",
            "Write `tmpfs: [\"/tmp:size=64m\"]`.",
            "services:\n  web:\n    image: acme/web:1.4\n    tmpfs: [/tmp]\n",
            "services:\n  web:\n    image: acme/web:1.4\n    tmpfs: ['/tmp:size=64m']\n",
        ],
        Check::Container(tmpfs),
    ),
    error(
        "sqlite-without-volume",
        [
            "An SQLite file is in the container",
            "The next release replaces the container, and the data is gone.",
            "Put the file into a directory that is a named volume.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { DATABASE_URL: 'sqlite:////app/app.db' }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { DATABASE_URL: 'sqlite:////data/app.db' }\n    volumes: ['data:/data']\nvolumes: { data: }\n",
        ],
        Check::Container(sqlite),
    ),
    warning(
        "sqlite-with-replicas",
        [
            "Several replicas write one SQLite file",
            "SQLite has one writer; the others wait, then fail with `database is locked`.",
            "Run one replica, or move to PostgreSQL.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { DATABASE_URL: 'sqlite:////data/app.db' }\n    volumes: ['data:/data']\n    deploy: { replicas: 3 }\nvolumes: { data: }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { DATABASE_URL: 'sqlite:////data/app.db' }\n    volumes: ['data:/data']\nvolumes: { data: }\n",
        ],
        Check::Container(sqlite_replicas),
    ),
];

fn no_volume(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(engine) = service.database().filter(|_| data_mount(service).is_none()) else { return };
    // In memory on purpose: a database for tests or sessions.
    let on_purpose = service.mounts.iter().any(|m| m.kind == Kind::Tmpfs && engine.data.iter().any(|d| m.holds(d)));
    if let (false, Some(directory)) = (on_purpose, engine.data.first()) {
        let directory = if service.is(Id::Postgres) && major(service) < 18 { "/var/lib/postgresql/data" } else { directory };
        out.hinted(
            service.place,
            format!("{} in `{}` keeps its data in the container", engine.name, service.name),
            format!("mount a named volume: `volumes: [\"data:{directory}\"]`, and `volumes: {{ data: }}` at the top"),
        );
    }
}

/// The major version its image names; 0 when it names none.
fn major(service: &Service<'_>) -> u32 {
    let (_, tag) = service.base_image();
    tag.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn moved(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let (base, _) = service.base_image();
    if base != "postgres" || major(service) < 18 || service.set("PGDATA") {
        return;
    }
    for mount in service.mounts.iter().filter(|m| m.target.trim_end_matches('/') == "/var/lib/postgresql/data") {
        out.at(mount.place, format!("PostgreSQL {} in `{}` does not keep its data here", major(service), service.name));
    }
}

fn no_backup(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(engine) = service.database() else { return };
    if data_mount(service).is_some() && !service.has_backup() {
        let message = format!("{} in `{}` has no backup", engine.name, service.name);
        if service.is(Id::Postgres) {
            out.at(service.place, message);
        } else {
            out.hinted(service.place, message, "dump it on a schedule, copy the dumps off the server, and restore one now and then");
        }
    }
}

fn no_file_backup(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const WORDS: [&str; 10] =
        ["upload", "media", "attachment", "notebook", "documents", "storage", "userfiles", "user_files", "photos", "avatars"];
    if service.engine.is_some() || service.has_backup() {
        return;
    }
    for mount in service.mounts.iter().filter(|m| m.kind == Kind::Volume && !m.read_only) {
        if !view.backed_up.contains(mount.source) && WORDS.iter().any(|w| mount.source.contains(w) || mount.target.contains(w)) {
            out.at(mount.place, format!("the volume `{}` of `{}` has no backup", mount.source, service.name));
        }
    }
}

fn on_bind(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let inside = |m: &&Mount<'_>| m.kind == Kind::Bind && path::within(view.project_dir, m.source);
    if let Some(mount) = data_mount(service).filter(inside) {
        out.at(mount.place, format!("the data of `{}` is in the project's directory", service.name));
    }
}

fn anonymous(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for mount in service.mounts.iter().filter(|m| m.kind == Kind::Anonymous) {
        out.at(mount.place, format!("the volume at `{}` of `{}` has no name", mount.target, service.name));
    }
}

fn source(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const NAMES: [&str; 19] = [
        "api",
        "app",
        "backend",
        "client",
        "code",
        "components",
        "frontend",
        "lib",
        "packages",
        "pages",
        "resources",
        "routes",
        "server",
        "source",
        "src",
        "templates",
        "views",
        "web",
        "webapp",
    ];
    if service.engine.is_some() {
        return;
    }
    let context = service.at(&["build"]).map(|b| path::absolute(view.project_dir, text(b, "context")));
    for mount in service.mounts.iter().filter(|m| m.kind == Kind::Bind) {
        let host = mount.source.trim_end_matches('/');
        let whole = host == view.project_dir || context.as_deref().is_some_and(|c| c == host || path::within(host, c));
        let part = path::within(view.project_dir, host) && context.is_some() && NAMES.contains(&path::base_name(host));
        if whole || part {
            let shown = if host == view.project_dir { "." } else { view.relative(host) };
            out.at(mount.place, format!("`{}` runs the code in `{shown}`, not that of its image", service.name));
        }
    }
}

fn hides_code(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const CODE: [&str; 7] = ["/app", "/usr/src/app", "/code", "/opt/app", "/usr/share/nginx/html", "/srv/app", "/workspace"];
    // Programs that are made to live in such a volume.
    let by_design = matches!(
        service.base_image().0,
        "wordpress" | "nextcloud" | "drupal" | "joomla" | "ghost" | "code-server" | "nginx-proxy" | "swag"
    );
    for mount in service.mounts.iter().filter(|m| m.kind == Kind::Volume && !by_design) {
        // A server that only reads what another service puts there.
        if CODE.contains(&mount.target.trim_end_matches('/')) && !mount.read_only {
            out.at(
                mount.place,
                format!("the volume `{}` hides what the image of `{}` has in `{}`", mount.source, service.name, mount.target),
            );
        }
    }
}

fn tmpfs(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for mount in service.mounts.iter().filter(|m| m.kind == Kind::Tmpfs) {
        let short = mount.node.scalar().is_some_and(|s| s.text.contains("size="));
        let long = mount.node.get("tmpfs").is_some_and(|t| t.get("size").is_some());
        if !short && !long {
            out.at(mount.place, format!("the tmpfs at `{}` of `{}` has no size", mount.target, service.name));
        }
    }
}

/// The absolute path of an SQLite file in a variable.
fn sqlite_file<'s>(url: &Url<'s>) -> Option<&'s str> {
    if url.kind() != "sqlite" && url.kind() != "sqlite3" {
        return None;
    }
    // `sqlite:///relative` and `sqlite:////absolute`, as SQLAlchemy writes them.
    let file = url.rest.strip_prefix('/').filter(|r| r.starts_with('/'))?;
    file.split('?').next()
}

fn sqlite(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for var in &service.vars {
        let Some(file) = var.url.as_ref().and_then(sqlite_file) else { continue };
        let kept = service.mounts.iter().any(|m| m.kind != Kind::Tmpfs && path::within(m.target.trim_end_matches('/'), file));
        if !kept {
            out.var(var, format!("the SQLite file in `{}` of `{}` is in the container", var.name, service.name));
        }
    }
}

fn sqlite_replicas(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(node) = service.at(&["deploy", "replicas"]).or(service.node.get("scale")) else { return };
    let many = node.scalar().and_then(|s| s.text.parse::<u64>().ok()).is_some_and(|n| n > 1);
    let file = service.vars.iter().any(|v| v.url.is_some_and(|u| u.kind().starts_with("sqlite")));
    if many && file {
        out.at(node.place, format!("the replicas of `{}` write one SQLite file", service.name));
    }
}
