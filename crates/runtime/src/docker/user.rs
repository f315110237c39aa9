//! Whom a container runs as, in numbers.
//!
//! The service's `user`, else the image's, is numbers or names; names stand in the image's own `/etc/passwd` and `/etc/group`, which the engine hands out of a
//! container that was made and not started. A name that is not there is no user for the engine either: it refuses to start the container and says so.

use crate::RuntimeError;
use crate::docker::engine::{Engine, MAKE, status};
use crate::docker::passwd::{MAX_FILE, first_text, numbers};
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt as _;
use landfall_model::name::ReplicaId;

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
    Ok(first_text(&archive))
}
