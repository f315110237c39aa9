//! Addresses clients come from: one, or all that begin with the same bits.

use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// True if it is every address of its kind.
    pub fn is_everybody(&self) -> bool {
        self.bits == 0
    }

    /// True if all of `other` is of it.
    pub fn covers(&self, other: &Network) -> bool {
        self.bits <= other.bits && self.address.is_ipv4() == other.address.is_ipv4() && self.contains(other.address)
    }

    /// True if they have addresses in common.
    pub fn overlaps(&self, other: &Network) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// True if `client` is of it. An IPv4 client that came by an IPv6 socket is an IPv4 client.
    pub fn contains(&self, client: IpAddr) -> bool {
        match (self.address, client.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(client)) => {
                mask(network.to_bits().into(), 96 + self.bits) == mask(client.to_bits().into(), 96 + self.bits)
            }
            (IpAddr::V6(network), IpAddr::V6(client)) => mask(network.to_bits(), self.bits) == mask(client.to_bits(), self.bits),
            _ => false,
        }
    }
}

/// The first `bits` of 128.
fn mask(address: u128, bits: u8) -> u128 {
    Ipv6Addr::from_bits(address & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)).to_bits()
}

impl FromStr for Network {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::new("address or network", text, "`192.0.2.1`, `10.0.0.0/8` or `2001:db8::/32`");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let plain = |bits: &&str| !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        let bits = match bits {
            None => most,
            Some(bits) => Some(bits).filter(plain).and_then(|b| b.parse().ok()).filter(|b| *b <= most).ok_or_else(wrong)?,
        };
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Network {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_their_first_bits() {
        let has = |network: &str, client: &str| network.parse::<Network>().unwrap().contains(client.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.1.2.3/8", "10.9.9.9"), "the rest does not count");
        assert!(has("192.0.2.1", "192.0.2.1") && !has("192.0.2.1", "192.0.2.2"));
        assert!(has("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(has("0.0.0.0/0", "203.0.113.9") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("::/0", "2001:db8::1") && !has("::/0", "10.0.0.1"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "a", "10.0.0.0/+8", "10.0.0.0/8/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
