//! What can be known of an app from its Compose file: which services are reached by HTTP, and which variables it cannot do without.

use super::super::node::{Node, Value};
use std::collections::BTreeMap;

/// A service that the proxy leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routed {
    pub(super) service: String,
    pub(super) port: u16,
    pub(super) route: String,
    /// The file says itself how to ask for its health.
    pub(super) checked: bool,
}

/// A variable without which the file does not resolve to what is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) secret: bool,
}

/// Ports in a container that speak something else than HTTP: databases, caches, queues, mail, remote shells.
const NOT_HTTP: [u16; 27] = [
    21, 22, 25, 53, 143, 465, 587, 993, 1025, 1433, 1521, 1883, 2181, 2375, 3306, 4222, 5432, 5672, 6379, 6432, 7687, 9042, 9092, 9300,
    11211, 27017, 50051,
];

/// Tools for developers and operators, which nobody wants to find on the app's domain.
const TOOLS: [&str; 9] =
    ["adminer", "pgadmin", "phpmyadmin", "mailhog", "mailpit", "maildev", "flower", "mongo-express", "redis-commander"];

/// Names that say "the page a visitor sees first", the best one first.
const FRONT: [&str; 8] = ["proxy", "nginx", "caddy", "gateway", "frontend", "web", "app", "site"];

/// The services that publish a port which may be HTTP. One of them gets `/`, the others a path of their name.
pub(super) fn routed(services: &Node) -> Vec<Routed> {
    let candidates: Vec<(&str, u16, &Node)> = services
        .entries()
        .iter()
        .filter(|e| e.value.get("profiles").is_none() && e.value.get("network_mode").is_none() && !is_tool(&e.key, &e.value))
        .filter_map(|e| Some((e.key.as_str(), http_port(&e.value)?, &e.value)))
        .collect();
    let rank = |name: &str| FRONT.iter().position(|front| name.contains(front)).unwrap_or(FRONT.len());
    let first = candidates.iter().min_by_key(|(name, ..)| rank(name)).map(|(name, ..)| *name);
    let route = |name: &str| match name {
        name if Some(name) == first => "/".to_owned(),
        name if name.contains("api") || name.contains("backend") || name.contains("server") => "/api".to_owned(),
        name => format!("/{name}"),
    };
    let mut taken = BTreeMap::new();
    candidates
        .into_iter()
        .map(|(name, port, service)| {
            let wanted = route(name);
            // Two of one path would be refused.
            let route = if taken.insert(wanted.clone(), ()).is_some() { format!("/{name}") } else { wanted };
            Routed { service: name.to_owned(), port, route, checked: service.get("healthcheck").is_some() }
        })
        .collect()
}

fn is_tool(name: &str, service: &Node) -> bool {
    let image = service.get("image").and_then(Node::scalar).map_or("", |s| s.text.as_str());
    TOOLS.iter().any(|tool| name.contains(tool) || image.contains(tool))
}

/// The first port of the container that is published and may be HTTP.
fn http_port(service: &Node) -> Option<u16> {
    let ports = service.get("ports")?.items();
    ports.iter().filter_map(target).find(|port| !NOT_HTTP.contains(port))
}

/// The container's side of a published port, when it is one TCP port.
fn target(port: &Node) -> Option<u16> {
    let text = match &port.value {
        Value::Map(_) => {
            let tcp = port.get("protocol").and_then(Node::scalar).is_none_or(|p| p.text == "tcp");
            &port.get("target").filter(|_| tcp)?.scalar()?.text
        }
        _ => &port.scalar()?.text,
    };
    let text = text.strip_suffix("/tcp").unwrap_or(text);
    text.rsplit(':').next()?.parse().ok().filter(|port| *port > 0)
}

/// Words in a name that say that its value is nobody's business.
const SECRET: [&str; 9] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE", "CREDENTIAL", "DATABASE_URL"];

/// Variables that the file takes from outside and has no default for, in order of their names.
pub(super) fn variables(root: &Node) -> Vec<Variable> {
    let mut names = BTreeMap::new();
    gather(root, &mut names);
    let ours = |name: &str| name.starts_with("COMPOSE_");
    let demanded = names.into_iter().filter(|(name, has_default)| !has_default && !ours(name));
    demanded
        .map(|(name, _)| {
            let upper = name.to_ascii_uppercase();
            let secret = SECRET.iter().any(|word| upper.contains(word)) || upper.ends_with("_KEY");
            Variable { name, secret }
        })
        .collect()
}

fn gather(node: &Node, names: &mut BTreeMap<String, bool>) {
    match &node.value {
        Value::Scalar(scalar) => gather_text(&scalar.text, names),
        Value::List(items) => items.iter().for_each(|item| gather(item, names)),
        Value::Map(entries) => entries.iter().for_each(|entry| gather(&entry.value, names)),
    }
}

/// Names after `$`; true for one that has a default somewhere. What stands inside of another variable's default counts too.
fn gather_text(text: &str, names: &mut BTreeMap<String, bool>) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let (braced, body) = rest.strip_prefix('{').map_or((false, rest), |body| (true, body));
        let length = body.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let (name, after) = body.split_at(length);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        // `-` gives a default, `+` says that it may be missing; `?` demands a value.
        let has_default = braced && after.trim_start_matches(':').starts_with(['-', '+']);
        *names.entry(name.to_owned()).or_default() |= has_default;
        rest = after;
    }
}
