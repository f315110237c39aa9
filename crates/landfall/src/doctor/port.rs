//! What the world reaches: sockets of programs, ports of containers, and who has those of the sites.

use super::firewall;
use super::look::Seen;
use super::report::{Area, Check, Finding, Remedy, Severity};
use super::socket::{Holder, Socket};
use landfall_runtime::docker::{EngineSurvey, Published};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const OPEN: Check = Check {
    id: "open-port",
    area: Area::Network,
    why: "machines try every port of every address all day: what answers is tried with known holes and passwords",
};
const PUBLISHED: Check = Check {
    id: "published-port",
    area: Area::Network,
    why: "the engine's own rules come before the firewall's: a published port is open whatever the firewall says",
};
const SITES: Check = Check {
    id: "proxy-port",
    area: Area::Network,
    why: "sites are served on 80 and 443, and certificates are asked for there; nobody else can have them",
};

/// Ports of the sites.
const SITE_PORTS: [u16; 2] = [80, 443];
/// What must never be reached by everybody.
const GRAVE: [(u16, &str); 16] = [
    (1433, "SQL Server"),
    (2375, "the Docker API without a login: whoever reaches it is root"),
    (2379, "etcd"),
    (3306, "MySQL"),
    (5432, "PostgreSQL"),
    (5672, "RabbitMQ"),
    (5984, "CouchDB"),
    (6379, "Redis"),
    (7687, "Neo4j"),
    (8086, "InfluxDB"),
    (9042, "Cassandra"),
    (9200, "Elasticsearch"),
    (9300, "Elasticsearch"),
    (11211, "memcached"),
    (15672, "RabbitMQ's management"),
    (27017, "MongoDB"),
];
/// UDP of every machine: DHCP clients, and name questions to neighbours.
const QUIET_UDP: [u16; 3] = [68, 546, 5353];

/// What ports are judged by.
pub(super) struct View<'a> {
    pub(super) sockets: &'a Seen<Vec<Socket>>,
    pub(super) engine: &'a Seen<Option<EngineSurvey>>,
    pub(super) firewall: &'a firewall::Seen,
    /// Ports sshd is set to.
    pub(super) ssh: &'a BTreeSet<u16>,
    /// Ports the kernel gives to those who do not care.
    pub(super) ephemeral: (u16, u16),
}

/// Judges all three.
pub(super) fn judge(view: &View<'_>) -> Vec<Finding> {
    let mut findings = match view.sockets {
        Ok(sockets) => open(view, sockets),
        Err(why) => vec![OPEN.unchecked(why)],
    };
    findings.extend(match view.engine {
        Ok(Some(engine)) => published(engine),
        Ok(None) => vec![PUBLISHED.ok("there is no container engine here")],
        Err(why) => vec![PUBLISHED.unchecked(why)],
    });
    findings.extend(sites(view));
    findings
}

fn grave(port: u16) -> Option<&'static str> {
    GRAVE.iter().find(|(known, _)| *known == port).map(|(_, what)| *what)
}

/// Whether the address is one that only neighbours or this machine have a way to.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

fn open(view: &View<'_>, sockets: &[Socket]) -> Vec<Finding> {
    let published: BTreeSet<(bool, u16)> = match view.engine {
        Ok(Some(engine)) => engine.containers.iter().flat_map(|c| &c.published).map(|p| (p.udp, p.port)).collect(),
        _ => BTreeSet::new(),
    };
    let mut heard: BTreeMap<(bool, u16, Option<&Holder>), BTreeSet<IpAddr>> = BTreeMap::new();
    for socket in sockets.iter().filter(|socket| !is_loopback(socket.address)) {
        let holder = socket.holder.as_ref();
        let ours = holder.is_some_and(|holder| holder.ours);
        let site = !socket.udp && SITE_PORTS.contains(&socket.port);
        let ssh = !socket.udp && (view.ssh.contains(&socket.port) || holder.is_some_and(|holder| holder.name == "sshd"));
        let quiet = socket.udp && (QUIET_UDP.contains(&socket.port) || is_ephemeral(view, socket.port));
        if ours || site || ssh || quiet || published.contains(&(socket.udp, socket.port)) {
            continue;
        }
        heard.entry((socket.udp, socket.port, holder)).or_default().insert(socket.address);
    }
    let findings = heard.into_iter().map(|((udp, port, holder), addresses)| opened(view, (udp, port), holder, &addresses)).collect();
    OPEN.each(findings, "nothing but SSH and the sites listens for the world")
}

fn is_ephemeral(view: &View<'_>, port: u16) -> bool {
    (view.ephemeral.0..=view.ephemeral.1).contains(&port)
}

