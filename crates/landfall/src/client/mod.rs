//! Speaks to the agent: HTTP/1.1 with JSON over its Unix socket, typed by `model::api`.
//!
//! The agent may die and come back at any moment, and nobody here should notice: every call but `exec` is safe to repeat (the client decides
//! a rollout's id), so a call that was cut off is asked again, and a stream goes on where it ended. What bounds the patience is whether
//! somebody is there to bring the agent back.

mod error;
mod image;
mod session;
mod stream;

pub use error::ClientError;
pub use session::{Session, SessionInput, SessionOutput};

use crate::settings::Home;
use crate::supervise::Record;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use landfall_model::api::{Accepted, AgentInfo, AppStatus, Failure, Planned, Release, RolloutRequest};
use landfall_model::certificate::{CertificateStatus, RenewRequest, Renewing};
use landfall_model::metrics::Metrics;
use landfall_model::name::AppName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

/// Longest answer that is not a stream.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Longest wait for an answer. A plan asks the engine about images and volumes first.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long an agent may be away while a supervisor is there to bring it back.
const SUPERVISED_PATIENCE: Duration = Duration::from_secs(20);
/// How long when its socket is there and nobody answers: systemd restarts it, or it was killed and nobody will.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// A client of the agent of one home directory.
#[derive(Debug, Clone)]
pub struct Client {
    home: Home,
}

impl Client {
    /// Does not connect yet.
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// `GET /v1/agent`
    pub async fn agent(&self) -> Result<AgentInfo, ClientError> {
        self.get("/v1/agent").await
    }

    /// Every app of the server.
    pub async fn apps(&self) -> Result<Vec<AppStatus>, ClientError> {
        self.get("/v1/apps").await
    }

    /// One app.
    pub async fn app(&self, app: &AppName) -> Result<AppStatus, ClientError> {
        self.get(&format!("/v1/apps/{app}")).await
    }

    /// Newest first.
    pub async fn releases(&self, app: &AppName) -> Result<Vec<Release>, ClientError> {
        self.get(&format!("/v1/apps/{app}/releases")).await
    }

    /// Every certificate of the server.
    pub async fn certificates(&self) -> Result<Vec<CertificateStatus>, ClientError> {
        self.get("/v1/certs").await
    }

    /// What the proxy has counted.
    pub async fn metrics(&self) -> Result<Metrics, ClientError> {
        self.get("/v1/metrics").await
    }

    /// Has certificates issued anew.
    pub async fn renew(&self, request: &RenewRequest) -> Result<Renewing, ClientError> {
        self.call(Method::POST, "/v1/certs/renew", &body(request)?).await
    }

    /// What a rollout would do.
    pub async fn plan(&self, app: &AppName, request: &RolloutRequest) -> Result<Planned, ClientError> {
        self.call(Method::POST, &format!("/v1/apps/{app}/plan"), &body(request)?).await
    }

    /// Begins a rollout, or finds that it was begun.
    pub async fn roll_out(&self, app: &AppName, request: &RolloutRequest) -> Result<Accepted, ClientError> {
        self.call(Method::POST, &format!("/v1/apps/{app}/rollouts"), &body(request)?).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, &Bytes::new()).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: &Bytes) -> Result<T, ClientError> {
        self.call_within(ANSWER_LIMIT, (method, path), body).await
    }

    /// Asks until there is an answer or patience ends.
    async fn call_within<T: DeserializeOwned>(
        &self,
        limit: Duration,
        (method, path): (Method, &str),
        body: &Bytes,
    ) -> Result<T, ClientError> {
        let began = Instant::now();
        loop {
            let attempt = async {
                let response = self.ask(method.clone(), path, body.clone()).await?;
                let bytes = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(ClientError::cut)?.to_bytes();
                serde_json::from_slice(&bytes).map_err(|source| ClientError::Answer { path: path.to_owned(), source })
            };
            match timeout(limit, attempt).await {
                Err(_) => return Err(ClientError::Slow { path: path.to_owned(), seconds: limit.as_secs() }),
                Ok(Err(ClientError::Cut(_))) if began.elapsed() < SUPERVISED_PATIENCE => sleep(PAUSE).await,
                Ok(done) => return done,
            }
        }
    }

    /// One question; its head is answered. A status other than 2xx is the agent's failure, told as such.
    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let mut sender = self.connect().await?;
        let request = request(method, path).body(Full::new(body)).map_err(ClientError::cut)?;
        let response = sender.send_request(request).await.map_err(ClientError::cut)?;
        accept(response, path).await
    }

    /// Connects, waiting for an agent that is about to come back.
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let socket = self.home.agent_socket();
        let began = Instant::now();
        let stream = loop {
            match UnixStream::connect(&socket).await {
                Ok(stream) => break stream,
                Err(source) if began.elapsed() < self.patience(source.kind()) => sleep(PAUSE).await,
                Err(source) => return Err(self.not_running(socket, source)),
            }
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::cut)?;
        // Ends when the sender and the answer's body are dropped; its error shows in them.
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    fn not_running(&self, socket: PathBuf, source: std::io::Error) -> ClientError {
        let waited = Record::alive(&self.home).is_some() && source.kind() != ErrorKind::PermissionDenied;
        if waited { ClientError::Away { log: self.home.log("agent"), source } } else { ClientError::NotRunning { socket, source } }
    }

    /// How long to go on trying after such an error.
    fn patience(&self, error: ErrorKind) -> Duration {
        match error {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused if Record::alive(&self.home).is_some() => SUPERVISED_PATIENCE,
            ErrorKind::ConnectionRefused if !self.home.supervisor_record().exists() => PATIENCE,
            // A full backlog: it is there and busy.
            ErrorKind::WouldBlock => PATIENCE,
            _ => Duration::ZERO,
        }
    }
}

fn request(method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "agent").header(header::CONTENT_TYPE, "application/json")
}

fn body<T: Serialize>(value: &T) -> Result<Bytes, ClientError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(ClientError::Question)
}

/// Sorts answers from failures.
async fn accept(response: Response<Incoming>, path: &str) -> Result<Response<Incoming>, ClientError> {
    let status = response.status();
    if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    let bytes = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(ClientError::cut)?.to_bytes();
    match serde_json::from_slice::<Failure>(&bytes) {
        Ok(failure) => Err(ClientError::Refused(Box::new(failure))),
        Err(_) => Err(ClientError::Status { path: path.to_owned(), status }),
    }
}
