//! Relative paths made absolute, as text: no disk is asked.
//!
//! What is a path and what is not follows Compose: a build context may be a URL or another service, a bind's source may be a path of Windows, and
//! `~` is the home directory. Compose also follows symbolic links of `develop.watch`, which needs a disk and is left out.

use super::node::{Kind, Node, Value};
use super::{path, walk};

/// Makes the paths of a canonical tree absolute. Without a `home`, `~` stays.
pub(crate) fn resolve(root: &mut Node, working_dir: &str, home: Option<&str>) {
    let base = Base { working_dir, home };
    for context in [
        &["services", "*", "build", "context"][..],
        &["services", "*", "build", "additional_contexts", "*"],
        &["services", "*", "extends", "file"],
    ] {
        walk::change(root, context, &mut |_, node| {
            base.change(node, |b, text| if is_remote(text) { text.to_owned() } else { b.path(text) })
        });
    }
    for plain in [
        &["services", "*", "env_file", "*", "path"][..],
        &["services", "*", "label_file", "*"],
        &["services", "*", "develop", "watch", "*", "path"],
    ] {
        walk::change(root, plain, &mut |_, node| base.change(node, Base::path));
    }
    for foreign in [&["services", "*", "build", "ssh", "*"][..], &["configs", "*", "file"], &["secrets", "*", "file"]] {
        walk::change(root, foreign, &mut |_, node| base.change(node, Base::any_path));
    }
    let is = |node: &Node, key: &str, word: &str| node.get(key).and_then(Node::scalar).is_some_and(|s| s.text == word);
    walk::change(root, &["services", "*", "volumes", "*"], &mut |_, mount| {
        if is(mount, "type", "bind")
            && let Some(source) = mount.get_mut("source")
        {
            base.change(source, Base::any_path);
        }
    });
    // A volume of the local driver that binds a directory.
    walk::change(root, &["volumes", "*"], &mut |_, volume| {
        let local = is(volume, "driver", "local");
        let Some(options) = volume.get_mut("driver_opts").filter(|o| local && is(o, "o", "bind")) else { return };
        if let Some(device) = options.get_mut("device") {
            base.change(device, Base::any_path);
        }
    });
}

struct Base<'a> {
    working_dir: &'a str,
    home: Option<&'a str>,
}

impl Base<'_> {
    fn change(&self, node: &mut Node, to: impl Fn(&Self, &str) -> String) {
        if let Value::Scalar(scalar) = &mut node.value
            && scalar.kind == Kind::Text
            && !scalar.spoiled
        {
            scalar.text = to(self, &scalar.text);
        }
    }

    /// A path of this machine. Absolute ones and empty ones stay as they are.
    fn path(&self, text: &str) -> String {
        let text = self.expand(text);
        if text.is_empty() || text.starts_with('/') { text } else { path::clean(&format!("{}/{text}", self.working_dir)) }
    }

    /// A path of this machine or of Windows, where an engine may run.
    fn any_path(&self, text: &str) -> String {
        let text = self.expand(text);
        if text.starts_with('/') || is_windows_absolute(&text) { text } else { path::clean(&format!("{}/{text}", self.working_dir)) }
    }

    fn expand(&self, text: &str) -> String {
        match (text.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) => path::clean(&format!("{home}/{rest}")),
            _ => text.to_owned(),
        }
    }
}

/// A build context that is no directory: a URL, a repository, another service's image.
pub(crate) fn is_remote(text: &str) -> bool {
    text.contains("://") || ["service:", "github.com/", "git@"].iter().any(|prefix| text.starts_with(prefix))
}

/// `C:\x`, `c:/x` or `\\server\share`.
fn is_windows_absolute(text: &str) -> bool {
    match text.as_bytes() {
        [drive, b':', after, ..] if drive.is_ascii_alphabetic() => matches!(after, b'\\' | b'/'),
        _ => text.starts_with(r"\\"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_and_what_is_none_stays() {
        let base = Base { working_dir: "/srv/app", home: Some("/home/u") };
        for (text, want) in [
            ("./x/../y", "/srv/app/y"),
            ("..", "/srv"),
            ("~/x", "/home/u/x"),
            ("~", "/home/u"),
            ("/a/../b", "/a/../b"),
            ("C:\\x", "C:\\x"),
            ("c:x", "/srv/app/c:x"),
            (r"\\server\share\x", r"\\server\share\x"),
            (r"\\.\pipe\x", r"\\.\pipe\x"),
            (r"\server", r"/srv/app/\server"),
            ("", "/srv/app"),
        ] {
            assert_eq!(base.any_path(text), want, "{text}");
        }
        assert_eq!(base.path(""), "");
        assert_eq!(Base { home: None, ..base }.path("~/x"), "/srv/app/~/x");
        for remote in ["https://x/y.git", "git@x:y", "docker-image://a", "service:b", "github.com/a/b"] {
            assert!(is_remote(remote), "{remote}");
        }
        assert!(!is_remote("./x") && !is_remote("C:\\x"));
    }
}
