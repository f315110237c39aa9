//! Words for a shell that a person pastes into: names of others stay one word each.

/// The word as a POSIX shell reads it back (Shell Command Language §2.2.2). What a terminal would obey is left out.
pub(super) fn quoted(word: &str) -> String {
    let word: String = word.chars().filter(|c| !c.is_control()).collect();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quoted("/srv/app/.env"), "/srv/app/.env");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $(id)"), r"'it'\''s $(id)'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a\nrm -rf /\x1b[2J"), "'arm -rf /[2J'");
    }
}
