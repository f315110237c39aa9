//! Colours, by what they say; and text of others made harmless for a terminal.

use anstyle::{AnsiColor, Style};
use landfall_model::visible::is_hidden;
use std::borrow::Cow;

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

/// A whole text of ours on its way to a terminal: lines and colours stay; whatever else would command the terminal, and came in by a field that
/// nobody thought of, is made visible.
pub fn edge(text: &str) -> Cow<'_, str> {
    let tame = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || is_hidden(c));
    if text.chars().all(tame) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = colour_sequence(rest).unwrap_or(c.len_utf8());
        match &rest[..length] {
            piece if tame(c) || length > c.len_utf8() => clean.push_str(piece),
            _ => clean.extend(c.escape_default()),
        }
        rest = &rest[length..];
    }
    Cow::Owned(clean)
}

/// JSON on its way to a terminal: the same value, with every character that would command or deceive it written as an escape of JSON.
pub fn json_edge(text: &str) -> Cow<'_, str> {
    let hides = |c: char| c != '\n' && (c.is_control() || is_hidden(c));
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hides(c) {
            clean.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Length of the SGR sequence (ECMA-48 §8.3.117) the text begins with.
fn colour_sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':'))?;
    (end <= 40 && parameters[end..].starts_with('m')).then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::{edge, harmless, json_edge};

    #[test]
    fn nothing_but_colours_and_lines_commands_the_terminal() {
        let ours = "\x1b[1mrelease 3\x1b[0m\n  by\tann\n";
        assert_eq!(edge(ours), ours);
        assert_eq!(edge("a\x1b[2J\x1b]0;t\x07\u{9b}5A\r\u{202e}b\n"), "a\\u{1b}[2J\\u{1b}]0;t\\u{7}\\u{9b}5A\\r\\u{202e}b\n");
    }

    #[test]
    fn json_stays_the_value_it_is() {
        let value = serde_json::json!({ "a": "\u{9b}2J\u{202e}\u{e0041}\x1b" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = json_edge(&text);
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn colours_stay_and_everything_else_becomes_visible() {
        assert_eq!(harmless("plain\ttext é"), "plain\ttext é");
        assert_eq!(harmless("\x1b[1;31mred\x1b[0m"), "\x1b[1;31mred\x1b[0m\x1b[0m");
        assert_eq!(harmless("\x1b[2J\x1b]0;title\x07"), "\\u{1b}[2J\\u{1b}]0;title\\u{7}");
        assert_eq!(harmless("a\rb\r"), "a\\rb");
        assert_eq!(harmless("\x1b["), "\\u{1b}[");
    }
}
