//! Variables: those the file is interpolated with, and the complete environment of each service.
//!
//! For interpolation the process environment wins over `.env`. In a service `environment` wins over `env_file`, later files over earlier ones;
//! a name without value takes it from the variables of interpolation, and is left out when they have none. All as in Compose.

use super::contract::Environments;
use super::interpolate::Variables;
use super::report::{Place, Report};
use super::service::{EnvFile, ServiceFile};
use super::shape::Enabled;
use super::yaml::shorten;
use super::{FileProblem, Input, MAX_TEXT, dotenv, path};
use crate::diagnostic::Diagnostic;
use crate::name::EnvKey;
use crate::spec::EnvValue;
use std::collections::BTreeMap;

/// Most bytes all environments together may have.
const MAX_ENVIRONMENTS: usize = 16 * 1024 * 1024;

/// Reads a file that complaints call `name`; the text of a file of variables is never `shown`.
pub(crate) fn load(input: &Input<'_>, path: &str, (name, shown): (&str, bool), report: &mut Report) -> Result<u16, FileProblem> {
    let bytes = input.reader.read(path)?;
    if bytes.len() > MAX_TEXT {
        return Err(FileProblem::TooLarge);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(report.add_file(name, text, shown)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let utf16 = error.as_bytes().starts_with(&[0xff, 0xfe]) || error.as_bytes().starts_with(&[0xfe, 0xff]);
            let head = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default()).into_owned();
            let line_start = head.rfind('\n').map_or(0, |i| i + 1);
            let (line, column) = (head.matches('\n').count() as u32 + 1, head[line_start..].chars().count() as u32 + 1);
            let file = report.add_file(name, head, shown);
            let place = Place { file, start: good as u32, end: good as u32, line, column };
            let why = if utf16 { "the file is UTF-16" } else { "the file is not UTF-8" };
            report.error("not-utf8", place, why).hint("save it as UTF-8");
            Err(FileProblem::Complained)
        }
    }
}

/// The variables the file is interpolated with.
pub(crate) fn variables(input: &Input<'_>, report: &mut Report) -> Variables {
    let default = [path::absolute(input.project_dir, ".env")];
    let (files, asked) = match input.env_files {
        Some(files) => (files, true),
        None => (&default[..], false),
    };
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for name in files {
        if !asked && !input.reader.exists(name) {
            continue;
        }
        let shown_name = if asked { name.as_str() } else { ".env" };
        match load(input, name, (shown_name, false), report) {
            Ok(file) => {
                let mut outside = Variables::new(values.iter().chain(input.env).map(|(k, v)| (k.clone(), v.clone())).collect());
                values.extend(dotenv::parse(file, false, &mut outside, report));
                outside.warn_of_undefined(|_| false, report);
            }
            Err(problem) => unreadable(shown_name, &problem, None, report),
        }
    }
    values.extend(input.env.iter().map(|(k, v)| (k.clone(), v.clone())));
    Variables::new(values)
}

/// Complains about a file that cannot be read, at the place that names it if there is one.
pub(crate) fn unreadable(name: &str, problem: &FileProblem, place: Option<Place>, report: &mut Report) {
    if *problem == FileProblem::Complained {
        return;
    }
    let shown = place.map_or_else(|| shorten(name), |p| report.written(p, name));
    let message = format!("cannot read `{shown}`: {problem}");
    let span = place.and_then(|p| report.span(p));
    let hint = match problem {
        FileProblem::NotFound => "check the path; it is relative to the project directory",
        FileProblem::TooLarge => "files Landfall reads are at most 1 MiB",
        _ => "check that it is a file this user may read",
    };
    report.push(Diagnostic::error("unreadable-file", span, message)).hint(hint);
}

/// The complete environment of every service.
pub(crate) fn environments(enabled: &Enabled<'_>, input: &Input<'_>, variables: &mut Variables, report: &mut Report) -> Environments {
    let mut cache: BTreeMap<(String, bool), Vec<(String, String)>> = BTreeMap::new();
    let mut out = Environments::new();
    let mut bytes = 0;
    for (name, service) in enabled {
        let mut environment = BTreeMap::new();
        for file in &service.env_files {
            let key = (path::absolute(input.project_dir, &file.path.value), file.raw);
            let entries = cache.entry(key).or_insert_with_key(|(path, _)| read_env_file(path, file, (input, variables, report)));
            environment.extend(entries.iter().filter_map(|(k, v)| Some((k.parse::<EnvKey>().ok()?, EnvValue::new(v.as_str())))));
        }
        own(service, variables, &mut environment);
        bytes += environment.iter().map(|(k, v)| k.as_str().len() + v.reveal().len()).sum::<usize>();
        if bytes > MAX_ENVIRONMENTS {
            report
                .error(
                    "too-large",
                    service.place,
                    format!("the environments of all services have more than {} MiB", MAX_ENVIRONMENTS >> 20),
                )
                .hint("mount large texts as files");
            return out;
        }
        out.insert((*name).clone(), environment);
    }
    out
}

/// `environment` on top of the files.
fn own(service: &ServiceFile, variables: &Variables, environment: &mut BTreeMap<EnvKey, EnvValue>) {
    for (key, value) in &service.environment {
        let value = value.as_ref().map(|v| v.value.as_str()).or_else(|| variables.values.get(key.value.as_str()).map(String::as_str));
        if let Some(value) = value {
            environment.insert(key.value.clone(), EnvValue::new(value));
        }
    }
}

fn read_env_file(
    path: &str,
    file: &EnvFile,
    (input, variables, report): (&Input<'_>, &mut Variables, &mut Report),
) -> Vec<(String, String)> {
    if !file.required && !input.reader.exists(path) {
        return Vec::new();
    }
    let id = match load(input, path, (&file.path.value, false), report) {
        Ok(id) => id,
        Err(problem) => {
            unreadable(&file.path.value, &problem, Some(file.path.place), report);
            if problem == FileProblem::NotFound {
                report.hint_last("create it, or write `{ path: …, required: false }`");
            }
            return Vec::new();
        }
    };
    let mut outside = Variables::new(variables.values.clone());
    let entries = dotenv::parse(id, file.raw, &mut outside, report);
    for (name, (place, count)) in outside.undefined {
        variables.undefined.entry(name).or_insert((place, 0)).1 += count;
    }
    for (key, _) in entries.iter().filter(|(k, _)| k.parse::<EnvKey>().is_err()) {
        let message = format!("`{}` in `{}` is no variable name", shorten(key), report.written(file.path.place, &file.path.value));
        report.error("bad-name", file.path.place, message).hint("names have letters, digits and `_`, and begin with no digit");
    }
    entries
}
