//! The connection to the Docker Engine, and what its errors mean.
//!
//! Only a Unix socket is spoken to: a Docker socket on TCP is root for whoever reaches it. The engine is found and asked for its API version
//! at the first use, not at construction, so that an agent starts before its engine does. Every call has a bound.

use crate::RuntimeError;
use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use landfall_model::name::ReplicaId;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Where the engine listens unless `DOCKER_HOST` says otherwise.
pub(crate) const SOCKET: &str = "/var/run/docker.sock";
/// Bound of a call that answers at once.
pub(crate) const CALL: Duration = Duration::from_secs(60);
/// Bound of one that makes something: slow disks take their time.
pub(crate) const MAKE: Duration = Duration::from_secs(180);

/// One engine.
pub(crate) struct Engine {
    socket: PathBuf,
    /// What `DOCKER_HOST` says, if it is nothing Landfall can use.
    unusable: Option<String>,
    client: OnceCell<Docker>,
}

impl Engine {
    pub(crate) fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), unusable: None, client: OnceCell::new() }
    }

    /// `host` as `DOCKER_HOST` has it: `unix://` and a path, or nothing.
    pub(crate) fn of_host(host: Option<&str>) -> Self {
        match host.filter(|h| !h.is_empty()) {
            None => Self::at(Path::new(SOCKET)),
            Some(host) => match host.strip_prefix("unix://") {
                Some(path) => Self::at(Path::new(path)),
                None => Self { unusable: Some(host.to_owned()), ..Self::at(Path::new(SOCKET)) },
            },
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A client that speaks the newest version both sides know.
    pub(crate) async fn client(&self) -> Result<&Docker, RuntimeError> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Docker, RuntimeError> {
        if let Some(host) = &self.unusable {
            return Err(RuntimeError::Unreachable {
                socket: host.clone(),
                source: "DOCKER_HOST names no Unix socket (`unix:///path`)".into(),
            });
        }
        let connected = Docker::connect_with_unix(&self.socket.to_string_lossy(), CALL.as_secs(), API_DEFAULT_VERSION);
        let client = connected.map_err(|e| self.explain("connect", e))?;
        bounded("ask the engine for its version", CALL, client.negotiate_version())
            .await?
            .map_err(|e| self.explain("ask the engine for its version", e))
    }

    /// Waits for an answer, but not for ever.
    pub(crate) async fn ask<T>(
        &self,
        doing: &str,
        within: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, RuntimeError> {
        bounded(doing, within, call).await?.map_err(|e| self.explain(doing, e))
    }

    /// Likewise; `None` when the engine does not know what is asked about.
    pub(crate) async fn look<T>(&self, doing: &str, call: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, RuntimeError> {
        match bounded(doing, CALL, call).await? {
            Err(e) if status(&e) == Some(404) => Ok(None),
            answer => answer.map(Some).map_err(|e| self.explain(doing, e)),
        }
    }

    /// What an error of the client means.
    pub(crate) fn explain(&self, doing: &str, error: Error) -> RuntimeError {
        match &error {
            Error::RequestTimeoutError => RuntimeError::TimedOut { doing: doing.to_owned(), seconds: CALL.as_secs() },
            Error::SocketNotFoundError(_) => self.unreachable(std::io::Error::from(std::io::ErrorKind::NotFound)),
            Error::HyperLegacyError { err } if err.is_connect() => self.unreachable(error),
            _ => RuntimeError::failed(doing, error),
        }
    }

    pub(crate) fn unreachable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RuntimeError {
        RuntimeError::Unreachable { socket: self.socket.display().to_string(), source: source.into() }
    }
}

async fn bounded<T>(doing: &str, within: Duration, call: impl Future<Output = T>) -> Result<T, RuntimeError> {
    let late = |_| RuntimeError::TimedOut { doing: doing.to_owned(), seconds: within.as_secs() };
    tokio::time::timeout(within, call).await.map_err(late)
}

/// The status of an answer that is an error.
pub(crate) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// The engine's words.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => other.to_string(),
    }
}

/// What it means that a container could not be made or started.
pub(crate) fn not_started(engine: &Engine, id: &ReplicaId, program: &str, error: Error) -> RuntimeError {
    let words = words(&error);
    let lower = words.to_ascii_lowercase();
    if (lower.contains("port is already allocated") || lower.contains("address already in use"))
        && let Some(port) = port_in(&words)
    {
        return RuntimeError::PortTaken { port, source: error.into() };
    }
    if status(&error).is_some()
        && ["executable file not found", "exec format error", "no such file or directory: unknown", "exec: "]
            .iter()
            .any(|w| lower.contains(w))
    {
        return RuntimeError::NoProgram { program: program.to_owned(), reason: words };
    }
    engine.explain(&format!("start `{id}`"), error)
}

/// The port in "Bind for 0.0.0.0:8080 failed" and "listen tcp4 0.0.0.0:8080: bind: address already in use".
fn port_in(words: &str) -> Option<u16> {
    words.split_ascii_whitespace().find_map(|word| {
        let (host, port) = word.trim_end_matches([':', ',', '.']).rsplit_once(':')?;
        let address = host.trim_start_matches('[').trim_end_matches(']').rsplit(['/', '(']).next()?;
        address.parse::<std::net::IpAddr>().ok()?;
        port.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(message: &str) -> Error {
        Error::DockerResponseServerError { status_code: 500, message: message.into() }
    }

    #[test]
    fn a_taken_port_is_named() {
        let engine = Engine::at(Path::new("/x"));
        let id = "web-1-1".parse().unwrap();
        for text in [
            "driver failed programming external connectivity on endpoint app-web-1-1 (0b9a): Bind for 0.0.0.0:8080 failed: port is already allocated",
            "driver failed: Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
            "failed: Bind for [::]:8080 failed: port is already allocated",
        ] {
            let error = not_started(&engine, &id, "web", answer(text));
            assert!(matches!(error, RuntimeError::PortTaken { port: 8080, .. }), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_missing_program_is_told_from_other_failures() {
        let engine = Engine::at(Path::new("/x"));
        let id = "web-1-1".parse().unwrap();
        let missing = "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"nope\": executable file not found in $PATH: unknown";
        assert!(matches!(not_started(&engine, &id, "nope", answer(missing)), RuntimeError::NoProgram { .. }));
        assert!(matches!(not_started(&engine, &id, "web", answer("no space left on device")), RuntimeError::Failed { .. }));
    }

    #[test]
    fn an_engine_on_tcp_is_refused_in_words() {
        assert_eq!(Engine::of_host(Some("unix:///run/user/1000/docker.sock")).socket(), Path::new("/run/user/1000/docker.sock"));
        assert_eq!(Engine::of_host(Some("")).socket(), Path::new(SOCKET));
        assert_eq!(Engine::of_host(Some("tcp://10.0.0.1:2375")).unusable.as_deref(), Some("tcp://10.0.0.1:2375"));
    }

    #[tokio::test]
    async fn an_absent_engine_is_unreachable_and_asked_again_the_next_time() {
        let home = tempfile::tempdir().unwrap();
        let engine = Engine::at(&home.path().join("docker.sock"));
        for _ in 0..2 {
            assert!(matches!(engine.client().await, Err(RuntimeError::Unreachable { .. })));
        }
        // A socket file that nobody serves any more.
        drop(std::os::unix::net::UnixListener::bind(engine.socket()).unwrap());
        assert!(matches!(engine.client().await, Err(RuntimeError::Unreachable { .. })));
    }
}
