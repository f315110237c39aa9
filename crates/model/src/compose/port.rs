//! `ports` and `expose`, short and long syntax.
//!
//! Short: `[[host ip:]host port:]container port[/protocol]`, each port a number or a range of equal length. Ranges are written out, at most
//! [`MAX_PORTS`] of them.

use super::node::Value;
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
    for item in field.items("a list of ports", report).unwrap_or_default() {
        match &item.node.value {
            Value::Map(_) => ports.extend(long(&item, report)),
            _ => ports.extend(short(&item, report)),
        }
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

const SHORT: &str = "a port such as `8080:80`, `127.0.0.1:8080:80` or `53:53/udp`";

fn short(item: &Field<'_>, report: &mut Report) -> Ports {
    let Some(parsed) = item.parsed(report, SHORT, parse_short) else { return Vec::new() };
    parsed.value.into_iter().map(|port| Located::new(port, parsed.place)).collect()
}

fn parse_short(text: &str) -> Option<Vec<PublishedPort>> {
    let (text, udp) = split_protocol(text)?;
    let (rest, container) = match text.rsplit_once(':') {
        None => return Some(publish("", None, range(text)?, udp)),
        Some(parts) => parts,
    };
    let container = range(container)?;
    // An IPv6 address is written in brackets and has colons of its own.
    let (ip, host) = match rest.rsplit_once(':') {
        Some((ip, host)) => (ip.trim_start_matches('[').trim_end_matches(']'), host),
        None => ("", rest),
    };
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return None;
    }
    let host = if host.is_empty() { None } else { Some(range(host)?) };
    host.is_none_or(|h| h.1 - h.0 == container.1 - container.0).then(|| publish(ip, host, container, udp))
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

/// One entry per port; without host ports the engine chooses.
fn publish(ip: &str, host: Option<(u16, u16)>, container: (u16, u16), udp: bool) -> Vec<PublishedPort> {
    let entry =
        |(i, port): (usize, u16)| PublishedPort { host_ip: ip.to_owned(), host_port: host.map_or(0, |h| h.0 + i as u16), port, udp };
    (container.0..=container.1).take(MAX_PORTS + 1).enumerate().map(entry).collect()
}

fn long(item: &Field<'_>, report: &mut Report) -> Ports {
    let Some(mut fields) = Fields::open(item, report) else { return Vec::new() };
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
        return Vec::new();
    };
    if published.as_ref().is_some_and(|p| p.value.0 != p.value.1) {
        let place = published.map_or(target.place, |p| p.place);
        report
            .error("wrong-type", place, format!("`{}.published` gives several host ports for one container port", item.path))
            .hint("give one");
        return Vec::new();
    }
    let ip = ip.map(|ip| ip.value.to_string()).unwrap_or_default();
    let udp = udp.is_some_and(|u| u.value);
    publish(&ip, published.map(|p| p.value), (target.value, target.value), udp).into_iter().map(|p| Located::new(p, item.place())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let ports = parse_short(text)?;
        Some(
            ports
                .iter()
                .map(|p| format!("{}:{}:{}{}", p.host_ip, p.host_port, p.port, if p.udp { "/udp" } else { "" }))
                .collect::<Vec<_>>()
                .join(" "),
        )
    }

    #[test]
    fn the_short_syntax_in_all_its_forms() {
        for (text, want) in [
            ("80", ":0:80"),
            ("8080:80", ":8080:80"),
            ("127.0.0.1:8080:80", "127.0.0.1:8080:80"),
            ("127.0.0.1::80", "127.0.0.1:0:80"),
            ("[::1]:8080:80", "::1:8080:80"),
            ("53:53/udp", ":53:53/udp"),
            ("80-81:90-91/tcp", ":80:90 :81:91"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(want), "{text}");
        }
        for bad in ["", "0", "70000", "80-81:90", "x:80", "1.2.3:80:80", "80/sctp", "a.b.c.d:1:2", "-1", "+80", "91-90", ":"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
