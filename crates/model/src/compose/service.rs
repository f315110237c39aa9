//! An entry of `services:`, every key read.

use super::access::{self, Demands};
use super::attached::{self, AttachedFile, Sort};
use super::build::{self, BuildFile};
use super::container;
use super::deploy::{self, DeployFile, LimitsFile};
use super::health::{self, HealthFile};
use super::landfall::{self, ServiceLandfall, misplaced};
use super::mount::{self, MountFile};
use super::node::Value;
use super::port;
use super::reader::{Field, Fields, named};
use super::report::{Located, Place, Report};
use super::size;
use super::suggest::{did_you_mean, nearest, one_of};
use super::support;
use super::words::{self, NotWords};
use crate::container::Container;
use crate::name::{EnvKey, ImageRef, NetworkName, ServiceName};
use crate::power::Power;
use crate::spec::{Condition, Dependency, LogPolicy, PublishedPort, PullPolicy, Restart};
use std::collections::{BTreeMap, BTreeSet};

/// One service as the file gives it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceFile {
    pub(crate) place: Place,
    pub(crate) image: Option<Located<ImageRef>>,
    /// `image` is there, good, bad or misspelt.
    pub(crate) image_place: Option<Place>,
    /// Likewise `command`.
    pub(crate) command_given: bool,
    pub(crate) build: Option<BuildFile>,
    /// It is made by a `provider`, outside of containers.
    pub(crate) provided: bool,
    pub(crate) command: Option<Located<Vec<String>>>,
    pub(crate) entrypoint: Option<Located<Vec<String>>>,
    /// In the order of the file; a missing value is taken from outside.
    pub(crate) environment: Vec<(Located<EnvKey>, Option<Located<String>>)>,
    pub(crate) working_dir: Option<Located<String>>,
    pub(crate) user: Option<Located<String>>,
    pub(crate) mounts: Vec<MountFile>,
    pub(crate) networks: Option<Vec<Located<NetworkName>>>,
    /// Other names, by network.
    pub(crate) aliases: BTreeMap<NetworkName, BTreeSet<String>>,
    pub(crate) container_name: Option<String>,
    /// Names this service wants others to have.
    pub(crate) links: BTreeSet<(ServiceName, String)>,
    pub(crate) files: Vec<AttachedFile>,
    pub(crate) container: Container,
    /// What of that only the server's owner can grant, and where it is asked for.
    pub(crate) demands: Demands,
    pub(crate) ports: Vec<Located<PublishedPort>>,
    pub(crate) expose: Vec<Located<u16>>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) restart: Option<Located<Restart>>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) stop_grace_ms: Option<u64>,
    pub(crate) healthcheck: HealthFile,
    pub(crate) deploy: DeployFile,
    pub(crate) limits: LimitsFile,
    pub(crate) log: LogPolicy,
    pub(crate) init: bool,
    pub(crate) read_only: bool,
    pub(crate) shm_bytes: u64,
    pub(crate) pull: Option<PullPolicy>,
    pub(crate) depends_on: BTreeMap<ServiceName, (Dependency, Place)>,
    pub(crate) profiles: Vec<String>,
    pub(crate) landfall: ServiceLandfall,
}

/// Reads one service.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> Option<ServiceFile> {
    if field.node.is_null() {
        report.error("wrong-type", field.key_place, format!("`{}` is empty", field.path)).hint("give it an `image`");
        return None;
    }
    let mut fields = Fields::open(field, report)?;
    fields.know(support::service_keys());
    let mut out = ServiceFile { place: field.key_place, ..ServiceFile::default() };
    program(&mut fields, &mut out, report);
    surroundings(&mut fields, &mut out, report);
    lifetime(&mut fields, &mut out, report);
    details(&mut fields, &mut out, report);
    bounds(&mut fields, &mut out, report);
    fields.finish_with(report, |key| misplaced(&field.path, key));
    Some(out)
}

