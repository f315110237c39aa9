//! Anchors, aliases, tags and directives.

use super::{Kind, Scanner, Wrong, is_blank, is_break};

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

impl Scanner {
    fn word(&mut self) -> String {
        let mut out = String::new();
        while is_word(self.peek(0)) {
            out.push(self.skip());
        }
        out
    }

    fn skip_blanks(&mut self) {
        while is_blank(self.peek(0)) {
            self.skip();
        }
    }

    /// `&name` or `*name`.
    pub(super) fn anchor(&mut self, alias: bool) -> Result<(), Wrong> {
        let start = self.mark;
        self.skip();
        let name = self.word();
        let ends = self.is_space(0) || matches!(self.peek(0), '?' | ':' | ',' | ']' | '}' | '%' | '@' | '`');
        if name.is_empty() || !ends {
            return self.wrong("the name of an anchor has letters, digits, `_` and `-`");
        }
        self.push(if alias { Kind::Alias(name) } else { Kind::Anchor(name) }, start);
        Ok(())
    }

    /// `!tag`, `!!tag`, `!handle!tag` or `!<tag>`.
    pub(super) fn tag(&mut self) -> Result<(), Wrong> {
        let start = self.mark;
        let (handle, suffix);
        if self.at(1, '<') {
            self.skip();
            self.skip();
            suffix = self.uri("")?;
            if !self.at(0, '>') {
                return self.wrong("a tag is missing its `>`");
            }
            self.skip();
            handle = String::new();
        } else {
            let head = self.handle(false)?;
            if head.len() > 1 && head.ends_with('!') {
                suffix = self.uri("")?;
                handle = head;
            } else {
                let rest = self.uri(&head)?;
                (handle, suffix) = if rest.is_empty() { (String::new(), "!".to_owned()) } else { ("!".to_owned(), rest) };
            }
        }
        if !self.is_space(0) {
            return self.wrong("a blank is missing after a tag");
        }
        self.push(Kind::Tag(handle, suffix), start);
        Ok(())
    }

    fn handle(&mut self, directive: bool) -> Result<String, Wrong> {
        if !self.at(0, '!') {
            return self.wrong("a tag begins with `!`");
        }
        let mut out = self.skip().to_string();
        out.push_str(&self.word());
        if self.at(0, '!') {
            out.push(self.skip());
        } else if directive && out != "!" {
            return self.wrong("the handle of a tag ends with `!`");
        }
        Ok(out)
    }

    /// What follows a handle; `head` is one that turned out to be none, and its letters belong to the text.
    fn uri(&mut self, head: &str) -> Result<String, Wrong> {
        let mut bytes: Vec<u8> = head.bytes().skip(1).collect();
        while is_word(self.peek(0)) || ";/?:@&=+$,.!~*'()[]%".contains(self.peek(0)) {
            if self.is_end(0) {
                break;
            }
            let c = self.skip();
            if c != '%' {
                bytes.extend(c.to_string().bytes());
                continue;
            }
            let digits = [self.peek(0), self.peek(1)].map(|c| c.to_digit(16));
            let [Some(high), Some(low)] = digits else { return self.wrong("`%` in a tag wants two hexadecimal digits") };
            bytes.push((high * 16 + low) as u8);
            self.skip();
            self.skip();
        }
        match String::from_utf8(bytes) {
            Ok(text) if text.is_empty() && head.is_empty() => self.wrong("a tag is missing its name"),
            Ok(text) => Ok(text),
            Err(_) => self.wrong("a tag is no UTF-8"),
        }
    }

    /// `%YAML 1.1` or `%TAG !x! prefix`.
    pub(super) fn directive(&mut self) -> Result<(), Wrong> {
        let start = self.mark;
        self.skip();
        let kind = match self.word().as_str() {
            "YAML" => {
                self.skip_blanks();
                let major = self.number()?;
                if !self.at(0, '.') {
                    return self.wrong("`%YAML` wants a version such as `1.1`");
                }
                self.skip();
                Kind::Version(major, self.number()?)
            }
            "TAG" => {
                self.skip_blanks();
                let handle = self.handle(true)?;
                if !is_blank(self.peek(0)) {
                    return self.wrong("a blank is missing after the handle of a tag");
                }
                self.skip_blanks();
                let prefix = self.uri("")?;
                if !self.is_space(0) {
                    return self.wrong("a blank is missing after the prefix of a tag");
                }
                Kind::TagDirective(handle, prefix)
            }
            _ => return self.wrong("there are no directives but `%YAML` and `%TAG`"),
        };
        self.push(kind, start);
        self.skip_blanks();
        if self.at(0, '#') {
            while !self.is_end(0) && !is_break(self.peek(0)) {
                self.skip();
            }
        }
        if !self.is_line_end() {
            return self.wrong("something follows a directive on its line");
        }
        self.skip_line();
        Ok(())
    }

    fn number(&mut self) -> Result<u32, Wrong> {
        let mut digits = String::new();
        while self.peek(0).is_ascii_digit() && digits.len() < 9 {
            digits.push(self.skip());
        }
        digits.parse().or_else(|_| self.wrong("`%YAML` wants a version such as `1.1`"))
    }
}
