//! `volumes` of a service in the short form: `[source:]target[:options]`.
//!
//! Whether the source is a volume's name or a path is told by how it begins, as in Compose: `.`, `/`, `~`, `\\` or a drive letter. A single letter
//! before a colon is a drive, so that a volume named `v` cannot be mounted in the short form; Compose has that surprise, and a file must mean the
//! same in both.

use super::super::node::{Kind, Node};
use super::super::path;
use super::super::report::Report;
use super::{entry, wrong};

const WANTED: &str = "`source:/target` or `source:/target:ro`";

/// Replaces a short form.
pub(super) fn write_out(path: &str, node: &mut Node, report: &mut Report) {
    let Some(text) = node.scalar().filter(|s| s.kind == Kind::Text && !s.spoiled).map(|s| s.text.clone()) else { return };
    match parse(&text) {
        Some(mount) => {
            for option in &mount.unknown {
                let message = format!("the mount option `{}` has no effect", report.written(node.place, option));
                report.warning("not-honoured", node.place, message).hint("`ro`, `rw`, `nocopy`, `z`, `Z` and propagation words have one");
            }
            *node = mount.node(node);
        }
        None => wrong(path, node, WANTED, report),
    }
}

/// A short form, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mount {
    source: String,
    target: String,
    read_only: bool,
    nocopy: bool,
    propagation: Option<String>,
    selinux: Option<String>,
    /// Passed over by Compose.
    unknown: Vec<String>,
    /// Written so short that Compose fills nothing in.
    bare: bool,
}

impl Mount {
    fn node(&self, from: &Node) -> Node {
        let text = |key: &str, value: &str| entry(key, from.piece(Kind::Text, value));
        let truth = |key: &str| entry(key, from.piece(Kind::Bool, "true"));
        let bind = is_path(&self.source);
        let mut entries = vec![text("type", if bind { "bind" } else { "volume" })];
        if !self.source.is_empty() {
            entries.push(text("source", &self.source));
        }
        if !self.target.is_empty() {
            entries.push(text("target", &path::clean(&self.target)));
        }
        if self.read_only {
            entries.push(truth("read_only"));
        }
        let mut options: Vec<_> = self.selinux.iter().map(|s| text("selinux", s)).collect();
        options.extend(self.propagation.iter().map(|p| text("propagation", p)));
        if bind {
            options.push(truth("create_host_path"));
        }
        if !options.is_empty() {
            entries.push(entry("bind", Node::map(from.place, options)));
        }
        if self.nocopy || !(bind || self.bare) {
            let nocopy = if self.nocopy { vec![truth("nocopy")] } else { Vec::new() };
            entries.push(entry("volume", Node::map(from.place, nocopy)));
        }
        Node::map(from.place, entries)
    }
}

fn parse(text: &str) -> Option<Mount> {
    if text.len() <= 2 {
        return (!text.is_empty()).then(|| Mount { target: text.to_owned(), bare: true, ..Mount::default() });
    }
    let mut mount = Mount::default();
    let sections = sections(text);
    let last = sections.len() - 1;
    for (index, section) in sections.into_iter().enumerate() {
        if section.is_empty() {
            return None;
        }
        if mount.source.is_empty() && index == last {
            mount.target = section;
        } else if mount.source.is_empty() {
            mount.source = section;
        } else if mount.target.is_empty() {
            mount.target = section;
        } else if index != last {
            return None;
        } else {
            section.split(',').for_each(|option| mount.option(option));
        }
    }
    Some(mount)
}

impl Mount {
    fn option(&mut self, option: &str) {
        match option {
            "ro" => self.read_only = true,
            "rw" => self.read_only = false,
            "nocopy" => self.nocopy = true,
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => self.propagation = Some(option.to_owned()),
            "z" | "Z" => self.selinux = Some(option.to_owned()),
            // Hints for other platforms, without effect on what is mounted.
            "" | "cached" | "delegated" | "consistent" => {}
            other => self.unknown.push(other.to_owned()),
        }
    }
}

/// The text cut at its colons, but not at that of a drive letter.
fn sections(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut section = String::new();
    for c in text.chars() {
        if c == ':' && !is_drive(&section) {
            all.push(std::mem::take(&mut section));
        } else {
            section.push(c);
        }
    }
    all.push(section);
    all
}

fn is_drive(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none()
}

fn is_path(source: &str) -> bool {
    let mut chars = source.chars();
    source.starts_with(['.', '/', '~'])
        || source.starts_with(r"\\")
        || (chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_in_all_its_shapes() {
        let shown = |text: &str| {
            let m = parse(text)?;
            Some(format!(
                "{}|{}|{}{}{}",
                m.source,
                m.target,
                m.read_only,
                if m.bare { " bare" } else { "" },
                if is_path(&m.source) { " bind" } else { "" }
            ))
        };
        for (text, want) in [
            ("/a", "|/a|false bare"),
            ("/data", "|/data|false"),
            ("data:/x", "data|/x|false"),
            ("data:/x:ro", "data|/x|true"),
            ("./a:/x:rw,z", "./a|/x|false bind"),
            ("c:\\a:/x", "c:\\a|/x|false bind"),
            ("c:/a:d:/x:ro", "c:/a|d:/x|true bind"),
            ("v:/data:ro", "v:/data|ro|false bind"),
            ("data:/x:whatever", "data|/x|false"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(want), "{text}");
        }
        for bad in ["", ":/x", "data::/x", "data:/x:ro:x", "data:/x:"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
