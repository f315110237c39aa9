//! The keys of a route that say what is done to its requests and answers on their way.

use super::reader::{Field, Fields, named};
use super::report::{Located, Report};
use crate::filter::{Filters, HeaderKey, HeaderText, RateLimit};
use std::collections::BTreeMap;

/// Reads a route's filters.
pub(crate) fn read(fields: &mut Fields<'_>, report: &mut Report) -> Filters {
    Filters {
        headers: fields.take("headers").and_then(|f| headers(&f, report)).unwrap_or_default(),
        max_body: fields.take("max_body").and_then(|f| f.size(report)).map(|l| l.value),
        rate_limit: fields.take("rate_limit").and_then(|f| rate_limit(&f, report)),
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

fn rate_limit(field: &Field<'_>, report: &mut Report) -> Option<RateLimit> {
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
