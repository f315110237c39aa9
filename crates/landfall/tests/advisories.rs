//! Nothing is built from a version that deny.toml knows to have a hole, or from a crate it bans: the floors are held against Cargo.lock here, where no
//! advisory database is reached.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap()
}

/// `1.2.3-rc.1+x` → `[1, 2, 3]`; a release that is not out yet is older than none of its floors.
fn numbers(version: &str) -> [u64; 3] {
    let bare = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = bare.split('.').map(|part| part.parse().unwrap());
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0)]
}

/// What deny.toml bans: a crate, and below which version if not altogether.
fn bans(deny: &str) -> Vec<(String, Option<String>)> {
    let crates = deny.split("crate = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let ban = |text: &str| match text.split_once(":<") {
        Some((name, floor)) => (name.to_owned(), Some(floor.to_owned())),
        None => (text.to_owned(), None),
    };
    crates.map(ban).collect()
}

/// Name and version of every package.
fn packages(lock: &str) -> Vec<(String, String)> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    lock.split("[[package]]").skip(1).map(|block| (value(block, "name").unwrap(), value(block, "version").unwrap())).collect()
}

/// What lies below a floor. A crate that is banned outright may stand in the lock file as an option nobody takes: cargo-deny judges what is built.
fn held(deny: &str, lock: &str) -> Vec<String> {
    let packages = packages(lock);
    let bans = bans(deny);
    let under = |name: &str, version: &str, (banned, floor): &(String, Option<String>)| {
        banned == name && floor.as_ref().is_some_and(|floor| numbers(version) < numbers(floor))
    };
    packages.iter().filter(|(n, v)| bans.iter().any(|ban| under(n, v, ban))).map(|(n, v)| format!("{n} {v}")).collect()
}

#[test]
fn nothing_that_is_built_has_a_hole_that_is_known_here() {
    let (deny, lock) = (file("deny.toml"), file("Cargo.lock"));
    let floors = bans(&deny);
    assert!(floors.len() > 25 && packages(&lock).len() > 200, "they were not read: {floors:?}");
    assert!(deny.contains("as of 20"), "the floors say of which day they are");
    assert_eq!(held(&deny, &lock), Vec::<String>::new());
}

#[test]
fn an_old_version_is_found() {
    let deny = "deny = [{ crate = \"h2:<0.4.16\", reason = \"x\" }, { crate = \"ring\", reason = \"y\" }]";
    let lock = "version = 4\n[[package]]\nname = \"h2\"\nversion = \"0.4.9\"\n[[package]]\nname = \"h2\"\nversion = \"0.4.16\"\n\
        [[package]]\nname = \"ring\"\nversion = \"0.17.14\"\n[[package]]\nname = \"ringbuf\"\nversion = \"0.1.0\"\n";
    assert_eq!(held(deny, lock), ["h2 0.4.9"]);
}
