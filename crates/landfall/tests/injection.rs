//! Payloads written to break out (`cases/injection`), given to the real binary wherever a user can write something: its arguments, the agent's API, and the
//! programs, variables and secrets of an app that really runs. Every process and every file that is made on the way is traced (`strace`): no shell, no file
//! outside of Landfall's home and the project. Fields of Compose files are in `crates/model/tests/injection.rs`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "figures, shown with --nocapture and with a failure")]

#[path = "injection/api.rs"]
mod api;
#[path = "injection/argument.rs"]
mod argument;
#[path = "injection/cve.rs"]
mod cve;
#[path = "injection/payload.rs"]
mod payload;
#[path = "injection/program.rs"]
mod program;
#[path = "injection/stage.rs"]
mod stage;
#[path = "injection/trace.rs"]
mod trace;
