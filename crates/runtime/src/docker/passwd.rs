//! Users and groups as an image lists them, out of the archive in which the engine hands them out. The image is whoever's, so is what it says. Nothing of
//! this crate is used here: the fuzz target `container` reads this file too.

use std::io::Read as _;

/// Largest list of users or groups that is read.
pub(crate) const MAX_FILE: usize = 1024 * 1024;

/// passwd(5) and group(5). A number needs no line; without a line its group is 0, as for the engine.
pub(crate) fn numbers((user, group): (&str, Option<&str>), users: &str, groups: &str) -> Option<(u32, u32)> {
    fn line<'a>(text: &'a str, name: &str, number: Option<u32>) -> Option<Vec<&'a str>> {
        let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let own = |fields: &Vec<&str>| fields.get(2).and_then(|n| n.parse::<u32>().ok());
        fields.into_iter().find(|fields| fields.first() == Some(&name) || number.is_some() && own(fields) == number)
    }
    let number = |fields: &[&str], at: usize| fields.get(at).and_then(|n| n.parse::<u32>().ok());
    let uid = user.parse::<u32>().ok();
    let own = line(users, if user.is_empty() { "root" } else { user }, uid);
    let uid = uid.or_else(|| number(own.as_ref()?, 2)).or(user.is_empty().then_some(0))?;
    let gid = match group {
        Some(group) => group.parse().ok().or_else(|| number(&line(groups, group, None)?, 2))?,
        None => own.and_then(|fields| number(&fields, 3)).unwrap_or(0),
    };
    Some((uid, gid))
}

/// Of the first file in an archive. What is no text, or longer than it may be, has no line that fits.
pub(crate) fn first_text(archive: &[u8]) -> String {
    let mut text = String::new();
    let mut entries = tar::Archive::new(archive);
    if let Some(Ok(entry)) = entries.entries().ok().and_then(|mut entries| entries.next()) {
        let _ = entry.take(MAX_FILE as u64).read_to_string(&mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_as_the_engine_finds_them() {
        let users = "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n# odd\nsome:thing\n";
        let groups = "root:x:0:\nstaff:x:50:app\n";
        for (user, group, wanted) in [
            ("app", None, Some((1000, 1001))),
            ("app", Some("staff"), Some((1000, 50))),
            ("1000", None, Some((1000, 1001))),
            ("4242", None, Some((4242, 0))),
            ("4242", Some("staff"), Some((4242, 50))),
            ("app", Some("7"), Some((1000, 7))),
            ("", Some("staff"), Some((0, 50))),
            ("nobody", None, None),
            ("app", Some("nowhere"), None),
            ("some", None, None),
        ] {
            assert_eq!(numbers((user, group), users, groups), wanted, "{user}:{group:?}");
        }
    }
}
