//! The keys of `x-landfall` that hold for every request an app gets from outside.

use super::check::App;
use super::filter::{names, rate_limit};
use super::path;
use super::reader::{Field, Fields};
use super::report::{Located, Report};
use crate::filter::{Network, RateLimit};
use crate::front::{AccessLog, ErrorPage, Front, Maintenance, OWN_STATUSES};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of one page.
const MAX_PAGE: usize = 64 * 1024;
/// What is said when nobody knows how long it takes.
const RETRY_AFTER_S: u32 = 300;
const MAX_BUCKETS: usize = 50;

/// As it was written: pages are files that are not read yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrontFile {
    front: Front,
    pages: Option<Located<String>>,
    maintenance_page: Option<Located<String>>,
    /// Limits that several routes share, by name.
    pub(crate) rate_limits: BTreeMap<String, RateLimit>,
}

/// Reads the keys.
pub(crate) fn read(fields: &mut Fields<'_>, report: &mut Report) -> FrontFile {
    let mut out = FrontFile {
        front: Front {
            trusted_proxies: fields.take("trusted_proxies").map(|f| trusted(&f, report)).unwrap_or_default(),
            access_log: fields.take("access_log").and_then(|f| access_log(&f, report)).unwrap_or_default(),
            probe: fields.take("probe").and_then(|f| f.name("bad-route", report)).map(|l| l.value),
            ..Front::default()
        },
        pages: fields.take("error_pages").and_then(|f| f.text(report)),
        rate_limits: fields.take("rate_limits").and_then(|f| rate_limits(&f, report)).unwrap_or_default(),
        maintenance_page: None,
    };
    if let Some(field) = fields.take("maintenance") {
        out.front.maintenance = maintenance(&field, &mut out.maintenance_page, report);
    }
    out
}

/// What holds, with the pages read.
pub(crate) fn resolve(file: &FrontFile, app: &App<'_>, report: &mut Report) -> Front {
    let mut front = file.front.clone();
    if let Some(dir) = &file.pages {
        front.error_pages = pages(dir, app, report);
    }
    if let (Some(maintenance), Some(from)) = (&mut front.maintenance, &file.maintenance_page) {
        maintenance.page = page(from, app, report);
    }
    front
}

/// A page of the project. It travels in the spec, so the server needs none of the author's files.
fn page(from: &Located<String>, app: &App<'_>, report: &mut Report) -> Option<String> {
    let file = path::absolute(app.project_dir, &from.value);
    let why = if !path::within(app.project_dir, &file) {
        "it is not below the project directory".to_owned()
    } else {
        match app.reader.read(&file) {
            Ok(bytes) if bytes.len() > MAX_PAGE => format!("it is larger than {} KiB", MAX_PAGE / 1024),
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Some(text),
                Err(_) => "it is not UTF-8".to_owned(),
            },
            Err(problem) => problem.to_string(),
        }
    };
    let message = format!("the page `{}` cannot be used: {why}", report.written(from.place, &from.value));
    report.error("bad-page", from.place, message).hint("give the path of one HTML file of the project, with its styles in it");
    None
}

fn trusted(field: &Field<'_>, report: &mut Report) -> BTreeSet<Network> {
    let networks: BTreeSet<Network> = names("bad-network", field, report);
    if networks.iter().any(Network::is_everybody) {
        report
            .error("bad-network", field.place(), format!("`{}` trusts everybody, so that every client could say who it is", field.path))
            .hint("list the addresses of your load balancer or CDN");
    }
    networks
}

fn access_log(field: &Field<'_>, report: &mut Report) -> Option<AccessLog> {
    if field.node.scalar().is_some() {
        let which = |text: &str| match text {
            "errors" => Some(AccessLog::default()),
            "all" => Some(AccessLog { sample: AccessLog::ALL, ..AccessLog::default() }),
            "off" => Some(AccessLog { errors: false, ..AccessLog::default() }),
            _ => None,
        };
        return field.parsed(report, "`errors`, `all`, `off`, or a mapping", which).map(|l| l.value);
    }
    let mut fields = Fields::open(field, report)?;
    let sample = fields.take("sample").and_then(|f| f.parsed(report, "a share such as `10%`", AccessLog::share));
    let query = fields.take("query").and_then(|f| f.boolean(report)).is_some_and(|b| b.value);
    fields.finish(report);
    Some(AccessLog { sample: sample.map_or(0, |l| l.value), query, ..AccessLog::default() })
}

/// `404.html` and the like of a directory.
fn pages(dir: &Located<String>, app: &App<'_>, report: &mut Report) -> Vec<ErrorPage> {
    let base = path::absolute(app.project_dir, &dir.value);
    let file = |status: &u16| format!("{base}/{status}.html");
    let there: Vec<u16> = OWN_STATUSES.into_iter().filter(|status| app.reader.exists(&file(status))).collect();
    if there.is_empty() {
        let names = OWN_STATUSES.map(|status| format!("{status}.html")).join(", ");
        let message = format!("there is no page in `{}`", report.written(dir.place, &dir.value));
        report.error("bad-page", dir.place, message).hint(format!("the proxy looks for {names}; all other answers are your service's own"));
    }
    let read = |status: u16| Some(ErrorPage { status, html: page(&Located::new(file(&status), dir.place), app, report)? });
    there.into_iter().filter_map(read).collect()
}

/// `name: 10/s`.
fn rate_limits(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, RateLimit>> {
    let fields = Fields::open(field, report)?;
    let mut limits = BTreeMap::new();
    for (name, value) in fields.all() {
        if let Some(limit) = rate_limit(value, report) {
            limits.insert(name.to_owned(), limit);
        }
    }
    if limits.len() > MAX_BUCKETS {
        field.wrong(report, "at most 50 limits");
    }
    Some(limits)
}

/// `true`, `false`, or who still comes in.
fn maintenance(field: &Field<'_>, page: &mut Option<Located<String>>, report: &mut Report) -> Option<Maintenance> {
    let usual = Maintenance { retry_after_s: RETRY_AFTER_S, ..Maintenance::default() };
    if field.node.scalar().is_some() {
        return field.boolean(report).filter(|b| b.value).map(|_| usual);
    }
    let mut fields = Fields::open(field, report)?;
    let on = fields.take("on").is_none_or(|f| f.boolean(report).is_none_or(|b| b.value));
    *page = fields.take("page").and_then(|f| f.text(report));
    let retry_after = fields.take("retry_after").and_then(|f| f.duration(report));
    let maintenance = Maintenance {
        page: None,
        allow: fields.take("allow").map(|f| names("bad-network", &f, report)).unwrap_or_default(),
        key: fields.take("key").and_then(|f| key(&f, report)),
        retry_after_s: retry_after.map_or(RETRY_AFTER_S, |ms| u32::try_from(ms.value.div_ceil(1000)).unwrap_or(RETRY_AFTER_S)),
    };
    fields.finish(report);
    on.then_some(maintenance)
}

/// As it is written, whatever YAML takes it for; no complaint may show it.
fn key(field: &Field<'_>, report: &mut Report) -> Option<crate::filter::PasswordDigest> {
    let found = field.node.scalar().filter(|scalar| scalar.text.len() >= 8);
    if found.is_none() {
        report
            .error("missing-key", field.place(), format!("`{}` would be guessed: it needs 8 characters or more", field.path))
            .hint("write `\"${A_VARIABLE:?}\"`, or remove the key");
    }
    found.map(|scalar| Maintenance::key(&scalar.text))
}
