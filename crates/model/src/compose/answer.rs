//! The keys of a route that answers by itself.

use super::landfall::one_or_more;
use super::node::Value;
use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use crate::filter::{Answer, Files, FilesRoot, HeaderText, Redirect, RedirectTarget, Respond};
use crate::name::RoutePath;

/// Reads what a route answers, if it does.
pub(crate) fn read(fields: &mut Fields<'_>, report: &mut Report) -> Option<Answer> {
    let mut found: Option<(String, Option<Answer>)> = None;
    let answers = [
        fields.take("redirect").map(|f| (redirect(&f, report).map(Answer::Redirect), f)),
        fields.take("respond").map(|f| (respond(&f, report).map(Answer::Respond), f)),
        fields.take("static").map(|f| (files(&f, report).map(Answer::Files), f)),
    ];
    for (answer, field) in answers.into_iter().flatten() {
        if let Some((other, _)) = &found {
            let message = format!("`{other}` and `{}` are two answers to one request", field.path);
            report.error("contradiction", field.key_place, message).hint("keep one of them");
        }
        found = Some((field.path, answer));
    }
    found.and_then(|(_, answer)| answer)
}

/// An address, or `{ to, status, keep_rest }`.
fn redirect(field: &Field<'_>, report: &mut Report) -> Option<Redirect> {
    if !matches!(field.node.value, Value::Map(_)) {
        let to = field.name::<RedirectTarget>("bad-redirect", report)?.value;
        return Some(Redirect { status: 308, keep_rest: !to.is_closed(), to });
    }
    let mut fields = Fields::open(field, report)?;
    let to = fields.take("to");
    if to.is_none() {
        report.error("missing-key", field.place(), format!("`{}` needs `to`", field.path)).hint("write `{ to: /new }`");
    }
    let to = to.and_then(|f| f.name::<RedirectTarget>("bad-redirect", report));
    let status = fields.take("status").and_then(|f| {
        f.parsed(report, "301, 302, 303, 307 or 308", |t| t.parse().ok().filter(|status| Redirect::STATUSES.contains(status)))
    });
    let keep_rest = fields.take("keep_rest").and_then(|f| f.boolean(report));
    fields.finish(report);
    let to = to?;
    if let Some(place) = keep_rest.as_ref().filter(|k| k.value && to.value.is_closed()).map(|k| k.place) {
        let message = format!("`{}.to` has a query or fragment, so nothing can be added to it", field.path);
        report.error("contradiction", place, message).hint("write `keep_rest: false`");
    }
    let keep_rest = keep_rest.map_or(!to.value.is_closed(), |k| k.value);
    Some(Redirect { to: to.value, status: status.map_or(308, |s| s.value), keep_rest })
}

/// A directory, or `{ root, spa, immutable }`.
fn files(field: &Field<'_>, report: &mut Report) -> Option<Files> {
    let none = |root| Files { root, sha256: None, spa: None, immutable: Vec::new() };
    if !matches!(field.node.value, Value::Map(_)) {
        return field.name::<FilesRoot>("bad-files", report).map(|root| none(root.value));
    }
    let mut fields = Fields::open(field, report)?;
    let root = fields.take("root");
    if root.is_none() {
        report.error("missing-key", field.place(), format!("`{}` needs `root`", field.path)).hint("write `{ root: ./dist }`");
    }
    let root = root.and_then(|f| f.name::<FilesRoot>("bad-files", report));
    let spa = fields.take("spa").and_then(|f| match f.node.scalar().map(|s| s.text.as_str()) {
        Some("true") => "/index.html".parse().ok(),
        Some("false") => None,
        _ => f.name::<RoutePath>("bad-route", report).map(|path| path.value),
    });
    let immutable = fields.take("immutable").map(|f| one_or_more(&f, report)).unwrap_or_default();
    let immutable = immutable.iter().filter_map(|f| f.name::<RoutePath>("bad-route", report)).map(|path| path.value).collect();
    fields.finish(report);
    Some(Files { spa, immutable, ..none(root?.value) })
}

/// A status, or `{ status, body, content_type }`.
fn respond(field: &Field<'_>, report: &mut Report) -> Option<Respond> {
    let status = |field: &Field<'_>, report: &mut Report| field.integer(200..=599, report).and_then(|s| u16::try_from(s.value).ok());
    let text = || "text/plain; charset=utf-8".parse::<HeaderText>().ok();
    if !matches!(field.node.value, Value::Map(_)) {
        return Some(Respond { status: status(field, report)?, body: String::new(), content_type: text()? });
    }
    let mut fields = Fields::open(field, report)?;
    let code = fields.take("status").map_or(Some(200), |f| status(&f, report));
    let body = fields.take("body").and_then(|f| body(&f, report));
    let kind = fields.take("content_type").map_or_else(text, |f| Some(named::<HeaderText>(&f.text(report)?, "bad-header", report)?.value));
    fields.finish(report);
    Some(Respond { status: code?, body: body.unwrap_or_default(), content_type: kind? })
}

fn body(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let Located { value, place, .. } = field.loose_text(report)?;
    if value.len() > Respond::MAX_BODY {
        let message = format!("`{}` has {} bytes; an answer in this file has at most {}", field.path, value.len(), Respond::MAX_BODY);
        report.error("too-large", place, message).hint("let the application answer, or serve a file");
        return None;
    }
    Some(value)
}
