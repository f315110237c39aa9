//! Whether the names of apps lead to this server, as its own resolver sees it.

use super::look::{Seen, text, text_if_any};
use super::report::{Area, Check, Finding, Remedy, Severity};
use landfall_model::survey::Served;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;

const DNS: Check = Check {
    id: "dns",
    area: Area::Apps,
    why: "visitors go where the name leads, and an authority gives a certificate only to the server it leads to",
};
/// Longest wait for one name.
const LIMIT: Duration = Duration::from_secs(5);
/// Most names that are looked up.
const MAX_NAMES: usize = 50;

/// Where names lead, and where we are.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// Each name with its addresses, or why there are none.
    pub(super) found: Vec<(String, Seen<BTreeSet<IpAddr>>)>,
    /// Names that were not looked up.
    pub(super) more: usize,
    /// Addresses of this machine, and those its owner says lead to it.
    pub(super) own: Seen<BTreeSet<IpAddr>>,
}

/// Looks up.
pub(super) async fn observe(served: &[Served], stated: &[IpAddr]) -> Names {
    let domains: BTreeSet<&str> = served.iter().map(|served| served.domain.as_str()).filter(|domain| !domain.starts_with("*.")).collect();
    let more = domains.len().saturating_sub(MAX_NAMES);
    let each = domains.into_iter().take(MAX_NAMES).map(|domain| async move {
        let found = match timeout(LIMIT, lookup_host((domain, 443))).await {
            Ok(Ok(found)) => Ok(found.map(|address| address.ip().to_canonical()).collect()),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
        };
        (domain.to_owned(), found)
    });
    let found = futures_util::future::join_all(each).await;
    Names { found, more, own: own().map(|own| own.into_iter().chain(stated.iter().copied()).collect()) }
}

/// Addresses of this machine's interfaces, as the kernel routes them.
fn own() -> Seen<BTreeSet<IpAddr>> {
    let mut own = local_v4(&text("/proc/self/net/fib_trie")?);
    // A kernel without IPv6 has no such table.
    own.extend(text_if_any("/proc/self/net/if_inet6")?.unwrap_or_default().lines().filter_map(local_v6));
    Ok(own)
}

/// Leaves that are followed by `/32 host LOCAL`.
fn local_v4(trie: &str) -> BTreeSet<IpAddr> {
    let mut last = None;
    let mut own = BTreeSet::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            own.extend(last.map(IpAddr::V4));
        }
    }
    own
}

/// `fe800000000000000042acfffe110002 02 40 20 80 eth0`
fn local_v6(line: &str) -> Option<IpAddr> {
    let hex = line.split_ascii_whitespace().next().filter(|hex| hex.len() == 32)?;
    Some(IpAddr::V6(Ipv6Addr::from(u128::from_str_radix(hex, 16).ok()?)))
}

/// Judges.
pub(super) fn judge(names: &Names) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (domain, found) in &names.found {
        let fix = |own: &BTreeSet<IpAddr>| {
            let listed: Vec<String> = own
                .iter()
                .filter(|ip| is_public(**ip))
                .map(|ip| format!("{domain}. {} {ip}", if ip.is_ipv4() { "A" } else { "AAAA" }))
                .collect();
            let records = if listed.is_empty() { format!("{domain}. A ADDRESS-OF-THIS-SERVER") } else { listed.join(", ") };
            vec![Remedy::say(format!(
                "at your DNS provider: {records}; behind NAT or a load balancer say where it leads: `landfall server doctor --address IP`"
            ))]
        };
        match (found, &names.own) {
            (_, Err(why)) => findings.push(DNS.unchecked(why)),
            (Err(why), Ok(own)) => findings.push(DNS.found(Severity::Critical, format!("{domain} leads nowhere: {why}"), fix(own))),
            (Ok(found), Ok(own)) => findings.extend(one(domain, found, own, fix)),
        }
    }
    if names.more > 0 {
        findings.push(DNS.unchecked(&format!("{} names more than are looked up", names.more)));
    }
    let well = match names.found.len() {
        0 => "no app has a name of its own".to_owned(),
        1 => "the one name of apps leads here".to_owned(),
        count => format!("all {count} names of apps lead here"),
    };
    DNS.each(findings, well)
}

fn one(domain: &str, found: &BTreeSet<IpAddr>, own: &BTreeSet<IpAddr>, fix: impl Fn(&BTreeSet<IpAddr>) -> Vec<Remedy>) -> Option<Finding> {
    let elsewhere: Vec<String> = found.difference(own).map(ToString::to_string).collect();
    let known = own.iter().any(|ip| is_public(*ip));
    match (elsewhere.len(), found.len()) {
        (0, 1..) => None,
        (_, 0) => Some(DNS.found(Severity::Critical, format!("{domain} leads nowhere"), fix(own))),
        (strange, all) if strange == all && !known => Some(DNS.found(
            Severity::Unchecked,
            format!("{domain} leads to {}; this machine knows only addresses of its private network", elsewhere.join(", ")),
            vec![Remedy::say(format!(
                "if that is this server: `landfall server doctor --address {}`",
                elsewhere.first().map_or("IP", String::as_str)
            ))],
        )),
        (strange, all) if strange == all => {
            Some(DNS.found(Severity::Critical, format!("{domain} leads to {}, which is not this server", elsewhere.join(", ")), fix(own)))
        }
        _ => Some(DNS.found(
            Severity::Warning,
            format!("{domain} leads here and to {}, which is not this server: some visitors go there", elsewhere.join(", ")),
            fix(own),
        )),
    }
}

/// One that is not only of a network of its own.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64))
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity(found: &[&str], own: &[&str]) -> Severity {
        let set = |all: &[&str]| all.iter().map(|ip| ip.parse().unwrap()).collect::<BTreeSet<IpAddr>>();
        let found = vec![("tutor.example.com".to_owned(), Ok(set(found)))];
        judge(&Names { found, more: 0, own: Ok(set(own)) })[0].severity
    }

    #[test]
    fn a_name_is_judged_by_where_it_leads() {
        let own = ["127.0.0.1", "203.0.113.5", "2001:db8::5"];
        assert_eq!(severity(&["203.0.113.5", "2001:db8::5"], &own), Severity::Ok);
        assert_eq!(severity(&["203.0.113.5", "2001:db8::9"], &own), Severity::Warning);
        assert_eq!(severity(&["198.51.100.1"], &own), Severity::Critical);
        assert_eq!(severity(&[], &own), Severity::Critical);
        assert_eq!(severity(&["203.0.113.5"], &["127.0.0.1", "10.0.0.5"]), Severity::Unchecked);
        assert_eq!(severity(&["203.0.113.5"], &["10.0.0.5", "203.0.113.5"]), Severity::Ok);
    }

    #[test]
    fn this_machine_knows_its_addresses() {
        assert!(own().unwrap().contains(&IpAddr::from([127, 0, 0, 1])));
        let trie =
            "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.5\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), BTreeSet::from([IpAddr::from([10, 0, 0, 5])]));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_name_of_this_machine_leads_here() {
        let served = [Served { app: "tutor".parse().unwrap(), domain: "localhost".into() }];
        let names = observe(&served, &[]).await;
        assert_eq!(judge(&names)[0].severity, Severity::Ok, "{names:?}");
    }
}
