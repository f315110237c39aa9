//! Why a certificate could not be had, told so that the reader knows where to look: DNS, the port, CAA, a rate limit, the authority, the hook.

use instant_acme::{Error as AcmeError, Problem as AcmeProblem};
use landfall_model::api::Failure;
use std::error::Error;

/// Characters of an authority's own words that are kept.
const MAX_WORDS: usize = 500;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The name does not lead here.
    Dns,
    /// It does, and nobody answers.
    Port,
    /// Somebody answers, and it is not this proxy.
    Answer,
    /// The name's owner allows other authorities only.
    Caa,
    /// The authority has had enough.
    RateLimit,
    /// The authority does not sign such names.
    Rejected,
    /// The program that puts records into the DNS.
    Hook,
    /// The authority cannot be reached or does not work.
    Authority,
    /// The authority forgot our account.
    Account,
    /// Something on this server.
    Local,
}

/// Why a certificate could not be had.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    /// One line.
    message: String,
    causes: Vec<String>,
    log: Vec<String>,
    /// It counts as a failed validation.
    pub(super) validation: bool,
    /// The authority wants to be left alone for so long, milliseconds.
    pub(super) retry_after_ms: Option<u64>,
}

impl Problem {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), log: Vec::new(), validation: false, retry_after_ms: None }
    }

    /// Something on this server did not work.
    pub(super) fn local(doing: &str, cause: impl std::fmt::Display) -> Self {
        let mut problem = Self::new(Kind::Local, format!("cannot {doing}"));
        problem.causes.push(cause.to_string());
        problem
    }

    /// With what a program wrote.
    pub(super) fn with_log(mut self, text: &str) -> Self {
        self.log = text.lines().rev().take(20).map(plain).collect();
        self.log.reverse();
        self
    }

    /// A validation failed; `error` is what the authority says of it.
    pub(super) fn of_validation(error: Option<&AcmeProblem>) -> Self {
        let mut problem = error.map_or_else(|| Self::new(Kind::Answer, "the authority does not say why"), Self::of_authority);
        problem.validation = true;
        problem
    }

    /// What a call of the library came to. `status` is that of the last answer.
    pub(super) fn of_call(error: &AcmeError, status: Option<u16>) -> Self {
        match error {
            AcmeError::Api(problem) => Self::of_authority(problem),
            error => {
                let message = match status {
                    Some(status) if status >= 400 => format!("the authority answers with status {status}"),
                    Some(_) => "the authority answers something that is no ACME".to_owned(),
                    None => "the authority cannot be reached".to_owned(),
                };
                let kind = if status == Some(429) { Kind::RateLimit } else { Kind::Authority };
                let mut problem = Self::new(kind, message);
                problem.causes = chain(error);
                problem
            }
        }
    }

    fn of_authority(error: &AcmeProblem) -> Self {
        let word = error.r#type.as_deref().unwrap_or_default();
        let detail = error.detail.as_deref().unwrap_or_default();
        let kind = match word.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(word) {
            // Authorities tell a name that cannot be looked up as a connection that cannot be made.
            "dns" => Kind::Dns,
            "connection" if looks_like_dns(detail) => Kind::Dns,
            "connection" | "tls" => Kind::Port,
            "unauthorized" if looks_like_port(detail) => Kind::Port,
            "unauthorized" | "incorrectResponse" => Kind::Answer,
            "caa" => Kind::Caa,
            "rateLimited" => Kind::RateLimit,
            "rejectedIdentifier" | "unsupportedIdentifier" => Kind::Rejected,
            "accountDoesNotExist" => Kind::Account,
            _ if error.status == Some(429) => Kind::RateLimit,
            _ => Kind::Authority,
        };
        let mut problem = Self::new(kind, kind.line());
        problem.causes = std::iter::once(detail)
            .chain(error.subproblems.iter().filter_map(|s| s.detail.as_deref()))
            .filter(|text| !text.is_empty())
            .take(5)
            .map(plain)
            .collect();
        problem
    }

    /// As it is stored and told.
    pub(super) fn failure(&self, name: &str) -> Failure {
        Failure {
            code: self.kind.code().to_owned(),
            message: format!("no certificate for {name}: {}", self.message),
            causes: self.causes.clone(),
            hints: self.kind.hint().map(|hint| hint.replace("{name}", name.trim_start_matches("*."))).into_iter().collect(),
            log: self.log.clone(),
        }
    }
}

