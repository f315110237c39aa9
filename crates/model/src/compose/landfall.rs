//! `x-landfall`: what Compose has no word for, at the top of the file and in a service.
//!
//! Keys of `PRODUCT.md` that this version does not do yet are known and warned about, so that a file written for the whole of Landfall can be
//! used today and nobody believes a backup is made that is not.

use super::environment;
use super::front::{self, FrontFile};
use super::reader::{Field, Fields, join};
use super::report::{Located, Place, Report};
use super::suggest::nearest;
use super::tls::{self, TlsFile};
use super::typed::number::boolean;
use crate::filter::Filters;
use crate::name::{Domain, EnvKey, PathMatch, SecretName};
use crate::route::Protocol;
use crate::spec::RuntimeKind;

/// `x-landfall` at the top.
#[derive(Debug, Clone, Default)]
pub(crate) struct LandfallFile {
    pub(crate) runtime: Option<Located<RuntimeKind>>,
    pub(crate) domains: Vec<Located<Domain>>,
    pub(crate) tls: Option<TlsFile>,
    pub(crate) env: Vec<EnvRule>,
    pub(crate) front: FrontFile,
    pub(crate) environments: environment::Declared,
}

impl LandfallFile {
    /// The domain that the others redirect to.
    pub(crate) fn canonical(&self) -> Option<&Domain> {
        self.domains.first().map(|d| &d.value)
    }
}

/// One variable of the contract.
#[derive(Debug, Clone)]
pub(crate) struct EnvRule {
    pub(crate) name: Located<EnvKey>,
    pub(crate) secret: bool,
    pub(crate) min_length: Option<Located<u64>>,
    pub(crate) one_of: Vec<String>,
    pub(crate) default: Option<Located<String>>,
    pub(crate) required: bool,
    /// Required when this variable has this value.
    pub(crate) required_if: Option<(String, String)>,
    /// A program on the machine that deploys which says a secret's value: 1Password, Vault, a file's keeper.
    pub(crate) from: Option<Vec<String>>,
}

/// `x-landfall` of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceLandfall {
    pub(crate) port: Option<Located<u16>>,
    pub(crate) protocol: Protocol,
    pub(crate) routes: Vec<RouteFile>,
    pub(crate) health: Option<HealthPath>,
    pub(crate) migrate: Option<Vec<String>>,
    pub(crate) drain_ms: Option<u64>,
    pub(crate) build: Option<Located<Vec<String>>>,
}

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct RouteFile {
    pub(crate) host: Option<Located<Domain>>,
    pub(crate) path: Located<PathMatch>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) idle_timeout_ms: Option<u64>,
    pub(crate) filters: Filters,
    /// The limit it shares with others, by name.
    pub(crate) bucket: Option<Located<String>>,
}

/// How a replica is asked for its health.
#[derive(Debug, Clone)]
pub(crate) struct HealthPath {
    pub(crate) path: Option<Located<String>>,
    pub(crate) port: Option<Located<u16>>,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) place: Place,
}

/// Keys of `x-landfall` in a service.
pub(crate) const SERVICE_KEYS: &[&str] = &["port", "protocol", "routes", "health", "migrate", "drain", "build", "backup"];
/// Keys of `x-landfall` at the top.
pub(crate) const TOP_KEYS: &[&str] = &[
    "runtime",
    "domains",
    "tls",
    "trusted_proxies",
    "access_log",
    "error_pages",
    "probe",
    "maintenance",
    "rate_limits",
    "env",
    "rollout",
    "alerts",
    "environments",
];

/// Reads `x-landfall` at the top.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> LandfallFile {
    let mut out = LandfallFile::default();
    let Some(mut fields) = Fields::open(field, report) else { return out };
    out.runtime = fields.take("runtime").and_then(|f| {
        f.parsed(report, "`docker` or `process`", |t| match t {
            "docker" => Some(RuntimeKind::Docker),
            "process" => Some(RuntimeKind::Process),
            _ => None,
        })
    });
    for item in fields.take("domains").map(|f| one_or_more(&f, report)).unwrap_or_default() {
        let Some(domain) = domain(&item, report) else { continue };
        if out.domains.iter().any(|d| d.value == domain.value) {
            report.warning("duplicate-domain", domain.place, format!("the domain `{}` is given twice", domain.value)).hint("remove one");
        } else {
            out.domains.push(domain);
        }
    }
    out.tls = fields.take("tls").and_then(|f| tls::read(&f, report));
    if let Some(env) = fields.take("env").and_then(|f| Fields::open(&f, report)) {
        out.env = env.all().filter_map(|(key, field)| env_rule(key, field, report)).collect();
    }
    out.front = front::read(&mut fields, report);
    out.environments = fields.take("environments").map(|f| environment::read(&f, report)).unwrap_or_default();
    fields.later(&["rollout", "alerts"], report);
    fields.finish_with(report, |key| {
        SERVICE_KEYS.contains(&key).then(|| format!("`{key}` belongs to a service: `services.<name>.x-landfall.{key}`"))
    });
    out
}

