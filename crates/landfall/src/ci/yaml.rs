//! YAML as a value, written so that people can read it.
//!
//! Every text that came from somebody is quoted unless it cannot be read as anything but itself, so no name becomes a key, a number or a comment.
//! A comment is the generator's own words and never a user's. Only what workflows need: no anchors, no tags, no flow style but `{}` and `[]`.

use std::fmt::Write as _;

/// A node.
#[derive(Debug, Clone)]
pub enum Yaml {
    /// Quoted where it has to be.
    Text(String),
    /// Several lines, as they are.
    Block(String),
    /// Digits.
    Number(u32),
    /// `true` or `false`.
    Flag(bool),
    /// `- `
    List(Vec<Yaml>),
    /// In this order.
    Map(Map),
}

/// Keys with values, in order.
#[derive(Debug, Clone, Default)]
pub struct Map(Vec<Entry>);

#[derive(Debug, Clone)]
struct Entry {
    above: &'static str,
    key: String,
    value: Yaml,
    behind: String,
}

impl Map {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more key.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Yaml>) -> Self {
        self.0.push(Entry { above: "", key: key.into(), value: value.into(), behind: String::new() });
        self
    }

    /// One more, if there is a value.
    #[must_use]
    pub fn maybe(self, key: &str, value: Option<impl Into<Yaml>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// One more, unless it is there.
    #[must_use]
    pub fn with_once(self, key: &str, value: impl Into<Yaml>) -> Self {
        if self.0.iter().any(|entry| entry.key == key) { self } else { self.with(key, value) }
    }

    /// All of another's keys.
    #[must_use]
    pub fn and(mut self, other: Map) -> Self {
        self.0.extend(other.0);
        self
    }

    /// It has no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A comment above the last key.
    #[must_use]
    pub fn because(mut self, comment: &'static str) -> Self {
        if let Some(entry) = self.0.last_mut() {
            entry.above = comment;
        }
        self
    }

    /// A comment behind the last key's value.
    #[must_use]
    pub fn noted(mut self, comment: &str) -> Self {
        if let Some(entry) = self.0.last_mut() {
            comment.clone_into(&mut entry.behind);
        }
        self
    }

    /// The whole document under a heading of comments.
    pub fn document(&self, heading: &str) -> String {
        let mut text = heading.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect::<String>();
        text.push('\n');
        self.write(&mut text, 0, false);
        text
    }

    /// `inline`: the first key follows a `- ` that is written already.
    fn write(&self, out: &mut String, depth: usize, inline: bool) {
        for (index, entry) in self.0.iter().enumerate() {
            let pad = "  ".repeat(depth);
            // A document's own keys stand apart.
            if depth == 0 && index > 0 && matches!(entry.value, Yaml::Map(_)) {
                out.push('\n');
            }
            if !entry.above.is_empty() {
                let _ = writeln!(out, "{pad}# {}", entry.above);
            }
            let pad = if inline && index == 0 { "" } else { &pad };
            let _ = write!(out, "{pad}{}:", scalar(&entry.key));
            entry.value.write(out, depth, &entry.behind);
        }
    }
}

impl Yaml {
    fn write(&self, out: &mut String, depth: usize, behind: &str) {
        let behind = if behind.is_empty() { String::new() } else { format!(" # {behind}") };
        // Writing to a String cannot fail.
        let _ = match self {
            Yaml::Text(text) => writeln!(out, " {}{behind}", scalar(text)),
            Yaml::Number(number) => writeln!(out, " {number}{behind}"),
            Yaml::Flag(flag) => writeln!(out, " {flag}{behind}"),
            Yaml::Block(text) => {
                let pad = "  ".repeat(depth + 1);
                let lines: String = text.lines().map(|line| format!("{pad}{line}").trim_end().to_owned() + "\n").collect();
                write!(out, " |{behind}\n{lines}")
            }
            Yaml::List(items) if items.is_empty() => writeln!(out, " []{behind}"),
            Yaml::Map(map) if map.0.is_empty() => writeln!(out, " {{}}{behind}"),
            Yaml::List(items) => {
                let _ = writeln!(out, "{behind}");
                for item in items {
                    let _ = write!(out, "{}-", "  ".repeat(depth + 1));
                    match item {
                        Yaml::Map(map) if !map.0.is_empty() => {
                            out.push(' ');
                            map.write(out, depth + 2, true);
                        }
                        other => other.write(out, depth + 1, ""),
                    }
                }
                Ok(())
            }
            Yaml::Map(map) => {
                let _ = writeln!(out, "{behind}");
                map.write(out, depth + 1, false);
                Ok(())
            }
        };
    }
}

/// A text as a scalar of one line: plain where no reader of YAML 1.1 or 1.2 takes it for anything else, quoted otherwise.
fn scalar(text: &str) -> String {
    let plain = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '.' | '$'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " /.$@_-+=()',*<>|;{}!&?:".contains(c))
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    // What has quotes of its own is easier to read between single ones (YAML 1.2 §7.3.2), which escape nothing but themselves.
    let quoted = text.contains('"') && text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    match (plain, quoted) {
        (true, _) => text.to_owned(),
        (false, true) => format!("'{}'", text.replace('\'', "''")),
        (false, false) => serde_json::Value::from(text).to_string(),
    }
}

/// What YAML 1.1 reads as truth or nothing; `on` is a key of GitHub's that it would take for one.
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "off", "null", "y", "n", "~"];

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Yaml::Text(text.to_owned())
    }
}
impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Yaml::Text(text)
    }
}
impl From<u32> for Yaml {
    fn from(number: u32) -> Self {
        Yaml::Number(number)
    }
}
impl From<bool> for Yaml {
    fn from(flag: bool) -> Self {
        Yaml::Flag(flag)
    }
}
impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Yaml::Map(map)
    }
}
impl<T: Into<Yaml>> From<Vec<T>> for Yaml {
    fn from(items: Vec<T>) -> Self {
        Yaml::List(items.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        for plain in ["main", "${{ secrets.KEY }}", "landfall deploy production", "/api", "a:b", "github.ref == 'refs/heads/main'"] {
            assert_eq!(scalar(plain), plain);
        }
        for quoted in
            ["", "true", "No", "1.20", "- a", "a: b", "a #b", "#a", "a\nb", "*a", "&a", "!a", "é", "[a]", "a:", "{a: b}", "%a", "@a"]
        {
            assert_eq!(scalar(quoted), serde_json::Value::from(quoted).to_string());
        }
    }

    #[test]
    fn quotes_of_its_own_are_kept() {
        assert_eq!(scalar(r#"$A == "b""#), r#"'$A == "b"'"#);
        assert_eq!(scalar(r#"it's "b" \ "#), r#"'it''s "b" \ '"#);
    }

    #[test]
    fn a_document_is_indented_and_commented() {
        let step = Map::new().with("uses", "a/b@c").noted("v1").with("with", Map::new().with("x", false));
        let document = Map::new()
            .with("name", "all")
            .with("jobs", Map::new().with("a", Map::new().with("steps", vec![step]).with("run", Yaml::Block("one\n\n  two\n".into()))))
            .because("why");
        assert_eq!(
            document.document("head"),
            "# head\n\nname: all\n\n# why\njobs:\n  a:\n    steps:\n      - uses: a/b@c # v1\n        with:\n          x: false\n    run: |\n      one\n\n        two\n"
        );
    }
}
