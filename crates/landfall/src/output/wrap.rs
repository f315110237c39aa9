//! Text in lines of a width.

/// Words in lines of at most that many characters, each line behind so many blanks.
pub fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let margin = " ".repeat(indent);
    let (mut out, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        let long = word.chars().count() + 1;
        // What is longer than a line stands alone in one.
        if length > 0 && length + long > width {
            out.push('\n');
            length = 0;
        }
        if length == 0 {
            out.push_str(&margin);
            length = indent + long - 1;
        } else {
            out.push(' ');
            length += long;
        }
        out.push_str(word);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_it_may_be() {
        assert_eq!(wrapped("a bb ccc", 2, 6), "  a bb\n  ccc\n");
        assert_eq!(wrapped("a longest b", 1, 4), " a\n longest\n b\n");
        assert_eq!(wrapped("as it is", 0, usize::MAX), "as it is\n");
    }
}
