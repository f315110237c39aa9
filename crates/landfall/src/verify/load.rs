//! A short load: enough to see whether an answer fails when several are wanted at once, too little to hurt.

use super::target::{Expect, Host, Place, Target};
use super::wire::{Dialer, WireError};
use super::{Asked, Finding};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// No load lasts longer.
const LONGEST: Duration = Duration::from_secs(120);

/// What one connection saw.
#[derive(Default)]
struct Seen {
    took: Vec<Duration>,
    statuses: BTreeMap<u16, u32>,
    broken: Vec<String>,
}

/// So many requests over so many connections, for the first place that everybody may ask for.
pub async fn look(dialer: &Dialer, target: &Target, host: &Host, asked: &Asked, tell: &mut dyn FnMut(Finding)) {
    if asked.requests == 0 {
        return;
    }
    let may = |place: &&Place| place.open && matches!(place.expect, Expect::Success | Expect::Answer) && !place.websocket;
    // The page that people see first, if there is one.
    let first = host.places.iter().filter(may).min_by_key(|place| (place.path != "/", place.path.len()));
    let Some(place) = first else {
        return tell(Finding::skipped("load", host.url(target.secure, ""), "no route is open to everybody without a rate limit"));
    };
    let at = host.url(target.secure, &place.path);
    let visitor = Visitor { dialer, host, secure: target.secure, path: &place.path, began: Instant::now() };
    let visitor = &visitor;
    let each = (0..asked.concurrency).map(|index| {
        let share = asked.requests / asked.concurrency + u32::from(index < asked.requests % asked.concurrency);
        visitor.ask(share)
    });
    let mut all = Seen::default();
    for seen in futures_util::future::join_all(each).await {
        all.took.extend(seen.took);
        all.broken.extend(seen.broken);
        for (status, count) in seen.statuses {
            *all.statuses.entry(status).or_default() += count;
        }
    }
    tell(judge(asked, all, at));
}

/// Who asks, each over one connection as long as it lasts.
struct Visitor<'a> {
    dialer: &'a Dialer,
    host: &'a Host,
    secure: bool,
    path: &'a str,
    began: Instant,
}

impl Visitor<'_> {
    async fn ask(&self, share: u32) -> Seen {
        let mut seen = Seen::default();
        let mut line = None;
        for _ in 0..share {
            if self.began.elapsed() > LONGEST {
                seen.broken.push(format!("not asked within {} s", LONGEST.as_secs()));
                continue;
            }
            let started = Instant::now();
            let answer = self
                .dialer
                .within(async {
                    let mut open = match line.take() {
                        Some(open) => open,
                        None => self.dialer.line(&self.host.name, self.host.reach, self.secure, &self.host.name).await?,
                    };
                    let answer = open.get(self.path, &[("accept-encoding", "gzip")]).await?;
                    Ok::<_, WireError>((answer, open))
                })
                .await;
            match answer {
                Ok((answer, open)) => {
                    *seen.statuses.entry(answer.status.as_u16()).or_default() += 1;
                    let closes = answer.header("connection").eq_ignore_ascii_case("close");
                    line = (!closes).then_some(open);
                }
                Err(e) => seen.broken.push(e.to_string()),
            }
            seen.took.push(started.elapsed());
        }
        seen
    }
}

fn judge(asked: &Asked, mut all: Seen, at: String) -> Finding {
    all.took.sort_unstable();
    let at_part = |percent: usize| all.took.get((all.took.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
    let (p50, p99) = (at_part(50), at_part(99));
    let statuses: Vec<String> = all.statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    let seen = format!(
        "{} requests, {} at once: {}; p50 {} ms, p99 {} ms",
        asked.requests,
        asked.concurrency,
        statuses.join(", "),
        p50.as_millis(),
        p99.as_millis()
    );
    if let Some(why) = all.broken.first() {
        return Finding::failed(
            "load",
            at,
            format!("{seen}; {} without an answer: {why}", all.broken.len()),
            "`landfall status`, `landfall logs`",
        );
    }
    if all.statuses.keys().any(|status| *status >= 500) {
        return Finding::failed("load", at, seen, "`landfall logs` shows what the application wrote; is one replica enough?");
    }
    match asked.p99.filter(|limit| p99 > *limit) {
        Some(limit) => Finding::failed("load", at, seen, format!("p99 was asked to be at most {} ms", limit.as_millis())),
        None => Finding::good("load", at, seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Verdict;

    #[test]
    fn one_failed_answer_in_a_hundred_is_told() {
        let asked = Asked { websockets: vec![], streams: vec![], requests: 100, concurrency: 8, p99: Some(Duration::from_millis(50)) };
        let seen = |bad: u32, slow: u64| Seen {
            took: (0..100).map(|n| Duration::from_millis(if n < 98 { 10 } else { slow })).collect(),
            statuses: [(200, 100 - bad), (500, bad)].into_iter().filter(|(_, n)| *n > 0).collect(),
            broken: vec![],
        };
        let good = judge(&asked, seen(0, 20), "x".into());
        assert_eq!((good.verdict, good.seen.as_str()), (Verdict::Good, "100 requests, 8 at once: 100 × 200; p50 10 ms, p99 20 ms"));
        assert_eq!(judge(&asked, seen(1, 20), "x".into()).verdict, Verdict::Failed);
        assert_eq!(judge(&asked, seen(0, 90), "x".into()).verdict, Verdict::Failed);
    }
}
