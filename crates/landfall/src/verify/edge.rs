//! Looks at a host before any route: certificate, protocols, and where it sends those who come the wrong way.

use super::Finding;
use super::target::{Host, Target};
use super::wire::{Dialer, WireError};
use http::Uri;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate is late when less than this part of its life is left: 15 days of 90, one of six.
const PART_LEFT: i64 = 6;
const DAY: i64 = 86_400;
/// Reserved: no such name exists (RFC 6761 §6.4).
const STRANGER: &str = "landfall-verify.invalid";

/// A chain that browsers follow, for this name, with time left.
pub async fn certificate(dialer: &Dialer, host: &Host) -> Finding {
    let at = host.url(true, "");
    let made = dialer.within(dialer.secure(&host.name, host.reach.https, &[])).await;
    let stream = match made {
        Ok(stream) => stream,
        Err(e) => {
            let remedy = match &e {
                WireError::Tls(_) => {
                    "`landfall certs` says what is served and why; for a server's own authority name its root: `landfall ca --pem > ca.pem`, `landfall verify --ca ca.pem`"
                }
                WireError::Name(..) => "let the name's A and AAAA records lead to the server, or say where it is: `--https ADDRESS`",
                _ => "is the server up (`landfall status`), and is port 443 open in its firewall and its provider's?",
            };
            return Finding::failed("certificate", at, e.to_string(), remedy);
        }
    };
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some((_, leaf)) = leaf.and_then(|der| X509Certificate::from_der(der).ok()) else {
        return Finding::failed("certificate", at, "it cannot be read", "`landfall certs --renew`");
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let (from, until) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    let issuer = leaf.issuer().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or("an authority without a name");
    let left = until.saturating_sub(now);
    let seen = format!("{} by {}, {} days left", version(&stream), issuer.escape_debug(), left / DAY);
    if left < until.saturating_sub(from) / PART_LEFT {
        return Finding::failed("certificate", at, seen, "it should have been renewed by now: `landfall certs` says why it was not");
    }
    Finding::good("certificate", at, seen)
}

fn version<T>(stream: &tokio_rustls::client::TlsStream<T>) -> &'static str {
    match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    }
}

/// HTTP/2, agreed on by ALPN (RFC 7301).
pub async fn http2(dialer: &Dialer, host: &Host) -> Finding {
    let at = host.url(true, "");
    match dialer.within(dialer.secure(&host.name, host.reach.https, &[b"h2", b"http/1.1"])).await {
        Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => Finding::good("http2", at, "agreed on by ALPN"),
        Ok(_) => {
            Finding::failed("http2", at, "the server does not agree to h2", "something stands before Landfall that speaks HTTP/1.1 only")
        }
        Err(e) => Finding::failed("http2", at, e.to_string(), "`landfall status`"),
    }
}

/// Who comes by plain HTTP is sent to HTTPS.
pub async fn redirect(dialer: &Dialer, host: &Host) -> Finding {
    let at = host.url(false, "/");
    let to = host.redirects_to.as_deref().unwrap_or(&host.name);
    match dialer.get(host, false, "/", &[]).await {
        Ok(answer) if answer.status.is_redirection() && leads(answer.header("location"), true, &[&host.name, to]) => {
            Finding::good("redirect", at, format!("{} to {}", answer.status.as_u16(), answer.header("location").escape_debug()))
        }
        Ok(answer) if answer.status.is_redirection() => {
            let seen = format!("{} to {}", answer.status.as_u16(), answer.header("location").escape_debug());
            Finding::failed("redirect", at, seen, format!("it should lead to https://{}: what stands before Landfall?", host.name))
        }
        Ok(answer) => {
            let seen = format!("answers {} by plain HTTP instead of a redirect to HTTPS", answer.status.as_u16());
            Finding::failed("redirect", at, seen, "something else than Landfall answers on port 80, or `tls: off` is deployed")
        }
        Err(e) => {
            Finding::failed("redirect", at, e.to_string(), "open port 80: who types the bare name comes there, and so do authorities")
        }
    }
}

/// Another domain of the app leads to the canonical one.
pub async fn canonical(dialer: &Dialer, host: &Host, canonical: &str, secure: bool) -> Finding {
    let at = host.url(secure, "/");
    match dialer.get(host, secure, "/", &[]).await {
        Ok(answer) if answer.status.is_redirection() && leads(answer.header("location"), secure, &[canonical]) => {
            Finding::good("canonical", at, format!("{} to {}", answer.status.as_u16(), answer.header("location").escape_debug()))
        }
        Ok(answer) => {
            let seen = format!("answers {}, not a redirect to {canonical}", answer.status.as_u16());
            Finding::failed("canonical", at, seen, "deploy the file that is here: the first of `domains` is canonical")
        }
        Err(e) => Finding::failed("canonical", at, e.to_string(), "`landfall status`"),
    }
}

fn leads(location: &str, secure: bool, to: &[&str]) -> bool {
    location.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some(if secure { "https" } else { "http" })
            && uri.host().is_some_and(|host| to.contains(&host))
            && uri.path() == "/"
    })
}

/// A name that is nobody's is not served: else every name that somebody points here would be the app's.
pub async fn stranger(dialer: &Dialer, target: &Target, host: &Host) -> Finding {
    let at = format!("{} asked for {STRANGER}", host.url(target.secure, ""));
    if target.every_host {
        return Finding::skipped("unknown-host", at, "the file names no `domains`, so every name is served");
    }
    let asked = dialer
        .within(async {
            let mut line = dialer.line(&host.name, host.reach, target.secure, STRANGER).await?;
            line.get("/", &[]).await
        })
        .await;
    match asked {
        Ok(answer) if answer.status.is_client_error() => Finding::good("unknown-host", at, format!("answers {}", answer.status.as_u16())),
        Ok(answer) => {
            let seen = format!("answers {}", answer.status.as_u16());
            Finding::failed("unknown-host", at, seen, "name the app's `domains`: an app without any answers to every name")
        }
        // A closed connection serves nobody either.
        Err(WireError::Http(_)) => Finding::good("unknown-host", at, "is not answered"),
        Err(e) => Finding::failed("unknown-host", at, e.to_string(), "`landfall status`"),
    }
}
