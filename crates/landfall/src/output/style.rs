//! Colours, by what they say; and text of others made harmless for a terminal.

use anstyle::{AnsiColor, Style};
use landfall_model::visible::is_hidden;

/// What the eye should find first.
pub const STRONG: Style = Style::new().bold();
/// What the eye may skip.
pub const FAINT: Style = Style::new().dimmed();
/// It went wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// It may go wrong.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// It went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something to try.
pub const HINT: Style = AnsiColor::Cyan.on_default();

/// Colours that tell services apart. Red and yellow are taken by errors and warnings.
const SERVICES: [AnsiColor; 8] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// The colour of the `index`th service.
pub fn service(index: usize) -> Style {
    SERVICES[index % SERVICES.len()].on_default()
}

/// The text in that style.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Text that came from a program, for a terminal: colour sequences stay, every other control character, and what turns
/// text around or hides in it, is made visible, so that a log line cannot move the cursor, change the title, answer for the user or read otherwise
/// than it is.
pub fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = colour_sequence(rest) {
            clean.push_str(&rest[..length]);
            coloured = true;
            rest = &rest[length..];
            continue;
        }
        match c {
            '\t' => clean.push(c),
            // A trailing carriage return is only the other line ending.
            '\r' if rest.len() == 1 => {}
            c if c.is_control() || is_hidden(c) => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    if coloured {
        clean.push_str("\x1b[0m");
    }
    clean
}

/// Length of the SGR sequence (ECMA-48 §8.3.117) the text begins with.
fn colour_sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':'))?;
    (end <= 40 && parameters[end..].starts_with('m')).then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn colours_stay_and_everything_else_becomes_visible() {
        assert_eq!(harmless("plain\ttext é"), "plain\ttext é");
        assert_eq!(harmless("\x1b[1;31mred\x1b[0m"), "\x1b[1;31mred\x1b[0m\x1b[0m");
        assert_eq!(harmless("\x1b[2J\x1b]0;title\x07"), "\\u{1b}[2J\\u{1b}]0;title\\u{7}");
        assert_eq!(harmless("a\rb\r"), "a\\rb");
        assert_eq!(harmless("\x1b["), "\\u{1b}[");
    }
}
