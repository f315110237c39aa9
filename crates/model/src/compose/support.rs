//! What Landfall does with every key a Compose service may have: honours it, says that it does not, or refuses it with the reason.
//!
//! One table, so that the reader, the documentation and the editor schema cannot disagree. A key that is in no row is unknown and an error.

use super::node::Value;
use super::reader::{Field, Fields};
use super::report::Report;

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does what the Compose Specification says.
    Honoured,
    /// It has no effect; the reason is given in a warning.
    NotHonoured(&'static str),
    /// The file cannot be used with it, unless its value is one of the harmless ones; the reason is given in an error.
    Refused(&'static str, &'static [&'static str]),
}

use Support::{Honoured, NotHonoured, Refused};

/// Not yet, and nothing breaks without it.
const LATER: Support = NotHonoured("it has no effect for now");
const ESCAPE: &str = "it would let the container out into the host";
const RESOURCES: Support = NotHonoured("limit `cpus`, `mem_limit` and `pids_limit` instead");

/// Every key of a service in the Compose Specification.
pub const SERVICE_KEYS: &[(&str, Support)] = &[
    ("annotations", LATER),
    ("attach", NotHonoured("it speaks of `docker compose up` in a terminal")),
    ("blkio_config", RESOURCES),
    ("build", Honoured),
    ("cap_add", Refused("capabilities of the host's root are not given to containers", &[])),
    ("cap_drop", LATER),
    ("cgroup", Refused(ESCAPE, &["private"])),
    ("cgroup_parent", Refused("the engine decides where containers are accounted", &[])),
    ("command", Honoured),
    ("configs", LATER),
    ("container_name", NotHonoured("replicas are named by Landfall, so that the old and the new release can run side by side")),
    ("cpu_count", RESOURCES),
    ("cpu_percent", RESOURCES),
    ("cpu_period", RESOURCES),
    ("cpu_quota", RESOURCES),
    ("cpu_rt_period", RESOURCES),
    ("cpu_rt_runtime", RESOURCES),
    ("cpu_shares", RESOURCES),
    ("cpus", Honoured),
    ("cpuset", RESOURCES),
    ("credential_spec", LATER),
    ("depends_on", Honoured),
    ("deploy", Honoured),
    ("develop", NotHonoured("it speaks of `docker compose watch`")),
    ("device_cgroup_rules", Refused(ESCAPE, &[])),
    ("devices", Refused("devices of the host are not given to containers", &[])),
    ("dns", NotHonoured("Landfall answers the names of services itself and passes on all others")),
    ("dns_opt", LATER),
    ("dns_search", LATER),
    ("domainname", LATER),
    ("entrypoint", Honoured),
    ("env_file", Honoured),
    ("environment", Honoured),
    ("expose", Honoured),
    ("extends", Refused("write the keys of the extended service here", &[])),
    ("external_links", Refused("containers outside the app have no name inside it", &[])),
    ("extra_hosts", LATER),
    ("gpus", LATER),
    ("group_add", LATER),
    ("healthcheck", Honoured),
    ("hostname", LATER),
    ("image", Honoured),
    ("init", Honoured),
    ("ipc", Refused(ESCAPE, &["private", "none", "shareable"])),
    ("isolation", LATER),
    ("label_file", LATER),
    ("labels", Honoured),
    ("links", NotHonoured("services of one network reach each other by name without it")),
    ("logging", Honoured),
    ("mac_address", LATER),
    ("mem_limit", Honoured),
    ("mem_reservation", RESOURCES),
    ("mem_swappiness", RESOURCES),
    ("memswap_limit", RESOURCES),
    ("models", LATER),
    ("network_mode", Refused("routes, names and gates need the app's own networks", &["bridge"])),
    ("networks", Honoured),
    ("oom_kill_disable", Refused("a container that cannot be killed can stop the whole server", &["false"])),
    ("oom_score_adj", RESOURCES),
    ("pid", Refused(ESCAPE, &[])),
    ("pids_limit", Honoured),
    ("platform", LATER),
    ("ports", Honoured),
    ("post_start", LATER),
    ("pre_start", LATER),
    ("pre_stop", LATER),
    ("privileged", Refused("a privileged container is root on the host", &["false"])),
    ("profiles", Honoured),
    ("provider", Refused("a service must be an image", &[])),
    ("pull_policy", Honoured),
    ("pull_refresh_after", LATER),
    ("read_only", Honoured),
    ("restart", Honoured),
    ("runtime", LATER),
    ("scale", Honoured),
    ("secrets", NotHonoured("nothing is mounted under `/run/secrets` yet; hand the value on as a variable")),
    ("security_opt", LATER),
    ("shm_size", Honoured),
    ("stdin_open", LATER),
    ("stop_grace_period", Honoured),
    ("stop_signal", Honoured),
    ("storage_opt", LATER),
    ("sysctls", LATER),
    ("tmpfs", Honoured),
    ("tty", LATER),
    ("ulimits", LATER),
    ("use_api_socket", Refused("whoever reaches the engine's socket is root on the host", &["false"])),
    ("user", Honoured),
    ("userns_mode", Refused(ESCAPE, &[])),
    ("uts", Refused(ESCAPE, &[])),
    ("volumes", Honoured),
    ("volumes_from", Refused("volumes are shared by name", &[])),
    ("working_dir", Honoured),
];

/// Reports the keys of a service that are not honoured or refused, and makes all keys of the table known.
pub(crate) fn report(fields: &mut Fields<'_>, report: &mut Report) {
    for (key, support) in SERVICE_KEYS {
        fields.know([*key]);
        let Some((_, field)) = fields.all().find(|(k, f)| k == key && !f.node.is_null()) else { continue };
        match support {
            Honoured => {}
            NotHonoured(reason) => not_honoured(key, reason, field, report),
            Refused(reason, harmless) => refused(key, reason, harmless, (field, report)),
        }
    }
}

fn not_honoured(key: &str, reason: &str, field: &Field<'_>, report: &mut Report) {
    let words = field.node.scalar().map(|s| s.text.clone()).into_iter().chain(match &field.node.value {
        Value::List(items) => items.iter().filter_map(|i| i.scalar().map(|s| s.text.clone())).collect(),
        _ => Vec::new(),
    });
    // The only option of `security_opt` that weakens the container's walls instead of strengthening them.
    if key == "security_opt" && words.into_iter().any(|w| w.ends_with("unconfined") || w.ends_with("label:disable")) {
        report.error("refused", field.place(), format!("`{}` is refused: {ESCAPE}", field.path)).hint("remove the option");
        return;
    }
    report.warning("not-honoured", field.key_place, format!("`{}` is not honoured", field.path)).hint(reason);
}

fn refused(key: &str, reason: &str, harmless: &[&str], (field, report): (&Field<'_>, &mut Report)) {
    if field.node.scalar().is_some_and(|s| harmless.contains(&s.text.as_str()))
        || matches!(&field.node.value, Value::List(items) if items.is_empty())
    {
        return;
    }
    let code = if key == "extends" { "not-honoured" } else { "refused" };
    let verb = if key == "extends" { "is not honoured yet" } else { "is refused" };
    let hint = match key {
        "network_mode" => "remove it; services reach each other by name, and the proxy reaches them without published ports",
        "volumes_from" => "give both services the same named volume",
        "extends" => "then remove `extends`",
        _ => "remove it, or run this service outside Landfall",
    };
    report.error(code, field.key_place, format!("`{}` {verb}: {reason}", field.path)).hint(hint);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_each_key_once() {
        assert!(SERVICE_KEYS.windows(2).all(|w| w[0].0 < w[1].0));
    }
}
