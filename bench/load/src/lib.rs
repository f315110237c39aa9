//! An open-loop load generator that sees every way a request, a WebSocket or an event stream can fail.
//!
//! It answers one question: did anybody outside notice a release? So it starts requests on a fixed schedule whatever the server
//! does, measures from the scheduled time, keeps connections of every sort open, hides no failure behind a retry, and names each
//! failure by kind. It runs on a thread of its own, so that neither a busy test nor a blocked one slows it.
//!
//! ```no_run
//! use landfall_load::{Ask, Load, Requests, Sockets, Target};
//!
//! let mut target = Target::https(([127, 0, 0, 1], 8443).into(), "tutor.localhost", "ca.pem");
//! target.requests = Requests { per_second: 200, asks: vec![Ask::version("/api/version")], ..Requests::default() };
//! target.sockets = Sockets { path: "/ws".into(), count: 5, ..Sockets::default() };
//! let load = Load::start(target)?;
//! load.mark_release("2");
//! // … deploy version 2 …
//! let report = load.stop();
//! assert_eq!(report.failed(), 0, "{report}");
//! # Ok::<(), landfall_load::StartError>(())
//! ```

mod dial;
mod fault;
mod histogram;
mod lane;
mod load;
mod record;
mod release;
mod report;
mod request;
mod socket;
mod stream;
mod target;

pub use fault::FaultKind;
pub use load::{Handle, Load, StartError};
pub use report::{Latency, Report, RequestReport, SocketReport, StreamReport, Tally};
pub use target::{Ask, Expect, Mix, Requests, Sockets, Streams, Target, Trust};
