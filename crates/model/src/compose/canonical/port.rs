//! `ports` in the short form: `[[host ip:]host port:]container port[/protocol]`, each port a number or a range.
//!
//! A range of container ports becomes one port each; a range of host ports for one container port stays a range, of which the engine takes a free
//! one. Bounded, because `1-65535` is one short line: a file that publishes more than [`MAX_PORTS`] is refused.

use super::super::node::{Kind, Node, Value};
use super::super::report::Report;
use super::super::walk;
use super::{entry, wrong};
use std::net::IpAddr;

/// Most ports written out of a whole file: enough for a media server's 10 001.
const MAX_PORTS: usize = 12_000;

const WANTED: &str = "a port such as `8080:80`, `127.0.0.1:8080:80` or `53:53/udp`";

/// Replaces the short forms of every service.
pub(super) fn write_out(root: &mut Node, report: &mut Report) {
    let mut left = MAX_PORTS;
    walk::change(root, &["services", "*", "ports"], &mut |path, list| {
        let place = list.place;
        let Value::List(items) = &mut list.value else { return };
        let mut ports = Vec::with_capacity(items.len());
        for (index, item) in std::mem::take(items).into_iter().enumerate() {
            let Some(scalar) = item.scalar().filter(|s| !s.spoiled) else {
                ports.push(item);
                continue;
            };
            let text = if scalar.kind == Kind::Float { String::new() } else { scalar.canonical() };
            let Some(short) = parse(&text) else {
                wrong(&format!("{path}[{index}]"), &item, WANTED, report);
                continue;
            };
            let count = short.count();
            if count > left {
                report
                    .error("too-large", item.place, format!("the file publishes more than {MAX_PORTS} ports"))
                    .hint("publish the ports that are used");
                left = 0;
                break;
            }
            left -= count;
            ports.extend(short.ports().iter().map(|p| p.node(&item)));
        }
        *list = Node::list(place, ports);
    });
}

/// A short form, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Short<'a> {
    ip: &'a str,
    host: Option<(u16, u16)>,
    container: (u16, u16),
    protocol: String,
}

/// One container port.
#[derive(Debug, PartialEq, Eq)]
struct Port {
    ip: String,
    published: String,
    target: u16,
    protocol: String,
}

impl Short<'_> {
    fn count(&self) -> usize {
        usize::from(self.container.1 - self.container.0) + 1
    }

    /// In the order Compose prints them: that of their texts, so `10000` comes before `9999`.
    fn ports(&self) -> Vec<Port> {
        let single = self.container.0 == self.container.1;
        let published = |offset: u16| match self.host {
            Some((first, last)) if single && first != last => format!("{first}-{last}"),
            Some((first, _)) => (first + offset).to_string(),
            None => String::new(),
        };
        let port = |target: u16| Port {
            ip: self.ip.to_owned(),
            published: published(target - self.container.0),
            target,
            protocol: self.protocol.clone(),
        };
        let mut ports: Vec<Port> = (self.container.0..=self.container.1).map(port).collect();
        ports.sort_by_cached_key(|p| p.target.to_string());
        ports
    }
}

impl Port {
    fn node(&self, from: &Node) -> Node {
        let text = |key: &str, value: &str| entry(key, from.piece(Kind::Text, value));
        let mut entries = vec![text("mode", "ingress")];
        if !self.ip.is_empty() {
            entries.push(text("host_ip", &self.ip));
        }
        // Port 0 is no port to Compose, which then misses the target.
        if self.target > 0 {
            entries.push(entry("target", from.piece(Kind::Int, self.target.to_string())));
        }
        if !self.published.is_empty() {
            entries.push(text("published", &self.published));
        }
        entries.push(text("protocol", &self.protocol));
        Node::map(from.place, entries)
    }
}

fn parse(text: &str) -> Option<Short<'_>> {
    let (rest, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    // An IPv6 address has colons of its own, so it must stand in brackets.
    let ip = match ip.strip_prefix('[').and_then(|i| i.strip_suffix(']')) {
        Some(inner) => inner,
        None if ip.contains(':') => return None,
        None => ip,
    };
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return None;
    }
    let mut parts = container.split('/');
    let container = range(parts.next()?)?;
    let protocol = parts.next().filter(|p| !p.is_empty()).unwrap_or("tcp").to_ascii_lowercase();
    let host = if host.is_empty() { None } else { Some(range(host)?) };
    let width = |r: (u16, u16)| r.1 - r.0;
    let fits = container.0 == container.1 || host.is_none_or(|h| width(h) == width(container));
    (fits && matches!(protocol.as_str(), "tcp" | "udp" | "sctp")).then_some(Short { ip, host, container, protocol })
}

fn range(text: &str) -> Option<(u16, u16)> {
    let mut ends = text.split('-');
    let first = port(ends.next()?)?;
    let last = ends.next().map_or(Some(first), port)?;
    (first <= last).then_some((first, last))
}

fn port(text: &str) -> Option<u16> {
    // Rust takes `+80`, Go does not.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let ports = parse(text)?.ports();
        let one = |p: &Port| format!("{}|{}|{}/{}", p.ip, p.published, p.target, p.protocol);
        Some(ports.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_short_form_in_all_its_shapes() {
        for (text, want) in [
            ("80", "||80/tcp"),
            ("8080:80", "|8080|80/tcp"),
            ("127.0.0.1:8080:80", "127.0.0.1|8080|80/tcp"),
            ("127.0.0.1::80", "127.0.0.1||80/tcp"),
            ("[::1]:8080:80/UDP", "::1|8080|80/udp"),
            ("53:53/", "|53|53/tcp"),
            ("9-10:99-100", "|10|100/tcp |9|99/tcp"),
            ("8000-8010:80", "|8000-8010|80/tcp"),
            ("5:5/sctp", "|5|5/sctp"),
            ("80-82", "||80/tcp ||81/tcp ||82/tcp"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(want), "{text}");
        }
        for bad in
            ["", "70000", "80-81:90-93", "x:80", "1.2.3:80:80", "80/icmp", "a.b.c.d:1:2", "::1:5:6", "-1", "+80", "91-90", ":", "80:"]
        {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
