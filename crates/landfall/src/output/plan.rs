//! What `landfall plan` shows: the steps in order, then what a reader should know.

use super::style::{FAINT, GOOD, STRONG, WARNING, paint};
use landfall_model::api::Planned;

/// Lines of the plan.
pub fn render(planned: &Planned) -> String {
    let plan = &planned.plan;
    if plan.is_empty() {
        return format!("{} nothing to change: {} is as the files say\n", paint(GOOD, "✔"), paint(STRONG, &plan.app));
    }
    let count = plan.steps.len();
    let mut text =
        format!("{} release {}: {count} {}\n", paint(STRONG, &plan.app), plan.release, if count == 1 { "step" } else { "steps" });
    // After the steps the lines say the notes, which are no steps.
    for (index, line) in planned.lines.iter().take(count).enumerate() {
        text.push_str(&format!("{} {line}\n", paint(FAINT, format!("{:>4}", index + 1))));
    }
    for note in &plan.notes {
        text.push_str(&format!("{} {note}\n", paint(WARNING, "note:")));
    }
    text
}
