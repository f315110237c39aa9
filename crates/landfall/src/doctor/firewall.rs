//! The firewall: whether anything is closed, and which ports the world still reaches. Rules are read as the tools print them; nothing is changed.
//!
//! It is no model of the kernel: rules for some addresses or interfaces only let nobody else in and are passed over, and where a chain cannot be
//! followed the answer is that it is not known. What the engine lets into containers does not pass these chains; `port` judges that.

use super::look::{Silent, said};
use super::report::{Area, Check, Finding, Remedy, Severity};
use std::collections::BTreeMap;

const CHECK: Check = Check {
    id: "firewall",
    area: Area::Network,
    why: "whatever listens by accident, today or after the next installation, is reached by everybody",
};
/// Deepest jump that is followed.
const MAX_DEPTH: usize = 8;

/// Ports of one protocol, from and to.
type Range = (bool, u16, u16);

/// What a firewall does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Firewall {
    /// Who is asked: `ufw`, `nftables`, `iptables`.
    pub(super) tool: String,
    /// What no rule speaks of is refused.
    pub(super) closed: bool,
    /// Likewise for IPv6.
    pub(super) closed_v6: bool,
    /// What is let in from everywhere: UDP or TCP, from, to.
    pub(super) open: Vec<Range>,
    /// A rule lets in more than could be read.
    pub(super) vague: bool,
}

/// What was found of firewalls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// One that closes something, or none that does.
    Known(Firewall),
    /// It could not be found out.
    Unknown(String),
}

impl Seen {
    /// Whether a port is reached from outside; `None` when it is not known.
    pub(super) fn lets_in(&self, udp: bool, port: u16, v6: bool) -> Option<bool> {
        let Self::Known(wall) = self else { return None };
        let closed = if v6 { wall.closed_v6 } else { wall.closed };
        if !closed || wall.open.iter().any(|(of, from, to)| *of == udp && (*from..=*to).contains(&port)) {
            return Some(true);
        }
        if wall.vague { None } else { Some(false) }
    }
}

/// Looks: ufw where it is on, then the kernel's rules by nft, then by iptables.
pub(super) async fn observe() -> Seen {
    let mut silent = Vec::new();
    match said(&["ufw", "status", "verbose"]).await {
        Ok(text) => {
            if let Some(wall) = ufw(&text) {
                return Seen::Known(wall);
            }
        }
        Err(why) => silent.push(why),
    }
    match said(&["nft", "list", "ruleset"]).await {
        Ok(text) => {
            let wall = nft(&text);
            if wall.closed || wall.closed_v6 {
                return Seen::Known(wall);
            }
        }
        Err(why) => silent.push(why),
    }
    match said(&["iptables", "-S"]).await {
        Ok(text) => {
            // Without IPv6 there is no table of it.
            let v6 = said(&["ip6tables", "-S"]).await.unwrap_or_default();
            return Seen::Known(iptables(&text, &v6));
        }
        Err(why) => silent.push(why),
    }
    // A tool that is there and finds nothing closed has answered; so have none at all, for somebody would have had to set the rules.
    match silent.iter().find(|why| matches!(why, Silent::Failed(_))) {
        Some(why) => Seen::Unknown(why.to_string()),
        None => Seen::Known(Firewall::default()),
    }
}

/// Judges.
pub(super) fn judge(seen: &Seen, systemd: bool) -> Vec<Finding> {
    let wall = match seen {
        Seen::Unknown(why) => return vec![CHECK.unchecked(why)],
        Seen::Known(_) if !systemd && !matches!(seen, Seen::Known(wall) if wall.closed) => {
            return vec![CHECK.found(
                Severity::Note,
                "this is a container: what reaches it is up to the machine around it",
                vec![Remedy::say("examine that machine too")],
            )];
        }
        Seen::Known(wall) => wall,
    };
    let setup = || {
        vec![Remedy::say("let Landfall close every port but SSH, 80 and 443 (shows its plan first)").run(&["landfall", "server", "setup"])]
    };
    match (wall.closed, wall.closed_v6) {
        (false, false) => vec![CHECK.found(Severity::Warning, "no firewall is on: every port that something listens on is open", setup())],
        (true, false) => {
            vec![CHECK.found(Severity::Warning, format!("{} closes ports for IPv4 and not for IPv6", wall.tool), setup())]
        }
        (false, true) => {
            vec![CHECK.found(Severity::Warning, format!("{} closes ports for IPv6 and not for IPv4", wall.tool), setup())]
        }
        (true, true) => vec![CHECK.ok(format!("{} lets in {}", wall.tool, wall.told()))],
    }
}

impl Firewall {
    /// `22, 80, 443, 60000-61000/udp`
    fn told(&self) -> String {
        let mut open = self.open.clone();
        open.sort_unstable();
        open.dedup();
        let range = |(udp, from, to): &Range| {
            let ports = if from == to { from.to_string() } else { format!("{from}-{to}") };
            if *udp { format!("{ports}/udp") } else { ports }
        };
        let more = if self.vague { ", and what rules say that could not be followed" } else { "" };
        if open.is_empty() { format!("no port{more}") } else { open.iter().map(range).collect::<Vec<_>>().join(", ") + more }
    }
}

