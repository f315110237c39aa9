//! Speaks to the agent: HTTP/1.1 with JSON, typed by `model::api`, over its Unix socket here or a stream of a link to a server ([`Channel`]).
//!
//! The agent may die and come back at any moment, and nobody here should notice: every call but `exec` is safe to repeat (the client decides
//! a rollout's id), so a call that was cut off is asked again, and a stream goes on where it ended. What bounds the patience is whether
//! somebody is there to bring the agent back.

mod build;
mod channel;
mod error;
mod image;
mod session;
mod stream;

pub use channel::{Channel, connect};
pub use error::ClientError;
pub use session::{Session, SessionInput, SessionOutput};

use bytes::Bytes;
use channel::PAUSE;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use landfall_model::api::{Accepted, AgentInfo, AppStatus, Failure, Planned, Recorded, Release, RolloutRequest, VolumeStatus};
use landfall_model::certificate::{Authority, CertificateStatus, RenewRequest, Renewing};
use landfall_model::metrics::Metrics;
use landfall_model::name::{AppName, ReleaseNumber, SecretName};
use landfall_model::secret::{SecretStatus, SecretsSet, SetSecrets};
use landfall_model::spec::Spec;
use landfall_model::survey::Survey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longest answer that is not a stream.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Longest wait for an answer. A plan asks the engine about images and volumes first.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A client of one agent.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Does not connect yet.
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }

    /// ` --server ssh://…` for remedies: the same command elsewhere is about another server.
    pub fn at(&self) -> String {
        match &self.channel {
            Channel::Here(_) => String::new(),
            Channel::There(link) => format!(" --server {}", link.server()),
        }
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

    /// The server's own certificate authority.
    pub async fn authority(&self) -> Result<Authority, ClientError> {
        self.get("/v1/ca").await
    }

    /// What the proxy has counted.
    pub async fn metrics(&self) -> Result<Metrics, ClientError> {
        self.get("/v1/metrics").await
    }

    /// What only the agent can tell whoever judges the server.
    pub async fn survey(&self) -> Result<Survey, ClientError> {
        self.get("/v1/survey").await
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

    /// Has something recorded that was done to the server.
    pub async fn record(&self, what: &Recorded) -> Result<(), ClientError> {
        self.call(Method::POST, "/v1/audit", &body(what)?).await
    }

    /// Names of secrets, and what is known of them.
    pub async fn secrets(&self, app: &AppName) -> Result<Vec<SecretStatus>, ClientError> {
        self.get(&format!("/v1/apps/{app}/secrets")).await
    }

    /// Sets secrets.
    pub async fn set_secrets(&self, app: &AppName, request: &SetSecrets) -> Result<SecretsSet, ClientError> {
        self.call(Method::PUT, &format!("/v1/apps/{app}/secrets"), &body(request)?).await
    }

    /// Takes one away.
    pub async fn unset_secret(&self, app: &AppName, name: &SecretName) -> Result<SecretName, ClientError> {
        self.call(Method::DELETE, &format!("/v1/apps/{app}/secrets/{name}"), &Bytes::new()).await
    }

    /// What a release was made of.
    pub async fn release_spec(&self, app: &AppName, release: ReleaseNumber) -> Result<Spec, ClientError> {
        self.get(&format!("/v1/apps/{app}/releases/{release}/spec")).await
    }

    /// The data an app has.
    pub async fn volumes(&self, app: &AppName) -> Result<Vec<VolumeStatus>, ClientError> {
        self.get(&format!("/v1/apps/{app}/volumes")).await
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
        let (began, mut cut) = (Instant::now(), false);
        loop {
            // Connecting has bounds of its own: somebody may be typing a passphrase.
            let sender = match self.connect().await {
                Err(error) if cut && error.is_away() && began.elapsed() < self.channel.patience() => {
                    sleep(channel::AWAY_PAUSE).await;
                    continue;
                }
                connected => connected?,
            };
            let attempt = async {
                let response = ask(sender, method.clone(), path, body.clone()).await?;
                let bytes = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(ClientError::cut)?.to_bytes();
                serde_json::from_slice(&bytes).map_err(|source| ClientError::Answer { path: path.to_owned(), source })
            };
            match timeout(limit, attempt).await {
                Err(_) => return Err(ClientError::Slow { path: path.to_owned(), seconds: limit.as_secs() }),
                Ok(Err(ClientError::Cut(_))) if began.elapsed() < self.channel.patience() => {
                    cut = true;
                    sleep(PAUSE).await;
                }
                Ok(done) => return done,
            }
        }
    }

    /// A connection that can be asked one thing.
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let stream = self.channel.open().await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::cut)?;
        // Ends when the sender and the answer's body are dropped; its error shows in them.
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }
}

/// One question; its head is answered. A status other than 2xx is the agent's failure, told as such.
async fn ask(mut sender: SendRequest<Full<Bytes>>, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
    let request = request(method, path).body(Full::new(body)).map_err(ClientError::cut)?;
    let response = sender.send_request(request).await.map_err(ClientError::cut)?;
    accept(response, path).await
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
