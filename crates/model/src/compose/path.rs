//! Paths as text: joined and made plain without asking any disk.

/// `path` against an absolute `base`, without `.`, `..` and doubled slashes. What climbs above the root stays at the root.
pub(crate) fn absolute(base: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// As Go's `path.Clean`: the shortest text that names the same place. A relative path stays one, and nothing at all is `.`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// True when `path` is `base` or lies below it; both absolute and plain.
pub(crate) fn within(base: &str, path: &str) -> bool {
    let base = base.trim_end_matches('/');
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `path` below `base`, whichever way both are written. One that is absolute stays what it is.
pub(crate) fn join(base: &str, path: &str) -> String {
    match (path.starts_with('/'), base.is_empty()) {
        (true, _) | (false, true) => clean(path),
        (false, false) => clean(&format!("{base}/{path}")),
    }
}

/// The directory of a file.
pub(crate) fn parent(path: &str) -> String {
    clean(path.rsplit_once('/').map_or(".", |(dir, _)| if dir.is_empty() { "/" } else { dir }))
}

/// How `path` is reached from `base`; `None` when only one of them is absolute or `base` climbs out of what is known.
pub(crate) fn relative(base: &str, path: &str) -> Option<String> {
    let (base, path) = (clean(base), clean(path));
    if base.starts_with('/') != path.starts_with('/') {
        return None;
    }
    let parts = |p: &str| p.split('/').filter(|p| !matches!(*p, "" | ".")).map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = (parts(&base), parts(&path));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if from.iter().skip(common).any(|p| p == "..") {
        return None;
    }
    let up = std::iter::repeat_n("..", from.len() - common);
    Some(clean(&up.chain(to.iter().skip(common).map(String::as_str)).collect::<Vec<_>>().join("/")))
}

/// The last element.
pub(crate) fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_text() {
        for (path, plain) in
            [("", "."), ("/", "/"), ("a/../..", ".."), ("/a//b/./", "/a/b"), ("/../x", "/x"), ("ro", "ro"), ("../../a", "../../a")]
        {
            assert_eq!(clean(path), plain, "{path}");
        }
        assert_eq!(absolute("/srv/app", "./data"), "/srv/app/data");
        assert_eq!(absolute("/srv/app", "../x/./y//z"), "/srv/x/y/z");
        assert_eq!(absolute("/srv", "../../.."), "/");
        assert_eq!(absolute("/srv", "/etc/x"), "/etc/x");
        assert!(within("/srv/app", "/srv/app") && within("/srv/app", "/srv/app/x") && !within("/srv/app", "/srv/apple"));
        assert_eq!(base_name("/srv/My App/"), "My App");
        for (base, path, want) in
            [("", "./a", "a"), (".", "..", ".."), ("a/b", "../../../c", "../c"), ("/a", "b/", "/a/b"), ("a", "/b", "/b")]
        {
            assert_eq!(join(base, path), want);
        }
        assert_eq!((parent("a/b"), parent("a"), parent("/a")), ("a".into(), ".".into(), "/".into()));
        for (base, path, want) in [
            ("/a/b", "/a/b/c/d", Some("c/d")),
            ("/a/b", "/a/c", Some("../c")),
            ("/a", "/a", Some(".")),
            ("a", "b", Some("../b")),
            ("/a", "b", None),
            ("..", "b", None),
        ] {
            assert_eq!(relative(base, path).as_deref(), want);
        }
    }
}
