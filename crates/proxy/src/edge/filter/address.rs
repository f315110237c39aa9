//! Which clients may come at all, by address.

use crate::edge::refusal::Refusal;
use landfall_model::filter::{Filters, Network};
use std::net::IpAddr;

#[derive(Debug)]
pub(crate) struct Addresses {
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl Addresses {
    pub(crate) fn new(asked: &Filters) -> Self {
        Self { allow: asked.allow.iter().copied().collect(), deny: asked.deny.iter().copied().collect() }
    }

    /// Who is denied is refused even where allowed: the narrower wish is usually the later one.
    pub(crate) fn admit(&self, client: IpAddr) -> Result<(), Refusal> {
        let of = |networks: &[Network]| networks.iter().any(|network| network.contains(client));
        if of(&self.deny) || !(self.allow.is_empty() || of(&self.allow)) { Err(Refusal::Forbidden) } else { Ok(()) }
    }
}
