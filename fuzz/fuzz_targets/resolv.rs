//! `resolv.conf`: no more servers than resolvers use, all at the port of names, in the order they are listed; written out they are read again.

#![no_main]

use landfall_proxy::fuzzing::name_servers;

landfall_fuzz::fuzz!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let servers = name_servers(&text);
    assert!(servers.len() <= 3 && servers.iter().all(|server| server.port() == 53));
    let listed = text.lines().filter(|line| line.trim_start().starts_with("nameserver")).count();
    assert!(servers.len() <= listed);
    let written: String = servers.iter().map(|server| format!("nameserver {}\n", server.ip())).collect();
    assert_eq!(name_servers(&written), servers);
});
