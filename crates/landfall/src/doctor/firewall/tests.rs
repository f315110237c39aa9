//! Rules as the tools print them.

use super::*;

fn reached(wall: &Firewall, port: u16) -> Option<bool> {
    Seen::Known(wall.clone()).lets_in(false, port, false)
}

#[test]
fn the_table_of_server_setup_is_understood() {
    let wall = nft("table inet landfall {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		ct state invalid drop
		iifname \"lo\" accept
		iifname { \"docker0\", \"br-*\" } accept
		meta l4proto { icmp, ipv6-icmp } accept
		udp dport 546 ip6 saddr fe80::/10 accept
		tcp dport { 22, 80, 443, 2222 } accept
	}
}");
    assert!(wall.closed && wall.closed_v6 && !wall.vague, "{wall:?}");
    assert_eq!(wall.told(), "22, 80, 443, 2222");
    assert_eq!([22, 443, 5432].map(|port| reached(&wall, port)), [Some(true), Some(true), Some(false)]);
    assert_eq!(judge(&Seen::Known(wall), true)[0].severity, Severity::Ok);
}

#[test]
fn rules_of_ufw_behind_jumps_are_followed() {
    let wall = nft("table ip filter {
	chain ufw-user-input {
		tcp dport 22 counter packets 4 bytes 240 accept
		udp dport 60000-61000 counter packets 0 bytes 0 accept
		ip saddr 10.0.0.0/8 tcp dport 5432 counter packets 0 bytes 0 accept
	}
	chain ufw-before-input {
		iifname \"lo\" counter packets 1 bytes 1 accept
		counter packets 9 bytes 9 jump ufw-user-input
	}
	chain INPUT {
		type filter hook input priority filter; policy drop;
		counter packets 10 bytes 10 jump ufw-before-input
	}
}");
    assert!(wall.closed && !wall.closed_v6 && !wall.vague, "{wall:?}");
    assert_eq!(wall.told(), "22, 60000-61000/udp");
    let told = judge(&Seen::Known(wall), true);
    assert!(told[0].severity == Severity::Warning && told[0].seen.contains("not for IPv6"), "{told:?}");
}

#[test]
fn a_last_rule_closes_like_a_policy_and_an_early_one_opens_all() {
    let closed = nft(
        "table inet f {\nchain input {\ntype filter hook input priority 0; policy accept;\ntcp dport 22 accept\nreject with icmpx port-unreachable\n}\n}",
    );
    assert!(closed.closed && reached(&closed, 80) == Some(false), "{closed:?}");
    let open = nft("table inet f {\nchain input {\ntype filter hook input priority 0; policy drop;\naccept\n}\n}");
    assert!(!open.closed && reached(&open, 80) == Some(true), "{open:?}");
    let forward = nft("table inet f {\nchain forward {\ntype filter hook forward priority 0; policy drop;\n}\n}");
    assert!(!forward.closed, "{forward:?}");
}

#[test]
fn iptables_is_read_with_its_own_words() {
    let v4 = "-P INPUT DROP\n-P FORWARD ACCEPT\n-N own\n-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p icmp -j ACCEPT\n-A INPUT -j own\n-A own -p tcp -m multiport --dports 22,8000:8010 -j ACCEPT\n-A own -s 192.0.2.0/24 -p tcp -m tcp --dport 5432 -j ACCEPT\n";
    let wall = iptables(v4, "-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n");
    assert!(wall.closed && wall.closed_v6 && !wall.vague, "{wall:?}");
    assert_eq!(wall.told(), "22, 443, 8000-8010");
    assert_eq!(reached(&wall, 5432), Some(false));
    assert!(!iptables("-P INPUT ACCEPT\n", "-P INPUT ACCEPT\n").closed);
}

#[test]
fn ufw_is_read_as_it_lists_itself() {
    let text = "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n\nTo                         Action      From\n--                         ------      ----\n22/tcp (OpenSSH)           ALLOW IN    Anywhere\n80,443/tcp                 ALLOW IN    Anywhere\n5432/tcp                   ALLOW IN    10.0.0.0/8\n9090                       DENY IN     Anywhere\n22/tcp (v6)                ALLOW IN    Anywhere (v6)\n";
    let wall = ufw(text).unwrap();
    assert_eq!(wall.told(), "22, 80, 443");
    assert!(wall.closed && !wall.vague, "{wall:?}");
    assert_eq!(ufw("Status: inactive\n"), None);
}

#[test]
fn what_cannot_be_followed_is_not_known_instead_of_closed() {
    let wall = nft("table inet f {\nchain input {\ntype filter hook input priority 0; policy drop;\nmeta mark 7 accept\n}\n}");
    assert!(wall.vague && reached(&wall, 5432).is_none(), "{wall:?}");
    assert_eq!(Seen::Unknown("no".into()).lets_in(false, 1, false), None);
    assert_eq!(judge(&Seen::Unknown("`nft` failed".into()), true)[0].severity, Severity::Unchecked);
}

#[test]
fn without_a_firewall_a_machine_is_warned_of_and_a_container_told() {
    let none = Seen::Known(Firewall::default());
    assert_eq!(judge(&none, true)[0].severity, Severity::Warning);
    assert_eq!(judge(&none, false)[0].severity, Severity::Note);
    assert_eq!(none.lets_in(false, 5432, false), Some(true));
}
