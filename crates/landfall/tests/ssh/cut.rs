//! The connection breaks at any byte and at any moment, and so may the command line: the server goes on with the one rollout, and whoever asks again follows it.

use crate::stage::{Stage, text, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Stdio;
use std::thread;

/// Apps that are deployed at the same time, and how often each.
const APPS: [&str; 5] = ["shop-a", "shop-b", "shop-c", "shop-d", "shop-e"];
const ROUNDS: u64 = 10;

/// A deploy's conversation has about so many bytes, and takes about so many milliseconds.
const BYTES: u64 = 16_000;
const MILLISECONDS: u64 = 2500;

/// Numbers that look random and are the same for one seed (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn seed() -> u64 {
    let given = std::env::var("LANDFALL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }) | 1
}

/// How the rounds of one app went.
#[derive(Default)]
struct Tally {
    /// The command line went on by itself after the cut.
    again: u32,
    /// It had not begun anything when it was cut; asked again, it did.
    asked_again: u32,
    /// It had finished before.
    untouched: u32,
}

/// Deploys every version of one app through connections that are cut.
fn rounds(stage: &Stage, app: &str, mut random: Random) -> Tally {
    let (name, mut tally) = (format!("cut-{app}"), Tally::default());
    for version in 1..=ROUNDS {
        let cut =
            if random.below(2) == 0 { format!("bytes {}", random.below(BYTES)) } else { format!("time {}", random.below(MILLISECONDS)) };
        std::fs::write(stage.path(&name), &cut).unwrap();
        let deploy = || stage.there(&name, &["deploy", app]).env("VERSION", version.to_string()).output().unwrap();
        let first = deploy();
        // An order nobody took has no meaning for the next.
        let _ = std::fs::remove_file(stage.path(&name));
        if first.status.success() {
            let cut_off = text(&first).contains("was cut");
            *(if cut_off { &mut tally.again } else { &mut tally.untouched }) += 1;
            continue;
        }
        assert!(text(&first).contains("[ssh-unreachable]"), "{app} {version}, {cut}: {}", text(&first));
        let second = deploy();
        assert!(second.status.success(), "{app} {version}, {cut}: {}", text(&second));
        tally.asked_again += 1;
    }
    tally
}

#[test]
fn fifty_cuts_make_no_second_rollout_and_leave_none_behind() {
    let stage = Stage::up();
    let seed = seed();
    println!("LANDFALL_TEST_SEED={seed}");
    APPS.iter().for_each(|app| stage.project(app));
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let apps: Vec<_> = (1..)
            .zip(APPS)
            .map(|(number, app)| {
                let stage = &stage;
                scope.spawn(move || rounds(stage, app, Random(seed.wrapping_mul(number * 2 + 1))))
            })
            .collect();
        apps.into_iter().map(|app| app.join().unwrap()).collect()
    });
    let sum = |of: fn(&Tally) -> u32| tallies.iter().map(of).sum::<u32>();
    println!("{} went on, {} were asked again, {} had finished before", sum(|t| t.again), sum(|t| t.asked_again), sum(|t| t.untouched));

    let releases: BTreeMap<&str, usize> = APPS.map(|app| (app, stage.ask(&["releases", app]).as_array().unwrap().len())).into();
    assert!(releases.values().all(|count| *count as u64 == ROUNDS), "one release a version: {releases:?}");
    let events = stage.events();
    let count = |kind: &str| events.iter().filter(|event| event["what"]["kind"] == kind && event["app"] != "shop").count() as u64;
    assert_eq!((count("rollout-started"), count("rollout-ended")), (50, 50), "one rollout a version, each ended");
    let status = stage.ask(&["status"]);
    assert!(status.as_array().unwrap().iter().all(|app| app["rollout"].is_null()), "{status:#}");
}

/// A file of a project whose release waits until a file is there.
fn slow(stage: &Stage, gate: &str) -> String {
    let path = stage.path(gate).display().to_string();
    format!(
        "name: shop\nx-landfall: {{ runtime: process }}\nservices:\n  worker:\n    command: [tail, -f, /dev/null]\n    environment: {{ VERSION: \"${{VERSION:-1}}\" }}\n    \
         healthcheck: {{ test: [CMD, test, -e, {path}], interval: 100ms, retries: 600 }}\n    x-landfall: {{ drain: 1s }}\n"
    )
}

#[test]
fn a_deploy_asked_again_follows_the_one_under_way_and_another_is_told_of_it() {
    let stage = Stage::up();
    std::fs::write(stage.path("project/shop/compose.yaml"), slow(&stage, "gate")).unwrap();
    let deploy = |version: &str| {
        let mut command = stage.there("deploy", &["deploy", "shop"]);
        command.env("VERSION", version).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut first = deploy("2").spawn().unwrap();
    let running = || {
        let status = stage.ask(&["status", "shop"]);
        status[0]["rollout"]["id"].as_str().map(str::to_owned)
    };
    until("the rollout is under way", || running().is_some());
    let rollout = running().unwrap();
    // The command line dies, and with it its `ssh`; the server goes on.
    first.kill().unwrap();
    first.wait().unwrap();

    let other = deploy("3").output().unwrap();
    assert_eq!(other.status.code(), Some(1), "{}", text(&other));
    assert!(
        text(&other).contains("[busy]") && text(&other).contains(&rollout) && text(&other).contains("landfall events -f"),
        "{}",
        text(&other)
    );

    let second = deploy("2").spawn().unwrap();
    std::fs::write(stage.path("gate"), "").unwrap();
    let second = second.wait_with_output().unwrap();
    assert!(second.status.success(), "{}", text(&second));
    let events = stage.events();
    let started: Vec<&Value> = events.iter().filter(|event| event["what"]["kind"] == "rollout-started").collect();
    assert_eq!(started.len(), 2, "{started:#?}");
    assert_eq!(started[1]["rollout"], rollout.as_str());
}
