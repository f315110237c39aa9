//! The firewall: a table of nftables of our own, or rules in ufw where that is on. Text and arguments only.
//!
//! What must stay open is decided here and nowhere else: every port on which SSH is reached, 80 and 443. Connections that exist go on whatever the rules
//! say. Containers may reach the server (the proxy answers names on their gateways); what comes in for them is the engine's own table.

use super::change::{Act, Change};
use super::facts::Facts;
use std::collections::BTreeSet;

/// Where the rules lie.
pub(super) const RULES: &str = "/etc/landfall/firewall.nft";
/// What loads them.
pub(super) const UNIT: &str = "landfall-firewall.service";
/// Ports of the sites.
const SITES: [u16; 2] = [80, 443];

/// What is missing. `None` when the rules hold, or when there is no port of SSH to keep open: then nothing may be closed.
pub(super) fn change(facts: &Facts, unit: Vec<Act>) -> Option<Change> {
    if facts.ssh_ports.is_empty() {
        return None;
    }
    let open: Vec<String> = facts.ssh_ports.iter().map(|port| format!("{port} (SSH)")).chain(SITES.map(|port| port.to_string())).collect();
    if facts.ufw {
        let missing: Vec<u16> = ports(facts).into_iter().filter(|port| !allows(&facts.ufw_rules, *port)).collect();
        if missing.is_empty() {
            return None;
        }
        let acts = missing.iter().map(|port| Act::run(&["ufw", "allow", &format!("{port}/tcp")])).collect();
        let list = missing.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        return Some(Change::new(
            format!("open {list} in ufw"),
            "ufw is on, so the firewall stays its; sites and SSH must be reached",
            format!("ufw delete allow PORT/tcp, for each of {list}"),
            acts,
        ));
    }
    let text = rules(&facts.ssh_ports);
    if facts.text(RULES) == Some(text.as_str()) && facts.running.contains(UNIT) {
        return None;
    }
    let mut acts = vec![Act::judged(RULES, text, &["nft", "--check", "--file", RULES])];
    acts.extend(unit);
    if facts.running.contains(UNIT) {
        acts.push(Act::run(&["systemctl", "reload", UNIT]));
    }
    Some(Change::new(
        format!("close every port but {}", open.join(", ")),
        "what listens by accident is not reached from outside; SSH stays open on every port it listens on",
        format!("systemctl disable --now {UNIT}"),
        acts,
    ))
}

fn ports(facts: &Facts) -> BTreeSet<u16> {
    facts.ssh_ports.iter().copied().chain(SITES).collect()
}

/// Whether ufw has a rule that lets somebody in at the port: `22/tcp ALLOW Anywhere`, `22 LIMIT IN 203.0.113.0/24`. However narrow: who wrote it has
/// decided.
fn allows(rules: &str, port: u16) -> bool {
    rules.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let named =
            words.next().is_some_and(|word| word == port.to_string() || word == format!("{port}/tcp") || (port == 22 && word == "OpenSSH"));
        named && matches!(words.next(), Some("ALLOW" | "LIMIT"))
    })
}

/// The table, replaced whole in one transaction.
fn rules(ssh: &BTreeSet<u16>) -> String {
    let tcp = ssh.iter().copied().chain(SITES).collect::<BTreeSet<u16>>().iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "# Written by `landfall server setup`; loaded by {UNIT}. Rules of your own belong in a table of your own.
table inet landfall
delete table inet landfall
table inet landfall {{
    chain input {{
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        ct state invalid drop
        iifname \"lo\" accept
        # Containers: the proxy answers names on their own networks' gateways, and on nobody else's.
        iifname \"docker0\" meta l4proto {{ tcp, udp }} th dport 53 fib daddr . iif type != local drop
        iifname \"br-*\" meta l4proto {{ tcp, udp }} th dport 53 fib daddr . iif type != local drop
        iifname \"docker0\" accept
        iifname \"br-*\" accept
        # ICMP and ICMPv6, by which addresses of IPv6 are found and paths measured; a small system has no names for them.
        meta l4proto {{ 1, 58 }} accept
        udp dport 546 ip6 saddr fe80::/10 accept
        tcp dport {{ {tcp} }} accept
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_ssh_stays_open() {
        let text = rules(&BTreeSet::from([22, 2222]));
        assert!(text.contains("tcp dport { 22, 80, 443, 2222 } accept"), "{text}");
        let change = change(&Facts { ssh_ports: BTreeSet::from([2222]), ..Facts::default() }, Vec::new()).unwrap();
        assert_eq!(change.told.what, "close every port but 2222 (SSH), 80, 443");
    }

    #[test]
    fn nothing_is_closed_when_it_is_not_known_where_ssh_is_reached() {
        assert_eq!(change(&Facts::default(), Vec::new()), None);
    }

    #[test]
    fn ufw_keeps_what_is_its() {
        let rules =
            "22/tcp                     ALLOW       Anywhere\n80                         ALLOW IN    Anywhere\n443/tcp  DENY  Anywhere";
        let facts = Facts { ufw: true, ufw_rules: rules.to_owned(), ssh_ports: BTreeSet::from([22]), ..Facts::default() };
        let change = change(&facts, Vec::new()).unwrap();
        assert_eq!(change.acts, [Act::run(&["ufw", "allow", "443/tcp"])]);
    }
}
