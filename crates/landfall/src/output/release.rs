//! What `landfall releases` shows, newest first.

use super::style::{GOOD, STRONG};
use super::table::{Align, Cell, render as table};
use super::time::{date_clock, took};
use landfall_model::api::Release;

/// A table with one line per release.
pub fn render(releases: &[Release]) -> String {
    let rows: Vec<Vec<Cell>> = releases
        .iter()
        .map(|release| {
            let number = if release.current { Cell::styled(STRONG, release.number) } else { release.number.into() };
            let mark = if release.current { Cell::styled(GOOD, "serves") } else { "".into() };
            let programs: Vec<String> = release.programs.iter().map(|(service, program)| format!("{service}={program}")).collect();
            vec![
                number,
                mark,
                date_clock(release.at_ms).into(),
                took(release.took_ms).into(),
                release.purpose.as_str().into(),
                release.who.as_str().into(),
                release.revision.as_str().into(),
                programs.join(" ").into(),
            ]
        })
        .collect();
    let columns = [
        ("RELEASE", Align::Right),
        ("", Align::Left),
        ("WHEN", Align::Left),
        ("TOOK", Align::Right),
        ("WHAT", Align::Left),
        ("WHO", Align::Left),
        ("REVISION", Align::Left),
        ("PROGRAMS", Align::Left),
    ];
    table(&columns, &rows)
}
