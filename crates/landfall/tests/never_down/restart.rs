//! Configuration swapped ten times a second and the proxy replaced every five seconds, under load: nothing is lost.

use super::client::Load;
use super::stage::{Stage, pause, until};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const SWAP_EVERY: Duration = Duration::from_millis(100);
const REPLACE_EVERY: Duration = Duration::from_secs(5);

#[test]
fn nothing_is_lost_of_100_000_requests() {
    nothing_is_lost_of(100_000);
}

#[test]
#[ignore = "takes minutes; `bench/restart` runs it on the release build"]
fn nothing_is_lost_of_1_000_000_requests() {
    nothing_is_lost_of(1_000_000);
}

fn nothing_is_lost_of(requests: u64) {
    let stage = Stage::set();
    let (load, done, began) = (Load::start(&stage), AtomicBool::new(false), Instant::now());
    let (swaps, restarts) = std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            let mut generation = 1;
            while !done.load(Relaxed) {
                generation += 1;
                stage.swap(generation);
                // Whoever answers by now has this table: one that took over in this moment did not miss it.
                let holds = until("a proxy answers", || stage.status().ok()).generation;
                assert!(holds >= generation, "table {generation} was taken, and now it is {holds}");
                pause(SWAP_EVERY);
            }
            generation - 1
        });
        let mut restarts = 0;
        while load.answered() < requests || restarts < 2 {
            let before = load.answered();
            pause(REPLACE_EVERY);
            if load.answered() == before || swapping.is_finished() {
                break;
            }
            stage.replace();
            restarts += 1;
        }
        done.store(true, Relaxed);
        (swapping.join().unwrap(), restarts)
    });
    let tally = load.stop(&stage.application);
    println!("{swaps} swaps, {restarts} restarts in {} s: {tally}", began.elapsed().as_secs());
    assert!(tally.lost.lock().unwrap().is_empty(), "{tally}");
    assert!(tally.answered.load(Relaxed) >= requests, "{tally}");
    assert!(stage.application.shares().into_iter().all(|share| share > 0), "both tables were used");
    assert_eq!(stage.status().unwrap().failures, 0);
}