/// What runs.
fn program(fields: &mut Fields<'_>, out: &mut ServiceFile, report: &mut Report) {
    if let Some(image) = fields.take("image") {
        out.image_place = Some(image.place());
        out.image = image.name("bad-image", report);
    }
    // A slip in the key is complained about as one; that the key itself is missing is no second mistake.
    let slip = |fields: &Fields<'_>, key: &'static str| {
        fields
            .all()
            .find(|(k, f)| nearest(k, [key]).is_some() && support::service_keys().all(|known| known != *k) && !f.node.is_null())
            .map(|(_, f)| f.place())
    };
    out.image_place = out.image_place.or(slip(fields, "image"));
    out.command_given = fields.take("command").is_some() || slip(fields, "command").is_some();
    out.build = fields.take("build").filter(|f| !f.node.is_null()).and_then(|f| build::read(&f, report));
    out.provided = fields.take("provider").is_some();
    out.command = fields.take("command").and_then(|f| command(&f, report));
    out.entrypoint = fields.take("entrypoint").and_then(|f| command(&f, report));
    out.pull = fields.take("pull_policy").and_then(|f| pull_policy(&f, report));
    out.working_dir = fields.take("working_dir").and_then(|f| f.text(report));
    out.user = fields.take("user").and_then(|f| f.loose_text(report));
    out.init = fields.take("init").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    out.landfall = fields.take("x-landfall").map(|f| landfall::read_service(&f, report)).unwrap_or_default();
}

/// What it finds around itself.
fn surroundings(fields: &mut Fields<'_>, out: &mut ServiceFile, report: &mut Report) {
    out.environment = fields.take("environment").map(|f| environment(&f, report)).unwrap_or_default();
    out.mounts = fields.take("volumes").map(|f| mount::read(&f, report)).unwrap_or_default();
    out.mounts.extend(fields.take("tmpfs").map(|f| mount::read_tmpfs(&f, report)).unwrap_or_default());
    out.networks = fields.take("networks").and_then(|f| networks(&f, &mut out.aliases, report));
    out.container_name = access::container_name(fields, report);
    out.links = access::links(fields, report);
    for sort in [Sort::Secret, Sort::Config] {
        out.files.extend(fields.take(sort.key()).map(|f| attached::read(&f, sort, report)).unwrap_or_default());
    }
    out.ports = fields.take("ports").map(|f| port::read(&f, report)).unwrap_or_default();
    out.expose = fields.take("expose").map(|f| port::read_exposed(&f, report)).unwrap_or_default();
    let labels = fields.take("labels").and_then(|f| f.pairs(report)).unwrap_or_default();
    out.labels = labels.into_iter().map(|(k, v)| (k.value, v.map(|v| v.value).unwrap_or_default())).collect();
    out.read_only = fields.take("read_only").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    out.shm_bytes = fields.take("shm_size").and_then(|f| f.size(report)).map_or(0, |s| s.value);
}

/// What few services need.
fn details(fields: &mut Fields<'_>, out: &mut ServiceFile, report: &mut Report) {
    container::read(fields, &mut out.container, report);
    out.demands = access::read(fields, &mut out.container, report);
}

/// When it starts, whether it is well, how it ends.
fn lifetime(fields: &mut Fields<'_>, out: &mut ServiceFile, report: &mut Report) {
    out.depends_on = fields.take("depends_on").map(|f| depends_on(&f, report)).unwrap_or_default();
    out.profiles = fields.take("profiles").and_then(|f| f.texts(report)).unwrap_or_default().into_iter().map(|t| t.value).collect();
    out.healthcheck = fields.take("healthcheck").map(|f| health::read(&f, report)).unwrap_or_default();
    out.restart = fields.take("restart").and_then(|f| deploy::restart(&f, report));
    out.stop_signal = fields.take("stop_signal").and_then(|f| signal(&f, report));
    out.stop_grace_ms = fields.take("stop_grace_period").and_then(|f| f.duration(report)).map(|d| d.value);
}

/// How many there are and what each may use.
fn bounds(fields: &mut Fields<'_>, out: &mut ServiceFile, report: &mut Report) {
    out.deploy = fields.take("deploy").map(|f| deploy::read(&f, report)).unwrap_or_default();
    if let Some(scale) = fields.take("scale").and_then(|f| deploy::replicas(&f, report)) {
        agree(&mut out.deploy.replicas, scale, "`scale` and `deploy.replicas`", report);
    }
    out.limits = std::mem::take(&mut out.deploy.limits);
    let reserved = out.deploy.reserved_memory.as_ref().map_or(0, |m| m.value);
    if out.container.share.memory_reservation == 0 {
        out.container.share.memory_reservation = reserved;
    }
    for (gpus, place) in std::mem::take(&mut out.deploy.devices) {
        out.demands.push((Power::of("gpus", ""), place));
        out.container.access.gpus.push(gpus);
    }
    if let Some(memory) = fields.take("mem_limit").and_then(|f| f.size(report)) {
        agree(&mut out.limits.memory, memory, "`mem_limit` and `deploy.resources.limits.memory`", report);
    }
    if let Some(cpus) = fields.take("cpus").and_then(|f| deploy::cpus(&f, report)) {
        agree(&mut out.limits.cpus, cpus, "`cpus` and `deploy.resources.limits.cpus`", report);
    }
    // -1 is the engine's word for no bound.
    let pids = fields.take("pids_limit").filter(|f| f.node.scalar().is_none_or(|s| s.text != "-1"));
    if let Some(pids) = pids.and_then(|f| f.integer(0..=u64::from(u32::MAX), report)) {
        agree(&mut out.limits.pids, pids, "`pids_limit` and `deploy.resources.limits.pids`", report);
    }
    out.log = fields.take("logging").map(|f| logging(&f, report)).unwrap_or_default();
}