/// A list, or one value in place of a list of one.
pub(crate) fn one_or_more<'a>(field: &Field<'a>, report: &mut Report) -> Vec<Field<'a>> {
    if field.node.scalar().is_some() { vec![field.clone()] } else { field.items("a list", report).unwrap_or_default() }
}

pub(crate) fn domain(field: &Field<'_>, report: &mut Report) -> Option<Located<Domain>> {
    let text = field.text(report)?;
    // DNS knows no case; the proxy compares in lower case.
    let lower = text.value.to_ascii_lowercase();
    if let Ok(domain) = lower.parse() {
        return Some(Located::new(domain, text.place));
    }
    let hint = if lower.contains("://") || lower.contains('/') {
        "write the name alone, without `https://` and path"
    } else if lower.starts_with("*.") {
        "wildcards are not honoured: list the names (one certificate may cover them: `tls: { names: [\"*.example.com\"] }`)"
    } else if lower.contains(':') {
        "write the name alone, without a port"
    } else if lower.parse::<std::net::IpAddr>().is_ok() {
        "certificates are for names: leave `domains` out to serve every address"
    } else {
        "labels of letters, digits and `-`, joined by dots; international names in punycode (`xn--…`)"
    };
    field.wrong(report, "a domain");
    report.hint_last(hint);
    None
}

fn env_rule(key: &str, field: &Field<'_>, report: &mut Report) -> Option<EnvRule> {
    let text = Located::new(key.to_owned(), field.key_place);
    let name = super::reader::named::<EnvKey>(&text, "bad-name", report)?;
    let mut rule =
        EnvRule { name, secret: false, min_length: None, one_of: Vec::new(), default: None, required: true, required_if: None, from: None };
    if field.node.is_null() {
        return Some(rule);
    }
    let mut fields = Fields::open(field, report)?;
    rule.secret = fields.take("secret").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    rule.min_length = fields.take("min_length").and_then(|f| f.integer(0..=100_000, report));
    rule.one_of = fields.take("one_of").and_then(|f| f.texts(report)).unwrap_or_default().into_iter().map(|t| t.value).collect();
    rule.default = fields.take("default").and_then(|f| f.loose_text(report));
    let required = fields.take("required").and_then(|f| f.boolean(report));
    rule.required_if = fields.take("required_if").and_then(|f| {
        f.parsed(report, "`NAME=value`", |t| {
            t.split_once('=').filter(|(k, _)| k.parse::<EnvKey>().is_ok()).map(|(k, v)| (k.to_owned(), v.to_owned()))
        })
        .map(|l| l.value)
    });
    rule.from = fields.take("from").and_then(|f| argv(&f, report)).map(|a| a.value);
    if rule.from.is_some() && !rule.secret {
        report
            .error("contradiction", field.key_place, format!("`{}` has `from` and is no secret", field.path))
            .hint("write `secret: true` as well: only secrets come from a program");
    }
    rule.required = required.map_or(rule.required_if.is_none(), |r| r.value);
    fields.finish(report);
    Some(rule)
}

/// Reads `x-landfall` of a service.
pub(crate) fn read_service(field: &Field<'_>, report: &mut Report) -> ServiceLandfall {
    let mut out = ServiceLandfall::default();
    let Some(mut fields) = Fields::open(field, report) else { return out };
    out.port = fields.take("port").and_then(|f| f.port(report));
    out.protocol = fields.take("protocol").and_then(|f| protocol(&f, report)).unwrap_or_default();
    out.routes =
        fields.take("routes").map(|f| one_or_more(&f, report)).unwrap_or_default().iter().filter_map(|f| route(f, report)).collect();
    out.health = fields.take("health").and_then(|f| health(&f, report));
    out.migrate = fields.take("migrate").and_then(|f| argv(&f, report)).map(|a| a.value);
    out.drain_ms = fields.take("drain").and_then(|f| f.duration(report)).map(|d| d.value);
    out.build = fields.take("build").and_then(|f| argv(&f, report));
    if let Some(backup) = fields.take("backup") {
        report
            .warning("not-honoured", backup.key_place, format!("`{}` is not honoured yet: NO backup is made", backup.path))
            .hint("back this service up by other means for now");
    }
    fields.finish_with(report, |key| {
        let top = TOP_KEYS.contains(&key).then(|| format!("`{key}` belongs to the app: `x-landfall.{key}` at the top of the file"));
        top.or_else(|| nearest(key, SERVICE_KEYS.iter().copied()).map(|near| format!("did you mean `{near}`?")))
    });
    out
}

fn protocol(field: &Field<'_>, report: &mut Report) -> Option<Protocol> {
    let parsed = field.parsed(report, "`http1` or `h2c`", |text| match text {
        "http1" => Some(Protocol::Http1),
        "h2c" => Some(Protocol::H2c),
        _ => None,
    });
    if parsed.is_none() && field.node.scalar().is_some_and(|scalar| matches!(scalar.text.as_str(), "grpc" | "h2" | "http2")) {
        report.hint_last("gRPC and HTTP/2 inside the server are `h2c`: HTTP/2 without TLS");
    }
    Some(parsed?.value)
}

