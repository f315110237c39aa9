//! `deploy` of a service, and the limits and restart policy that may be written beside it.

use super::access;
use super::node::{Kind, Value};
use super::reader::{Field, Fields};
use super::report::{Located, Place, Report};
use super::size;
use super::suggest::did_you_mean;
use crate::container::Gpus;
use crate::spec::Restart;

/// Most replicas of one service.
pub(crate) const MAX_REPLICAS: u64 = 1000;

/// What `deploy` says.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeployFile {
    pub(crate) replicas: Option<Located<u32>>,
    pub(crate) limits: LimitsFile,
    /// True for `start-first`.
    pub(crate) start_first: Option<Located<bool>>,
    pub(crate) restart: Option<Located<Restart>>,
    pub(crate) reserved_memory: Option<Located<u64>>,
    /// Devices asked for by what they can do.
    pub(crate) devices: Vec<(Gpus, Place)>,
}

/// Upper bounds, each where it was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct LimitsFile {
    pub(crate) memory: Option<Located<u64>>,
    pub(crate) cpus: Option<Located<u64>>,
    pub(crate) pids: Option<Located<u64>>,
}

/// The value of `deploy`.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> DeployFile {
    let mut out = DeployFile::default();
    let Some(mut fields) = Fields::open(field, report) else { return out };
    out.replicas = fields.take("replicas").and_then(|f| replicas(&f, report));
    if let Some(resources) = fields.take("resources") {
        read_resources(&resources, &mut out, report);
    }
    out.start_first = fields.take("update_config").and_then(|f| update_config(&f, report));
    out.restart = fields.take("restart_policy").and_then(|f| restart_policy(&f, report));
    if let Some(mode) = fields.take("mode") {
        match mode.node.scalar().map(|s| s.text.as_str()) {
            Some("replicated") => {}
            Some("global") => report
                .warning("not-honoured", mode.place(), "`global` means one replica per server, and there is one server")
                .hint("use `replicas`"),
            Some("replicated-job" | "global-job") => {
                report
                    .error("not-honoured", mode.place(), "jobs are not declared with `mode`")
                    .hint("write `restart: \"no\"` and remove `mode`");
            }
            _ => mode.wrong(report, "`replicated`"),
        }
    }
    fields.know(["labels", "placement", "rollback_config", "endpoint_mode"]);
    fields.finish(report);
    out
}

/// A number of replicas.
pub(crate) fn replicas(field: &Field<'_>, report: &mut Report) -> Option<Located<u32>> {
    field.integer(0..=MAX_REPLICAS, report).map(|n| n.map(|n| n as u32))
}

fn read_resources(field: &Field<'_>, out: &mut DeployFile, report: &mut Report) {
    let Some(mut fields) = Fields::open(field, report) else { return };
    if let Some(mut limits) = fields.take("limits").and_then(|f| Fields::open(&f, report)) {
        out.limits.memory = limits.take("memory").and_then(|f| f.size(report));
        out.limits.cpus = limits.take("cpus").and_then(|f| cpus(&f, report));
        out.limits.pids = limits.take("pids").and_then(|f| f.integer(0..=u64::from(u32::MAX), report));
        limits.finish(report);
    }
    if let Some(mut reserved) = fields.take("reservations").and_then(|f| Fields::open(&f, report)) {
        out.reserved_memory = reserved.take("memory").and_then(|f| f.size(report));
        if let Some(devices) = reserved.take("devices") {
            out.devices = access::gpus(&devices, report).into_iter().map(|gpus| (gpus, devices.key_place)).collect();
        }
        reserved.know(["cpus", "pids", "generic_resources"]);
        reserved.finish(report);
    }
    fields.finish(report);
}

/// Thousandths of a core.
pub(crate) fn cpus(field: &Field<'_>, report: &mut Report) -> Option<Located<u64>> {
    field.parsed(report, "a number of cores such as `0.5` or `2`", size::cpu_millis)
}

fn update_config(field: &Field<'_>, report: &mut Report) -> Option<Located<bool>> {
    let mut fields = Fields::open(field, report)?;
    let order = fields.take("order").and_then(|f| {
        f.parsed(report, "`start-first` or `stop-first`", |t| match t {
            "start-first" => Some(true),
            "stop-first" => Some(false),
            _ => None,
        })
    });
    fields.know(["parallelism", "delay", "monitor", "max_failure_ratio", "failure_action"]);
    fields.finish(report);
    order
}

fn restart_policy(field: &Field<'_>, report: &mut Report) -> Option<Located<Restart>> {
    let mut fields = Fields::open(field, report)?;
    let max = fields.take("max_attempts").and_then(|f| f.integer(0..=u64::from(u32::MAX), report)).map_or(0, |n| n.value as u32);
    let condition = fields.take("condition").and_then(|f| {
        f.parsed(report, "`none`, `on-failure` or `any`", |t| match t {
            "none" => Some(Restart::No),
            "on-failure" => Some(Restart::OnFailure { max }),
            "any" => Some(Restart::Always),
            _ => None,
        })
    });
    fields.know(["delay", "window"]);
    fields.finish(report);
    condition
}

/// The value of `restart`. YAML reads a bare `no` as text, but `false` as a truth value; both are taken for what is meant.
pub(crate) fn restart(field: &Field<'_>, report: &mut Report) -> Option<Located<Restart>> {
    const WORDS: [&str; 4] = ["no", "always", "unless-stopped", "on-failure"];
    let scalar = match &field.node.value {
        Value::Scalar(s) => s,
        _ => {
            field.wrong(report, "`no`, `always`, `unless-stopped` or `on-failure[:times]`");
            return None;
        }
    };
    let (word, times) = scalar.text.split_once(':').map_or((scalar.text.as_str(), None), |(w, t)| (w, Some(t)));
    let restart = match (word, times) {
        ("no", None) => Some(Restart::No),
        ("false", None) if scalar.kind == Kind::Bool => Some(Restart::No),
        ("always", None) => Some(Restart::Always),
        ("unless-stopped", None) => Some(Restart::UnlessStopped),
        ("on-failure", None) => Some(Restart::OnFailure { max: 0 }),
        ("on-failure", Some(times)) => times.parse().ok().map(|max| Restart::OnFailure { max }),
        _ => None,
    };
    if restart.is_none() {
        let message = format!("`{}` wants `no`, `always`, `unless-stopped` or `on-failure[:times]`", field.path);
        report.error("wrong-type", field.place(), message).maybe_hint(did_you_mean(word, WORDS));
    }
    Some(Located::new(restart?, field.place()))
}