/// Two keys for one thing: Compose wants them equal.
fn agree<T: PartialEq>(slot: &mut Option<Located<T>>, value: Located<T>, names: &str, report: &mut Report) {
    match slot {
        Some(first) if first.value != value.value => {
            report.error("contradiction", value.place, format!("{names} differ")).hint("keep one of them")
        }
        Some(_) => {}
        None => *slot = Some(value),
    }
}

/// A list, or a string split into words.
fn command(field: &Field<'_>, report: &mut Report) -> Option<Located<Vec<String>>> {
    let Value::Scalar(scalar) = &field.node.value else {
        return Some(Located::new(field.texts(report)?.into_iter().map(|t| t.value).collect(), field.place()));
    };
    let text = field.loose_text(report)?;
    match words::split(&text.value) {
        Ok(argv) => Some(text.map(|_| argv)),
        Err(NotWords::Unclosed(quote)) => {
            report
                .error("bad-command", text.place, format!("`{}` has no closing {quote}", field.path))
                .hint("close the quote, or write a list");
            None
        }
        Err(NotWords::Operator(c, at)) => {
            let place = if scalar.substituted { text.place } else { report.within(text.place, &text.value, at, 1) };
            let message = format!("`{}` contains `{c}`, which only a shell understands, and none runs it", field.path);
            report.error("bad-command", place, message).hint("write `[sh, -c, \"…\"]`, or quote the character");
            None
        }
    }
}

fn environment(field: &Field<'_>, report: &mut Report) -> Vec<(Located<EnvKey>, Option<Located<String>>)> {
    let pairs = field.pairs(report).unwrap_or_default();
    pairs.into_iter().filter_map(|(key, value)| Some((named::<EnvKey>(&key, "bad-name", report)?, value))).collect()
}

fn networks(
    field: &Field<'_>,
    aliases: &mut BTreeMap<NetworkName, BTreeSet<String>>,
    report: &mut Report,
) -> Option<Vec<Located<NetworkName>>> {
    let all = Fields::open(field, report)?;
    let mut out = Vec::new();
    for (key, entry) in all.all() {
        let Some(name) = named::<NetworkName>(&Located::new(key.to_owned(), entry.key_place), "bad-name", report) else { continue };
        if let Some(mut fields) = (!entry.node.is_null()).then(|| Fields::open(entry, report)).flatten() {
            let given = fields.take("aliases").and_then(|f| f.texts(report)).unwrap_or_default();
            aliases.entry(name.value.clone()).or_default().extend(given.into_iter().map(|t| t.value));
            fields.know([
                "ipv4_address",
                "ipv6_address",
                "link_local_ips",
                "mac_address",
                "priority",
                "gw_priority",
                "interface_name",
                "driver_opts",
            ]);
            fields.finish(report);
        }
        out.push(name);
    }
    Some(out)
}

