//! `jwt` of a route: which tokens open it.

use super::landfall::one_or_more;
use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use super::veil;
use crate::filter::{HeaderKey, Jwt, JwtAlgorithm, JwtKeys, JwtSecret};
use crate::secret::only_marked;
use std::collections::{BTreeMap, BTreeSet};

/// How much clocks may differ when nothing is said.
const LEEWAY_S: u64 = 60;
const MAX_LEEWAY_MS: u64 = 600_000;
const MAX_URL: usize = 2000;

/// Reads it.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> Option<Jwt> {
    let mut fields = Fields::open(field, report)?;
    let keys = keys(field, &mut fields, report);
    let algorithms = algorithms(&mut fields, keys.as_ref(), report);
    let header = fields.take("header").and_then(|f| f.name("bad-header", report)).map(|l| l.value);
    let jwt = Jwt {
        keys: keys?,
        algorithms,
        header: header.or_else(|| "authorization".parse().ok())?,
        cookie: fields.take("cookie").and_then(|f| word(&f, "the name of a cookie", report)),
        query: fields.take("query").and_then(|f| word(&f, "the name of a parameter", report)),
        issuers: fields.take("issuer").map(|f| texts(&f, report)).unwrap_or_default(),
        audiences: fields.take("audience").map(|f| texts(&f, report)).unwrap_or_default(),
        leeway_s: fields.take("leeway").and_then(|f| leeway(&f, report)).unwrap_or(LEEWAY_S),
        claims: fields.take("claims").and_then(|f| claims(&f, report)).unwrap_or_default(),
    };
    fields.finish(report);
    Some(jwt)
}

fn keys(field: &Field<'_>, fields: &mut Fields<'_>, report: &mut Report) -> Option<JwtKeys> {
    match (fields.take("secret"), fields.take("keys")) {
        (Some(secret), None) => {
            // As it is written, whatever YAML takes it for; no complaint may show it.
            let text = secret.node.scalar().map(|scalar| scalar.text.as_str());
            if let Some(stored) = text.and_then(only_marked) {
                return Some(JwtKeys::Stored(veil::reference(&stored)));
            }
            let found = text.and_then(JwtSecret::new);
            if found.is_none() {
                let message = format!("`{}` is no secret that can sign: it needs {} bytes or more", secret.path, JwtSecret::SHORTEST);
                report
                    .error("bad-token-key", secret.place(), message)
                    .hint("write `\"${A_VARIABLE:?}\"`; `openssl rand -hex 32` makes a good value");
            }
            found.map(JwtKeys::Secret)
        }
        (None, Some(keys)) => {
            let from = keys.text(report)?;
            let is_file = !from.value.contains("://");
            if from.value.is_empty() || from.value.len() > MAX_URL || !(is_file || from.value.starts_with("https://")) {
                report
                    .error("bad-token-key", keys.place(), format!("`{}` is no place to get keys from", keys.path))
                    .hint("write an `https://` URL, or a file of the project");
                return None;
            }
            Some(JwtKeys::Public { from: from.value, text: None })
        }
        (secret, keys) => {
            let both = secret.is_some() && keys.is_some();
            let message = format!("`{}` needs either `secret` or `keys`", field.path);
            let place = keys.filter(|_| both).map_or(field.place(), |f| f.key_place);
            report
                .error(if both { "contradiction" } else { "missing-key" }, place, message)
                .hint("`secret` for tokens your own services sign, `keys` for those of an identity provider");
            None
        }
    }
}

fn algorithms(fields: &mut Fields<'_>, keys: Option<&JwtKeys>, report: &mut Report) -> BTreeSet<JwtAlgorithm> {
    let secret = keys.is_some_and(JwtKeys::is_symmetric);
    let usual = || JwtAlgorithm::ALL.into_iter().map(|(_, a)| a).filter(|a| a.is_symmetric() == secret).collect();
    let Some(field) = fields.take("algorithms") else { return usual() };
    let parsed = |item: &Field<'_>, report: &mut Report| {
        item.parsed(report, "HS256, HS384, HS512, RS256, RS384, RS512, ES256 or ES384", JwtAlgorithm::parse).map(|l| l.value)
    };
    let named: BTreeSet<JwtAlgorithm> = one_or_more(&field, report).iter().filter_map(|item| parsed(item, report)).collect();
    if keys.is_some() && named.iter().any(|a| a.is_symmetric() != secret) {
        report
            .error("contradiction", field.key_place, format!("`{}` names algorithms that are not for these keys", field.path))
            .hint("HS… goes with `secret`, RS… and ES… with `keys`: a public key taken for a secret would let everybody sign");
    }
    named
}

/// A name that needs no quoting where it stands.
fn word(field: &Field<'_>, wanted: &str, report: &mut Report) -> Option<String> {
    let good = |t: &str| {
        let plain = t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        (plain && !t.is_empty() && t.len() <= 100).then(|| t.to_owned())
    };
    field.parsed(report, wanted, good).map(|l| l.value)
}

/// Whoever issues or is meant: one text or several. Empty ones would be everybody's.
fn texts(field: &Field<'_>, report: &mut Report) -> BTreeSet<String> {
    let good = |t: &str| (!t.is_empty() && t.len() <= MAX_URL).then(|| t.to_owned());
    let items = one_or_more(field, report);
    if items.is_empty() {
        report
            .error("missing-key", field.key_place, format!("`{}` is empty, so everybody's tokens would do", field.path))
            .hint("give it a value, or remove the key");
    }
    items.iter().filter_map(|f| f.parsed(report, "a text", good)).map(|l| l.value).collect()
}

fn leeway(field: &Field<'_>, report: &mut Report) -> Option<u64> {
    let ms = field.duration(report)?.value;
    if ms > MAX_LEEWAY_MS {
        field.wrong(report, "at most ten minutes");
    }
    Some(ms / 1000)
}

/// `claim: Header`.
fn claims(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, HeaderKey>> {
    let fields = Fields::open(field, report)?;
    let mut claims = BTreeMap::new();
    for (claim, value) in fields.all() {
        let Some(text) = value.text(report) else { continue };
        if let Some(header) = named::<HeaderKey>(&Located::new(text.value, text.place), "bad-header", report) {
            claims.insert(claim.to_owned(), header.value);
        }
    }
    Some(claims)
}
