//! Stopping, killing, starting again, removing.

use super::{Kit, Shape, until};
use crate::fake::Act;
use crate::{Launch, Runtime};
use landfall_model::observed::ReplicaState;
use landfall_model::spec::Restart;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(40);

async fn started(rt: &dyn Runtime, kit: &Kit, id: &str, act: &Act, restart: Restart) -> Launch {
    kit.prepare(rt).await;
    let launch = kit.launch(id, act, &Shape { restart: Some(restart), ..Shape::default() });
    rt.start(&launch).await.expect("start");
    launch
}

async fn ended_with(rt: &dyn Runtime, kit: &Kit, launch: &Launch, code: i32) {
    let wanted = ReplicaState::Exited { code, out_of_memory: false };
    assert_eq!(kit.state(rt, &launch.id).await, Some(wanted), "`{}` right after its stop", launch.id);
}

/// Real programs say when they handle signals; the fake always does.
async fn ready(rt: &dyn Runtime, kit: &Kit, launch: &Launch) {
    if (kit.command)(&Act::Stubborn) != Act::Stubborn.command() {
        kit.wait_for_line(rt, &launch.id, "ready").await;
    }
}

/// A program gets its signal and the time to end; its policy does not start it again; stopping twice is stopping once.
pub async fn stop_lets_a_program_say_its_last_words(rt: &dyn Runtime, kit: &Kit) {
    let launch = started(rt, kit, "web-3-1", &Act::Polite { line: "last words".into(), code: 7 }, Restart::Always).await;
    ready(rt, kit, &launch).await;
    for _ in 0..2 {
        rt.stop(&kit.app, &launch.id, None, LONG).await.expect("stop");
        ended_with(rt, kit, &launch, 7).await;
    }
    kit.wait_for_line(rt, &launch.id, "last words").await;
    rt.start(&launch).await.expect("start what has ended");
    ended_with(rt, kit, &launch, 7).await;
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}

/// After the grace period comes SIGKILL.
pub async fn a_program_that_takes_no_notice_is_killed(rt: &dyn Runtime, kit: &Kit) {
    let launch = started(rt, kit, "web-3-2", &Act::Stubborn, Restart::UnlessStopped).await;
    ready(rt, kit, &launch).await;
    rt.stop(&kit.app, &launch.id, None, Duration::from_millis(300)).await.expect("stop");
    ended_with(rt, kit, &launch, 137).await;
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}

/// The signal is that of the call, even if it is not the one the replica was made with.
pub async fn another_signal_than_its_own_can_stop_it(rt: &dyn Runtime, kit: &Kit) {
    let launch = started(rt, kit, "web-3-3", &Act::Polite { line: "quit".into(), code: 5 }, Restart::Always).await;
    ready(rt, kit, &launch).await;
    rt.stop(&kit.app, &launch.id, Some("SIGQUIT"), LONG).await.expect("stop");
    ended_with(rt, kit, &launch, 5).await;
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}

/// What undo needs: a stopped replica comes back as it was, and can be stopped again.
pub async fn a_stopped_replica_can_be_started_again(rt: &dyn Runtime, kit: &Kit) {
    let launch = started(rt, kit, "web-3-4", &Act::Polite { line: "bye".into(), code: 4 }, Restart::UnlessStopped).await;
    for signal in ["SIGTERM", "SIGQUIT", "SIGTERM"] {
        if signal == "SIGTERM" {
            ready(rt, kit, &launch).await;
        }
        rt.stop(&kit.app, &launch.id, Some(signal), LONG).await.expect("stop");
        assert!(matches!(kit.state(rt, &launch.id).await, Some(ReplicaState::Exited { .. })));
        for _ in 0..2 {
            rt.start_again(&kit.app, &launch.id).await.expect("start again");
            assert_eq!(kit.state(rt, &launch.id).await, Some(ReplicaState::Running), "after {signal}");
        }
    }
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}

/// A program's own children do not outlive it.
pub async fn stopping_leaves_no_child_behind(rt: &dyn Runtime, kit: &Kit) {
    let launch = started(rt, kit, "web-3-5", &Act::Parent, Restart::No).await;
    until("the child's id is written", async || !kit.lines(rt, &launch.id, 1).await.is_empty()).await;
    let child = kit.lines(rt, &launch.id, 1).await.remove(0).1;
    rt.stop(&kit.app, &launch.id, None, LONG).await.expect("stop");
    ended_with(rt, kit, &launch, 0).await;
    // Inside a container the number means another process; there the whole namespace is gone.
    if rt.kind() == landfall_model::spec::RuntimeKind::Process {
        let state = format!("/proc/{child}/stat");
        until("the child is gone", async || std::fs::read_to_string(&state).map_or(true, |s| s.contains(") Z "))).await;
    }
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}

/// Removing kills what runs, and removing what is gone succeeds.
pub async fn remove_is_idempotent_and_takes_what_runs(rt: &dyn Runtime, kit: &Kit) {
    let launch = started(rt, kit, "web-3-6", &Act::Stubborn, Restart::Always).await;
    for _ in 0..2 {
        rt.remove(&kit.app, &launch.id).await.expect("remove");
        assert_eq!(kit.state(rt, &launch.id).await, None);
    }
    // The id is free again.
    let launch = started(rt, kit, "web-3-6", &Act::Stay, Restart::No).await;
    assert_eq!(kit.state(rt, &launch.id).await, Some(ReplicaState::Running));
    rt.remove(&kit.app, &launch.id).await.expect("remove");
}
