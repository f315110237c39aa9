//! Rules about health checks and about who waits for whom.

use super::view::{Service, View, millis, text};
use super::{Check, Findings, Rule, warning};

/// Intervals above this make every release wait for the first answer.
const SLOW_INTERVAL_MS: u64 = 60_000;
/// What a slow program needs at least before it is called unhealthy.
const SLOW_START_MS: u64 = 60_000;

pub(super) const RULES: &[Rule] = &[
    warning(
        "no-health-check",
        [
            "A service that others rely on names no health check",
            "It counts as up as soon as its program runs or its port opens, so a release switches to one that is still starting, or that answers nothing but errors; unless its image has a `HEALTHCHECK`, which is seen on the server only.",
            "Add `x-landfall: { health: { path: /health } }`, or a `healthcheck`.",
            "services:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/] }\n",
            "services:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: /health } }\n",
        ],
        Check::Service(none),
    ),
    warning(
        "health-check-disabled",
        [
            "The health check of a service that others rely on is turned off",
            "The image's own check is lost, and a release switches to what may not answer.",
            "Remove `disable: true`, or write a check that works.",
            "services:\n  web:\n    image: acme/web:1.4\n    healthcheck: { disable: true }\n    x-landfall: { port: 8000, routes: [/] }\n",
            "services:\n  web:\n    image: acme/web:1.4\n    healthcheck: { disable: true }\n    x-landfall: { port: 8000, routes: [/], health: { path: /health } }\n",
        ],
        Check::Service(disabled),
    ),
    warning(
        "health-tool-missing",
        [
            "A health check uses a tool that its image does not have",
            "The check fails for ever with `not found`, though the program is well, and every release is rolled back.",
            "Let Landfall ask: `x-landfall: { health: { path: /health } }`; or use what the image has (`python -c`, `node -e`), or install the tool.",
            "services:\n  api:\n    build: .\n    healthcheck: { test: [CMD, curl, -f, 'http://127.0.0.1:8000/health'] }\n---- file Dockerfile\nFROM python:3.12-slim\nUSER nobody\n",
            "services:\n  api:\n    build: .\n    healthcheck: { test: [CMD, curl, -f, 'http://127.0.0.1:8000/health'] }\n---- file Dockerfile\nFROM python:3.12-slim\nRUN apt-get update && apt-get install -y curl\nUSER nobody\n",
        ],
        Check::Container(tool),
    ),
    warning(
        "health-ignores-status",
        [
            "A health check passes whatever the answer is",
            "`500 Internal Server Error` is an answer too: a broken release passes its gate and takes all requests.",
            "Make it fail on errors: `curl -f`, `raise_for_status()`, no `|| true`.",
            "services:\n  api:\n    image: acme/api:1.4\n    healthcheck: { test: [CMD, curl, 'http://127.0.0.1:8000/health'] }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    healthcheck: { test: [CMD, curl, -f, 'http://127.0.0.1:8000/health'] }\n",
        ],
        Check::Service(ignores),
    ),
    warning(
        "health-localhost",
        [
            "A health check asks `localhost`, which is IPv6 first for its tool",
            "BusyBox's `wget` asks `::1`, where a program that listens on `0.0.0.0` is not, and calls the program dead.",
            "Write `127.0.0.1`.",
            "services:\n  web:\n    image: nginx:1.28-alpine\n    healthcheck: { test: [CMD, wget, -q, --spider, 'http://localhost/health'] }\n",
            "services:\n  web:\n    image: nginx:1.28-alpine\n    healthcheck: { test: [CMD, wget, -q, --spider, 'http://127.0.0.1/health'] }\n",
        ],
        Check::Container(localhost),
    ),
    warning(
        "slow-health-check",
        [
            "A health check is first asked after more than a minute",
            "The engine waits one whole interval before the first question, so every start and every release waits that long.",
            "Set `interval: 10s`, or `start_interval` for the time of starting.",
            "services:\n  api:\n    image: acme/api:1.4\n    healthcheck: { test: [CMD, /healthy], interval: 5m }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    healthcheck: { test: [CMD, /healthy], interval: 10s }\n",
        ],
        Check::Container(slow),
    ),
    warning(
        "short-start-period",
        [
            "A slow program has less than a minute to start",
            "After a crash it replays its log and takes longer than usual; called unhealthy meanwhile, it is killed and begins again.",
            "Set `start_period: 60s` or more.",
            "services:\n  search:\n    image: elasticsearch:8.15.0\n    volumes: ['index:/usr/share/elasticsearch/data']\n    healthcheck: { test: [CMD, /healthy], interval: 5s, retries: 3 }\nvolumes: { index: }\n",
            "services:\n  search:\n    image: elasticsearch:8.15.0\n    volumes: ['index:/usr/share/elasticsearch/data']\n    healthcheck: { test: [CMD, /healthy], interval: 5s, retries: 3, start_period: 90s }\nvolumes: { index: }\n",
        ],
        Check::Container(start_period),
    ),
    warning(
        "database-not-awaited",
        [
            "A service does not wait until its database is ready",
            "`depends_on` alone waits until the database's program runs, seconds before it takes connections: after a reboot the app fails first.",
            "Write `depends_on: { db: { condition: service_healthy } }` and give the database a health check.",
            "services:\n  api:\n    image: acme/api:1.4\n    depends_on: [db]\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\nvolumes: { data: }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    depends_on: { db: { condition: service_healthy } }\n  db:\n    image: postgres:16\n    volumes: ['data:/var/lib/postgresql/data']\n    healthcheck: { test: [CMD, pg_isready, -U, postgres] }\nvolumes: { data: }\n",
        ],
        Check::Container(not_awaited),
    ),
    warning(
        "job-not-awaited",
        [
            "A service does not wait for the end of a job it depends on",
            "It starts beside the migration and meets the old tables, or half of the new ones.",
            "Write `condition: service_completed_successfully`.",
            "services:\n  api:\n    image: acme/api:1.4\n    depends_on: [migrate]\n  migrate:\n    image: acme/api:1.4\n    command: [alembic, upgrade, head]\n    restart: 'no'\n",
            "services:\n  api:\n    image: acme/api:1.4\n    depends_on: { migrate: { condition: service_completed_successfully } }\n  migrate:\n    image: acme/api:1.4\n    command: [alembic, upgrade, head]\n    restart: 'no'\n",
        ],
        Check::Service(job_not_awaited),
    ),
];

