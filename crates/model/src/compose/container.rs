//! Keys of a service that few services need: the kernel's limits, its share of the machine, what it calls itself. What reaches over the
//! container's walls is [`super::access`]'s.

use super::node;
use super::reader::{Field, Fields};
use super::report::{Located, Report};
use super::size;
use super::yaml::shorten;
use crate::container::{Container, Share, Ulimit};
use std::collections::BTreeMap;

/// Reads them into `out`.
pub(crate) fn read(fields: &mut Fields<'_>, out: &mut Container, report: &mut Report) {
    let text = |field: Option<Field<'_>>, report: &mut Report| field.and_then(|f| host_name(&f, report)).unwrap_or_default();
    out.hostname = text(fields.take("hostname"), report);
    out.domain = text(fields.take("domainname"), report);
    out.extra_hosts = fields.take("extra_hosts").map(|f| extra_hosts(&f, report)).unwrap_or_default();
    out.dns_search = words(fields.take("dns_search"), report);
    out.dns_options = words(fields.take("dns_opt"), report);
    out.groups = words(fields.take("group_add"), report);
    out.sysctls = named_values(fields.take("sysctls"), report);
    out.storage = named_values(fields.take("storage_opt"), report);
    out.ulimits = fields.take("ulimits").map(|f| ulimits(&f, report)).unwrap_or_default();
    out.tty = fields.take("tty").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    out.stdin_open = fields.take("stdin_open").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    out.dropped =
        fields.take("cap_drop").map(|f| super::access::capabilities(&f, report)).unwrap_or_default().into_iter().map(|c| c.value).collect();
    out.share = share(fields, report);
}

/// One word or a list of them.
fn words(field: Option<Field<'_>>, report: &mut Report) -> Vec<String> {
    field.and_then(|f| f.text_or_texts(report)).unwrap_or_default().into_iter().map(|t| t.value).collect()
}

/// A mapping or a list of `NAME=value`.
pub(crate) fn named_values(field: Option<Field<'_>>, report: &mut Report) -> BTreeMap<String, String> {
    let pairs = field.and_then(|f| f.pairs(report)).unwrap_or_default();
    pairs.into_iter().map(|(key, value)| (key.value, value.map(|v| v.value).unwrap_or_default())).collect()
}

/// A name as hostname(7) allows it.
fn host_name(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let good = |t: &str| {
        let plain = t.len() <= 253 && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        (plain && t.bytes().next()?.is_ascii_alphanumeric()).then(|| t.to_owned())
    };
    field.parsed(report, "a host name: letters, digits, `-` and `.`", good).map(|name| name.value)
}

/// `name:address` or `name=address`, as a list or as a mapping, whose values may be lists.
pub(crate) fn extra_hosts(field: &Field<'_>, report: &mut Report) -> Vec<String> {
    let mut out = Vec::new();
    if field.node.entries().is_empty() {
        for item in field.texts(report).unwrap_or_default() {
            match item.value.split_once('=').or_else(|| item.value.split_once(':')) {
                Some((name, address)) => out.extend(host(name, &item.clone().map(|_| address.to_owned()), report)),
                None => {
                    let message = format!("`{}` says no address", report.written(item.place, &item.value));
                    report.error("wrong-type", item.place, message).hint("write `name:address`, such as `mail:10.0.0.5`");
                }
            }
        }
        return out;
    }
    for (name, value) in Fields::open(field, report).iter().flat_map(Fields::all) {
        for address in value.text_or_texts(report).unwrap_or_default() {
            out.extend(host(name, &address, report));
        }
    }
    out
}

fn host(name: &str, address: &Located<String>, report: &mut Report) -> Option<String> {
    let bare = address.value.trim_start_matches('[').trim_end_matches(']');
    if bare == "host-gateway" || bare.parse::<std::net::IpAddr>().is_ok() {
        return Some(format!("{name}:{bare}"));
    }
    let message = format!("the address of `{}` is none: `{}`", shorten(name), report.written(address.place, &address.value));
    report.error("wrong-type", address.place, message).hint("write an IP address, or `host-gateway` for the server itself");
    None
}

/// A number for both, or each.
fn ulimits(field: &Field<'_>, report: &mut Report) -> BTreeMap<String, Ulimit> {
    let mut out = BTreeMap::new();
    let Some(all) = Fields::open(field, report) else { return out };
    for (name, entry) in all.all().filter(|(_, f)| !f.node.is_null()) {
        let limit = if entry.node.scalar().is_some() {
            signed(entry, (-1, i64::MAX), report).map(|n| Ulimit { soft: n.value, hard: n.value })
        } else {
            let Some(mut both) = Fields::open(entry, report) else { continue };
            let mut one = |key: &'static str| both.take(key).and_then(|f| signed(&f, (-1, i64::MAX), report)).map(|n| n.value);
            let (soft, hard) = (one("soft"), one("hard"));
            both.finish(report);
            Some(Ulimit { soft: soft.or(hard).unwrap_or(-1), hard: hard.or(soft).unwrap_or(-1) })
        };
        out.extend(limit.map(|limit| (name.to_owned(), limit)));
    }
    out
}

