//! Single requests on a fixed schedule.
//!
//! Request `i` is due at `start + i / rate` and starts then, whether or not those before it have been answered; its latency counts
//! from when it was due. A server that stalls therefore shows as many slow requests and never as few (the "coordinated
//! omission" of closed loops).

use crate::fault::{Fault, FaultKind};
use crate::lane::{Answer, Lane, Lanes};
use crate::load::Run;
use crate::record::{Part, add_version, micros};
use crate::target::{Ask, Expect, Mix};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Requests under way at most.
const IN_FLIGHT_LIMIT: usize = 20_000;

/// Starts requests until the load stops, then waits for those under way.
pub(crate) async fn drive(run: Rc<Run>) {
    let rate = run.target.requests.per_second;
    if rate == 0 {
        return;
    }
    let lanes = Rc::new(Lanes::new(Rc::clone(&run.dial), run.target.host.clone(), run.record.clone()));
    let mut under_way = JoinSet::new();
    let start = Instant::now();
    for number in 0u64.. {
        let due = start + since_start(number, rate);
        tokio::select! {
            biased;
            () = run.stopped() => break,
            () = tokio::time::sleep_until(due) => {}
        }
        let lag = micros(due.elapsed());
        run.record.count(|r| {
            r.requests.sent += 1;
            r.requests.start_lag_max_us = r.requests.start_lag_max_us.max(lag);
        });
        while under_way.try_join_next().is_some() {}
        if under_way.len() < IN_FLIGHT_LIMIT {
            under_way.spawn_local(one(Rc::clone(&run), Rc::clone(&lanes), number, due));
        } else {
            let fault = Fault::new(FaultKind::Overload, format_args!("{IN_FLIGHT_LIMIT} requests are under way"));
            run.record.failed(Part::Requests, fault);
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// When request `number` is due. Computed from the start each time, so that no rounding adds up.
fn since_start(number: u64, rate: u32) -> Duration {
    let rate = u64::from(rate);
    Duration::from_secs(number / rate) + Duration::from_nanos(number % rate * 1_000_000_000 / rate)
}

async fn one(run: Rc<Run>, lanes: Rc<Lanes>, number: u64, due: Instant) {
    let requests = &run.target.requests;
    let ask = &requests.asks[(number % requests.asks.len() as u64) as usize];
    // The turn of connections moves on after every round of paths, or two equally long cycles would marry each path to one lane.
    let lane = lane(requests.mix, number + number / requests.asks.len() as u64);
    let answer = tokio::time::timeout(run.target.deadline, lanes.ask(lane, &ask.path)).await;
    match answer.unwrap_or_else(|_| Err(Fault::timeout("complete answer"))) {
        Ok(answer) => {
            run.record.count(|r| add_version(&mut r.requests.versions, &answer.version));
            match judge(ask, &answer) {
                Ok(()) => {
                    run.record.latency(due.elapsed());
                    run.record.count(|r| r.requests.ok += 1);
                }
                Err(fault) => run.record.failed(Part::Requests, fault),
            }
        }
        Err(fault) => run.record.failed(Part::Requests, fault),
    }
}

/// Which connection the request with this turn takes.
fn lane(mix: Mix, turn: u64) -> Lane {
    let turn = turn % mix.total();
    match turn {
        _ if turn < u64::from(mix.kept) => Lane::Kept,
        _ if turn < u64::from(mix.kept) + u64::from(mix.h2) => Lane::H2,
        _ => Lane::Fresh,
    }
}

fn judge(ask: &Ask, answer: &Answer) -> Result<(), Fault> {
    let body = String::from_utf8_lossy(&answer.body);
    let right = match &ask.body {
        Expect::Any => true,
        Expect::Version => body.trim() == answer.version,
        Expect::Contains(text) => body.contains(text.as_str()),
    };
    if right {
        return Ok(());
    }
    let begin: String = body.chars().take(80).collect();
    let (path, version) = (&ask.path, &answer.version);
    Err(Fault::new(FaultKind::WrongBody, format_args!("{path}: version {version}, body {begin:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_even_and_exact() {
        assert_eq!(since_start(0, 3), Duration::ZERO);
        assert_eq!(since_start(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(since_start(3_000_001, 3), Duration::from_secs(1_000_000) + Duration::from_nanos(333_333_333));
    }

    #[test]
    fn lanes_are_taken_in_their_shares() {
        let mix = Mix { kept: 2, h2: 1, fresh: 1 };
        let turns: Vec<Lane> = (0..5).map(|turn| lane(mix, turn)).collect();
        assert_eq!(turns, [Lane::Kept, Lane::Kept, Lane::H2, Lane::Fresh, Lane::Kept]);
    }

    #[test]
    fn a_body_of_another_release_than_the_header_is_wrong() {
        let ask = Ask::version("/api/version");
        let answer = |body: &'static str| Answer { version: "2".into(), body: body.into() };
        assert!(judge(&ask, &answer("2\n")).is_ok());
        assert_eq!(judge(&ask, &answer("1")).unwrap_err().kind, FaultKind::WrongBody);
    }
}