/// Whether anything asks the service how it is.
fn is_asked(service: &Service<'_>) -> bool {
    service.landfall.and_then(|l| l.get("health")).is_some_and(|n| !n.is_null()) || service.health_test().is_some()
}

/// Others reach it or wait for it: a route, a port of the host, a `depends_on`, or clients of a database.
fn is_relied_on(view: &View<'_>, service: &Service<'_>) -> bool {
    !service.job && (service.is_public() || service.engine.is_some() || view.awaited.contains(service.name))
}

fn is_disabled(service: &Service<'_>) -> bool {
    let Some(check) = service.node.get("healthcheck") else { return false };
    let none = check.get("test").is_some_and(|t| {
        t.scalar().is_some_and(|s| s.text == "NONE") || t.items().first().and_then(|n| n.scalar()).is_some_and(|s| s.text == "NONE")
    });
    none || text(check, "disable") == "true"
}

fn none(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    if is_asked(service) || is_disabled(service) || !is_relied_on(view, service) {
        return;
    }
    // What an image has is seen when it is on the server.
    let message = format!("`{}` names no health check, and its image may have none", service.name);
    match service.engine.map(|e| e.id) {
        Some(super::engine::Id::Postgres) => {
            out.hinted(service.place, message, "write `healthcheck: { test: [CMD, pg_isready, -U, postgres], interval: 10s }`");
        }
        Some(super::engine::Id::Redis) => {
            out.hinted(service.place, message, "write `healthcheck: { test: [CMD, redis-cli, ping], interval: 10s }`");
        }
        _ => out.at(service.place, message),
    }
}

fn disabled(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let asked = service.landfall.and_then(|l| l.get("health")).is_some();
    if let Some(entry) = service.entry(&["healthcheck"]).filter(|_| is_disabled(service) && !asked && is_relied_on(view, service)) {
        out.at(entry.key_place, format!("the health check of `{}` is turned off", service.name));
    }
}

/// What a base image has of the tools health checks use. `None` when it is not known.
fn has_tool(base: &str, tag: &str, tool: &str) -> Option<bool> {
    let tag = tag.to_ascii_lowercase();
    let distroless = base.starts_with("distroless") || base == "scratch" || tag.contains("distroless") || base == "static-debian12";
    if distroless {
        return Some(false);
    }
    if base == "alpine" || tag.contains("alpine") {
        // nginx:alpine and a few others carry curl; BusyBox has wget and nc everywhere.
        return match tool {
            "curl" if base == "nginx" => None,
            "curl" => Some(false),
            _ => Some(true),
        };
    }
    let slim = tag.contains("slim") || matches!(base, "debian" | "ubuntu");
    if slim && matches!(tool, "curl" | "wget" | "nc") {
        return Some(false);
    }
    match (base, tool) {
        ("postgres" | "mysql" | "mariadb" | "redis" | "mongo" | "minio", "curl" | "wget" | "nc") => Some(false),
        _ => None,
    }
}

/// The tool a check begins with; behind `CMD-SHELL` the first word of the script.
fn tools(test: &str) -> impl Iterator<Item = &str> {
    let script = test.trim_start_matches("CMD-SHELL ").trim_start_matches("CMD ");
    script.split(['|', '&', ';']).filter_map(|c| c.split_whitespace().next()).map(|w| w.rsplit('/').next().unwrap_or(w))
}

