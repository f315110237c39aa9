//! The clock: whether somebody keeps it right, and how far it is from that of whoever asks. Nobody outside is asked.

use super::look::{Seen, said};
use super::report::{Area, Check, Finding, Remedy, Severity};
use std::path::Path;

const CLOCK: Check = Check {
    id: "clock",
    area: Area::Machine,
    why: "certificates, tokens and logins are good from one moment to another, and logs of several machines are read by their times",
};
/// Farther apart than this two clocks cannot both be right: the connection takes less.
const APART_MS: u64 = 5_000;

/// What is known of it.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// Somebody keeps it right.
    kept: Seen<bool>,
    /// How far it is ahead of the asking machine's, milliseconds.
    ahead_ms: Option<i64>,
}

/// Looks. `asked_ms` is the asking machine's clock at the moment of asking, `heard_ms` ours when we heard it.
pub(super) async fn observe(asked_ms: Option<u64>, heard_ms: u64) -> Clock {
    let ahead_ms =
        asked_ms.map(|asked| i64::try_from(heard_ms).unwrap_or(i64::MAX).saturating_sub(i64::try_from(asked).unwrap_or(i64::MAX)));
    Clock { kept: kept().await, ahead_ms }
}

async fn kept() -> Seen<bool> {
    if Path::new("/run/systemd/system").is_dir()
        && let Ok(text) = said(&["timedatectl", "show", "--property=NTPSynchronized"]).await
        && let Some(word) = text.trim().strip_prefix("NTPSynchronized=")
    {
        return Ok(word == "yes");
    }
    match said(&["chronyc", "-n", "tracking"]).await {
        Ok(text) => Ok(text.lines().any(|line| line.starts_with("Leap status") && line.trim_end().ends_with("Normal"))),
        Err(_) => {
            Err("neither systemd nor chrony says whether somebody keeps it right; a container has the clock of the machine around it"
                .to_owned())
        }
    }
}

/// Judges.
pub(super) fn judge(clock: &Clock) -> Vec<Finding> {
    let mut findings = Vec::new();
    let keep = || Remedy::say("let systemd keep it right").run(&["timedatectl", "set-ntp", "true"]);
    if let Some(ahead) = clock.ahead_ms.filter(|ahead| ahead.unsigned_abs() > APART_MS) {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        findings.push(CLOCK.found(
            Severity::Warning,
            format!("it is {} s {side} the clock of the machine that asks; one of the two is wrong", ahead.unsigned_abs() / 1000),
            vec![keep()],
        ));
    }
    match &clock.kept {
        Ok(true) => {}
        Ok(false) => findings.push(CLOCK.found(Severity::Warning, "nobody keeps it right", vec![keep()])),
        Err(why) => findings.push(CLOCK.unchecked(why)),
    }
    CLOCK.each(findings, "it is kept right")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn two_clocks_that_disagree_are_told_of() {
        let now = 1_800_000_000_000;
        for (asked, want) in [(now, 0), (now - 4_000, 0), (now - 60_000, 1), (now + 60_000, 1)] {
            let clock = Clock { kept: Ok(true), ..observe(Some(asked), now).await };
            let bad = judge(&clock).iter().filter(|f| f.severity == Severity::Warning).count();
            assert_eq!(bad, want, "{asked}");
        }
        assert_eq!(observe(None, now).await.ahead_ms, None);
    }

    #[test]
    fn a_clock_that_nobody_keeps_is_told_of() {
        let severity = |kept| judge(&Clock { kept, ahead_ms: Some(0) })[0].severity;
        assert_eq!(
            [severity(Ok(true)), severity(Ok(false)), severity(Err("no".into()))],
            [Severity::Ok, Severity::Warning, Severity::Unchecked]
        );
    }
}
