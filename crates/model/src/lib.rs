//! What Landfall believes: values and pure functions.
//!
//! Nothing here touches a file, a socket, a clock, randomness or hash order: the same input gives the same output on
//! every machine and at every hour. `compose` turns text into a [`spec::Spec`]; `plan` turns a spec and what a runtime
//! observed into ordered steps; `route` is what the proxy carries requests by; `api` and `control` are the words the
//! processes speak to each other.

pub mod api;
pub mod build;
pub mod certificate;
pub mod code;
pub mod compose;
pub mod container;
pub mod control;
pub mod diagnostic;
pub mod digest;
pub mod fault;
pub mod filter;
pub mod front;
pub mod hello;
pub mod image;
pub mod metrics;
pub mod name;
pub mod observed;
pub mod plan;
pub mod power;
pub mod route;
pub mod secret;
pub mod server;
pub mod spec;
pub mod survey;
pub mod tls;
pub mod visible;
