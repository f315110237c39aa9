//! What every runtime must do, as one suite.
//!
//! Each behaviour is a function that panics with what it saw; `run_all` runs them one after the other. They are told what to run in words
//! ([`Act`]), which a [`Kit`] turns into commands: the same suite drives a fake, real processes and real containers. Conditions are waited
//! for, never slept for; nothing is measured.

// A suite is a test that lies in a library: it says what it saw by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;
mod life;
mod stopping;
mod talk;

pub use crate::fake::Act;
pub use kit::{Kit, Shape, script, until};
pub use life::{
    a_crash_is_followed_by_a_restart, a_job_runs_once_and_its_end_is_remembered, a_new_agent_sees_everything,
    environment_and_arguments_arrive_exactly, networks_and_volumes_are_made_once, start_is_idempotent, volumes_keep_data,
    what_was_never_made_is_no_replica,
};
pub use stopping::{
    a_program_that_takes_no_notice_is_killed, a_stopped_replica_can_be_started_again, another_signal_than_its_own_can_stop_it,
    remove_is_idempotent_and_takes_what_runs, stop_lets_a_program_say_its_last_words, stopping_leaves_no_child_behind,
};
pub use talk::{
    exec_carries_input_output_and_code, listening_tells_the_port, logs_are_in_order_and_can_be_followed, logs_go_on_over_a_restart,
};

use crate::Runtime;

/// Runs everything. `say` gets the name of each behaviour before it is tried.
pub async fn run_all(rt: &dyn Runtime, kit: &Kit, say: &(dyn Fn(&str) + Send + Sync)) {
    macro_rules! each {
        ($($behaviour:ident),* $(,)?) => {
            $(
                say(stringify!($behaviour));
                $behaviour(rt, kit).await;
            )*
        };
    }
    each!(
        networks_and_volumes_are_made_once,
        start_is_idempotent,
        what_was_never_made_is_no_replica,
        a_job_runs_once_and_its_end_is_remembered,
        environment_and_arguments_arrive_exactly,
        a_crash_is_followed_by_a_restart,
        volumes_keep_data,
        stop_lets_a_program_say_its_last_words,
        a_program_that_takes_no_notice_is_killed,
        another_signal_than_its_own_can_stop_it,
        a_stopped_replica_can_be_started_again,
        stopping_leaves_no_child_behind,
        remove_is_idempotent_and_takes_what_runs,
        logs_are_in_order_and_can_be_followed,
        logs_go_on_over_a_restart,
        exec_carries_input_output_and_code,
        listening_tells_the_port,
        a_new_agent_sees_everything,
    );
    kit.clear(rt).await;
}
