//! Disks: how full they are, and when they will be full if it goes on like that.
//!
//! The forecast is a straight line through what the agent remembered of the last two weeks. Less than a day of it is no history, and then nothing is foretold.

use super::look::{Seen, files};
use super::report::{Area, Check, Finding, Remedy, Severity};
use landfall_agent::Disk;
use landfall_model::survey::DiskSample;

const SPACE: Check =
    Check { id: "disk-space", area: Area::Machine, why: "on a full disk databases stop, logs end and no release can be made" };
const INODES: Check = Check { id: "inodes", area: Area::Machine, why: "without inodes no file can be made, though there is room" };

const DAY_MS: u64 = 24 * 3600 * 1000;
/// History the line is drawn through.
const HISTORY_MS: u64 = 14 * DAY_MS;
/// Least number of samples.
const LEAST: usize = 6;
/// Days before which a warning comes, and when it is critical.
const SOON: (f64, f64) = (14.0, 3.0);
/// Shares in use, in percent.
const FULL: (f64, f64) = (85.0, 95.0);
/// Farther than this nobody sees.
const FAR: f64 = 365.0;

/// Looks.
pub(super) async fn observe() -> Seen<Vec<Disk>> {
    files(|| landfall_agent::disks().map_err(|e| format!("the table of mounts: {e}"))).await
}

/// Judges. `history` is `None` when there is no agent that remembers.
pub(super) fn judge(disks: &Seen<Vec<Disk>>, history: Option<&[DiskSample]>, now_ms: u64) -> Vec<Finding> {
    let disks = match disks {
        Ok(disks) if disks.is_empty() => {
            return vec![SPACE.unchecked("no disk of this machine is known"), INODES.unchecked("no disk of this machine is known")];
        }
        Ok(disks) => disks,
        Err(why) => return vec![SPACE.unchecked(why), INODES.unchecked(why)],
    };
    let mut findings = Vec::new();
    for (check, of) in [(SPACE, Of::Space), (INODES, Of::Inodes)] {
        let all: Vec<Finding> = disks.iter().filter_map(|disk| one(&check, of, disk, history, now_ms)).collect();
        let (well, bad): (Vec<Finding>, Vec<Finding>) = all.into_iter().partition(|finding| finding.severity == Severity::Ok);
        let told: Vec<String> = well.into_iter().map(|finding| finding.seen).collect();
        let told = if told.is_empty() { "no disk here has a fixed number of them".to_owned() } else { told.join("; ") };
        findings.extend(check.each(bad, told));
    }
    findings
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Space,
    Inodes,
}

fn one(check: &Check, of: Of, disk: &Disk, history: Option<&[DiskSample]>, now_ms: u64) -> Option<Finding> {
    let (used, free) = match of {
        Of::Space => (disk.used, disk.free),
        Of::Inodes => (disk.inodes_used, disk.inodes_free),
    };
    if used + free == 0 {
        return None;
    }
    let share = used as f64 / (used + free) as f64 * 100.0;
    let value = |sample: &DiskSample| if of == Of::Space { sample.used } else { sample.inodes };
    let points: Vec<(u64, u64)> = history.into_iter().flatten().filter(|s| s.mount == disk.mount).map(|s| (s.at_ms, value(s))).collect();
    let days = days_left(&points, free, now_ms);
    let left = if of == Of::Space { crate::output::bytes(free) } else { free.to_string() };
    let noun = if of == Of::Space { "" } else { " inodes" };
    let forecast = match (history, days) {
        (None, _) => String::new(),
        (Some(_), Err(NoHistory)) => ", no forecast yet: it needs a day of history".to_owned(),
        (Some(_), Ok(days)) if days > FAR => ", not full within a year".to_owned(),
        (Some(_), Ok(days)) => format!(", full in about {days:.0} days"),
    };
    let seen = format!("{} is {share:.0}% full, {left}{noun} free{forecast}", disk.mount);
    let days = days.unwrap_or(f64::INFINITY);
    let severity = if share >= FULL.1 || days < SOON.1 {
        Severity::Critical
    } else if share >= FULL.0 || days < SOON.0 {
        Severity::Warning
    } else {
        return Some(check.ok(seen));
    };
    let what = match of {
        Of::Space => Remedy::say("see what fills it, and give back what nobody needs")
            .run(&["du", "-xh", "--max-depth=2", &disk.mount])
            .run(&["landfall", "prune"])
            .run(&["apt-get", "clean"])
            .run(&["journalctl", "--vacuum-size=200M"]),
        Of::Inodes => Remedy::say("see where the many small files are").run(&["du", "-x", "--inodes", "--max-depth=3", &disk.mount]),
    };
    Some(check.found(severity, seen, vec![what]))
}

