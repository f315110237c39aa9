//! Holes of the engine and of what it is made of, with the releases that close them.
//!
//! A table, because the doctor asks nobody outside; its date is told with what it says. Sources: the advisories of moby/moby and opencontainers/runc and the
//! release notes they name. Only holes that matter to a server like ours are in it: none of Docker Desktop, Windows, Swarm or the CRI.

/// When the table was last compared with its sources.
pub(super) const DATE: &str = "2026-11-21";

/// A hole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advisory {
    /// Several when the same releases close them.
    pub(super) ids: &'static str,
    /// As the engine calls the part: `Engine`, `runc`.
    pub(super) part: &'static str,
    /// First release that has it; empty for all.
    since: &'static str,
    /// Releases that close it, the oldest first: each for its own line, and all after the last.
    pub(super) fixed: &'static [&'static str],
    /// What it lets happen.
    pub(super) what: &'static str,
    /// A container or image can become root of the server by it.
    pub(super) grave: bool,
}

const TABLE: [Advisory; 11] = [
    Advisory {
        ids: "CVE-2024-21626",
        part: "runc",
        since: "",
        fixed: &["1.1.12"],
        what: "an image can get out of its container by a descriptor that runc left open",
        grave: true,
    },
    Advisory {
        ids: "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881",
        part: "runc",
        since: "",
        fixed: &["1.2.8", "1.3.3"],
        what: "a container can write into the kernel's files of the server and become its root",
        grave: true,
    },
    Advisory {
        ids: "CVE-2026-41579",
        part: "runc",
        since: "",
        fixed: &["1.3.6", "1.4.3"],
        what: "an image whose /dev is a link can write to a few places of the server",
        grave: false,
    },
    Advisory {
        ids: "CVE-2024-24557",
        part: "Engine",
        since: "",
        fixed: &["24.0.9", "25.0.2"],
        what: "the classic builder can be made to take another's layer for its own",
        grave: false,
    },
    Advisory {
        ids: "CVE-2024-29018",
        part: "Engine",
        since: "",
        fixed: &["23.0.11", "25.0.5", "26.0.0"],
        what: "containers of internal networks can ask name servers outside",
        grave: false,
    },
    Advisory {
        ids: "CVE-2024-32473",
        part: "Engine",
        since: "26.0.0",
        fixed: &["26.0.2"],
        what: "containers get IPv6 on networks that have none",
        grave: false,
    },
    Advisory {
        ids: "CVE-2024-41110",
        part: "Engine",
        since: "",
        fixed: &["25.0.6", "26.1.5", "27.1.1"],
        what: "a request can pass by an authorization plugin",
        grave: false,
    },
    Advisory {
        ids: "CVE-2025-54410",
        part: "Engine",
        since: "",
        fixed: &["25.0.13", "28.0.0"],
        what: "a reload of firewalld takes the walls between networks away",
        grave: false,
    },
    Advisory {
        ids: "CVE-2025-54388",
        part: "Engine",
        since: "28.2.0",
        fixed: &["28.3.3"],
        what: "a reload of firewalld opens ports that were published for this machine alone",
        grave: false,
    },
    Advisory {
        ids: "CVE-2026-34040, CVE-2026-33997",
        part: "Engine",
        since: "",
        fixed: &["29.3.1"],
        what: "a large request can pass by an authorization plugin, and a plugin get rights nobody gave it",
        grave: false,
    },
    Advisory {
        ids: "CVE-2026-41567, CVE-2026-41568, CVE-2026-42306",
        part: "Engine",
        since: "",
        fixed: &["29.5.1"],
        what: "copying into a container runs the image's own programs as root of the server (Landfall never copies that way; `docker cp` does)",
        grave: true,
    },
];

/// Holes that a version of a part has. `None` for a version that cannot be read.
pub(super) fn of(part: &str, version: &str) -> Option<Vec<&'static Advisory>> {
    let version = number(version)?;
    let open = |advisory: &&Advisory| {
        let fixes: Vec<[u32; 3]> = advisory.fixed.iter().filter_map(|fixed| number(fixed)).collect();
        let old = number(advisory.since).is_none_or(|since| version >= since);
        let closed =
            fixes.last().is_some_and(|last| version >= *last) || fixes.iter().any(|fix| fix[..2] == version[..2] && version >= *fix);
        old && !closed
    };
    Some(TABLE.iter().filter(|advisory| advisory.part == part).filter(open).collect())
}

/// `28.2.2`, `1.1.5+ds1`, `v2.1.5`, `29.0.0-rc.1`
fn number(text: &str) -> Option<[u32; 3]> {
    let plain: String = text.trim_start_matches('v').chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let mut parts = plain.split('.').map(str::parse::<u32>);
    Some([parts.next()?.ok()?, parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(part: &str, version: &str) -> Vec<&'static str> {
        of(part, version).unwrap().into_iter().map(|advisory| advisory.ids.split(',').next().unwrap()).collect()
    }

    #[test]
    fn a_fix_counts_for_its_own_line_and_for_all_after_the_last() {
        assert_eq!(ids("Engine", "29.5.1"), [""; 0]);
        assert_eq!(ids("Engine", "30.0.0"), [""; 0]);
        assert_eq!(ids("Engine", "28.3.3"), ["CVE-2026-34040", "CVE-2026-41567"]);
        assert_eq!(ids("Engine", "28.2.2"), ["CVE-2025-54388", "CVE-2026-34040", "CVE-2026-41567"]);
        assert_eq!(ids("Engine", "25.0.13"), ["CVE-2026-34040", "CVE-2026-41567"]);
        assert!(ids("Engine", "26.0.9").contains(&"CVE-2024-41110") && !ids("Engine", "26.1.5").contains(&"CVE-2024-41110"));
        assert!(ids("Engine", "26.0.1").contains(&"CVE-2024-32473") && !ids("Engine", "25.0.1").contains(&"CVE-2024-32473"));
        assert_eq!(ids("runc", "1.2.8"), ["CVE-2026-41579"]);
        assert_eq!(ids("runc", "1.1.11"), ["CVE-2024-21626", "CVE-2025-31133", "CVE-2026-41579"]);
        assert_eq!(ids("runc", "1.4.3"), [""; 0]);
        assert!(of("Engine", "dev").is_none());
    }

    #[test]
    fn the_table_can_be_read() {
        for advisory in TABLE {
            assert!(advisory.ids.split(", ").all(|id| id.starts_with("CVE-20")), "{advisory:?}");
            let fixes: Vec<[u32; 3]> = advisory.fixed.iter().map(|fixed| number(fixed).unwrap()).collect();
            assert!(!fixes.is_empty() && fixes.is_sorted(), "{advisory:?}");
            assert!(advisory.since.is_empty() || number(advisory.since).is_some(), "{advisory:?}");
        }
    }
}