/// A program and its arguments, as a list: no string that a shell would have to take apart.
pub(crate) fn argv(field: &Field<'_>, report: &mut Report) -> Option<Located<Vec<String>>> {
    if let Some(scalar) = field.node.scalar() {
        let words = super::words::split(&scalar.text).ok().filter(|w| !w.is_empty() && !scalar.substituted);
        field.wrong(report, "a list: a program and its arguments");
        if let Some(words) = words {
            report.hint_last(format!("write [{}]", words.join(", ")));
        }
        return None;
    }
    let argv: Vec<String> = field.texts(report)?.into_iter().map(|t| t.value).collect();
    if argv.first().is_none_or(String::is_empty) {
        field.wrong(report, "a list: a program and its arguments");
        return None;
    }
    Some(Located::new(argv, field.place()))
}

fn route(field: &Field<'_>, report: &mut Report) -> Option<RouteFile> {
    if field.node.scalar().is_some() {
        let path = field.name("bad-route", report)?;
        return Some(RouteFile { host: None, path, timeout_ms: None, idle_timeout_ms: None, filters: Filters::default(), bucket: None });
    }
    let mut fields = Fields::open(field, report)?;
    let path = fields.take("path");
    if path.is_none() {
        report.error("missing-key", field.place(), format!("`{}` needs `path`", field.path)).hint("write `{ path: /api }`");
    }
    let path = path.and_then(|f| f.name("bad-route", report));
    let host = fields.take("host").and_then(|f| domain(&f, report));
    let mut duration = |key: &'static str| fields.take(key).and_then(|f| f.duration(report)).map(|d| d.value);
    let (timeout_ms, idle_timeout_ms) = (duration("timeout"), duration("idle_timeout"));
    let (filters, bucket) = super::filter::read(&mut fields, report);
    fields.finish(report);
    Some(RouteFile { host, path: path?, timeout_ms, idle_timeout_ms, filters, bucket })
}

fn health(field: &Field<'_>, report: &mut Report) -> Option<HealthPath> {
    let place = field.key_place;
    if let Some(scalar) = field.node.scalar() {
        if scalar.text.starts_with('/') {
            return Some(HealthPath { path: health_path(field, report), port: None, deadline_ms: None, place });
        }
        field.wrong(report, "`{ path: /health }`");
        return None;
    }
    let mut fields = Fields::open(field, report)?;
    let path = fields.take("path").and_then(|f| health_path(&f, report));
    let port = fields.take("port").and_then(|f| f.port(report));
    let deadline_ms = fields.take("deadline").and_then(|f| f.duration(report)).map(|d| d.value);
    fields.finish(report);
    Some(HealthPath { path, port, deadline_ms, place })
}

/// A path to ask for, sent as it is: no blanks, no control characters, no fragment.
fn health_path(field: &Field<'_>, report: &mut Report) -> Option<Located<String>> {
    let good =
        |t: &str| (t.starts_with('/') && t.len() <= 2000 && t.bytes().all(|b| b.is_ascii_graphic() && b != b'#')).then(|| t.to_owned());
    field.parsed(report, "a path such as `/health`", good)
}

/// The defaults of the contract, read from a tree into which no variable has been put yet: they are themselves values of variables.
pub(crate) fn contract_defaults(root: &super::node::Node) -> Vec<(String, String)> {
    let rules = root.get("x-landfall").and_then(|n| n.get("env")).map(|n| n.entries()).unwrap_or_default();
    let default = |e: &super::node::Entry| {
        let scalar = e.value.get("default")?.scalar()?;
        Some((e.key.clone(), scalar.canonical())).filter(|(_, v)| !v.contains('$'))
    };
    rules.iter().filter_map(default).collect()
}

/// Variables that the contract calls secret, read before anything is put in.
pub(crate) fn secret_names(root: &super::node::Node) -> Vec<SecretName> {
    let rules = root.get("x-landfall").and_then(|n| n.get("env")).map(|n| n.entries()).unwrap_or_default();
    let is_secret = |e: &&super::node::Entry| e.value.get("secret").and_then(|n| n.scalar()).and_then(boolean) == Some(true);
    rules.iter().filter(is_secret).filter_map(|e| e.key.parse().ok()).collect()
}

/// A key of `x-landfall` that was written beside the Compose keys instead.
pub(crate) fn misplaced(path: &str, key: &str) -> Option<String> {
    let keys = if path.is_empty() { TOP_KEYS } else { SERVICE_KEYS };
    let known = keys.iter().find(|k| **k == key && **k != "build");
    known.map(|k| format!("`{k}` goes under `{}`", join(path, "x-landfall"))).or_else(|| {
        let deploy = !path.is_empty() && matches!(key, "replicas" | "resources" | "update_config" | "restart_policy");
        deploy.then(|| format!("`{key}` goes under `{path}.deploy`"))
    })
}
