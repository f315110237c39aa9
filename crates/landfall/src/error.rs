//! What every error of the command line can say about itself, so that one function can print any of them.
//!
//! An operation has its own small error type; what they share is [`Explain`]: a stable word, what kind of end it is (hence the exit
//! code) and what to try. A [`Problem`] is any of them, boxed. A failure that came from the agent crosses as
//! [`landfall_model::api::Failure`] and is a `Problem` like a local one ([`Remote`]).

use landfall_model::api::Failure;
use std::error::Error;
use std::fmt;

/// How a command ended, when it did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was tried and failed.
    Failed,
    /// It was not tried: the command line or a file is wrong.
    Usage,
    /// The release failed and was undone; the old one serves.
    RolledBack,
    /// Whoever reads our output has gone; there is nobody to tell.
    OutputClosed,
    /// Asked to stop.
    Interrupted,
    /// Something that cannot be: a bug.
    Bug,
}

impl Kind {
    /// The process's exit code. Documented in DESIGN.md; scripts rely on it.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::OutputClosed => 0,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::RolledBack => 3,
            Kind::Bug => 70,
            Kind::Interrupted => 130,
        }
    }
}

/// What an error can say about itself. `Display` says its own layer and names the object; the cause is in `source()`.
pub trait Explain: Error + Send + Sync + 'static {
    /// Stable word, such as `port-taken`.
    fn code(&self) -> &str;

    /// Decides the exit code.
    fn kind(&self) -> Kind {
        Kind::Failed
    }

    /// What to try, one sentence each.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a program of others said last.
    fn log(&self) -> Vec<String> {
        Vec::new()
    }

    /// Everything at once, with the causes from the outermost to the innermost.
    fn failure(&self) -> Failure {
        let mut causes = Vec::new();
        let mut next = self.source();
        // Bounded, because `source` of a foreign type may be anything.
        while let Some(cause) = next.filter(|_| causes.len() < 16) {
            let text = cause.to_string();
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        Failure { code: self.code().to_owned(), message: self.to_string(), causes, hints: self.hints(), log: self.log() }
    }
}

/// Any error of the command line.
pub struct Problem(Box<dyn Explain>);

/// What commands answer.
pub type Outcome<T = ()> = Result<T, Problem>;

impl Problem {
    /// See [`Explain::kind`].
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }
    /// See [`Explain::failure`].
    pub fn failure(&self) -> Failure {
        self.0.failure()
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: Explain> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// A failure the agent (or another process of ours) told us.
#[derive(Debug, thiserror::Error)]
#[error("{}", failure.message)]
pub struct Remote {
    failure: Failure,
    kind: Kind,
}

impl Remote {
    /// Tried and failed.
    pub fn failed(failure: Failure) -> Self {
        // Words the agent refuses a request with, before anything is touched, are the caller's mistake and not a failed deploy.
        let kind = match failure.code.as_str() {
            "bad-request" | "no-app" | "no-release" | "no-rollout" | "no-service" | "no-login" | "host-taken" => Kind::Usage,
            _ => Kind::Failed,
        };
        Self { failure, kind }
    }

    /// Tried, failed and undone.
    pub fn rolled_back(failure: Failure) -> Self {
        Self { failure, kind: Kind::RolledBack }
    }
}

impl Explain for Remote {
    fn code(&self) -> &str {
        &self.failure.code
    }
    fn kind(&self) -> Kind {
        self.kind
    }
    fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

/// An error that needs no type of its own: nobody matches on it, it is only told.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Plain {
    code: &'static str,
    message: String,
    kind: Kind,
    hints: Vec<String>,
    log: Vec<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Plain {
    /// Tried and failed.
    pub fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), kind: Kind::Failed, hints: Vec::new(), log: Vec::new(), source: None }
    }
    /// Refused before anything was touched.
    pub fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::failed(code, message) }
    }
    /// Asked to stop.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self { kind: Kind::Interrupted, ..Self::failed("interrupted", message) }
    }
    /// Adds what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
    /// Adds what a program of others said last.
    #[must_use]
    pub fn log(mut self, lines: Vec<String>) -> Self {
        self.log = lines;
        self
    }
    /// Adds why.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl Explain for Plain {
    fn code(&self) -> &str {
        self.code
    }
    fn kind(&self) -> Kind {
        self.kind
    }
    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
    fn log(&self) -> Vec<String> {
        self.log.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_listed_from_the_outermost_and_once() {
        let inner = std::io::Error::new(std::io::ErrorKind::NotFound, "no such thing");
        let problem = Problem::from(Plain::failed("x", "cannot do it").because(inner).hint("try"));
        let failure = problem.failure();
        assert_eq!(failure.causes, ["no such thing"]);
        assert_eq!(failure.hints, ["try"]);
        assert_eq!(problem.kind().exit_code(), 1);
    }

    #[test]
    fn what_the_agent_refused_is_not_a_failed_deploy() {
        let failure = |code: &str| Failure { code: code.into(), message: "m".into(), causes: vec![], hints: vec![], log: vec![] };
        assert_eq!(Problem::from(Remote::failed(failure("no-app"))).kind(), Kind::Usage);
        assert_eq!(Problem::from(Remote::failed(failure("gate-failed"))).kind(), Kind::Failed);
        assert_eq!(Problem::from(Remote::rolled_back(failure("gate-failed"))).kind().exit_code(), 3);
    }
}
