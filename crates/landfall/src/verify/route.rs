//! Looks at what answers below a host: its status, and the headers a browser goes by.

use super::target::{Expect, Host, Place, Target};
use super::wire::{Answer, Dialer};
use super::{Finding, Verdict};
use http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

/// What is shorter is not worth compressing.
const SMALLEST: usize = 1024;
/// Types that shrink.
const TEXTS: [&str; 6] =
    ["text/", "application/json", "application/javascript", "application/xml", "application/manifest+json", "image/svg+xml"];

/// One place: does it answer as the file says; and if it does, how.
pub async fn look(dialer: &Dialer, target: &Target, host: &Host, place: &Place, tell: &mut dyn FnMut(Finding)) {
    let at = host.url(target.secure, &place.path);
    let answer = match dialer.get(host, target.secure, &place.path, &[("accept-encoding", "gzip, br, zstd")]).await {
        Ok(answer) => answer,
        Err(e) => return tell(Finding::failed("route", at, e.to_string(), logs(place))),
    };
    let found = status(place, &answer, at.clone());
    let usable = found.verdict == Verdict::Good && answer.status.is_success();
    tell(found);
    if usable {
        tell(headers(target, host, place, &answer, at.clone()));
        compression(place, &answer, at).into_iter().for_each(tell);
    }
}

fn logs(place: &Place) -> String {
    match &place.service {
        Some(service) => format!("`landfall logs {service}` shows what it wrote"),
        None => "`landfall status` and `landfall logs` show what runs and what it wrote".to_owned(),
    }
}

fn status(place: &Place, answer: &Answer, at: String) -> Finding {
    let code = answer.status.as_u16();
    let seen = format!("answers {code}");
    if answer.status.is_redirection() && answer.header(LOCATION) == at {
        let remedy = "what stands before the server, such as a CDN, asks it by plain HTTP and is redirected to HTTPS for ever: have it ask by \
                      HTTPS, or name its addresses in `x-landfall: { trusted_proxies: [...] }`, so that its word about HTTPS counts";
        return Finding::failed("route", at.clone(), format!("redirects to itself ({at})"), remedy);
    }
    let good = match place.expect {
        Expect::Success => code < 400,
        Expect::Answer => code < 500,
        Expect::Refusal => code == 401 || code == 403,
        Expect::Status(wanted) => code == wanted,
    };
    if good {
        let seen = if code == 404 { "answers 404: the application has nothing at this very path".to_owned() } else { seen };
        return Finding::good("route", at, seen);
    }
    let remedy = match (place.expect, code) {
        (Expect::Refusal, _) => "the file asks for a password or a token here: deploy the file that is here".to_owned(),
        (Expect::Status(wanted), _) => format!("the file says {wanted}: deploy the file that is here"),
        (_, 502) => format!(
            "the line with `fault` in the access log and `landfall status` say why: a connection that is refused or ends, or an answer that cannot be passed on; {}",
            logs(place)
        ),
        (_, 503) => format!("no replica takes requests: `landfall status`; {}", logs(place)),
        (_, 504) => format!("it takes longer than the route's `timeout`: {}", logs(place)),
        (_, 500..) => logs(place),
        _ => "does the route lead to the right service, and is this path one of its own?".to_owned(),
    };
    Finding::failed("route", at, seen, remedy)
}

/// Those that Landfall adds when nobody else says them, and those that the file says.
fn headers(target: &Target, host: &Host, place: &Place, answer: &Answer, at: String) -> Finding {
    // A browser that kept HSTS for a name of this machine would refuse every other program on it.
    let local = host.name == "localhost" || host.name.ends_with(".localhost");
    let framed = answer.header(CONTENT_SECURITY_POLICY).contains("frame-ancestors");
    let mut wanted = vec![X_CONTENT_TYPE_OPTIONS, REFERRER_POLICY];
    wanted.extend((!framed).then_some(X_FRAME_OPTIONS));
    wanted.extend((target.secure && !local).then_some(STRICT_TRANSPORT_SECURITY));
    wanted.retain(|name| !place.waived.iter().any(|waived| waived == name.as_str()));
    let lacks = |name: &str| answer.header(name).is_empty().then(|| format!("lacks {name}"));
    let mut wrong: Vec<String> = wanted.iter().filter_map(|name| lacks(name.as_str())).collect();
    for (name, value) in place.stated.iter().filter(|(name, _)| target.secure || *name != STRICT_TRANSPORT_SECURITY.as_str()) {
        let said = answer.header(name.as_str());
        if said != value {
            wrong.push(lacks(name).unwrap_or_else(|| format!("says `{name}: {}` where the file says `{value}`", said.escape_debug())));
        }
    }
    if wrong.is_empty() {
        let stated = place.stated.iter().map(|(name, _)| name.as_str()).filter(|name| wanted.iter().all(|w| w.as_str() != *name));
        return Finding::good("headers", at, wanted.iter().map(|name| name.as_str()).chain(stated).collect::<Vec<_>>().join(", "));
    }
    wrong.dedup();
    Finding::failed(
        "headers",
        at,
        wrong.join(", "),
        "Landfall sends them by itself: what stands before it changes them, or another file is deployed than the one here",
    )
}

/// Nothing, where nothing could be gained or the file wants none.
fn compression(place: &Place, answer: &Answer, at: String) -> Option<Finding> {
    let (kind, encoding) = (answer.header(CONTENT_TYPE), answer.header(CONTENT_ENCODING));
    if !encoding.is_empty() {
        return Some(Finding::good("compression", at, format!("{}, {}", encoding.escape_debug(), size(answer.length))));
    }
    if !place.compressed || answer.length < SMALLEST || !TEXTS.iter().any(|text| kind.starts_with(text)) {
        return None;
    }
    let seen = format!("{} of {} come as they are", size(answer.length), kind.escape_debug());
    Some(Finding::failed("compression", at, seen, "does the application say `Cache-Control: no-transform`?"))
}

fn size(bytes: usize) -> String {
    crate::output::bytes(bytes as u64)
}
