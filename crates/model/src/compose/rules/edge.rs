//! Rules about the way of a request: domains, certificates, routes, and how a release takes over.

use super::url::{is_example_name, is_private_name};
use super::view::{Service, View, millis, one_or_more, text};
use super::{Check, Findings, Rule, warning};

/// How long an old replica may finish its requests when nothing is said.
const DRAIN_MS: u64 = 30_000;
/// Streams are quiet for longer than this.
const QUIET_MS: u64 = 120_000;

pub(super) const RULES: &[Rule] = &[
    warning(
        "placeholder-domain",
        [
            "A domain is one from an example",
            "Nobody's browser will ask for it, and no authority signs a certificate for it.",
            "Write your own domain.",
            "x-landfall: { domains: [app.yourdomain.com], tls: internal }\nservices:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
            "x-landfall: { domains: [app.acme.internal], tls: internal }\nservices:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
        ],
        Check::App(placeholder),
    ),
    warning(
        "domain-without-certificate",
        [
            "No public authority signs a certificate for this domain",
            "Names without a dot, `.local`, `.internal` and the like are nobody's; the request for a certificate fails for ever.",
            "Write a public domain, or `tls: internal`.",
            "x-landfall: { domains: [app.local], tls: { email: ops@acme.com } }\nservices:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
            "x-landfall: { domains: [app.local], tls: internal }\nservices:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
        ],
        Check::App(uncertified),
    ),
    warning(
        "tls-off",
        [
            "A public domain is served without https",
            "Passwords and sessions are readable on the way, and browsers say so.",
            "Remove `tls: off`; certificates cost nothing.",
            "x-landfall: { domains: [app.acme.com], tls: off }\nservices:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
            "x-landfall: { domains: [app.acme.com], tls: { email: ops@acme.com } }\nservices:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
        ],
        Check::App(tls_off),
    ),
    warning(
        "tls-internal-public",
        [
            "A public domain has a certificate of the server's own authority",
            "Every browser that does not know this authority warns its user away.",
            "Remove `tls: internal`, unless every visitor's machine has the authority.",
            "x-landfall: { domains: [app.acme.com], tls: internal }\nservices:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
            "x-landfall: { domains: [app.acme.com], tls: { email: ops@acme.com } }\nservices:\n  web:\n    image: acme/web:1.4\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
        ],
        Check::App(tls_internal),
    ),
    warning(
        "domain-without-route",
        [
            "The app has domains and no route",
            "Every request gets `404 Not Found`.",
            "Give a service `x-landfall: { routes: [/] }`.",
            "x-landfall: { domains: [app.acme.com] }\nservices:\n  web:\n    image: acme/web:1.4\n    expose: [8000]\n",
            "x-landfall: { domains: [app.acme.com] }\nservices:\n  web:\n    image: acme/web:1.4\n    expose: [8000]\n    x-landfall: { routes: [/], health: { path: / } }\n",
        ],
        Check::App(no_route),
    ),
    warning(
        "stream-cut-short",
        [
            "A route for streams closes them after a short silence",
            "WebSockets and event streams are quiet most of the time; cut off, every client connects again at once, for ever.",
            "Set `idle_timeout: 1h`, or leave it out: that is the default.",
            "services:\n  api:\n    image: acme/api:1.4\n    x-landfall:\n      port: 8000\n      routes: [{ path: /ws, idle_timeout: 30s }]\n      health: { path: / }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    x-landfall:\n      port: 8000\n      routes: [{ path: /ws, idle_timeout: 1h }]\n      health: { path: / }\n",
        ],
        Check::Service(stream),
    ),
    warning(
        "grace-below-drain",
        [
            "A program's grace period is shorter than its drain",
            "A reboot or a crash of the proxy has no drain: the grace period is all the time requests have, and a release promises them more.",
            "Set `stop_grace_period` to the drain or more.",
            "services:\n  api:\n    image: acme/api:1.4\n    stop_grace_period: 5s\n    x-landfall: { port: 8000, routes: [/], drain: 60s, health: { path: / } }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    stop_grace_period: 60s\n    x-landfall: { port: 8000, routes: [/], drain: 60s, health: { path: / } }\n",
        ],
        Check::Service(grace),
    ),
    warning(
        "stop-first",
        [
            "The old release stops before the new one answers",
            "Every release is a gap in which requests fail.",
            "Remove `order: stop-first`, or write `start-first`.",
            "services:\n  api:\n    image: acme/api:1.4\n    deploy: { update_config: { order: stop-first } }\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    deploy: { update_config: { order: start-first } }\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
        ],
        Check::Service(stop_first),
    ),
    warning(
        "failure-ignored",
        [
            "A release goes on after a replica has failed",
            "The broken release replaces the working one, replica by replica.",
            "Write `failure_action: rollback`.",
            "services:\n  api:\n    image: acme/api:1.4\n    deploy: { update_config: { failure_action: continue } }\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    deploy: { update_config: { failure_action: rollback } }\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
        ],
        Check::Service(ignored),
    ),
    warning(
        "port-mismatch",
        [
            "A program is told one port and asked at another",
            "It listens where `PORT` says, the proxy asks where `port` says, and no release passes its gate.",
            "Make both the same.",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { PORT: 4000 }\n    x-landfall: { port: 3000, routes: [/], health: { path: / } }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    environment: { PORT: 4000 }\n    x-landfall: { port: 4000, routes: [/], health: { path: / } }\n",
        ],
        Check::Service(port),
    ),
    warning(
        "restart-off",
        [
            "A service that answers requests is not started again when it ends",
            "One crash at night, and it is down until the server notices and makes a new replica, seconds to minutes later.",
            "Remove `restart: \"no\"`, or write `unless-stopped`.",
            "services:\n  api:\n    image: acme/api:1.4\n    restart: 'no'\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
            "services:\n  api:\n    image: acme/api:1.4\n    restart: unless-stopped\n    x-landfall: { port: 8000, routes: [/], health: { path: / } }\n",
        ],
        Check::Service(restart_off),
    ),
];

