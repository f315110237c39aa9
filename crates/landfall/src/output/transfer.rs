//! Bytes on their way, or read before they are: a bar on a terminal, a line every few seconds elsewhere, nothing with `--json`.

use super::Printer;
use super::size::bytes as size;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Between two lines where there is no terminal.
const TELL: Duration = Duration::from_secs(5);

/// One transfer.
pub struct Transfer {
    printer: Printer,
    bar: Option<ProgressBar>,
    what: String,
    done: u64,
    /// Nothing where nobody knows.
    of: Option<u64>,
    told: Instant,
}

impl Transfer {
    pub(super) fn new(printer: Printer, what: &str, of: Option<u64>) -> Self {
        let bar = printer.live.then(|| {
            let template = match of {
                Some(_) => {
                    "  {prefix:.bold} {bar:24.cyan/dim} {decimal_bytes} of {decimal_total_bytes} {decimal_bytes_per_sec:.dim} {eta:.dim}"
                }
                None => "{spinner} {prefix:.bold} read from this machine's Docker: {decimal_bytes}",
            };
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::with_draw_target(of, ProgressDrawTarget::stderr_with_hz(8)).with_style(style);
            bar.with_prefix(what.to_owned())
        });
        Self { printer, bar, what: what.to_owned(), done: 0, of, told: Instant::now() }
    }

    /// So many more have arrived.
    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if !self.printer.is_json() && self.told.elapsed() >= TELL {
            self.told = Instant::now();
            self.printer.note(&match self.of {
                Some(of) => format!("{}: sent {} of {}", self.what, size(self.done), size(of)),
                None => format!("{}: read {}", self.what, size(self.done)),
            });
        }
    }

    /// Takes the bar away: what was sent is told by who sent it.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
