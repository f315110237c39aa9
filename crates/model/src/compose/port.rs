//! `ports` of a service, its short forms written out, and `expose`.

use super::reader::{Field, Fields};
use super::report::{Located, Report};
use crate::spec::PublishedPort;
use std::net::IpAddr;

/// Most ports one service may publish or expose.
const MAX_PORTS: usize = 1000;

type Ports = Vec<Located<PublishedPort>>;

/// The value of `ports`.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> Ports {
    let mut ports = Vec::new();
    // One that is no mapping could not be written out, which was complained about.
    for item in field.items("a list of ports", report).unwrap_or_default().iter().filter(|item| item.node.scalar().is_none()) {
        ports.extend(long(item, report));
        if ports.len() > MAX_PORTS {
            break;
        }
    }
    bounded(ports, field, report)
}

/// The value of `expose`: container ports, TCP only.
pub(crate) fn read_exposed(field: &Field<'_>, report: &mut Report) -> Vec<Located<u16>> {
    let mut ports = Vec::new();
    for item in field.items("a list of ports", report).unwrap_or_default() {
        let Some(parsed) = item.parsed(report, "a port or range such as `8000` or `8000-8005`", |t| {
            Some((range(split_protocol(t)?.0)?, split_protocol(t)?.1))
        }) else {
            continue;
        };
        let ((first, last), udp) = parsed.value;
        if !udp {
            ports.extend((first..=last).take(MAX_PORTS + 1).map(|p| Located::new(p, parsed.place)));
        }
        if ports.len() > MAX_PORTS {
            break;
        }
    }
    bounded(ports, field, report)
}

fn bounded<T>(mut ports: Vec<T>, field: &Field<'_>, report: &mut Report) -> Vec<T> {
    if ports.len() > MAX_PORTS {
        report
            .error("too-large", field.key_place, format!("`{}` names more than {MAX_PORTS} ports", field.path))
            .hint("name the ports that are used");
        ports.truncate(MAX_PORTS);
    }
    ports
}

/// `8000/tcp` → (`8000`, false).
fn split_protocol(text: &str) -> Option<(&str, bool)> {
    match text.split_once('/') {
        None | Some((_, "tcp")) => Some((text.split('/').next()?, false)),
        Some((port, "udp")) => Some((port, true)),
        Some(_) => None,
    }
}

/// `8000` or `8000-8005`.
fn range(text: &str) -> Option<(u16, u16)> {
    let port = |t: &str| t.parse::<u16>().ok().filter(|p| *p > 0 && t.bytes().all(|b| b.is_ascii_digit()));
    match text.split_once('-') {
        Some((first, last)) => Some((port(first)?, port(last)?)).filter(|(a, b)| a <= b),
        None => port(text).map(|p| (p, p)),
    }
}

fn long(item: &Field<'_>, report: &mut Report) -> Option<Located<PublishedPort>> {
    let mut fields = Fields::open(item, report)?;
    fields.know(["name", "app_protocol", "mode"]);
    let target = fields.take("target").and_then(|f| f.port(report));
    let published = fields.take("published").and_then(|f| f.parsed(report, "a port or range such as `8080` or `8080-8085`", range));
    let ip = fields.take("host_ip").and_then(|f| f.parsed(report, "an IP address", |t| t.parse::<IpAddr>().ok()));
    let udp =
        fields.take("protocol").and_then(|f| f.parsed(report, "`tcp` or `udp`", |t| matches!(t, "tcp" | "udp").then_some(t == "udp")));
    fields.finish(report);
    let Some(target) = target else {
        if item.node.get("target").is_none() {
            report
                .error("missing-key", item.place(), format!("`{}` needs `target`", item.path))
                .hint("`target` is the port in the container");
        }
        return None;
    };
    if published.as_ref().is_some_and(|p| p.value.0 != p.value.1) {
        let place = published.map_or(target.place, |p| p.place);
        report
            .error("wrong-type", place, format!("`{}.published` gives several host ports for one container port", item.path))
            .hint("give one");
        return None;
    }
    let ip = ip.map(|ip| ip.value.to_string()).unwrap_or_default();
    let udp = udp.is_some_and(|u| u.value);
    let host_port = published.map_or(0, |p| p.value.0);
    Some(Located::new(PublishedPort { host_ip: ip, host_port, port: target.value, udp }, item.place()))
}
