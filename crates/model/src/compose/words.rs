//! A command written as one string, split into words as Compose splits it (mattn/go-shellwords): blanks separate, quotes and backslashes join.
//!
//! It is never run by a shell, so what only a shell understands (`&&`, `|`, `>`, backticks, parentheses) is refused instead of being passed on
//! or, as Compose does, cutting the command off there.

/// Why a string is no list of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotWords {
    /// A quote or a bracket is not closed.
    Unclosed(char),
    /// This needs a shell. Byte offset in the text.
    Operator(char, usize),
}

/// What Compose makes of a command written as one string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) words: Vec<String>,
    /// The operator at which Compose stops reading, and the byte it stands at.
    pub(crate) cut: Option<(char, usize)>,
}

/// The words of `text`, none of which Compose would lose or a shell would have to read.
pub(crate) fn split(text: &str) -> Result<Vec<String>, NotWords> {
    let split = compose(text).map_err(NotWords::Unclosed)?;
    match split.cut {
        Some((c, at)) => Err(NotWords::Operator(c, at)),
        None => Ok(split.words),
    }
}

/// The words of `text` as Compose splits it; the quote or bracket that is not closed, if there is one.
pub(crate) fn compose(text: &str) -> Result<Split, char> {
    let mut reader = Reader::default();
    for (at, c) in text.char_indices() {
        if !reader.take(c).ok_or(c)? {
            let mut words = reader.words;
            // `2>x`: the number belongs to the operator.
            if c != '>' || !reader.word.starts_with(|d: char| d.is_ascii_digit()) {
                words.extend(reader.begun.then_some(reader.word));
            }
            return Ok(Split { words, cut: Some((c, at)) });
        }
    }
    let open = [(reader.escaped, '\\'), (reader.single, '\''), (reader.double, '"'), (reader.backtick, '`'), (reader.substitution, ')')];
    if let Some((_, open)) = open.into_iter().find(|(is_open, _)| *is_open) {
        return Err(open);
    }
    reader.words.extend(reader.begun.then_some(reader.word));
    Ok(Split { words: reader.words, cut: None })
}

#[derive(Default)]
struct Reader {
    words: Vec<String>,
    word: String,
    /// There is a word, be it empty (`''`).
    begun: bool,
    escaped: bool,
    single: bool,
    double: bool,
    backtick: bool,
    /// Inside `$(…)`.
    substitution: bool,
}

impl Reader {
    /// Takes a character. `Some(false)`: an operator, where reading stops. `None`: a bracket where none can be.
    fn take(&mut self, c: char) -> Option<bool> {
        if self.escaped {
            // These two are read as the control characters they stand for in Go.
            self.word.push(match c {
                'n' => '\n',
                't' => '\t',
                other => other,
            });
            (self.escaped, self.begun) = (false, true);
            return Some(true);
        }
        if c == '\\' && !self.single {
            self.escaped = true;
            return Some(true);
        }
        let quoted = self.single || self.double || self.backtick || self.substitution;
        match c {
            ' ' | '\t' | '\r' | '\n' if !quoted => {
                self.words.extend(std::mem::take(&mut self.begun).then(|| std::mem::take(&mut self.word)));
                return Some(true);
            }
            ' ' | '\t' | '\r' | '\n' => {
                self.word.push(c);
                return Some(true);
            }
            '`' if !self.single && !self.double && !self.substitution => self.backtick = !self.backtick,
            ')' if !self.single && !self.double && !self.backtick => self.substitution = !self.substitution,
            '(' if !self.single && !self.double && !self.backtick => {
                if self.substitution || !self.word.ends_with('$') {
                    return None;
                }
                self.substitution = true;
                self.word.push(c);
                return Some(true);
            }
            '"' if !self.single && !self.substitution => {
                self.begun |= self.double;
                self.double = !self.double;
                return Some(true);
            }
            '\'' if !self.double && !self.substitution => {
                self.begun |= self.single;
                self.single = !self.single;
                return Some(true);
            }
            ';' | '&' | '|' | '<' | '>' if !quoted => return Some(false),
            _ => {}
        }
        self.begun = true;
        self.word.push(c);
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_split_as_compose_splits_them() {
        for (text, want) in [
            ("a b  c", vec!["a", "b", "c"]),
            ("sh -c 'a && b'", vec!["sh", "-c", "a && b"]),
            ("x \"a b\"c", vec!["x", "a bc"]),
            ("a\\ b", vec!["a b"]),
            ("''", vec![""]),
            ("", vec![]),
            ("a '' b", vec!["a", "", "b"]),
            ("\"q\\\"q\"", vec!["q\"q"]),
            ("'a\\b'", vec!["a\\b"]),
        ] {
            assert_eq!(split(text), Ok(want.into_iter().map(String::from).collect()), "{text}");
        }
        assert_eq!(split("a && b"), Err(NotWords::Operator('&', 2)));
        assert_eq!(split("a 'b"), Err(NotWords::Unclosed('\'')));
    }

    #[test]
    fn what_only_a_shell_understands_ends_the_command_as_it_does_in_compose() {
        let words = |text: &str| compose(text).ok().map(|s| s.words);
        assert_eq!(words("a | b"), Some(vec!["a".into()]));
        assert_eq!(words("a 2>x"), Some(vec!["a".into()]));
        assert_eq!(words("a x>y"), Some(vec!["a".into(), "x".into()]));
        assert_eq!(words("a $(b c) d"), Some(vec!["a".into(), "$(b c)".into(), "d".into()]));
        assert_eq!(words("a `b c`"), Some(vec!["a".into(), "`b c`".into()]));
        for unclosed in ["a (b)", "a $(b", "a `b", "a \\", "a \"b", "a)"] {
            assert_eq!(words(unclosed), None, "{unclosed}");
        }
    }
}
