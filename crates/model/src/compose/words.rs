//! A command written as one string, split into words as Compose splits it (mattn/go-shellwords): blanks separate, quotes and backslashes join.
//!
//! It is never run by a shell, so what only a shell understands (`&&`, `|`, `>`, backticks, parentheses) is refused instead of being passed on
//! or, as Compose does, cutting the command off there.

/// Why a string is no list of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotWords {
    /// A quote is not closed.
    Unclosed(char),
    /// This needs a shell. Byte offset in the text.
    Operator(char, usize),
}

/// The words of `text`.
pub(crate) fn split(text: &str) -> Result<Vec<String>, NotWords> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let next = chars.next().map_or('\\', |(_, n)| n);
                // go-shellwords reads these two as the control characters they stand for in Go.
                word.get_or_insert_default().push(match next {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
            }
            (q, Some(open)) if q == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (';' | '&' | '|' | '<' | '>' | '(' | ')' | '`', None) => return Err(NotWords::Operator(c, at)),
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(open) => Err(NotWords::Unclosed(open)),
        None => Ok(words),
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
}
