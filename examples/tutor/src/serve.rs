//! Listening on a port of the container and stopping well.
//!
//! On SIGTERM or SIGINT: accept nothing more, finish the requests in flight, tell WebSockets and event streams, wait for them.
//! The wait has no limit of its own: whoever sent SIGTERM has one.

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells long-lived work that the program is about to end. The program waits until every copy is dropped.
#[derive(Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Returns when the program has been asked to stop.
    pub async fn begun(&mut self) {
        // An error means that the sender is gone, and so is the program.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Serves what `routes` makes on `port` of every address until the program is asked to stop; `name` is for the log. Every answer
/// carries the header `x-version`.
pub async fn serve(name: &str, port: u16, routes: impl FnOnce(Stopping) -> Router) -> crate::Ended {
    let version = crate::version();
    let header = HeaderValue::from_str(&version).map_err(|_| "VERSION cannot be sent as a header")?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    let (stop, stopping) = watch::channel(false);
    let router = routes(Stopping(stopping)).layer(axum::middleware::map_response(move |mut response: Response| {
        response.headers_mut().insert(HeaderName::from_static("x-version"), header.clone());
        std::future::ready(response)
    }));
    crate::log(format_args!("{name} version {version} listens on {port}"));
    let told = stop.clone();
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            asked_to_stop().await;
            told.send_replace(true);
        })
        .await?;
    // Upgraded connections are no longer the server's: wait for those who hold a `Stopping`.
    stop.closed().await;
    crate::log(format_args!("{name} version {version} stopped"));
    Ok(())
}

/// Returns at the first SIGTERM or SIGINT.
pub async fn asked_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        // Without signal handlers the defaults apply, which end the program.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
