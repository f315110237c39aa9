//! The keys of `x-landfall` that hold for every request an app gets from outside.

use super::filter::names;
use super::reader::{Field, Fields};
use super::report::Report;
use crate::filter::Network;
use crate::front::Front;
use std::collections::BTreeSet;

/// Reads them.
pub(crate) fn read(fields: &mut Fields<'_>, report: &mut Report) -> Front {
    Front { trusted_proxies: fields.take("trusted_proxies").map(|f| trusted(&f, report)).unwrap_or_default() }
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
