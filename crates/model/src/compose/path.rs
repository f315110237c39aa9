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
    }
}