impl Kind {
    fn code(self) -> &'static str {
        match self {
            Kind::Dns => "certificate-dns",
            Kind::Port => "certificate-port",
            Kind::Answer => "certificate-answer",
            Kind::Caa => "certificate-caa",
            Kind::RateLimit => "certificate-rate-limit",
            Kind::Rejected => "certificate-rejected",
            Kind::Hook => "certificate-hook",
            Kind::Authority | Kind::Account => "certificate-authority",
            Kind::Local => "certificate-failed",
        }
    }

    fn line(self) -> &'static str {
        match self {
            Kind::Dns => "DNS: the authority cannot look the name up",
            Kind::Port => "port: the authority cannot connect to this server",
            Kind::Answer => "answer: somebody else answers in place of this server",
            Kind::Caa => "CAA: the name's CAA records do not allow this authority",
            Kind::RateLimit => "rate limit: the authority wants to be left alone for a while",
            Kind::Rejected => "the authority does not sign this name",
            Kind::Hook => "the hook failed",
            Kind::Authority => "the authority refuses",
            Kind::Account => "the authority does not know this server's account any more",
            Kind::Local => "something on this server failed",
        }
    }

    fn hint(self) -> Option<&'static str> {
        match self {
            Kind::Dns => Some("does {name} have an A or AAAA record with this server's address? a new record may take a while to be seen"),
            Kind::Port => Some("are the ports 80 and 443 of this server open to the internet, in its firewall and the provider's?"),
            Kind::Answer => Some("do all A and AAAA records of {name} lead to this server, and to no proxy or CDN before it?"),
            Kind::Caa => Some("allow the authority in the CAA records of {name} or its parents, or remove them"),
            Kind::RateLimit => Some("it is asked again when the authority said; until then what there is is served"),
            Kind::Hook => {
                Some("run the hook by hand: it gets `present` or `cleanup`, the record's name and its value as its last arguments")
            }
            Kind::Authority => Some("it is asked again by itself; until then what there is is served"),
            Kind::Rejected | Kind::Account | Kind::Local => None,
        }
    }
}

fn looks_like_dns(detail: &str) -> bool {
    let lower = detail.to_ascii_lowercase();
    [
        "no such host",
        "nxdomain",
        "servfail",
        "no valid ip",
        "no valid a records",
        "looking up",
        "lookup ",
        "could not be resolved",
        "could not resolve",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// Some say of a TLS connection that could not be made that it was not authorized.
fn looks_like_port(detail: &str) -> bool {
    let lower = detail.to_ascii_lowercase();
    ["failed to connect", "connection refused", "timed out", "timeout", "no route to host"].iter().any(|word| lower.contains(word))
}

fn chain(error: &dyn Error) -> Vec<String> {
    let mut causes = vec![plain(&error.to_string())];
    let mut source = error.source();
    while let Some(cause) = source.filter(|_| causes.len() < 8) {
        causes.push(plain(&cause.to_string()));
        source = cause.source();
    }
    causes.dedup();
    causes
}

/// Text from outside as one bounded line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(word: &str, detail: &str) -> String {
        let text = format!(r#"{{"type":"urn:ietf:params:acme:error:{word}","detail":"{detail}","status":403}}"#);
        let problem: AcmeProblem = serde_json::from_str(&text).unwrap();
        Problem::of_call(&AcmeError::Api(problem), Some(403)).failure("a.example.org").code
    }

    #[test]
    fn what_an_authority_says_becomes_what_a_person_can_look_at() {
        assert_eq!(code("dns", "x"), "certificate-dns");
        assert_eq!(code("connection", "lookup a.example.org on 127.0.0.1:53: no such host"), "certificate-dns");
        assert_eq!(code("connection", "connection refused"), "certificate-port");
        assert_eq!(code("unauthorized", "404"), "certificate-answer");
        assert_eq!(code("unauthorized", "Failed to connect to 127.0.0.9:443 for the tls-alpn-01 challenge"), "certificate-port");
        assert_eq!(code("caa", ""), "certificate-caa");
        assert_eq!(code("rateLimited", ""), "certificate-rate-limit");
        assert_eq!(code("serverInternal", ""), "certificate-authority");
        assert_eq!(code("something new", ""), "certificate-authority");
    }

    #[test]
    fn an_authoritys_words_are_bounded_and_harmless() {
        let problem = Problem::new(Kind::Hook, "x").with_log(&format!("{}\u{1b}[31m\n", "y".repeat(10_000)));
        let failure = problem.failure("a");
        assert!(failure.log.iter().all(|line| line.len() <= MAX_WORDS && !line.contains('\u{1b}')));
    }
}
