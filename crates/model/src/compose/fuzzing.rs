//! What the fuzz targets (`fuzz/`) reach of the parsers that have no public door. Built by cargo-fuzz, and with the tests so
//! that it goes on compiling.

use super::dotenv;
use super::interpolate::Variables;
use super::report::{Place, Report};
use super::{duration, size, words};
use std::collections::BTreeMap;

/// Milliseconds of a duration.
pub fn duration(text: &str) -> Option<u64> {
    duration::parse(text)
}

/// A duration as `config` prints it.
pub fn print_duration(ms: u64) -> String {
    duration::print(ms)
}

/// Bytes of a size, in units of 1024 and of 1000.
pub fn size(text: &str) -> (Option<u64>, Option<u64>) {
    (size::parse(text), size::parse_decimal(text))
}

/// Thousandths of a core.
pub fn cores(text: &str) -> Option<u64> {
    size::cpu_millis(text)
}

/// The words of a command line.
pub fn words(text: &str) -> Option<Vec<String>> {
    words::split(text).ok()
}

/// A text with its variables put in.
pub fn interpolate(text: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut report = Report::default();
    let file = report.add_file("f", text.to_owned(), true);
    let place = Place { file, start: 0, end: text.len() as u32, line: 1, column: 1 };
    Variables::new(variables.clone()).expand(text, place, &mut report)
}

/// The variables of a file of variables; `None` after an error.
pub fn dotenv(text: &str, raw: bool) -> Option<BTreeMap<String, String>> {
    let mut report = Report::default();
    let file = report.add_file("f", text.to_owned(), false);
    let format = if raw { dotenv::Format::Raw } else { dotenv::Format::Compose };
    let layers = dotenv::Layers { before: &[], after: &BTreeMap::new() };
    let entries = dotenv::parse(file, format, (layers, &mut Variables::default()), &mut report);
    (!report.failed()).then_some(entries)
}
