//! Volumes: made once, labelled, and only deleted when the label says that they are this app's.
//!
//! As with networks, one of the wanted name that somebody else made is used as it is and never deleted: it is adopted.

use super::network::{labels, owned};
use crate::RuntimeError;
use crate::docker::container::label;
use crate::docker::engine::{CALL, Engine, MAKE, status};
use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};
use landfall_model::name::{AppName, VolumeName};
use landfall_model::spec::Volume;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// Deletes volumes without a name that came from an earlier container: the engine takes away only those it made itself for
/// the container that goes. One that another container goes on with stays.
pub(crate) async fn forget(engine: &Engine, names: impl Iterator<Item = String>) -> Result<(), RuntimeError> {
    for name in names {
        let client = engine.client().await?;
        match client.remove_volume(&name, None::<RemoveVolumeOptions>).await {
            Err(e) if matches!(status(&e), Some(404 | 409)) => {}
            answer => answer.map_err(|e| engine.explain("delete a volume without a name", e))?,
        }
    }
    Ok(())
}

/// Deletes the volume with the files of a container that is gone. Nobody else may have it, but the engine says for a moment that the container does.
pub(crate) async fn forget_files(engine: &Engine, name: &str) -> Result<(), RuntimeError> {
    let until = Instant::now() + MAKE;
    loop {
        match engine.client().await?.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Err(e) if status(&e) == Some(404) => return Ok(()),
            Err(e) if status(&e) == Some(409) && Instant::now() < until => tokio::time::sleep(Duration::from_millis(100)).await,
            answer => return answer.map_err(|e| engine.explain("delete the volume of a container's files", e)),
        }
    }
}

/// Volumes of an app as they are.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// How each was made.
    pub(crate) made: BTreeMap<VolumeName, Volume>,
    /// Those that somebody else made.
    pub(crate) adopted: BTreeSet<VolumeName>,
}

/// Makes a volume unless there is one of that name.
pub(crate) async fn ensure(engine: &Engine, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
    let client = engine.client().await?;
    let name = &volume.external_name;
    if engine.look(&format!("look at volume `{name}`"), client.inspect_volume(name)).await?.is_some() {
        return Ok(());
    }
    if volume.external {
        return Err(RuntimeError::failed(
            format!("use external volume `{name}`"),
            "it does not exist; make it with `docker volume create`",
        ));
    }
    let request = VolumeCreateRequest {
        name: Some(name.clone()),
        driver: Some(if volume.driver.is_empty() { "local".to_owned() } else { volume.driver.clone() }),
        driver_opts: Some(volume.options.clone().into_iter().collect()),
        labels: Some(labels(app, &volume.labels, (label::VOLUME, key.as_str()))),
        ..VolumeCreateRequest::default()
    };
    engine.ask(&format!("make volume `{key}`"), MAKE, client.create_volume(request)).await.map(drop)
}

/// Deletes a volume of the app and its data; one that is absent is gone, one that is not the app's is left as it is. What
/// is still there afterwards is a failure, whatever the engine answered.
pub(crate) async fn remove(engine: &Engine, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
    let client = engine.client().await?;
    let name = &volume.external_name;
    let looking = format!("look at volume `{name}`");
    let found = engine.look(&looking, client.inspect_volume(name)).await?;
    if volume.external || !found.is_some_and(|v| owned(Some(&v.labels), app)) {
        return Ok(());
    }
    let doing = format!("delete volume `{key}`");
    engine.look(&doing, client.remove_volume(name, None::<RemoveVolumeOptions>)).await?;
    match engine.look(&looking, client.inspect_volume(name)).await? {
        None => Ok(()),
        Some(_) => Err(RuntimeError::failed(doing, format!("`{name}` is still there after the engine said that it was deleted"))),
    }
}

/// The app's volumes: those labelled, and those of `known`, key → external name.
pub(crate) async fn observe(engine: &Engine, app: &AppName, known: &BTreeMap<VolumeName, String>) -> Result<Found, RuntimeError> {
    let client = engine.client().await?;
    let wanted = format!("{}={app}", label::APP);
    let options = ListVolumesOptionsBuilder::new().filters(&HashMap::from([("label", vec![wanted])])).build();
    let listed = engine.ask("list volumes", CALL, client.list_volumes(Some(options))).await?;
    let mut found = Found::default();
    for volume in listed.volumes.into_iter().flatten() {
        let Some(key) = volume.labels.get(label::VOLUME).and_then(|key| key.parse::<VolumeName>().ok()) else { continue };
        // Of two with one key, the one that is mounted counts.
        if known.get(&key).is_none_or(|name| *name == volume.name) || !found.made.contains_key(&key) {
            found.made.insert(key, made(&volume));
        }
    }
    for (key, name) in known {
        if found.made.get(key).is_none_or(|made| made.external_name != *name)
            && let Some(volume) = engine.look("look at a volume", client.inspect_volume(name)).await?
        {
            found.made.insert(key.clone(), made(&volume));
            if !owned(Some(&volume.labels), app) {
                found.adopted.insert(key.clone());
            }
        }
    }
    Ok(found)
}

/// A volume of the engine in the words of the file.
fn made(volume: &bollard::models::Volume) -> Volume {
    let given = |(k, _): &(&String, &String)| !k.starts_with("landfall.") && !k.starts_with("com.docker.");
    Volume {
        external_name: volume.name.clone(),
        external: false,
        driver: if volume.driver == "local" { String::new() } else { volume.driver.clone() },
        options: volume.options.clone().into_iter().collect(),
        labels: volume.labels.iter().filter(given).map(|(k, v)| (k.clone(), v.clone())).collect(),
    }
}