fn depends_on(field: &Field<'_>, report: &mut Report) -> BTreeMap<ServiceName, (Dependency, Place)> {
    const CONDITIONS: &str = "`service_started`, `service_healthy` or `service_completed_successfully`";
    let mut out = BTreeMap::new();
    let Some(all) = Fields::open(field, report) else { return out };
    for (key, entry) in all.all() {
        let Some(name) = named::<ServiceName>(&Located::new(key.to_owned(), entry.key_place), "bad-name", report) else { continue };
        let mut dependency = Dependency { condition: Condition::ServiceStarted, required: true };
        if let Some(mut fields) = (!entry.node.is_null()).then(|| Fields::open(entry, report)).flatten() {
            let condition = fields.take("condition").and_then(|f| {
                f.parsed(report, CONDITIONS, |t| match t {
                    "service_started" => Some(Condition::ServiceStarted),
                    "service_healthy" => Some(Condition::ServiceHealthy),
                    "service_completed_successfully" => Some(Condition::ServiceCompletedSuccessfully),
                    _ => None,
                })
            });
            dependency.condition = condition.map_or(Condition::ServiceStarted, |c| c.value);
            dependency.required = fields.take("required").and_then(|f| f.boolean(report)).is_none_or(|b| b.value);
            fields.know(["restart"]);
            fields.finish(report);
        }
        out.insert(name.value, (dependency, name.place));
    }
    out
}

fn pull_policy(field: &Field<'_>, report: &mut Report) -> Option<PullPolicy> {
    let text = field.text(report)?;
    match text.value.as_str() {
        "always" => Some(PullPolicy::Always),
        "missing" | "if_not_present" => Some(PullPolicy::Missing),
        "never" => Some(PullPolicy::Never),
        other if matches!(other, "build" | "refresh" | "daily" | "weekly") || other.starts_with("every_") => {
            let shown = if other.starts_with("every_") { "every_…" } else { other };
            report
                .warning("not-honoured", text.place, format!("`pull_policy: {shown}` is not honoured"))
                .hint("`missing` is used; `always` asks for a newer image before every release");
            None
        }
        _ => {
            field.wrong(report, "`always`, `missing` or `never`");
            None
        }
    }
}

const SIGNALS: [(&str, &str); 11] = [
    ("SIGHUP", "1"),
    ("SIGINT", "2"),
    ("SIGQUIT", "3"),
    ("SIGABRT", "6"),
    ("SIGKILL", "9"),
    ("SIGUSR1", "10"),
    ("SIGUSR2", "12"),
    ("SIGALRM", "14"),
    ("SIGTERM", "15"),
    ("SIGCONT", "18"),
    ("SIGWINCH", "28"),
];

/// A signal by name, with or without `SIG`, or by its number on Linux.
fn signal(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let text = field.loose_text(report)?;
    let upper = text.value.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper.clone() } else { format!("SIG{upper}") };
    if let Some((name, _)) = SIGNALS.iter().find(|(name, number)| *name == full || *number == upper) {
        return Some((*name).to_owned());
    }
    // Real-time signals, which systemd inside a container wants: SIGRTMIN+3.
    let realtime = full.strip_prefix("SIGRTMIN+").and_then(|n| n.parse::<u8>().ok()).is_some_and(|n| n <= 30);
    if realtime {
        return Some(full);
    }
    let names: Vec<&str> = SIGNALS.iter().map(|(n, _)| *n).collect();
    let hint = did_you_mean(&full, names.iter().copied()).unwrap_or_else(|| format!("known are {}", one_of(&names)));
    field.wrong(report, "a signal such as `SIGTERM`");
    report.hint_last(hint);
    None
}

fn logging(field: &Field<'_>, report: &mut Report) -> LogPolicy {
    let mut policy = LogPolicy::default();
    let Some(mut fields) = Fields::open(field, report) else { return policy };
    if let Some(driver) =
        fields.take("driver").filter(|f| !f.node.scalar().is_some_and(|s| matches!(s.text.as_str(), "json-file" | "local")))
    {
        let message = format!("`{}` is not honoured: logs are kept on the server, in bounded files", driver.path);
        report
            .warning("not-honoured", driver.place(), message)
            .hint("read them with `landfall logs`; only `json-file` and `local` are honoured");
        fields.know(["options"]);
        fields.finish(report);
        return policy;
    }
    if let Some(options) = fields.take("options").and_then(|f| Fields::open(&f, report)) {
        for (key, option) in options.all().filter(|(_, f)| !f.node.is_null()) {
            match key {
                "max-size" => {
                    policy.max_bytes =
                        option.parsed(report, "a size such as `10m`", size::parse_decimal).map_or(policy.max_bytes, |s| s.value.max(1024))
                }
                "max-file" => policy.max_files = option.integer(1..=1000, report).map_or(policy.max_files, |n| n.value as u32),
                _ => report
                    .warning("not-honoured", option.key_place, format!("`{}` is not honoured", option.path))
                    .hint("`max-size` and `max-file` are"),
            }
        }
    }
    fields.finish(report);
    policy
}
