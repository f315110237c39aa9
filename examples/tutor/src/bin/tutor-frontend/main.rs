//! The frontend: one page with everything in it. Messages, WebSocket and event stream go to the backend under the same domain.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use std::process::ExitCode;

/// The port it is known by.
const PORT: u16 = 8000;

fn main() -> ExitCode {
    tutor::run(async {
        let version = tutor::version();
        // VERSION is the image's word, but a page escapes what it shows.
        let shown = version.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let page = include_str!("page.html").replace("{version}", &shown);
        tutor::serve::serve("frontend", PORT, |_| {
            Router::new()
                .route("/", get(async || Html(page)))
                .route("/version", get(async || version))
                .route("/health", get(async || "ok\n"))
                .fallback(async |request: Request| (StatusCode::NOT_FOUND, format!("nothing at {}\n", request.uri().path())))
        })
        .await
    })
}
