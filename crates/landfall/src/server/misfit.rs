//! Why a binary does not run on a server, from what the server's loader, shell or kernel said of it.

use crate::error::Plain;

/// What there is to say when it fails, with what was written meanwhile.
pub(super) fn explain(said: &str) -> Plain {
    let system = told(said, "landfall-system: ").map_or_else(|| "the server".to_owned(), |name| format!("the server ({name})"));
    let other = "or name a landfall that was built for it: `--binary FILE`";
    let unfit = |code, message: String| Plain::failed(code, format!("{message}; nothing was changed")).log(super::apply::last_lines(said));
    if let Some(needed) = newest_glibc(said) {
        let has = told(said, "landfall-libc: ").map(|libc| format!(" and has {libc}")).unwrap_or_default();
        return unfit("glibc-too-old", format!("this landfall needs glibc {}.{}; {system} is older{has}", needed.0, needed.1))
            .hint(format!("take a newer system (glibc 2.34 is in Debian 12 and Ubuntu 22.04), {other}"));
    }
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["Exec format error"]) {
        return unfit("binary-broken", format!("this landfall is for another processor than that of {system}"))
            .hint("name the landfall for its processor: `--binary FILE`");
    }
    if has(&["No such file or directory", "required file not found"]) {
        return unfit(
            "no-glibc",
            format!("{system} has no glibc, which this landfall needs: it may be a system with musl, such as Alpine"),
        )
        .hint(format!("take Debian or Ubuntu, {other}"));
    }
    if has(&["Permission denied"]) {
        return unfit("binary-broken", format!("{system} lets no program run from /usr/local/lib"))
            .hint("is it mounted `noexec`? `findmnt --target /usr/local/lib` tells");
    }
    unfit("binary-broken", format!("the binary does not run on {system}")).hint("run it there by hand: `landfall --version`")
}

/// The rest of the line that begins so, if it may be shown.
fn told(said: &str, begin: &str) -> Option<String> {
    let rest = said.lines().find_map(|line| line.trim().strip_prefix(begin))?;
    let shown: String = rest.trim_matches(['"', '\'']).chars().filter(|c| !c.is_control()).take(100).collect();
    (!shown.is_empty()).then_some(shown)
}

/// The newest version of glibc that is missed.
fn newest_glibc(said: &str) -> Option<(u32, u32)> {
    let missed = said.lines().filter(|line| line.contains("not found")).flat_map(|line| line.split("GLIBC_").skip(1));
    let version = |rest: &str| {
        let (major, rest) = rest.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    missed.filter_map(version).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain as _;

    #[test]
    fn what_a_loader_says_is_told_in_words() {
        let line = |v: &str| {
            format!(
                "/usr/local/lib/landfall-new.x/landfall: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_{v}' not found (required by landfall)\n"
            )
        };
        let said = line("2.9")
            + &line("2.34")
            + &line("2.32")
            + "landfall-libc: glibc 2.31\nlandfall-system: \"Debian GNU/Linux 11 (bullseye)\"\nlandfall --version: no answer\n";
        let failure = explain(&said).failure();
        assert_eq!(failure.code, "glibc-too-old");
        let want =
            "this landfall needs glibc 2.34; the server (Debian GNU/Linux 11 (bullseye)) is older and has glibc 2.31; nothing was changed";
        assert_eq!(failure.message, want);
        assert!(failure.hints[0].contains("`--binary FILE`"), "{failure:?}");
        for (said, code, words) in [
            ("timeout: failed to run command '/x/landfall': No such file or directory", "no-glibc", "musl"),
            ("/x/landfall: cannot execute binary file: Exec format error", "binary-broken", "processor"),
            ("timeout: failed to run command '/x/landfall': Permission denied", "binary-broken", "lets no program run"),
            ("", "binary-broken", "the binary does not run on the server"),
        ] {
            let failure = explain(said).failure();
            assert!(failure.code == code && failure.message.contains(words) && !failure.hints.is_empty(), "{failure:?}");
        }
    }
}