/// `ufw status verbose`; `None` when it is off.
fn ufw(text: &str) -> Option<Firewall> {
    text.lines().find(|line| line.trim() == "Status: active")?;
    let default = text.lines().find_map(|line| line.strip_prefix("Default: "))?;
    let closed = ["deny (incoming)", "reject (incoming)"].iter().any(|word| default.starts_with(word));
    let mut wall = Firewall { tool: "ufw".to_owned(), closed, closed_v6: closed, ..Firewall::default() };
    // `22/tcp   ALLOW IN    Anywhere`, `80,443/tcp (Nginx Full) ALLOW IN Anywhere (v6)`, `5432 ALLOW IN 10.0.0.0/8`
    for line in text.lines() {
        let Some((to, from)) = line.split_once(" ALLOW IN ").or_else(|| line.split_once(" LIMIT IN ")) else { continue };
        if !from.trim().starts_with("Anywhere") {
            continue;
        }
        let what = to.replace("(v6)", "");
        let what = what.split(" on ").next().unwrap_or_default().split(" (").next().unwrap_or_default().trim();
        let (ports, protocol) = what.split_once('/').unwrap_or((what, ""));
        let ranges: Option<Vec<(u16, u16)>> = ports.split(',').map(|part| range(part, ':')).collect();
        match (ranges, protocol) {
            (Some(ranges), "tcp") => wall.open.extend(ranges.into_iter().map(|(a, b)| (false, a, b))),
            (Some(ranges), "udp") => wall.open.extend(ranges.into_iter().map(|(a, b)| (true, a, b))),
            (Some(ranges), "") => wall.open.extend(ranges.into_iter().flat_map(|(a, b)| [(false, a, b), (true, a, b)])),
            _ if what == "OpenSSH" => wall.open.push((false, 22, 22)),
            _ => wall.vague = true,
        }
    }
    Some(wall)
}

/// A chain of a table.
#[derive(Default)]
struct Chain<'a> {
    base: bool,
    drop: bool,
    rules: Vec<&'a str>,
}

/// `nft list ruleset`
fn nft(text: &str) -> Firewall {
    let mut wall = Firewall { tool: "nftables".to_owned(), ..Firewall::default() };
    let mut tables: Vec<(&str, BTreeMap<&str, Chain<'_>>)> = Vec::new();
    let mut chain = None;
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match (words.as_slice(), tables.last_mut()) {
            (["table", family, _, "{"], _) => tables.push((family, BTreeMap::new())),
            (["chain", name, "{"], Some((_, chains))) => {
                chains.insert(name, Chain::default());
                chain = Some(*name);
            }
            (["}"], _) => chain = None,
            (_, Some((_, chains))) => {
                let Some(chain) = chain.and_then(|name| chains.get_mut(name)) else { continue };
                if line.starts_with("type ") {
                    chain.base = line.starts_with("type filter hook input ");
                    chain.drop = line.contains("policy drop");
                } else {
                    chain.rules.push(line);
                }
            }
            _ => {}
        }
    }
    for (family, chains) in &tables {
        for chain in chains.values().filter(|chain| chain.base) {
            let mut found = Firewall::default();
            let ended = follow(chains, chain, &mut found, 0);
            if chain.drop && ended != Some(true) || ended == Some(false) {
                wall.closed |= matches!(*family, "ip" | "inet");
                wall.closed_v6 |= matches!(*family, "ip6" | "inet");
                wall.open.extend(found.open);
                wall.vague |= found.vague;
            }
        }
    }
    wall
}

