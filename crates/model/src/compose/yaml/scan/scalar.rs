//! Plain, quoted and block scalars, folded as they are read.

use super::{Kind, Mark, Scanner, Style, Wrong, is_blank, is_break};

/// Blanks and line breaks between two parts of a scalar that may go over several lines.
#[derive(Default)]
struct Gap {
    blanks: String,
    /// The first line break.
    first: Option<char>,
    /// Those after it.
    more: String,
}

impl Gap {
    /// What the gap is once lines are joined: one break becomes a blank, several lose their first.
    fn join(&mut self, out: &mut String) {
        match self.first.take() {
            None => out.push_str(&self.blanks),
            Some('\n') if self.more.is_empty() => out.push(' '),
            Some('\n') => out.push_str(&self.more),
            Some(other) => {
                out.push(other);
                out.push_str(&self.more);
            }
        }
        self.blanks.clear();
        self.more.clear();
    }
}

impl Scanner {
    /// Reads blanks and line breaks into the gap; `after` is true when a line was ended by a backslash.
    fn gap(&mut self, gap: &mut Gap, mut after: bool, least: Option<isize>) -> Result<bool, Wrong> {
        while !self.is_end(0) && (is_blank(self.peek(0)) || is_break(self.peek(0))) {
            if let Some(c) = self.skip_line() {
                if after {
                    gap.more.push(c);
                } else {
                    gap.blanks.clear();
                    gap.first = Some(c);
                    after = true;
                }
                continue;
            }
            if least.is_some_and(|least| after && self.column() < least && self.at(0, '\t')) {
                return self.wrong("a tab stands where indentation is wanted");
            }
            let c = self.skip();
            if !after {
                gap.blanks.push(c);
            }
        }
        Ok(after)
    }

    pub(super) fn plain(&mut self) -> Result<(), Wrong> {
        let (start, flow, least) = (self.mark, self.in_flow(), self.indent + 1);
        let (mut out, mut gap, mut end, mut after) = (String::new(), Gap::default(), self.mark, false);
        loop {
            if self.is_document('-') || self.is_document('.') || self.at(0, '#') {
                break;
            }
            let mut any = false;
            while !self.is_space(0) {
                let c = self.peek(0);
                if (c == ':' && self.is_space(1)) || (flow && matches!(c, ',' | '?' | '[' | ']' | '{' | '}')) {
                    break;
                }
                if !any {
                    gap.join(&mut out);
                    (any, after) = (true, false);
                }
                out.push(self.skip());
                end = self.mark;
            }
            if self.is_end(0) || !(is_blank(self.peek(0)) || is_break(self.peek(0))) {
                break;
            }
            after = self.gap(&mut gap, after, Some(least))?;
            if !flow && self.column() < least {
                break;
            }
        }
        self.tokens.push(super::Token { kind: Kind::Scalar(out, Style::Plain), start, end });
        if after {
            self.key_allowed = true;
        }
        Ok(())
    }

    pub(super) fn quoted(&mut self, quote: char) -> Result<(), Wrong> {
        let start = self.mark;
        self.skip();
        let (mut out, mut gap, single) = (String::new(), Gap::default(), quote == '\'');
        loop {
            if self.is_document('-') || self.is_document('.') {
                return self.wrong("a quote is missing before this line");
            }
            if self.is_end(0) {
                return Err(Wrong { at: start, why: "this quote is never closed" });
            }
            let mut joined = false;
            while !self.is_space(0) {
                let c = self.peek(0);
                if c == quote && !(single && self.at(1, quote)) {
                    break;
                }
                if !single && c == '\\' && is_break(self.peek(1)) && !self.is_end(1) {
                    self.skip();
                    self.skip_line();
                    joined = true;
                    break;
                }
                if !single && c == '\\' {
                    self.escape(&mut out)?;
                    continue;
                }
                if c == quote {
                    self.skip();
                }
                out.push(self.skip());
            }
            if self.at(0, quote) {
                break;
            }
            let broken = self.gap(&mut gap, joined, None)?;
            if joined {
                // The line before ended with a backslash: nothing comes in its place.
                out.push_str(&gap.more);
                gap = Gap::default();
            } else {
                debug_assert!(broken == gap.first.is_some(), "a gap without a break is blanks");
                gap.join(&mut out);
            }
        }
        self.skip();
        self.push(Kind::Scalar(out, if single { Style::Single } else { Style::Double }), start);
        Ok(())
    }

