//! A public key that becomes a line of authorized_keys. Whatever is given, as the text of a file or as JSON, the line is one line, has sshd run one command, and
//! names the apps and nothing else.

#![no_main]

#[path = "../../crates/landfall/src/server/deployer/key.rs"]
#[allow(dead_code)]
mod key;

use key::Deployer;
use landfall_model::name::AppName;
use std::sync::LazyLock;

const COMMAND: &str = "/usr/local/bin/landfall";
static APPS: LazyLock<Vec<AppName>> = LazyLock::new(|| ["shop", "shop-staging"].map(|name| name.parse().expect("a name")).to_vec());

/// The two words behind the options, as sshd splits a line: blanks within quotes split nothing, and a quote is escaped by a backslash.
fn words(line: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(|c: char| {
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        !quoted && matches!(c, ' ' | '\t')
    })
    .collect()
}

fn check(deployer: &Deployer) {
    let line = deployer.line(COMMAND);
    let text = line.strip_suffix('\n').expect("a line ends");
    assert!(text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{text:?} is more than a line");
    let [options, kind, key] = words(text)[..] else { panic!("{text:?} is not options, kind and key") };
    let command = options.strip_prefix("restrict,command=\"").and_then(|rest| rest.strip_suffix('"')).expect("restricted to a command");
    let apps = command.strip_prefix("/usr/local/bin/landfall agent-stdio").expect("its command");
    assert!(!apps.is_empty() && !command.contains(['"', '\\', '$', '`', ';', '&', '|', '\'', '(']), "{command:?}");
    for pair in apps.split(" --app ").skip(1) {
        assert!(pair.parse::<AppName>().is_ok(), "{pair:?} is no app");
    }
    assert!((kind.starts_with("ssh-") || kind.starts_with("ecdsa-sha2-") || kind.starts_with("sk-")) && key.starts_with("AAAA"));
    // What is written is a key again, the same.
    assert!(Deployer::parse(&format!("{kind} {key}"), &APPS).is_ok());
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(deployer) = Deployer::parse(text, &APPS) {
        check(&deployer);
        assert!(text.contains(deployer.key()));
    }
    if let Ok(deployer) = serde_json::from_str::<Deployer>(text)
        && deployer.is_good()
    {
        check(&deployer);
    }
});