/// A whole number that may be negative.
fn signed(field: &Field<'_>, (least, most): (i64, i64), report: &mut Report) -> Option<Located<i64>> {
    let wanted = if most == i64::MAX { format!("a whole number from {least}") } else { format!("a whole number from {least} to {most}") };
    let parse = |t: &str| node::integer(t).and_then(|n| i64::try_from(n).ok()).filter(|n| (least..=most).contains(n));
    field.parsed(report, &wanted, parse)
}

fn share(fields: &mut Fields<'_>, report: &mut Report) -> Share {
    let mut out = Share::default();
    let mut number =
        |key: &'static str, report: &mut Report| fields.take(key).and_then(|f| f.integer(0..=u64::MAX >> 1, report)).map_or(0, |n| n.value);
    out.cpu_shares = number("cpu_shares", report);
    out.cpu_period = number("cpu_period", report);
    out.realtime_period = number("cpu_rt_period", report);
    out.realtime_runtime = number("cpu_rt_runtime", report);
    out.cpu_quota = fields.take("cpu_quota").and_then(|f| signed(&f, (-1, i64::MAX), report)).map_or(0, |n| n.value);
    if let (Some(cpus), true) = (fields.get("cpus"), out.cpu_quota != 0 || out.cpu_period != 0) {
        report
            .error("contradiction", cpus.key_place, format!("`{}` and `cpu_quota` bound the same thing", cpus.path))
            .hint("keep `cpus`, which says it in cores");
    }
    out.cores =
        fields.take("cpuset").and_then(|f| f.parsed(report, "cores such as `0-3` or `0,1`", cores)).map(|c| c.value).unwrap_or_default();
    out.memory_reservation = fields.take("mem_reservation").and_then(|f| f.size(report)).map_or(0, |s| s.value);
    out.memory_and_swap = fields.take("memswap_limit").and_then(|f| size_or_none(&f, report)).unwrap_or(0);
    out.swappiness = fields.take("mem_swappiness").and_then(|f| f.integer(0..=100, report)).map(|n| n.value as u8);
    out.oom_score = fields.take("oom_score_adj").and_then(|f| signed(&f, (-1000, 1000), report)).map_or(0, |n| n.value as i16);
    if let Some(mut disk) = fields.take("blkio_config").and_then(|f| Fields::open(&f, report)) {
        out.disk_weight = disk.take("weight").and_then(|f| f.integer(0..=1000, report)).map_or(0, |n| n.value as u16);
        let weights = per_device(disk.take("weight_device"), "weight", report);
        out.disk_weights = weights.into_iter().map(|(path, weight)| (path, weight.min(1000) as u16)).collect();
        out.read_bytes = per_device(disk.take("device_read_bps"), "rate", report);
        out.write_bytes = per_device(disk.take("device_write_bps"), "rate", report);
        out.reads = per_device(disk.take("device_read_iops"), "rate", report);
        out.writes = per_device(disk.take("device_write_iops"), "rate", report);
        disk.finish(report);
    }
    out
}

fn cores(text: &str) -> Option<String> {
    let number = |t: &str| !t.is_empty() && t.len() <= 4 && t.bytes().all(|b| b.is_ascii_digit());
    text.split(',').all(|part| part.split('-').count() <= 2 && part.split('-').all(number)).then(|| text.to_owned())
}

/// Bytes; -1 for no bound.
fn size_or_none(field: &Field<'_>, report: &mut Report) -> Option<i64> {
    let parse = |t: &str| if t == "-1" { Some(-1) } else { size::parse(t).and_then(|n| i64::try_from(n).ok()) };
    field.parsed(report, "a size such as `1g`, or -1 for no bound", parse).map(|n| n.value)
}

/// A list of `{ path, weight }` or `{ path, rate }`.
fn per_device(field: Option<Field<'_>>, key: &'static str, report: &mut Report) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for item in field.and_then(|f| f.items("a list of devices", report)).unwrap_or_default() {
        let Some(mut fields) = Fields::open(&item, report) else { continue };
        let path = fields.take("path").and_then(|f| f.text(report));
        let value = fields.take(key).and_then(|f| f.size(report));
        fields.finish(report);
        if let (Some(path), Some(value)) = (path, value) {
            out.insert(path.value, value.value);
        }
    }
    out
}
