//! sshd says to each session with which key it was begun, so that releases and events can name the key and not only the user.
//!
//! One line in a file of our own; sshd's own file is not touched. sshd judges the line before it is kept, for one that does not start lets nobody in. What the
//! owner has said elsewhere stays.

use super::change::{Act, Change};
use super::facts::Facts;

/// sshd's own file.
pub(super) const SETTINGS: &str = "/etc/ssh/sshd_config";
/// Ours.
pub(super) const OURS: &str = "/etc/ssh/sshd_config.d/60-landfall.conf";
const TEXT: &str = "# Written by `landfall server setup`: releases and events say with which key somebody came.\nExposeAuthInfo yes\n";

/// What is missing; nothing when sshd cannot be asked, reads no files beside its own, or was told otherwise beside ours.
pub(super) fn change(facts: &Facts) -> Option<Change> {
    if facts.exposes != Some(false) || !reads_ours(facts) || facts.text(OURS) == Some(TEXT) {
        return None;
    }
    Some(Change::new(
        "have sshd tell with which key somebody came",
        "releases and events then name the key, not only the user; sshd checks the line before it is kept",
        format!("rm {OURS}, then systemctl reload ssh"),
        vec![
            Act::judged(OURS, TEXT, &["sshd", "-t"]),
            // Nothing happens to one that is started by its socket, for each login or at the first.
            Act::run(&["systemctl", "try-reload-or-restart", "--", "ssh.service"]),
        ],
    ))
}

/// What is to be said when nothing is changed and keys are not told.
pub(super) fn note(facts: &Facts) -> Option<String> {
    let told = facts.exposes == Some(false) && (!facts.systemd || change(facts).is_none());
    told.then(|| "releases and events name the user, not the SSH key: `ExposeAuthInfo yes` in sshd_config adds it".to_owned())
}

fn reads_ours(facts: &Facts) -> bool {
    let include = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("include")) && words.any(|word| word == "/etc/ssh/sshd_config.d/*.conf")
    };
    facts.text(SETTINGS).is_some_and(|text| text.lines().any(include))
}

#[cfg(test)]
mod tests {
    use super::super::facts::Path;
    use super::*;

    fn facts(exposes: bool, files: &[(&str, &str)]) -> Facts {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), Path::File { text: (*text).to_owned() });
        Facts { systemd: true, exposes: Some(exposes), paths: files.iter().map(file).collect(), ..Facts::default() }
    }

    #[test]
    fn sshd_is_told_where_it_listens_to_us_and_never_against_its_owner() {
        let debian = (SETTINGS, "# first\nInclude /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n");
        assert!(change(&facts(false, &[debian])).is_some());
        assert_eq!(note(&facts(false, &[debian])), None);
        assert_eq!(change(&facts(true, &[debian])), None, "it does already");
        assert_eq!(change(&Facts::default()), None, "nobody knows");
        for alone in [facts(false, &[(SETTINGS, "UsePAM yes\n")]), facts(false, &[debian, (OURS, TEXT)])] {
            assert_eq!(change(&alone), None);
            assert!(note(&alone).unwrap().contains("ExposeAuthInfo yes"));
        }
    }
}
