//! How networks and volumes that exist differ from what the file says of them.
//!
//! The engine cannot change either once it is made, and neither is ever made anew by itself: a network has containers, a
//! volume has data. So every option is compared before a release is begun, and what differs is told with the way out.
//! What is `external` belongs to others and is taken as it is.

use super::planner::Input;
use crate::spec::{Network, Spec, Volume};
use std::collections::BTreeMap;
use std::fmt::Display;

/// A network or volume that is not as the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// "network" or "volume".
    pub what: &'static str,
    /// Its key in the file.
    pub key: String,
    /// One line for every option: what it is and what the file says.
    pub options: Vec<String>,
    /// Nothing works differently for it: labels, and who may join a bridge.
    pub harmless: bool,
}

impl Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} `{}` exists with other options: {}", self.what, self.key, self.options.join("; "))
    }
}

/// Everything that differs, networks first.
pub fn differences(input: &Input<'_>) -> Vec<Difference> {
    let Spec { networks, volumes, .. } = input.spec;
    let mut out = Vec::new();
    for (key, wanted) in networks.iter().filter(|(_, n)| !n.external && !n.is_host()) {
        let Some(found) = input.observed.networks.get(key) else { continue };
        let before = input.previous.and_then(|s| s.networks.get(key)).filter(|n| !n.external);
        let renamed = before.map(|n| n.external_name.as_str()).filter(|name| *name != wanted.external_name);
        if let Some(name) = renamed {
            one(&mut out, ("network", key, false), vec![line("name", &name, &wanted.external_name)]);
        } else if let Some(made) = found.made.as_ref().filter(|m| m.external_name == wanted.external_name) {
            one(&mut out, ("network", key, false), network(made, wanted, found.exact));
            let mut told = pairs("label", &own(&made.labels), &own(&wanted.labels), found.exact);
            // A bridge does not ask. Networks of older versions of Compose all have it.
            if made.attachable != wanted.attachable {
                told.push(line("attachable", &made.attachable, &wanted.attachable));
            }
            one(&mut out, ("network", key, true), told);
        }
    }
    for (key, wanted) in volumes.iter().filter(|(_, v)| !v.external) {
        let before = input.previous.and_then(|s| s.volumes.get(key)).filter(|v| !v.external);
        let renamed = before.map(|v| v.external_name.as_str()).filter(|name| *name != wanted.external_name);
        if let Some(name) = renamed {
            one(&mut out, ("volume", key, false), vec![line("name", &name, &wanted.external_name)]);
        } else if let Some(made) = input.observed.volume_options.get(key).filter(|m| m.external_name == wanted.external_name) {
            one(&mut out, ("volume", key, false), volume(made, wanted));
            one(&mut out, ("volume", key, true), pairs("label", &own(&made.labels), &own(&wanted.labels), true));
        }
    }
    out
}

fn one(out: &mut Vec<Difference>, (what, key, harmless): (&'static str, &dyn Display, bool), options: Vec<String>) {
    if !options.is_empty() {
        out.push(Difference { what, key: key.to_string(), options, harmless });
    }
}

/// Labels of Landfall's own cannot be given by the file.
fn own(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.iter().filter(|(k, _)| !k.starts_with("landfall.")).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// `exact`: it was made by Landfall, which wrote down what it was asked for. Of another only what the file names can be
/// compared: the engine chooses the rest.
fn network(made: &Network, wanted: &Network, exact: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut flag = |option, is: bool, want: bool| out.extend((is != want).then(|| line(option, &is, &want)));
    flag("internal", made.internal, wanted.internal);
    flag("enable_ipv6", made.ipv6, wanted.ipv6);
    out.extend(pairs("driver_opts", &made.options, &wanted.options, exact));
    let driver = |name: &str| if name.is_empty() { "default".to_owned() } else { name.to_owned() };
    let (is, want) = (driver(&made.ipam_driver), driver(&wanted.ipam_driver));
    if is != want {
        out.push(line("ipam driver", &is, &want));
    }
    out.extend(pairs("ipam option", &made.ipam_options, &wanted.ipam_options, exact));
    // A part that is left out is the engine's choice, which it has made.
    let mut subnets = made.subnets.clone();
    if !exact {
        for (is, want) in subnets.iter_mut().zip(&wanted.subnets) {
            is.range.clone_from(&want.range);
            is.reserved.clone_from(&want.reserved);
            if want.gateway.is_empty() {
                is.gateway.clear();
            }
        }
    }
    if subnets != wanted.subnets && (exact || !wanted.subnets.is_empty()) {
        let words = |network: &Network| {
            let each = |s: &crate::spec::Subnet| {
                let parts = [("", &s.subnet), ("range ", &s.range), ("gateway ", &s.gateway)];
                let mut words: Vec<String> = parts.iter().filter(|(_, v)| !v.is_empty()).map(|(what, v)| format!("{what}{v}")).collect();
                words.extend(s.reserved.iter().map(|(name, address)| format!("{name} at {address}")));
                words.join(" ")
            };
            let all: Vec<String> = network.subnets.iter().map(each).collect();
            if all.is_empty() { "the engine's choice".to_owned() } else { all.join(", ") }
        };
        out.push(line("subnets", &words(made), &words(wanted)));
    }
    out
}

fn volume(made: &Volume, wanted: &Volume) -> Vec<String> {
    let driver = |name: &str| if name.is_empty() { "local".to_owned() } else { name.to_owned() };
    let (is, want) = (driver(&made.driver), driver(&wanted.driver));
    let mut out = Vec::new();
    if is != want {
        out.push(line("driver", &is, &want));
    }
    out.extend(pairs("driver_opts", &made.options, &wanted.options, true));
    out
}

fn pairs(option: &str, is: &BTreeMap<String, String>, want: &BTreeMap<String, String>, exact: bool) -> Vec<String> {
    let mut keys: Vec<&String> = want.keys().chain(is.keys().filter(|_| exact)).collect();
    keys.sort();
    keys.dedup();
    let shown = |value: Option<&String>| value.map_or_else(|| "not set".to_owned(), |v| format!("{v:?}"));
    let differs = keys.into_iter().filter(|key| is.get(*key) != want.get(*key));
    differs.map(|key| line(&format!("{option} {key}"), &shown(is.get(key)), &shown(want.get(key)))).collect()
}

fn line(option: &str, is: &dyn Display, want: &dyn Display) -> String {
    format!("{option} is {is}, the file says {want}")
}
