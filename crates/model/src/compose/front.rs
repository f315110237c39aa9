//! The keys of `x-landfall` that hold for every request an app gets from outside.

use super::filter::names;
use super::reader::{Field, Fields};
use super::report::Report;
use crate::filter::Network;
use crate::front::{AccessLog, Front};
use std::collections::BTreeSet;

/// Reads them.
pub(crate) fn read(fields: &mut Fields<'_>, report: &mut Report) -> Front {
    Front {
        trusted_proxies: fields.take("trusted_proxies").map(|f| trusted(&f, report)).unwrap_or_default(),
        access_log: fields.take("access_log").and_then(|f| access_log(&f, report)).unwrap_or_default(),
    }
}

fn trusted(field: &Field<'_>, report: &mut Report) -> BTreeSet<Network> {
    let networks: BTreeSet<Network> = names("bad-network", field, report);
    if networks.iter().any(Network::is_everybody) {
        report
            .error("bad-network", field.place(), format!("`{}` trusts everybody, so that every client could say who it is", field.path))
            .hint("list the addresses of your load balancer or CDN");
    }
    networks
}

fn access_log(field: &Field<'_>, report: &mut Report) -> Option<AccessLog> {
    if field.node.scalar().is_some() {
        let which = |text: &str| match text {
            "errors" => Some(AccessLog::default()),
            "all" => Some(AccessLog { sample: AccessLog::ALL, ..AccessLog::default() }),
            "off" => Some(AccessLog { errors: false, ..AccessLog::default() }),
            _ => None,
        };
        return field.parsed(report, "`errors`, `all`, `off`, or a mapping", which).map(|l| l.value);
    }
    let mut fields = Fields::open(field, report)?;
    let sample = fields.take("sample").and_then(|f| f.parsed(report, "a share such as `10%`", AccessLog::share));
    let query = fields.take("query").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    fields.finish(report);
    Some(AccessLog { sample: sample.map_or(0, |l| l.value), query, ..AccessLog::default() })
}