/// The command of a Dockerfile's HEALTHCHECK without its options, and without the brackets of its list.
fn script(test: &str) -> String {
    let at = test.find("CMD").map_or(test, |i| &test[i..]);
    at.replace(['[', ']', '"', ','], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn tool(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some((test, place)) = service.health_test() else { return };
    let (base, tag) = service.base_image();
    let test = script(&test);
    let missing = tools(&test).find(|t| {
        matches!(*t, "curl" | "wget" | "nc")
            && has_tool(base, tag, t) == Some(false)
            && !service.dockerfile.is_some_and(|f| f.installs(t) || (*t == "nc" && f.installs("netcat")))
    });
    if let Some(tool) = missing {
        let image = if tag.is_empty() { base.to_owned() } else { format!("{base}:{tag}") };
        out.at(place, format!("the health check of `{}` needs `{tool}`, which `{image}` does not have", service.name));
    }
}

fn ignores(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some((test, place)) = service.health_test() else { return };
    let test = script(&test);
    let words: Vec<&str> = test.split_whitespace().collect();
    let curl = words.iter().any(|w| w.rsplit('/').next() == Some("curl"));
    let fails = |w: &&str| {
        w.starts_with("--fail") || (w.starts_with('-') && !w.starts_with("--") && w.contains('f')) || w.starts_with("%{http_code}")
    };
    let lax_curl = curl && !words.iter().any(fails) && !test.contains("grep") && !test.contains("http_code");
    let lax_python =
        test.contains("requests.get(") && !test.contains("raise_for_status") && !test.contains(".ok") && !test.contains("status_code");
    let always = ["|| true", "|| exit 0", "; exit 0"].iter().any(|e| test.trim_end().ends_with(e))
        || matches!(test.as_str(), "CMD true" | "CMD-SHELL true" | "CMD-SHELL exit 0" | "CMD /bin/true");
    if lax_curl || lax_python || always {
        out.at(place, format!("the health check of `{}` passes whatever the answer is", service.name));
    }
}

fn localhost(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some((test, place)) = service.health_test() else { return };
    let (base, tag) = service.base_image();
    let busybox = base == "alpine" || tag.contains("alpine");
    let full = service.dockerfile.is_some_and(|f| f.installs("wget"));
    if busybox && !full && tools(&script(&test)).any(|t| t == "wget") && test.contains("//localhost") {
        out.at(place, format!("the health check of `{}` asks `localhost` with BusyBox's `wget`", service.name));
    }
}

fn slow(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(check) = service.node.get("healthcheck").filter(|_| !is_disabled(service)) else { return };
    let Some(interval) = check.get("interval") else { return };
    let asked_sooner = check.get("start_interval").is_some() || service.landfall.and_then(|l| l.get("health")).is_some();
    if !asked_sooner && millis(Some(interval)).is_some_and(|ms| ms > SLOW_INTERVAL_MS) {
        out.at(interval.place, format!("`{}` is first asked for its health after more than a minute", service.name));
    }
}

fn start_period(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(check) = service.entry(&["healthcheck"]).filter(|_| !is_disabled(service)) else { return };
    let Some(engine) = service.engine.filter(|e| e.slow) else { return };
    if check.value.get("test").is_none() {
        return;
    }
    let interval = millis(check.value.get("interval")).unwrap_or(30_000);
    let retries = text(&check.value, "retries").parse::<u64>().unwrap_or(3);
    let start = millis(check.value.get("start_period")).unwrap_or(0);
    if start.saturating_add(interval.saturating_mul(retries)) < SLOW_START_MS {
        out.at(check.key_place, format!("`{}` is {} and has less than a minute to start", service.name, engine.name));
    }
}

fn not_awaited(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for depends in service.depends.iter().filter(|d| d.condition == "service_started") {
        // A cache is there at once; what keeps data first reads its log.
        let Some(engine) = view.service(depends.name).and_then(|s| s.engine).filter(|e| e.durable || e.slow) else { continue };
        out.hinted(
            depends.place,
            format!("`{}` does not wait until {} in `{}` is ready", service.name, engine.name, depends.name),
            format!(
                "write `{}: {{ condition: service_healthy }}` under `depends_on`, and give `{}` a health check",
                depends.name, depends.name
            ),
        );
    }
}

fn job_not_awaited(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    for depends in service.depends.iter().filter(|d| d.condition == "service_started") {
        let job = view.service(depends.name).is_some_and(|s| text(s.node, "restart") == "no" && s.engine.is_none() && !s.is_public());
        if job {
            out.at(depends.place, format!("`{}` does not wait for the end of `{}`", service.name, depends.name));
        }
    }
}
