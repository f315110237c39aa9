//! Text of others as it may stand in a message: nothing in it moves the cursor, turns letters around or hides.
//!
//! What a user reads at a terminal, in a log or on a page may quote what an attacker wrote (CVE-2021-42574 is what that can do). Whatever quotes
//! text goes through here once, where it is made, and not at each place where it is printed.

use std::borrow::Cow;

/// Changes how the text around it is shown, or is not seen itself: controls, and Unicode's marks for direction and annotation. The joiners
/// U+200C and U+200D stay: scripts and emoji are written with them.
pub fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with such characters written out: `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_written_out_and_nothing_else() {
        assert_eq!(visible("a\u{202e}b\u{1b}[2J\0"), "a\\u{202e}b\\u{1b}[2J\\u{0}");
        let plain = "Ünïcode, a\ttab\nand 你好 👩\u{200d}🔬";
        assert!(matches!(visible(plain), Cow::Borrowed(same) if same == plain));
    }
}
