//! How people come in: sshd's own word about its settings (`sshd -T`), with the options the running one was started with.

use super::look::{Seen, said, text_if_any};
use super::report::{Area, Check, Finding, Remedy, Severity};
use crate::supervise::is_system;
use std::collections::BTreeSet;
use std::path::Path;

const PASSWORD: Check =
    Check { id: "ssh-password", area: Area::Ssh, why: "passwords are tried by the thousand, day and night; a key cannot be guessed" };
const ROOT: Check = Check {
    id: "ssh-root",
    area: Area::Ssh,
    why: "every server has an account named root: half of what must be guessed is known, and nobody can say who it was",
};

/// Where settings go that come before all others: the first one counts.
const DROP_INS: &str = "/etc/ssh/sshd_config.d";

/// What sshd lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ssh {
    pub(super) ports: BTreeSet<u16>,
    /// Passwords, also those that PAM asks for.
    pub(super) password: bool,
    /// `yes`, `no`, `prohibit-password`, `forced-commands-only`.
    pub(super) root: String,
}

/// Asks. `None` when there is no sshd.
pub(super) async fn observe() -> Seen<Option<Ssh>> {
    let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
    let Some(sshd) = sshd else { return Ok(None) };
    let options = running();
    let mut argv = vec![sshd, "-T"];
    argv.extend(options.iter().map(String::as_str));
    Ok(Some(read(&said(&argv).await?)))
}

/// Options of settings that the listening sshd was started with; it writes them into its title.
fn running() -> Vec<String> {
    let own = std::fs::read_link("/proc/self/ns/mnt").ok();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let path = process.path();
        // One in a container has other files, and another server.
        if own.is_none() || std::fs::read_link(path.join("ns/mnt")).ok() != own {
            continue;
        }
        // The title is the process's own word, so it counts only of the system's program.
        let pid = process.file_name().to_str().and_then(|pid| pid.parse().ok());
        if !pid.is_some_and(|pid| is_system(pid, "sshd")) {
            continue;
        }
        if let Ok(Some(title)) = text_if_any(path.join("cmdline"))
            && title.contains("[listener]")
        {
            return options(&title);
        }
    }
    Vec::new()
}

/// `sshd: /usr/sbin/sshd -D -o Port=2222 [listener] 0 of 10-100 startups` → `-o Port=2222`
fn options(title: &str) -> Vec<String> {
    let words: Vec<&str> = title.split(['\0', ' ']).take_while(|word| *word != "[listener]").filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter(|pair| matches!(pair.first(), Some(&("-o" | "-f" | "-h" | "-p"))));
    pairs.flat_map(|pair| pair.iter().map(|word| (*word).to_owned())).collect()
}

fn read(text: &str) -> Ssh {
    let all = |key: &'static str| text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix(' ').map(str::trim));
    let is = |key, value| all(key).next() == Some(value);
    Ssh {
        ports: all("port").filter_map(|port| port.parse().ok()).collect(),
        password: is("passwordauthentication", "yes") || (is("kbdinteractiveauthentication", "yes") && is("usepam", "yes")),
        root: all("permitrootlogin").next().unwrap_or_default().to_owned(),
    }
}

/// Judges.
pub(super) fn judge(seen: &Seen<Option<Ssh>>) -> Vec<Finding> {
    let ssh = match seen {
        Ok(Some(ssh)) => ssh,
        Ok(None) => return vec![PASSWORD.ok("there is no sshd here"), ROOT.ok("there is no sshd here")],
        Err(why) => return vec![PASSWORD.unchecked(why), ROOT.unchecked(why)],
    };
    let write = |what: &str, name: &str, lines: &str| {
        let text = format!("{lines}\\n");
        Remedy::say(format!("{what}, after you have made sure that your own key works"))
            .run(&["install", "-d", DROP_INS])
            .run(&["printf", &text])
            .into_file(&format!("{DROP_INS}/{name}"))
            .run(&["sshd", "-t"])
            .run(&["systemctl", "reload", "ssh"])
    };
    let password = if ssh.password {
        let severity = if ssh.root == "yes" { Severity::Critical } else { Severity::Warning };
        let who = if ssh.root == "yes" { "anybody, root too, may log in with a password" } else { "users may log in with a password" };
        let lines = "PasswordAuthentication no\\nKbdInteractiveAuthentication no";
        PASSWORD.found(severity, who, vec![write("let keys in alone", "10-no-password.conf", lines)])
    } else {
        PASSWORD.ok("only keys are let in")
    };
    let root = match ssh.root.as_str() {
        "yes" => ROOT.found(
            Severity::Warning,
            "root may log in, by every way there is",
            vec![write("let root in with a key at most", "10-root-by-key.conf", "PermitRootLogin prohibit-password")],
        ),
        "no" => ROOT.ok("root may not log in"),
        "" => ROOT.unchecked("sshd does not say whether root may log in"),
        _ => ROOT.ok("root may log in with a key alone"),
    };
    vec![password, root]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severities(text: &str) -> Vec<Severity> {
        judge(&Ok(Some(read(text)))).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn settings_are_judged_as_sshd_prints_them() {
        let base = "port 22\nport 2222\nusepam yes\n";
        assert_eq!(read(base).ports, BTreeSet::from([22, 2222]));
        let set = |password, keyboard, root| {
            format!("{base}permitrootlogin {root}\npasswordauthentication {password}\nkbdinteractiveauthentication {keyboard}\n")
        };
        assert_eq!(severities(&set("no", "no", "without-password")), [Severity::Ok, Severity::Ok]);
        assert_eq!(severities(&set("yes", "no", "no")), [Severity::Warning, Severity::Ok]);
        assert_eq!(severities(&set("no", "yes", "no")), [Severity::Warning, Severity::Ok]);
        assert_eq!(severities(&set("yes", "no", "yes")), [Severity::Critical, Severity::Warning]);
        assert_eq!(judge(&Err("`sshd` failed".into())).iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Unchecked; 2]);
    }

    #[test]
    fn the_running_one_is_asked_with_its_own_options() {
        let title = "sshd: /usr/sbin/sshd -D -e -o HostKey=/keys/host -f /etc/x [listener] 0 of 10-100 startups";
        assert_eq!(options(title), ["-o", "HostKey=/keys/host", "-f", "/etc/x"]);
    }
}
