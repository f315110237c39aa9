//! Log lines of several replicas in one stream, told apart by a prefix and its colour, as `docker compose logs` does.

use super::Printer;
use super::style::{FAINT, harmless, paint, service};
use super::time::clock;
use crate::error::Outcome;
use landfall_model::api::LogLine;
use std::collections::BTreeMap;

/// Prints log lines; remembers which colour and width the prefixes have.
pub struct LogView {
    printer: Printer,
    timestamps: bool,
    colours: BTreeMap<String, usize>,
    width: usize,
}

impl LogView {
    /// Nothing printed yet.
    pub fn new(printer: Printer, timestamps: bool) -> Self {
        Self { printer, timestamps, colours: BTreeMap::new(), width: 0 }
    }

    /// One line.
    pub fn line(&mut self, line: &LogLine) -> Outcome {
        if self.printer.is_json() {
            return self.printer.json_line(line);
        }
        let text = if self.printer.to_terminal() { harmless(&line.line) } else { line.line.clone() };
        let prefix = self.prefix(line.replica.as_str());
        let at = if self.timestamps { format!("{} ", paint(FAINT, clock(line.at_ms))) } else { String::new() };
        // Into a file or another program goes what was written, as it was.
        self.printer.text(&format!("{at}{prefix} {text}\n"))
    }

    /// `web-4-1  |`, as wide as the widest so far; replicas of one service share a colour.
    fn prefix(&mut self, replica: &str) -> String {
        let next = self.colours.len();
        let index = *self.colours.entry(service_of(replica).to_owned()).or_insert(next);
        // A name of up to 90 characters would leave no room for what it wrote.
        self.width = self.width.max(replica.len().min(32));
        paint(service(index), format!("{replica:<width$} |", width = self.width))
    }
}

/// `web` of `web-4-1`: ids are `<service>-<release>-<n>` or `<service>-<release>-<job>`.
fn service_of(replica: &str) -> &str {
    replica.rsplitn(3, '-').nth(2).unwrap_or(replica)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_of_a_service_share_its_colour() {
        assert_eq!(service_of("web-4-1"), "web");
        assert_eq!(service_of("my-web-4-migrate"), "my-web");
        assert_eq!(service_of("odd"), "odd");
    }
}