/// There is too little to draw a line through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NoHistory;

/// Days until `free` is gone, by the line of least squares.
fn days_left(points: &[(u64, u64)], free: u64, now_ms: u64) -> Result<f64, NoHistory> {
    let points: Vec<(f64, f64)> = points
        .iter()
        .filter(|(at_ms, _)| *at_ms <= now_ms && now_ms - at_ms <= HISTORY_MS)
        .map(|(at_ms, used)| ((now_ms - at_ms) as f64 / -(DAY_MS as f64), *used as f64))
        .collect();
    let (first, last) = (points.first().ok_or(NoHistory)?.0, points.last().ok_or(NoHistory)?.0);
    if points.len() < LEAST || last - first < 1.0 {
        return Err(NoHistory);
    }
    let count = points.len() as f64;
    let (mean_x, mean_y) = (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let spread: f64 = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum::<f64>() / spread;
    Ok(if slope > 0.0 { free as f64 / slope } else { f64::INFINITY })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 100 * DAY_MS;
    const GB: u64 = 1_000_000_000;

    fn disk(used: u64, free: u64) -> Disk {
        Disk { mount: "/".into(), free, used, inodes_free: 1_000_000, inodes_used: 50_000 }
    }

    /// `per_day` bytes more each day, twice a day.
    fn history(days: u64, per_day: u64) -> Vec<DiskSample> {
        let sample = |n: u64| DiskSample {
            at_ms: NOW - days * DAY_MS + n * DAY_MS / 2,
            mount: "/".into(),
            used: 10 * GB + n * per_day / 2,
            inodes: 50_000,
        };
        (0..=days * 2).map(sample).collect()
    }

    fn space(disk: Disk, history: Option<&[DiskSample]>) -> Finding {
        judge(&Ok(vec![disk]), history, NOW).swap_remove(0)
    }

    #[test]
    fn a_disk_is_as_bad_as_it_is_full() {
        let severity = |used, free| space(disk(used, free), None).severity;
        assert_eq!([severity(50, 50), severity(86, 14), severity(96, 4)], [Severity::Ok, Severity::Warning, Severity::Critical]);
        let full = Disk { inodes_free: 10, ..disk(10, 90) };
        assert_eq!(judge(&Ok(vec![full]), None, NOW)[1].severity, Severity::Critical);
    }

    #[test]
    fn a_disk_that_fills_is_told_of_before_it_is_full() {
        let told = space(disk(20 * GB, 80 * GB), Some(&history(10, 8 * GB)));
        assert!(told.severity == Severity::Warning && told.seen.contains("full in about 10 days"), "{}", told.seen);
        let soon = space(disk(20 * GB, 80 * GB), Some(&history(10, 40 * GB)));
        assert_eq!(soon.severity, Severity::Critical, "{}", soon.seen);
        let calm = space(disk(20 * GB, 80 * GB), Some(&history(10, 0)));
        assert!(calm.severity == Severity::Ok && calm.seen.contains("not full within a year"), "{}", calm.seen);
    }

    #[test]
    fn without_history_nothing_is_foretold() {
        let young = space(disk(20 * GB, 80 * GB), Some(&history(1, 40 * GB)[..2]));
        assert!(young.severity == Severity::Ok && young.seen.contains("no forecast yet"), "{}", young.seen);
        assert!(!space(disk(20 * GB, 80 * GB), None).seen.contains("forecast"));
    }
}
