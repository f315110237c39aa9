//! The keys of a route that say what is done to its requests and answers on their way.

use super::answer;
use super::landfall::one_or_more;
use super::node::Value;
use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use crate::filter::{Cors, CorsOrigin, Filters, HeaderKey, HeaderText, PasswordDigest, RateLimit};
use crate::name::NameError;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// What a page may do without being asked for more.
const CORS_METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const CORS_MAX_AGE_S: u64 = 600;
/// Keys that keep something out: empty, as a variable that is not set makes them, they must not mean "nothing".
const PROTECTING: [&str; 6] = ["allow", "deny", "basic_auth", "jwt", "max_body", "rate_limit"];

/// Reads a route's filters, and which shared limit it is under.
pub(crate) fn read(fields: &mut Fields<'_>, report: &mut Report) -> (Filters, Option<Located<String>>) {
    for (_, field) in fields.all().filter(|(key, field)| PROTECTING.contains(key) && is_nothing(field)) {
        report
            .error("missing-key", field.key_place, format!("`{}` is empty, so it would protect nothing", field.path))
            .hint("give it a value, or remove the key");
    }
    let basic_auth = fields.take("basic_auth").and_then(|f| users(&f, report)).unwrap_or_default();
    let jwt_field = fields.take("jwt");
    let jwt = jwt_field.as_ref().and_then(|f| super::jwt::read(f, report));
    let one_header = jwt.as_ref().is_some_and(|j| j.header.as_str() == "authorization" && j.cookie.is_none() && j.query.is_none());
    if let Some(field) = jwt_field.filter(|_| one_header && !basic_auth.is_empty()) {
        report
            .error("contradiction", field.key_place, format!("`{}` and `basic_auth` want one header to be two things", field.path))
            .hint("remove one, or say which `header` or `cookie` the token is in");
    }
    let (rate_limit, bucket) = match fields.take("rate_limit") {
        Some(field) => limit(&field, report),
        None => (None, None),
    };
    let cors = fields.take("cors").and_then(|f| cors(&f, report));
    let preflight = fields.take("preflight");
    let filters = Filters {
        headers: fields.take("headers").and_then(|f| headers(&f, report)).unwrap_or_default(),
        max_body: fields.take("max_body").and_then(|f| f.size(report)).map(|l| l.value),
        rate_limit,
        bucket: bucket.as_ref().map(|b| b.value.clone()),
        rewrite: rewrite(fields, report),
        underscore_headers: fields.take("underscore_headers").map(|f| names("bad-header", &f, report)).unwrap_or_default(),
        encoded_slashes: fields.take("encoded_slashes").is_some_and(|f| passes(&f, report)),
        upgrade: fields.take("upgrade").map(|f| names("bad-protocol", &f, report)).unwrap_or_default(),
        preflight: preflight.as_ref().is_some_and(|f| passes(f, report)),
        cors,
        uncompressed: fields.take("compression").and_then(|f| f.boolean(report)).is_some_and(|b| !b.value),
        allow: fields.take("allow").map(|f| names("bad-network", &f, report)).unwrap_or_default(),
        deny: fields.take("deny").map(|f| names("bad-network", &f, report)).unwrap_or_default(),
        basic_auth,
        jwt,
        answer: answer::read(fields, report),
    };
    if let Some(field) = preflight.filter(|_| filters.preflight) {
        pass_what(&field, &filters, report);
    }
    (filters, bucket)
}

/// `preflight: pass` must have something to pass.
fn pass_what(field: &Field<'_>, filters: &Filters, report: &mut Report) {
    if filters.cors.is_some() {
        report
            .error("contradiction", field.key_place, format!("`{}` and `cors` both answer the browser's question", field.path))
            .hint("remove one: with `cors` the proxy answers it, before any login");
    } else if filters.basic_auth.is_empty() && filters.jwt.is_none() {
        report
            .error("contradiction", field.key_place, format!("`{}` says who needs no login, and there is none here", field.path))
            .hint("remove it: without `basic_auth` or `jwt` the service gets the question anyway");
    }
}

fn is_nothing(field: &Field<'_>) -> bool {
    match &field.node.value {
        Value::Scalar(scalar) => field.node.is_null() || (scalar.text.is_empty() && !scalar.spoiled),
        Value::Map(entries) => entries.is_empty(),
        Value::List(items) => items.is_empty(),
    }
}