/// What a chain lets in from everywhere. `Some(true)` when it takes all that comes that far, `Some(false)` when it refuses it.
fn follow<'a>(chains: &BTreeMap<&'a str, Chain<'a>>, chain: &Chain<'a>, into: &mut Firewall, depth: usize) -> Option<bool> {
    if depth > MAX_DEPTH {
        into.vague = true;
        return None;
    }
    for rule in &chain.rules {
        // `counter packets 12 bytes 720` says nothing of what is meant.
        let mut words: Vec<&str> = rule.split_ascii_whitespace().collect();
        if let Some(at) = words.iter().position(|word| *word == "counter") {
            let end = if words.get(at + 1) == Some(&"packets") { at + 5 } else { at + 1 };
            words.drain(at..end.min(words.len()));
        }
        if let Some(at) = words.iter().position(|word| *word == "comment") {
            words.truncate(at);
        }
        let narrow = words
            .iter()
            .any(|word| matches!(*word, "saddr" | "iifname" | "iif" | "daddr" | "ct" | "icmp" | "icmpv6" | "l4proto" | "limit"));
        let port = words.iter().position(|word| *word == "dport");
        match (words.last(), words.iter().rev().nth(1)) {
            (Some(&"accept"), _) if words.len() == 1 => return Some(true),
            (Some(&"drop"), _) if words.len() == 1 => return Some(false),
            (Some(_), _) if words.first() == Some(&"reject") => return Some(false),
            (Some(&"accept"), _) => match port {
                // `ct state new tcp dport 22 accept` is for everybody; addresses and interfaces are not.
                Some(at) if !words.iter().any(|word| matches!(*word, "saddr" | "iifname" | "iif")) => {
                    let kinds: &[bool] = match words.get(at.wrapping_sub(1)) {
                        Some(&"tcp") => &[false],
                        Some(&"udp") => &[true],
                        _ => &[false, true],
                    };
                    let list = words.get(at + 1..words.len().saturating_sub(1)).unwrap_or_default();
                    for part in list.iter().flat_map(|word| word.split(',')).filter(|part| !matches!(*part, "" | "{" | "}")) {
                        match range(part, '-') {
                            Some((from, to)) => into.open.extend(kinds.iter().map(|udp| (*udp, from, to))),
                            None => into.vague = true,
                        }
                    }
                }
                Some(_) => {}
                None if narrow => {}
                None => into.vague = true,
            },
            (Some(name), Some(&("jump" | "goto"))) => match chains.get(name) {
                Some(next) => {
                    let ended = follow(chains, next, into, depth + 1);
                    if words.len() == 2 && ended.is_some() {
                        return ended;
                    }
                }
                None => into.vague = true,
            },
            _ => {}
        }
    }
    None
}

/// `iptables -S` and `ip6tables -S`
fn iptables(v4: &str, v6: &str) -> Firewall {
    let (four, six) = (input(v4), input(v6));
    let mut wall =
        Firewall { tool: "iptables".to_owned(), closed: four.closed, closed_v6: six.closed || v6.is_empty() && four.closed, ..four };
    wall.vague |= six.closed && six.vague;
    if six.closed {
        wall.open.extend(six.open);
    }
    wall
}

/// The chain INPUT, in words of nft.
fn input(text: &str) -> Firewall {
    let mut chains: BTreeMap<&str, Chain<'_>> = BTreeMap::new();
    let rules: Vec<(&str, String)> = text
        .lines()
        .filter_map(|line| {
            let (chain, rule) = line.strip_prefix("-A ")?.split_once(' ')?;
            Some((chain, translated(rule)))
        })
        .collect();
    for (chain, rule) in &rules {
        chains.entry(chain).or_default().rules.push(rule);
    }
    for line in text.lines() {
        if let ["-P", name, policy] = line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            chains.entry(name).or_default().drop = policy != "ACCEPT";
        } else if let ["-N", name] = line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            chains.entry(name).or_default();
        }
    }
    let mut wall = Firewall::default();
    if let Some(chain) = chains.get("INPUT") {
        let ended = follow(&chains, chain, &mut wall, 0);
        wall.closed = chain.drop && ended != Some(true) || ended == Some(false);
    }
    wall
}

/// `-p tcp -m tcp --dport 22 -j ACCEPT` → `tcp dport 22 accept`. What it has no word for keeps its own, which makes a rule one that could not be followed.
fn translated(rule: &str) -> String {
    let words: Vec<&str> = rule.split_ascii_whitespace().collect();
    let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied();
    let mut told = Vec::new();
    if after("-s").is_some() {
        told.push("saddr");
    }
    if after("-i").is_some() {
        told.push("iifname");
    }
    if after("--ctstate").or(after("--state")).is_some_and(|states| !states.split(',').any(|state| state == "NEW")) {
        told.push("ct");
    }
    let protocol = after("-p");
    if matches!(protocol, Some("icmp" | "ipv6-icmp" | "icmpv6")) {
        told.push("icmp");
    }
    if let Some(ports) = after("--dport").or(after("--dports")) {
        told.extend([protocol.unwrap_or("th"), "dport"]);
        let list = ports.replace(':', "-");
        return finished(told.clone(), Some(&list), after("-j").or(after("-g")));
    }
    if let Some(protocol @ ("tcp" | "udp")) = protocol {
        told.push(protocol);
    }
    finished(told, None, after("-j").or(after("-g")))
}

fn finished<'a>(mut told: Vec<&'a str>, ports: Option<&'a str>, target: Option<&'a str>) -> String {
    told.extend(ports);
    match target {
        Some("ACCEPT") => told.push("accept"),
        Some("DROP") => told.push("drop"),
        Some("REJECT") => told.push("reject"),
        Some("LOG" | "RETURN") | None => told.push("continue"),
        Some(chain) => told.extend(["jump", chain]),
    }
    told.join(" ")
}

fn range(text: &str, between: char) -> Option<(u16, u16)> {
    let (from, to) = text.split_once(between).unwrap_or((text, text));
    Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
