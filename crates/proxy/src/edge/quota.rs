//! How many connections and requests under way one client address has, so that none can take them all.
//!
//! Each worker counts for itself: nothing is shared between threads, and the limit of a proxy is that of a worker times the workers, at
//! most. An IPv6 client commands a whole /64, so that counts as one address. The table holds no more entries than there are
//! connections or requests.
//! Loopback is an address like others; only the listeners that stand for services are not counted, because every call there comes from it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

/// The connections of one worker by address, or its requests.
#[derive(Debug)]
pub(crate) struct Quota {
    limit: u32,
    held: RefCell<HashMap<IpAddr, u32>>,
    refused: Cell<u32>,
}

/// One connection's or request's part of its address's quota; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    quota: Rc<Quota>,
    address: IpAddr,
}

impl Quota {
    /// At most `limit` for each address.
    pub(crate) fn new(limit: u32) -> Rc<Self> {
        Rc::new(Self { limit, held: RefCell::default(), refused: Cell::new(0) })
    }

    /// Room for one more from `peer`; nothing if it has as many as it may.
    pub(crate) fn take(self: &Rc<Self>, peer: IpAddr) -> Option<Share> {
        let address = network(peer);
        let mut held = self.held.borrow_mut();
        let count = held.entry(address).or_default();
        if *count >= self.limit {
            self.refused.set(self.refused.get().saturating_add(1));
            return None;
        }
        *count += 1;
        Some(Share { quota: Rc::clone(self), address })
    }

    /// How many were refused since the last call.
    pub(crate) fn refused(&self) -> u32 {
        self.refused.take()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.quota.held.borrow_mut();
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

/// What counts as one address.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// The /48 around an IPv6 address, which is what one customer of a provider may have.
pub(crate) fn wide_network(peer: IpAddr) -> Option<IpAddr> {
    match peer.to_canonical() {
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() & !(u128::MAX >> 48)).into()),
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_has_enough_keeps_no_other_out() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let quota = Quota::new(2);
        let one = quota.take(ip("192.0.2.1")).unwrap();
        let two = quota.take(ip("::ffff:192.0.2.1")).unwrap();
        assert!(quota.take(ip("192.0.2.1")).is_none());
        assert_eq!((quota.refused(), quota.refused()), (1, 0));
        let other = quota.take(ip("192.0.2.2")).unwrap();
        drop(one);
        let again = quota.take(ip("192.0.2.1")).unwrap();
        drop((two, other, again));
        assert!(quota.held.borrow().is_empty(), "nothing is remembered of those who left");

        let _same = [quota.take(ip("2001:db8::1")).unwrap(), quota.take(ip("2001:db8::2")).unwrap()];
        assert!(quota.take(ip("2001:db8::3")).is_none());
        assert!(quota.take(ip("2001:db8:0:1::3")).is_some());
    }
}
