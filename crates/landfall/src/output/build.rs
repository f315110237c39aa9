//! An image as it is built: on a terminal one line with the step, what it wrote last and how long it takes; elsewhere a line for each step; nothing with
//! `--json`. What a failed step wrote comes with the failure.

use super::Printer;
use super::size::bytes as size;
use super::style::{FAINT, GOOD, STRONG, harmless, paint};
use super::time::took;
use crate::project::count;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use landfall_model::name::ImageRef;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Characters of a step when something stands beside it.
const SHARE: usize = 32;

/// One build.
pub struct BuildView {
    printer: Printer,
    bar: Option<ProgressBar>,
    name: String,
    began: Instant,
    step: Mutex<String>,
}

impl BuildView {
    /// Begins, with so many files to send.
    pub(super) fn new(printer: Printer, name: &str, files: usize, bytes: u64) -> Self {
        let first = format!("sends {}, {}", count(files, "file"), size(bytes));
        let bar = printer.live.then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed:.dim} {prefix:.bold} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner())
                .tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", "✔"]);
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(12)).with_style(style);
            bar.set_prefix(name.to_owned());
            bar.set_message(first.clone());
            bar.enable_steady_tick(TURN);
            bar
        });
        let view = Self { printer, bar, name: name.to_owned(), began: Instant::now(), step: Mutex::new(first.clone()) };
        view.plain(&first);
        view
    }

    fn plain(&self, text: &str) {
        if self.bar.is_none() && !self.printer.is_json() {
            self.printer.note(&format!("{} {}", paint(STRONG, format!("{}:", self.name)), text));
        }
    }

    /// The builder wrote a line.
    pub fn line(&self, line: &str) {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, what)) = line.strip_prefix("Step ").and_then(|rest| rest.split_once(" : ")) {
            *step = format!("[{number}] {}", harmless(what));
            self.plain(&step);
            self.show(&step);
        } else {
            // Both have their share of the line.
            let short: String = step.chars().take(SHARE).collect();
            let more = if step.chars().count() > SHARE { "…" } else { "" };
            self.show(&format!("{short}{more} {}", paint(FAINT, format!("│ {}", harmless(line.trim())))));
        }
    }

    fn show(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Leaves the line to others for the rest.
    pub fn pause(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// It is there.
    pub fn done(&self, image: &ImageRef) {
        if !self.printer.is_json() {
            let time = paint(FAINT, format!("({})", took(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))));
            self.printer.note(&format!("{} {} is built as {image} {time}", paint(GOOD, "✔"), paint(STRONG, &self.name)));
        }
    }
}