    fn escape(&mut self, out: &mut String) -> Result<(), Wrong> {
        let at = self.mark;
        self.skip();
        let digits = match self.peek(0) {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let meant = match self.peek(0) {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            c @ (' ' | '"' | '\'' | '\\') => c,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' | 'u' | 'U' => {
                let mut value = 0_u32;
                for ahead in 1..=digits {
                    match self.peek(ahead).to_digit(16) {
                        Some(digit) => value = value.wrapping_mul(16).wrapping_add(digit),
                        None => return Err(Wrong { at, why: "an escape wants more hexadecimal digits" }),
                    }
                }
                char::from_u32(value).ok_or(Wrong { at, why: "an escape is no character" })?
            }
            '/' => return Err(Wrong { at, why: super::super::SLASH }),
            _ => return Err(Wrong { at, why: "a backslash before this character means nothing; in single quotes it stands for itself" }),
        };
        for _ in 0..=digits {
            self.skip();
        }
        out.push(meant);
        Ok(())
    }

    pub(super) fn block_scalar(&mut self, literal: bool) -> Result<(), Wrong> {
        let start = self.mark;
        self.skip();
        let (mut chomp, mut more) = (None, 0);
        for _ in 0..2 {
            match self.peek(0) {
                '+' | '-' if chomp.is_none() => chomp = Some(self.skip()),
                '0' if more == 0 => return self.wrong("the indentation of a block cannot be 0"),
                c if c.is_ascii_digit() && more == 0 => more = self.skip().to_digit(10).unwrap_or(1) as isize,
                _ => break,
            }
        }
        while is_blank(self.peek(0)) {
            self.skip();
        }
        if self.at(0, '#') {
            while !self.is_line_end() {
                self.skip();
            }
        }
        if !self.is_line_end() {
            return self.wrong("something follows `|` or `>` on its line");
        }
        self.skip_line();
        let mut indent = if more > 0 { self.indent.max(0) + more } else { 0 };
        let (mut out, mut end, mut breaks) = (String::new(), self.mark, String::new());
        self.breaks(&mut indent, &mut breaks, &mut end)?;
        let (mut first, mut was_blank): (Option<char>, bool) = (None, false);
        while self.column() == indent && !self.is_end(0) {
            let blank = is_blank(self.peek(0));
            match first.take() {
                Some('\n') if !literal && !was_blank && !blank => {
                    if breaks.is_empty() {
                        out.push(' ');
                    }
                }
                first => out.extend(first),
            }
            out.push_str(&breaks);
            breaks.clear();
            was_blank = blank;
            while !self.is_line_end() {
                out.push(self.skip());
            }
            end = self.mark;
            first = self.skip_line();
            self.breaks(&mut indent, &mut breaks, &mut end)?;
        }
        if chomp != Some('-') {
            out.extend(first);
        }
        if chomp == Some('+') {
            out.push_str(&breaks);
        }
        self.tokens.push(super::Token { kind: Kind::Scalar(out, Style::Block), start, end });
        Ok(())
    }

    /// Reads indentation and empty lines; finds out what the indentation is when it is not known.
    fn breaks(&mut self, indent: &mut isize, out: &mut String, end: &mut Mark) -> Result<(), Wrong> {
        let mut most = 0;
        loop {
            while (*indent == 0 || self.column() < *indent) && self.at(0, ' ') {
                self.skip();
            }
            most = most.max(self.column());
            if (*indent == 0 || self.column() < *indent) && self.at(0, '\t') {
                return self.wrong("a tab stands where indentation is wanted");
            }
            match self.skip_line() {
                Some(c) => {
                    out.push(c);
                    *end = self.mark;
                }
                None => break,
            }
        }
        if *indent == 0 {
            *indent = most.max(self.indent + 1).max(1);
        }
        Ok(())
    }
}