/// `Name: value`; `Name: false` leaves a header to the application.
fn headers(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<HeaderKey, Option<HeaderText>>> {
    let fields = Fields::open(field, report)?;
    let mut headers = BTreeMap::new();
    for (key, value) in fields.all() {
        let name = named::<HeaderKey>(&Located::new(key.to_owned(), value.key_place), "bad-header", report);
        let off = value.node.scalar().is_some_and(|s| s.text == "false");
        let text = if off { Some(None) } else { header_text(value, report).map(Some) };
        if let (Some(name), Some(text)) = (name, text) {
            headers.insert(name.value, text);
        }
    }
    Some(headers)
}

fn header_text(field: &Field<'_>, report: &mut Report) -> Option<HeaderText> {
    named::<HeaderText>(&field.loose_text(report)?, "bad-header", report).map(|l| l.value)
}

/// A limit of the route's own, or the name of one that it shares.
fn limit(field: &Field<'_>, report: &mut Report) -> (Option<RateLimit>, Option<Located<String>>) {
    if field.node.get("bucket").is_none() {
        return (rate_limit(field, report), None);
    }
    let Some(mut fields) = Fields::open(field, report) else { return (None, None) };
    let bucket = fields.take("bucket").and_then(|f| f.text(report));
    fields.finish(report);
    (None, bucket)
}

pub(crate) fn rate_limit(field: &Field<'_>, report: &mut Report) -> Option<RateLimit> {
    const WANTED: &str = "a rate such as `10/s` or `100/min`";
    if field.node.scalar().is_some() {
        return field.parsed(report, WANTED, RateLimit::parse).map(|l| l.value);
    }
    let mut fields = Fields::open(field, report)?;
    let rate = fields.take("rate");
    if rate.is_none() {
        report.error("missing-key", field.place(), format!("`{}` needs `rate`", field.path)).hint("write `{ rate: 10/s, burst: 20 }`");
    }
    let rate = rate.and_then(|f| f.parsed(report, WANTED, RateLimit::parse));
    let burst = fields.take("burst").and_then(|f| f.integer(0..=1_000_000, report));
    fields.finish(report);
    let rate = rate?.value;
    Some(RateLimit { burst: burst.and_then(|b| u32::try_from(b.value).ok()).unwrap_or(rate.burst), ..rate })
}

/// `rewrite: /new` puts another path in the route's place; `strip_prefix: true` puts nothing there.
fn rewrite(fields: &mut Fields<'_>, report: &mut Report) -> Option<crate::name::RoutePath> {
    let strip = fields.take("strip_prefix").filter(|f| f.boolean(report).is_some_and(|b| b.value));
    let rewrite = fields.take("rewrite");
    if let (Some(strip), Some(_)) = (&strip, &rewrite) {
        report
            .error("contradiction", strip.key_place, format!("`{}` and `rewrite` say two things about one path", strip.path))
            .hint("`strip_prefix: true` is `rewrite: /`: remove one");
    }
    match rewrite {
        Some(rewrite) => rewrite.name("bad-route", report).map(|l| l.value),
        None => strip.and_then(|_| "/".parse().ok()),
    }
}

/// `pass`, in place of `refuse`.
fn passes(field: &Field<'_>, report: &mut Report) -> bool {
    let word = |text: &str| match text {
        "pass" => Some(true),
        "refuse" => Some(false),
        _ => None,
    };
    field.parsed(report, "`pass` or `refuse`", word).is_some_and(|l| l.value)
}

/// Names of a list, or one in its place.
pub(crate) fn names<T: FromStr<Err = NameError> + Ord>(code: &str, field: &Field<'_>, report: &mut Report) -> BTreeSet<T> {
    one_or_more(field, report).iter().filter_map(|item| item.name(code, report)).map(|l| l.value).collect()
}

fn cors(field: &Field<'_>, report: &mut Report) -> Option<Cors> {
    let mut cors = Cors {
        origins: BTreeSet::new(),
        methods: CORS_METHODS.map(str::to_owned).into(),
        headers: BTreeSet::new(),
        expose: BTreeSet::new(),
        credentials: false,
        max_age_s: CORS_MAX_AGE_S,
    };
    if !matches!(field.node.value, Value::Map(_)) {
        cors.origins = names("bad-origin", field, report);
        return Some(cors);
    }
    let mut fields = Fields::open(field, report)?;
    match fields.take("origins") {
        Some(origins) => cors.origins = names("bad-origin", &origins, report),
        None => {
            let message = format!("`{}` needs `origins`", field.path);
            report.error("missing-key", field.place(), message).hint("write `{ origins: [https://app.example.com] }`");
        }
    }
    if let Some(methods) = fields.take("methods") {
        let token = |t: &str| (!t.is_empty() && t.bytes().all(|b| b.is_ascii_alphabetic())).then(|| t.to_ascii_uppercase());
        let items = one_or_more(&methods, report);
        cors.methods = items.iter().filter_map(|f| f.parsed(report, "a method such as `PUT`", token)).map(|l| l.value).collect();
    }
    cors.headers = fields.take("headers").map(|f| names("bad-header", &f, report)).unwrap_or_default();
    cors.expose = fields.take("expose").map(|f| names("bad-header", &f, report)).unwrap_or_default();
    let credentials = fields.take("credentials");
    cors.credentials = credentials.as_ref().and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    cors.max_age_s = fields.take("max_age").and_then(|f| f.duration(report)).map_or(CORS_MAX_AGE_S, |d| d.value / 1000);
    fields.finish(report);
    if let Some(credentials) = credentials.filter(|_| cors.credentials && cors.origins.iter().any(CorsOrigin::is_any)) {
        report
            .error("contradiction", credentials.key_place, "every page in the world could act with the cookies of your users")
            .hint("list the origins in place of `*`");
    }
    Some(cors)
}

/// `user: password`.
fn users(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, PasswordDigest>> {
    let fields = Fields::open(field, report)?;
    let mut users = BTreeMap::new();
    for (user, value) in fields.all() {
        if user.is_empty() || user.len() > 200 || user.contains(':') || user.chars().any(char::is_control) {
            report
                .error("bad-name", value.key_place, format!("`{}` names nobody who could log in", value.path))
                .hint("a user's name has no `:`, no control characters and at most 200 bytes");
        } else if is_nothing(value) {
            report.error("missing-key", value.key_place, format!("`{}` has no password", value.path)).hint("write `\"${A_VARIABLE:?}\"`");
        } else if let Some(password) = value.node.scalar() {
            // As it is written, whatever YAML takes it for; no complaint may show it.
            users.insert(user.to_owned(), PasswordDigest::of(user, &password.text));
        } else {
            value.wrong(report, "a password");
        }
    }
    Some(users)
}
