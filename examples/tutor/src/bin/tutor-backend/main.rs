//! The backend: `serve`, `migrate up`, `probe URL` (the image is empty but for this program, so it is its own curl) and
//! `call URL` (counts how calls by service name end).
//!
//! `FAIL` makes it fail on purpose, so that a release can be seen to be refused: `exit` (ends at once), `health` (is never healthy),
//! `port` (listens on 3000), `migrate` (the migration fails). `MIGRATE_SECONDS` makes the migration take that long.

mod caller;
mod database;
mod live;
mod migrate;
mod server;

use std::process::ExitCode;

/// The port it is known by.
const PORT: u16 = 8000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => tutor::run(server::run()),
        ["migrate", "up"] => tutor::run(migrate::up()),
        ["probe", url] => tutor::run(async move { Ok(tutor::client::get(url).await.map(drop)?) }),
        ["call", url] => tutor::run(caller::run(url)),
        _ => {
            tutor::log(format_args!("usage: tutor-backend serve | migrate up | probe URL | call URL"));
            ExitCode::from(2)
        }
    }
}

/// What is to go wrong; empty for nothing.
fn fail() -> String {
    std::env::var("FAIL").unwrap_or_default()
}