fn opened(view: &View<'_>, (udp, port): (bool, u16), holder: Option<&Holder>, addresses: &BTreeSet<IpAddr>) -> Finding {
    let who = holder.map_or_else(|| "somebody".to_owned(), ToString::to_string);
    let everywhere = addresses.iter().any(IpAddr::is_unspecified);
    let place =
        if everywhere { "every address".to_owned() } else { addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") };
    let protocol = if udp { "UDP port" } else { "port" };
    let usual = grave(port).map(|what| format!(" ({what})")).unwrap_or_default();
    let seen = format!("{who} listens on {protocol} {port}{usual} of {place}");
    if addresses.iter().all(|address| is_inside(*address)) {
        return OPEN.found(Severity::Note, format!("{seen}: open to its private network"), Vec::new());
    }
    let worst = if grave(port).is_some() { Severity::Critical } else { Severity::Warning };
    // An address that stands for all stands for those of IPv4 too.
    let ways = addresses.iter().flat_map(|address| match address {
        IpAddr::V6(v6) if v6.is_unspecified() => vec![true, false],
        IpAddr::V6(_) => vec![true],
        IpAddr::V4(_) => vec![false],
    });
    let verdicts: BTreeSet<Option<bool>> = ways.map(|v6| view.firewall.lets_in(udp, port, v6)).collect();
    let (severity, seen) = if verdicts.contains(&Some(true)) {
        (worst, format!("{seen}, and nothing keeps the world from it"))
    } else if verdicts.contains(&None) {
        (worst, format!("{seen}; whether the firewall lets the world in is not known"))
    } else {
        (Severity::Note, format!("{seen}; the firewall lets nobody in"))
    };
    let mut remedy =
        vec![Remedy::say(format!("have {} listen on 127.0.0.1 only, or stop it", holder.map_or("it", |h| h.name.as_str()))).run(&[
            "ss",
            "-lnp",
            if udp { "-u" } else { "-t" },
            "sport",
            "=",
            &format!(":{port}"),
        ])];
    if severity != Severity::Note {
        remedy.push(Remedy::say("or close it by a firewall (shows its plan first)").run(&["landfall", "server", "setup"]));
    }
    OPEN.found(severity, seen, remedy)
}

fn published(engine: &EngineSurvey) -> Vec<Finding> {
    let world = |port: &&Published| !is_inside(port.address) && !SITE_PORTS.contains(&port.port);
    let mut findings = Vec::new();
    for container in &engine.containers {
        let mut ports: BTreeMap<(bool, u16), u16> = BTreeMap::new();
        ports.extend(container.published.iter().filter(world).map(|port| ((port.udp, port.port), port.inside)));
        for ((udp, port), inside) in ports {
            let what = grave(inside).or_else(|| grave(port));
            let severity = if what.is_some() { Severity::Critical } else { Severity::Warning };
            let usual = what.map(|what| format!(" ({what})")).unwrap_or_default();
            let protocol = if udp { "UDP port" } else { "port" };
            findings.push(PUBLISHED.found(
                severity,
                format!("container `{}` ({}) publishes {protocol} {port}{usual} on every address", container.name, container.image),
                vec![
                    Remedy::say(format!("publish it for this machine alone: write `127.0.0.1:{port}:{inside}` under `ports`, or take it out: an app of Landfall's needs none")),
                    Remedy::say("see who publishes what").run(&["docker", "ps", "--format", "{{.Names}} {{.Ports}}"]),
                ],
            ));
        }
    }
    if engine.more > 0 {
        findings.push(PUBLISHED.unchecked(&format!("{} containers more than are looked at", engine.more)));
    }
    PUBLISHED.each(findings, "no container publishes a port to the world")
}

/// Somebody else on 80 or 443.
fn sites(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut taken = BTreeSet::new();
    if let Ok(Some(engine)) = view.engine {
        for container in &engine.containers {
            for port in container.published.iter().filter(|port| !port.udp && SITE_PORTS.contains(&port.port)) {
                if taken.insert(port.port) {
                    findings.push(SITES.found(
                        Severity::Critical,
                        format!("container `{}` ({}) has port {}", container.name, container.image, port.port),
                        vec![Remedy::say("stop it, when nothing needs it any more").run(&["docker", "stop", &container.name])],
                    ));
                }
            }
        }
    }
    for socket in view.sockets.iter().flatten().filter(|socket| !socket.udp && SITE_PORTS.contains(&socket.port)) {
        // systemd holds them for Landfall, and gives them to nobody else.
        let fine = socket.holder.as_ref().is_some_and(|holder| holder.ours || holder.pid == 1);
        if fine || is_loopback(socket.address) || !taken.insert(socket.port) {
            continue;
        }
        let name = socket.holder.as_ref().map_or("somebody", |holder| holder.name.as_str());
        let remedy = match name {
            "nginx" | "apache2" | "caddy" | "lighttpd" | "haproxy" => {
                Remedy::say("stop it, when nothing needs it any more; what its configuration did belongs in `x-landfall`").run(&[
                    "systemctl",
                    "disable",
                    "--now",
                    name,
                ])
            }
            _ => Remedy::say("find out what it is and stop it").run(&["ss", "-lntp", "sport", "=", &format!(":{}", socket.port)]),
        };
        let who = socket.holder.as_ref().map_or_else(|| name.to_owned(), ToString::to_string);
        findings.push(SITES.found(Severity::Critical, format!("{who} has port {}", socket.port), vec![remedy]));
    }
    match (view.sockets, findings.is_empty()) {
        (Err(why), true) => vec![SITES.unchecked(why)],
        _ => SITES.each(findings, "80 and 443 are Landfall's, or free for it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_runtime::docker::Seen as Container;

    fn socket(address: &str, port: u16, name: &str) -> Socket {
        let holder = Some(Holder { name: name.to_owned(), pid: 7, ours: name == "landfall" });
        Socket { udp: false, address: address.parse().unwrap(), port, holder }
    }

    fn found(sockets: Vec<Socket>, engine: Option<EngineSurvey>, wall: firewall::Firewall) -> Vec<(String, Severity)> {
        let (sockets, engine, firewall) = (Ok(sockets), Ok(engine), firewall::Seen::Known(wall));
        let view =
            View { sockets: &sockets, engine: &engine, firewall: &firewall, ssh: &BTreeSet::from([2222]), ephemeral: (32768, 60999) };
        judge(&view).into_iter().filter(|f| f.severity != Severity::Ok).map(|f| (f.check, f.severity)).collect()
    }

    fn closed() -> firewall::Firewall {
        firewall::Firewall { closed: true, closed_v6: true, open: vec![(false, 22, 22)], ..firewall::Firewall::default() }
    }

    #[test]
    fn what_belongs_there_is_silent() {
        let sockets = vec![
            socket("127.0.0.1", 5432, "postgres"),
            socket("0.0.0.0", 22, "sshd"),
            socket("0.0.0.0", 2222, "systemd"),
            socket("::", 443, "landfall"),
            socket("172.18.0.1", 53, "landfall"),
            Socket { udp: true, ..socket("0.0.0.0", 41234, "chronyd") },
            Socket { udp: true, ..socket("0.0.0.0", 68, "dhclient") },
        ];
        assert_eq!(found(sockets, None, firewall::Firewall::default()), []);
    }

    #[test]
    fn a_port_is_as_bad_as_what_listens_and_who_reaches_it() {
        let open = |port, wall| found(vec![socket("0.0.0.0", port, "postgres")], None, wall);
        let warned = |severity| vec![("open-port".to_owned(), severity)];
        assert_eq!(open(5432, firewall::Firewall::default()), warned(Severity::Critical));
        assert_eq!(open(8081, firewall::Firewall::default()), warned(Severity::Warning));
        assert_eq!(open(5432, closed()), warned(Severity::Note));
        assert_eq!(open(5432, firewall::Firewall { open: vec![(false, 5000, 6000)], ..closed() }), warned(Severity::Critical));
        // IPv6 is another way in.
        let six = found(vec![socket("::", 5432, "postgres")], None, firewall::Firewall { closed_v6: false, ..closed() });
        assert_eq!(six, warned(Severity::Critical));
        assert_eq!(found(vec![socket("10.0.0.5", 5432, "postgres")], None, firewall::Firewall::default()), warned(Severity::Note));
    }

    #[test]
    fn a_published_port_is_told_once_and_whatever_the_firewall_says() {
        let port = |address: &str, port, inside| Published { address: address.parse().unwrap(), port, inside, udp: false };
        let container = |published| Container { name: "db".into(), image: "postgres:16".into(), published, ..Container::default() };
        let engine = |published| Some(EngineSurvey { containers: vec![container(published)], ..EngineSurvey::default() });
        let sockets = vec![socket("0.0.0.0", 15432, "docker-proxy")];
        let both = vec![port("0.0.0.0", 15432, 5432), port("::", 15432, 5432)];
        assert_eq!(found(sockets, engine(both), closed()), [("published-port".to_owned(), Severity::Critical)]);
        assert_eq!(found(Vec::new(), engine(vec![port("127.0.0.1", 15432, 5432)]), closed()), []);
        assert_eq!(found(Vec::new(), engine(vec![port("0.0.0.0", 443, 443)]), closed()), [("proxy-port".to_owned(), Severity::Critical)]);
    }

    #[test]
    fn whoever_else_has_a_port_of_the_sites_is_named() {
        assert_eq!(found(vec![socket("0.0.0.0", 80, "nginx")], None, closed()), [("proxy-port".to_owned(), Severity::Critical)]);
    }

    #[test]
    fn what_cannot_be_seen_is_said() {
        let (sockets, engine) = (Err("no".to_owned()), Err("no engine".to_owned()));
        let firewall = firewall::Seen::Unknown("no".into());
        let view = View { sockets: &sockets, engine: &engine, firewall: &firewall, ssh: &BTreeSet::new(), ephemeral: (0, 0) };
        let told = judge(&view);
        assert_eq!(told.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Unchecked; 3]);
    }
}
