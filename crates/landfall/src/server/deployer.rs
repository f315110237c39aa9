//! A key that may deploy some apps and nothing else: `server setup --deployer KEY --app NAME`.
//!
//! It becomes a line in the authorized_keys of a user of its own, who is a member of the agent's group and logs in for nothing but this. The line has sshd
//! run `agent-stdio` for those apps whatever is asked for, without terminal, forwarding or start files; the file and the directories above it are root's, so nobody who
//! comes by such a key can add another. What it rests on is told in docs/guides/ssh.md.

mod key;

pub use key::Deployer;

use super::change::{Act, Change};
use super::facts::Facts;
use super::generation;
use super::plan::GROUP;
use landfall_agent::DEPLOYER;

/// Of that user. Nothing else lies there.
const HOME: &str = "/var/lib/landfall-deployer";
/// Its keys.
pub(super) const KEYS: &str = "/var/lib/landfall-deployer/.ssh/authorized_keys";

/// What is missing for it. One that is there already, for other apps, is replaced.
pub(super) fn change(facts: &Facts, deployer: &Deployer) -> Option<Change> {
    if !deployer.is_good() {
        return None;
    }
    let before = facts.text(KEYS).unwrap_or_default();
    let others = before.lines().filter(|line| !line.split_ascii_whitespace().any(|word| word == deployer.key()));
    let text: String = others.map(|line| format!("{line}\n")).chain([deployer.line(generation::COMMAND)]).collect();
    let mut acts = Vec::new();
    if !facts.deployer {
        // `*` is no password, and no lock either: a locked account is turned away by some sshd, with a key too.
        let shell = ["--no-create-home", "--shell", "/bin/sh", "--password", "*"];
        let user = ["useradd", "--system", "--gid", GROUP, "--home-dir", HOME];
        acts.push(Act::run(&[&user[..], &shell, &["--", DEPLOYER]].concat()));
    }
    if text != before {
        for path in [HOME, HOME_SSH] {
            acts.push(Act::Directory { path: path.to_owned(), mode: 0o755 });
        }
        acts.push(Act::file(KEYS, text));
    }
    (!acts.is_empty()).then(|| {
        Change::new(
            format!("let a key deploy {} as `{DEPLOYER}`, and nothing else", deployer.names()),
            "whoever has it gets no shell and no other app: sshd runs one command for it, and the agent refuses whatever is about another app",
            format!("take the line of the key out of {KEYS}"),
            acts,
        )
    })
}

/// Between the two.
const HOME_SSH: &str = "/var/lib/landfall-deployer/.ssh";

#[cfg(test)]
mod tests {
    use super::super::facts::Path;
    use super::*;
    use landfall_model::name::AppName;

    fn apps(names: &[&str]) -> Vec<AppName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn keys(facts: &Facts, deployer: &Deployer) -> Option<String> {
        let change = change(facts, deployer)?;
        change.acts.into_iter().find_map(|act| if let Act::File { path, text, .. } = act { (path == KEYS).then_some(text) } else { None })
    }

    #[test]
    fn a_key_gets_one_line_and_a_second_time_other_apps() {
        let ci = Deployer::parse("ssh-ed25519 AAAAC3Nz ci@example\n", &apps(&["shop", "shop-staging"])).unwrap();
        let mut facts = Facts::default();
        let first = keys(&facts, &ci).unwrap();
        let forced = "restrict,command=\"/usr/local/bin/landfall agent-stdio --app shop --app shop-staging\" ssh-ed25519 AAAAC3Nz\n";
        assert_eq!(first, forced);
        facts.deployer = true;
        facts.paths.insert(KEYS.into(), Path::File { text: format!("# mine\n{first}") });
        let other = Deployer::parse("ssh-rsa AAAAB3Nz", &apps(&["billing"])).unwrap();
        assert_eq!(keys(&facts, &other).unwrap(), format!("# mine\n{forced}{}", other.line(generation::COMMAND)));
        let less = Deployer::parse("ssh-ed25519 AAAAC3Nz", &apps(&["shop"])).unwrap();
        assert_eq!(keys(&facts, &less).unwrap(), format!("# mine\n{}", less.line(generation::COMMAND)));
        facts.paths.insert(KEYS.into(), Path::File { text: first });
        assert_eq!(change(&facts, &ci), None);
    }

    #[test]
    fn nothing_but_a_key_gets_into_the_file() {
        let shop = apps(&["shop"]);
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 BBBB",
            "ssh-ed25519 AAAA\nssh-ed25519 AAAB",
            "command=\"/bin/sh\" ssh-ed25519 AAAA",
            "ssh-dss AAAA",
            "ssh-ed25519 AAAA\",command=\"sh",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ] {
            assert!(Deployer::parse(bad, &shop).is_err(), "{bad:?}");
        }
        assert!(Deployer::parse("ssh-ed25519 AAAA", &[]).is_err());
        let forged = serde_json::json!({"kind": "ssh-ed25519", "key": "AAAA\nssh-ed25519 AAAB", "apps": ["shop"]});
        let forged: Deployer = serde_json::from_value(forged).unwrap();
        assert_eq!(change(&Facts::default(), &forged), None);
    }
}
