//! The file of grants: what the owner of a server lets apps do to it. Read by the agent, from the server's own disk, and from nowhere else.
//!
//! App → service → list of powers, in the YAML of everything else here, with complaints that have a place. An empty file grants nothing.

use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use super::yaml;
use crate::diagnostic::Diagnostic;
use crate::name::{AppName, ServiceName};
use crate::power::{Grants, Power};
use std::collections::BTreeSet;

/// Reads a file of grants that complaints call `name`; everything that is wrong with it, or what it grants.
pub fn parse_grants(name: &str, text: &str) -> Result<Grants, Vec<Diagnostic>> {
    let mut report = Report::default();
    let file = report.add_file(name, text.to_owned(), true);
    let mut grants = Grants::default();
    for document in yaml::parse(report.text(file).to_owned().as_str(), file, &mut report).unwrap_or_default() {
        let root = document.root;
        if !root.is_null() {
            read(&Field::root(&root), &mut grants, &mut report);
        }
    }
    if report.failed() { Err(report.finish().0) } else { Ok(grants) }
}

fn read(root: &Field<'_>, grants: &mut Grants, report: &mut Report) {
    for (app, entry) in Fields::open(root, report).iter().flat_map(Fields::all) {
        let text = Located::new(app.to_owned(), entry.key_place);
        let Some(app) = named::<AppName>(&text, "bad-name", report) else { continue };
        let mut services = std::collections::BTreeMap::new();
        for (service, powers) in Fields::open(entry, report).iter().flat_map(Fields::all) {
            let text = Located::new(service.to_owned(), powers.key_place);
            let Some(service) = named::<ServiceName>(&text, "bad-name", report) else { continue };
            services.insert(service.value, list(powers, report));
        }
        grants.0.entry(app.value).or_default().extend(services);
    }
}

fn list(field: &Field<'_>, report: &mut Report) -> BTreeSet<Power> {
    let mut out = BTreeSet::new();
    for item in field.items("a list of powers", report).unwrap_or_default() {
        let Some(text) = item.text(report) else { continue };
        match text.value.parse::<Power>() {
            Ok(power) => drop(out.insert(power)),
            Err(wanted) => item.wrong(report, &wanted),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_granted_and_nothing_else() {
        let text = "shop:\n  agent: [\"bind:/var/run/docker.sock\", privileged]\n  web:\n    - cap:NET_ADMIN\n";
        let grants = parse_grants("grants.yaml", text).unwrap();
        let service =
            |name: &str| grants.0[&"shop".parse().unwrap()][&name.parse().unwrap()].iter().map(Power::to_string).collect::<Vec<_>>();
        assert_eq!(service("agent"), ["bind:/var/run/docker.sock", "privileged"]);
        assert_eq!(service("web"), ["cap:NET_ADMIN"]);
        assert_eq!(parse_grants("grants.yaml", "").unwrap(), Grants::default());
    }

    #[test]
    fn a_file_with_a_mistake_grants_nothing_and_says_where() {
        for (text, line) in
            [("shop:\n  web: [root]", 2), ("shop: privileged", 1), ("shop:\n  web:\n    bind: /etc", 3), ("Shop!: {}", 1), ("a: [", 1)]
        {
            let complaints = parse_grants("grants.yaml", text).unwrap_err();
            assert_eq!(complaints[0].span.as_ref().map(|s| s.line), Some(line), "{text}: {complaints:?}");
        }
    }
}
