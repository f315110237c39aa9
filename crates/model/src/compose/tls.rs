//! `x-landfall.tls`: where certificates come from.

use super::landfall::argv;
use super::path;
use super::reader::{Field, Fields};
use super::report::{Located, Place, Report};
use crate::name::{CertificateName, Domain};
use crate::tls::{Acme, Challenge, Tls};

/// Keys of its mapping.
const KEYS: [&str; 7] = ["email", "ca", "challenge", "hook", "names", "cert", "key"];
/// Programs and arguments of a hook.
const MAX_HOOK: usize = 50;
/// Names beside those of the domains.
const MAX_NAMES: usize = 100;

/// As it was written.
#[derive(Debug, Clone)]
pub(crate) struct TlsFile {
    tls: Tls,
    pub(crate) place: Place,
}

/// What holds for these domains.
pub(crate) fn resolve(file: Option<&TlsFile>, domains: &[Domain], project_dir: &str) -> Tls {
    match file.map(|f| &f.tls) {
        Some(Tls::Files { chain, key }) => Tls::Files { chain: path::absolute(project_dir, chain), key: path::absolute(project_dir, key) },
        Some(tls) => tls.clone(),
        // Public names get public certificates. All others have no authority to go to but our own.
        None => {
            let acme = Acme::default();
            if acme.certificate_names(domains).is_empty() { Tls::Internal } else { Tls::Acme(acme) }
        }
    }
}

/// Reads it.
pub(crate) fn read(field: &Field<'_>, report: &mut Report) -> Option<TlsFile> {
    let Some(scalar) = field.node.scalar() else { return mapping(field, report) };
    let tls = match scalar.text.as_str() {
        "internal" => Tls::Internal,
        "off" => Tls::Off,
        "acme" => Tls::Acme(Acme::default()),
        _ => {
            field.wrong(report, "`acme`, `internal`, `off`, `{ email: … }` or `{ cert: …, key: … }`");
            return None;
        }
    };
    Some(TlsFile { tls, place: field.place() })
}

fn mapping(field: &Field<'_>, report: &mut Report) -> Option<TlsFile> {
    let mut fields = Fields::open(field, report)?;
    let files = (fields.take("cert"), fields.take("key"));
    if files.0.is_some() || files.1.is_some() {
        for key in KEYS.into_iter().filter(|k| !matches!(*k, "cert" | "key")) {
            if let Some(other) = fields.take(key) {
                let message = format!("`{}` says how to get a certificate, `cert` that there is one", other.path);
                report.error("tls-conflict", other.key_place, message).hint("remove one of the two");
            }
        }
        fields.finish(report);
        let (Some(chain), Some(key)) = files else {
            report
                .error("missing-key", field.place(), format!("`{}` needs both `cert` and `key`", field.path))
                .hint("`cert` is the file of the chain, the certificate first; `key` that of its private key");
            return None;
        };
        let mut file = |f: Field<'_>| f.text(report).map(|t| t.value).filter(|t| !t.is_empty());
        return Some(TlsFile { tls: Tls::Files { chain: file(chain)?, key: file(key)? }, place: field.place() });
    }
    let acme = acme(&mut fields, field, report);
    fields.finish(report);
    Some(TlsFile { tls: Tls::Acme(acme?), place: field.place() })
}

fn acme(fields: &mut Fields<'_>, field: &Field<'_>, report: &mut Report) -> Option<Acme> {
    let mut acme = Acme::default();
    let mut good = true;
    if let Some(email) = fields.take("email") {
        let parsed = email.parsed(report, "an e-mail address", address);
        good &= parsed.is_some();
        acme.email = parsed.map(|e| e.value);
    }
    if let Some(ca) = fields.take("ca") {
        let parsed = ca.parsed(report, "the `https://` address of an ACME directory", directory);
        good &= parsed.is_some();
        acme.ca = parsed.map(|c| c.value).unwrap_or(acme.ca);
    }
    let challenge = fields.take("challenge").and_then(|f| {
        f.parsed(report, "`http`, `tls-alpn` or `dns`", |t| match t {
            "http" => Some(Challenge::Http),
            "tls-alpn" => Some(Challenge::TlsAlpn),
            "dns" => Some(Challenge::Dns),
            _ => None,
        })
    });
    let hook = fields.take("hook").and_then(|f| argv(&f, report)).filter(|hook| is_program(hook, report));
    let names = fields.take("names").and_then(|f| f.texts(report)).unwrap_or_default();
    acme.names = names.iter().filter_map(|text| certificate_name(text, report)).map(|n| n.value).take(MAX_NAMES).collect();
    acme.challenge = match (&challenge, &hook) {
        (Some(challenge), _) => challenge.value,
        (None, Some(_)) => Challenge::Dns,
        (None, None) => Challenge::Any,
    };
    let place = challenge.as_ref().map_or(field.place(), |c| c.place);
    acme.hook = hook.map(|h| h.value).unwrap_or_default();
    good &= fits(&acme, place, report);
    good.then_some(acme)
}

/// Challenge, hook and names go together.
fn fits(acme: &Acme, place: Place, report: &mut Report) -> bool {
    let dns = acme.challenge == Challenge::Dns;
    let hint = "give the program that does it: `hook: [/usr/local/bin/dns-record]`";
    if dns && acme.hook.is_empty() {
        report.error("tls-hook", place, "the DNS challenge needs a `hook`, which puts its record into the DNS").hint(hint);
        return false;
    }
    if let Some(name) = acme.names.iter().find(|n| n.is_wildcard() && !dns) {
        let message = format!("a certificate for `{name}` can only be had by the DNS challenge");
        report.error("tls-hook", place, message).hint(hint);
        return false;
    }
    if !acme.hook.is_empty() && !dns {
        report.error("tls-hook", place, "`hook` is for the DNS challenge, and another is chosen").hint("write `challenge: dns`");
        return false;
    }
    true
}

fn is_program(hook: &Located<Vec<String>>, report: &mut Report) -> bool {
    let absolute = hook.value.first().is_some_and(|program| program.starts_with('/'));
    if !absolute || hook.value.len() > MAX_HOOK {
        report
            .error("tls-hook", hook.place, "`hook` wants the absolute path of a program on the server, and its arguments")
            .hint("write [/usr/local/bin/dns-record, argument]");
        return false;
    }
    true
}

fn certificate_name(text: &Located<String>, report: &mut Report) -> Option<Located<CertificateName>> {
    let lower = Located::new(text.value.to_ascii_lowercase(), text.place);
    super::reader::named(&lower, "bad-name", report)
}

fn address(text: &str) -> Option<String> {
    let (local, host) = text.split_once('@')?;
    let plain = text.len() <= 254 && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'?' | b'"' | b'<' | b'>'));
    (plain && !local.is_empty() && host.parse::<Domain>().is_ok()).then(|| text.to_owned())
}

fn directory(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://")?;
    let plain = text.len() <= 2000 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    (plain && !rest.is_empty() && !rest.starts_with('/') && !rest.contains('@')).then(|| text.to_owned())
}
