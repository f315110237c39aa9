//! `ipam.config`: pools of addresses are merged by their subnet.
//!
//! Compose holds every pool of the later file against every pool of the earlier one, and writes into the earlier while it goes on. The result
//! for pools that repeat a subnet follows from that order, and so the order is kept here.

use super::Merger;
use crate::compose::node::{Kind, Node, Value};

/// A pool of the result: one of the earlier file's, which may still change, or one of the later's.
#[derive(Clone, Copy)]
enum Pool {
    Base(usize),
    Over(usize),
}

pub(super) fn merge(merger: &mut Merger<'_>, base: Node, over: Node) -> Node {
    let pools = |node: &Node| node.items().iter().all(|i| matches!(i.value, Value::Map(_)));
    if !matches!((&base.value, &over.value), (Value::List(_), Value::List(_))) || !pools(&base) || !pools(&over) {
        return merger.cannot(base, &over);
    }
    let place = over.place;
    let mut bases = base.items().to_vec();
    let overs = over.items();
    let mut result: Vec<Pool> = Vec::new();
    for i in 0..bases.len() {
        for (j, over) in overs.iter().enumerate() {
            let found = |bases: &[Node], wanted: &Option<String>| {
                let of = |pool: &Pool| match pool {
                    Pool::Base(i) => bases.get(*i),
                    Pool::Over(j) => overs.get(*j),
                };
                result.iter().position(|pool| of(pool).map(subnet).as_ref() == Some(wanted))
            };
            let wanted = subnet(over);
            let Some(slot) = bases.get_mut(i) else { continue };
            if subnet(slot) != wanted && found(&bases, &wanted).is_none() {
                result.push(Pool::Over(j));
                continue;
            }
            let Some(slot) = bases.get_mut(i) else { continue };
            let old = std::mem::replace(slot, Node::made(place, Kind::Null, ""));
            let merged = merger.maps(old, over.clone());
            let wanted = subnet(&merged);
            *slot = merged;
            let found = |bases: &[Node]| {
                let of = |pool: &Pool| match pool {
                    Pool::Base(i) => bases.get(*i),
                    Pool::Over(j) => overs.get(*j),
                };
                result.iter().position(|pool| of(pool).map(subnet).as_ref() == Some(&wanted))
            };
            match found(&bases).and_then(|at| result.get_mut(at)) {
                Some(pool) => *pool = Pool::Base(i),
                None => result.push(Pool::Base(i)),
            }
        }
    }
    let items = result.iter().filter_map(|pool| match pool {
        Pool::Base(i) => bases.get(*i).cloned(),
        Pool::Over(j) => overs.get(*j).cloned(),
    });
    Node::list(place, items.collect())
}

fn subnet(pool: &Node) -> Option<String> {
    pool.get("subnet").and_then(Node::scalar).map(|s| s.text.clone())
}