/// The domains of the app, with their places.
fn domains<'v>(view: &'v View<'_>) -> Vec<(&'v str, super::super::report::Place)> {
    one_or_more(view.landfall.and_then(|l| l.get("domains"))).filter_map(|n| Some((n.scalar()?.text.as_str(), n.place))).collect()
}

/// What `tls` says: `acme` when it says nothing or gives an address.
fn tls<'v>(view: &'v View<'_>) -> &'v str {
    view.landfall
        .and_then(|l| l.get("tls"))
        .and_then(|n| n.scalar())
        .map_or("acme", |s| if s.text.is_empty() { "acme" } else { s.text.as_str() })
}

fn placeholder(view: &View<'_>, out: &mut Findings) {
    for (domain, place) in domains(view).into_iter().filter(|(d, _)| is_example_name(d)) {
        out.at(place, format!("`{}` is a domain from an example", view.report.written(place, domain)));
    }
}

fn uncertified(view: &View<'_>, out: &mut Findings) {
    let own = view.landfall.and_then(|l| l.get("tls")).is_some_and(|t| t.get("cert").is_some() || t.get("ca").is_some());
    if tls(view) != "acme" || own {
        return;
    }
    for (domain, place) in domains(view).into_iter().filter(|(d, _)| is_private_name(d)) {
        out.at(place, format!("no public authority signs a certificate for `{}`", view.report.written(place, domain)));
    }
}

/// Domains everybody can resolve, when `tls` is this.
fn public_with<'v>(view: &'v View<'_>, mode: &str) -> Option<(&'v str, super::super::report::Place)> {
    let node = view.landfall?.get("tls")?;
    let domain = domains(view).into_iter().find(|(d, _)| !is_private_name(d) && !is_example_name(d))?;
    (tls(view) == mode).then_some((domain.0, node.place))
}

fn tls_off(view: &View<'_>, out: &mut Findings) {
    if let Some((_, place)) = public_with(view, "off") {
        out.at(place, "public domains are served without https");
    }
}

fn tls_internal(view: &View<'_>, out: &mut Findings) {
    if let Some((_, place)) = public_with(view, "internal") {
        out.at(place, "browsers warn of the certificates of this app's public domains");
    }
}

fn no_route(view: &View<'_>, out: &mut Findings) {
    if let Some((_, place)) = domains(view).into_iter().next().filter(|_| !view.is_routed()) {
        out.at(place, "the app has domains, and no service has a route");
    }
}

fn stream(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    const WORDS: [&str; 9] = ["ws", "wss", "websocket", "websockets", "socket", "socket.io", "sse", "events", "stream"];
    for route in &service.routes {
        let streams = route.path.split('/').any(|p| WORDS.contains(&p));
        let Some(idle) = route.node.get("idle_timeout").filter(|_| streams) else { continue };
        if millis(Some(idle)).is_some_and(|ms| ms < QUIET_MS) {
            out.at(idle.place, format!("`{}` of `{}` closes streams after a short silence", route.path, service.name));
        }
    }
}

fn grace(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(entry) = service.entry(&["stop_grace_period"]).filter(|_| !service.routes.is_empty()) else { return };
    let drain = service.landfall.and_then(|l| l.get("drain"));
    let (Some(grace), Some(drain)) = (millis(Some(&entry.value)), drain.map_or(Some(DRAIN_MS), |d| millis(Some(d)))) else { return };
    if grace < drain {
        out.at(entry.value.place, format!("`{}` has {} to stop and may drain for {}", service.name, seconds(grace), seconds(drain)));
    }
}

fn seconds(ms: u64) -> String {
    super::super::duration::print(ms)
}

fn stop_first(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let order = service.at(&["deploy", "update_config", "order"]).filter(|n| n.scalar().is_some_and(|s| s.text == "stop-first"));
    let one = service.at(&["deploy", "replicas"]).and_then(|n| n.scalar()).is_none_or(|s| matches!(s.text.as_str(), "0" | "1"));
    // One that writes a volume has one writer, and must stop first.
    let writes = service.mounts.iter().any(|m| m.kind == super::view::Kind::Volume && !m.read_only);
    if let Some(order) = order.filter(|_| one && !writes && !service.routes.is_empty()) {
        out.at(order.place, format!("each release of `{}` is a gap", service.name));
    }
}

fn ignored(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let action = service.at(&["deploy", "update_config", "failure_action"]);
    if let Some(action) = action.filter(|n| n.scalar().is_some_and(|s| s.text == "continue")) {
        out.at(action.place, format!("a release of `{}` goes on after a replica has failed", service.name));
    }
}

fn port(view: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let Some(told) = service.var("PORT").and_then(|v| Some((v.text.parse::<u16>().ok()?, v))) else { return };
    let Some(asked) = service.landfall.map(|l| text(l, "port")).and_then(|p| p.parse::<u16>().ok()) else { return };
    // A program on the host is told its port by Landfall.
    if told.0 != asked && !view.process {
        out.var(&told.1, format!("`{}` is told port {} and asked at port {asked}", service.name, told.0));
    }
}

fn restart_off(_: &View<'_>, service: &Service<'_>, out: &mut Findings) {
    let off = service.node.get("restart").filter(|n| n.scalar().is_some_and(|s| s.text == "no"));
    if let Some(node) = off.filter(|_| service.is_public() || service.engine.is_some()) {
        out.at(node.place, format!("`{}` is not started again when it ends", service.name));
    }
}
