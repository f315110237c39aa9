//! Tables: aligned columns, a faint heading, no borders.

use super::style::{FAINT, harmless, paint};
use anstyle::Style;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// One cell: its text is measured without its style.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a style.
    pub fn styled(style: Style, text: impl std::fmt::Display) -> Self {
        Self { text: harmless(&text.to_string()), style }
    }
}

impl<T: std::fmt::Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: harmless(&text.to_string()), style: Style::new() }
    }
}

/// Lines of the table, each ending with a newline. A row may have fewer cells than there are columns.
pub fn render(columns: &[(&str, Align)], rows: &[Vec<Cell>]) -> String {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, (title, _))| rows.iter().filter_map(|row| row.get(i)).map(|cell| width(&cell.text)).fold(width(title), usize::max))
        .collect();
    let heading: Vec<Cell> = columns.iter().map(|(title, _)| Cell::styled(FAINT, title)).collect();
    let mut text = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let (Some((_, align)), Some(wanted)) = (columns.get(i), widths.get(i)) else { break };
            let padding = " ".repeat(wanted.saturating_sub(width(&cell.text)));
            let painted = if cell.style == Style::new() { cell.text.clone() } else { paint(cell.style, &cell.text) };
            match align {
                Align::Left => line.extend([painted, padding]),
                Align::Right => line.extend([padding, painted]),
            }
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Columns of a terminal the text takes. Names here are ASCII by their types, so characters are columns.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_counting_colours() {
        let rows = vec![vec!["web".into(), Cell::styled(super::super::style::GOOD, 7)], vec!["longer".into(), 12.into()]];
        let plain = anstream::adapter::strip_str(&render(&[("A", Align::Left), ("N", Align::Right)], &rows)).to_string();
        assert_eq!(plain, "A        N\nweb      7\nlonger  12\n");
    }
}
