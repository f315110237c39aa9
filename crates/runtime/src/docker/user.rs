//! Whom a container runs as, in numbers.
//!
//! The service's `user`, else the image's, is numbers or names; names stand in the image's own `/etc/passwd` and `/etc/group`, which the engine hands out of a
//! container that was made and not started. A name that is not there is no user for the engine either: it refuses to start the container and says so.

use crate::RuntimeError;
use crate::docker::engine::{Engine, MAKE, status};
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt as _;
use landfall_model::name::ReplicaId;
use std::io::Read as _;

/// Largest list of users or groups that is read.
const MAX_FILE: usize = 1024 * 1024;

/// Its user and group; nothing when the image does not know them.
pub(crate) async fn of(engine: &Engine, container: &str, id: &ReplicaId) -> Result<Option<(u32, u32)>, RuntimeError> {
    let client = engine.client().await?;
    let doing = format!("look at `{id}`");
    let found = engine.ask(&doing, MAKE, client.inspect_container(container, None)).await?;
    let text = found.config.and_then(|config| config.user).unwrap_or_default();
    let (user, group) = text.split_once(':').map_or((text.as_str(), None), |(user, group)| (user, Some(group)));
    if matches!((user, group), ("" | "0" | "root", None | Some("" | "0" | "root"))) {
        return Ok(Some((0, 0)));
    }
    if let (Ok(uid), Some(Ok(gid))) = (user.parse(), group.map(str::parse)) {
        return Ok(Some((uid, gid)));
    }
    let users = file(engine, container, "/etc/passwd", &doing).await?;
    let groups = if group.is_some() { file(engine, container, "/etc/group", &doing).await? } else { String::new() };
    Ok(numbers((user, group), &users, &groups))
}

/// passwd(5) and group(5). A number needs no line; without a line its group is 0, as for the engine.
fn numbers((user, group): (&str, Option<&str>), users: &str, groups: &str) -> Option<(u32, u32)> {
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

/// A text file of a container; empty when there is none.
async fn file(engine: &Engine, container: &str, path: &str, doing: &str) -> Result<String, RuntimeError> {
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let mut pieces = engine.client().await?.download_from_container(container, Some(options)).boxed();
    let mut archive = Vec::new();
    let read = async {
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => archive.extend_from_slice(&piece),
                Err(e) if status(&e) == Some(404) => break,
                Err(e) => return Err(e),
            }
            if archive.len() > MAX_FILE {
                break;
            }
        }
        Ok(())
    };
    engine.ask(doing, MAKE, read).await?;
    let mut text = String::new();
    let mut entries = tar::Archive::new(archive.as_slice());
    if let Some(Ok(entry)) = entries.entries().ok().and_then(|mut entries| entries.next()) {
        // What is no text, or longer than it may be, has no line that fits.
        let _ = entry.take(MAX_FILE as u64).read_to_string(&mut text);
    }
    Ok(text)
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
