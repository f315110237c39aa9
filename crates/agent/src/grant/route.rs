//! Ranges that the host reaches by its own interfaces, from the kernel's tables (proc(5): `/proc/net/route`, `/proc/net/ipv6_route`).

use landfall_model::filter::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Interfaces of container engines: what is reached by them is their networks.
const ENGINE: [&str; 4] = ["br-", "docker", "veth", "cni"];

/// Those ranges, but for the default routes, which are everything.
pub(super) fn of_host() -> Vec<Network> {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let mut ranges = ipv4(&read("/proc/net/route"));
    ranges.extend(ipv6(&read("/proc/net/ipv6_route")));
    ranges
}

fn is_engines(interface: &str) -> bool {
    ENGINE.iter().any(|prefix| interface.starts_with(prefix))
}

/// `eth0 0001A8C0 00000000 … 00FFFFFF …`: interface, destination and mask in the machine's order of bytes.
fn ipv4(table: &str) -> Vec<Network> {
    let range = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok().map(|bits| Ipv4Addr::from(bits.to_ne_bytes()));
        let bits = address(7)?.to_bits().leading_ones();
        let wanted = !is_engines(words.first()?) && bits > 0;
        wanted.then(|| format!("{}/{bits}", IpAddr::V4(address(1)?)).parse().ok())?
    };
    table.lines().skip(1).filter_map(range).collect()
}

/// `20010db8… 40 … eth0`: destination, length of its prefix, …, interface.
fn ipv6(table: &str) -> Vec<Network> {
    let range = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = Ipv6Addr::from(u128::from_str_radix(words.first()?, 16).ok()?);
        let bits = u8::from_str_radix(words.get(1)?, 16).ok()?;
        let wanted = !is_engines(words.last()?) && bits > 0 && !address.is_loopback() && !address.is_unicast_link_local();
        wanted.then(|| format!("{address}/{bits}").parse().ok())?
    };
    table.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_ranges_are_read_and_the_engines_are_left_out() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n\
                  eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\n\
                  eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n\
                  br-12ab\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\nbroken\n";
        if cfg!(target_endian = "little") {
            assert_eq!(ipv4(v4), ["192.168.1.0/24".parse().unwrap()]);
        }
        let v6 = "fd000000000000000000000000000000 40 0 0 0 0 0 0 0 eth0\n\
                  fe800000000000000000000000000000 40 0 0 0 0 0 0 0 eth0\n\
                  00000000000000000000000000000000 00 0 0 0 0 0 0 0 eth0\n\
                  fd010000000000000000000000000000 40 0 0 0 0 0 0 0 docker0\n";
        assert_eq!(ipv6(v6), ["fd00::/64".parse().unwrap()]);
    }
}
