//! Volumes of the process runtime: directories.
//!
//! A volume is `volumes/<external name>/`; a program is told where by `LANDFALL_VOLUME_<NAME>`. Whose it is stands beside it, in
//! `volumes/.<external name>.json`, never in it: the content is the user's. A directory without that file is somebody else's and is used,
//! never deleted.

use crate::RuntimeError;
use crate::process::record::{VolumeRecord, private_dir, read, write};
use landfall_model::name::{AppName, VolumeName};
use landfall_model::spec::Volume;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory of a volume. The external name is the user's text, so it must be one path element that starts with no dot.
pub(crate) fn dir(volumes: &Path, volume: &Volume) -> Result<PathBuf, RuntimeError> {
    let name = &volume.external_name;
    if name.parse::<VolumeName>().is_err() && name.parse::<AppName>().is_err() || name.len() > 150 {
        return Err(RuntimeError::failed(
            format!("use volume `{name}`"),
            "its name must be letters, digits, `.`, `_` and `-`, starting with a letter or digit",
        ));
    }
    Ok(volumes.join(name))
}

fn marker(dir: &Path) -> PathBuf {
    let name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    dir.with_file_name(format!(".{name}.json"))
}

pub(crate) fn ensure(volumes: &Path, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<PathBuf, RuntimeError> {
    let dir = dir(volumes, volume)?;
    let failed = |e: io::Error| RuntimeError::failed(format!("make volume `{key}`"), e);
    if volume.external {
        return if dir.is_dir() {
            Ok(dir)
        } else {
            Err(RuntimeError::failed(
                format!("use external volume `{}`", volume.external_name),
                format!("{} does not exist", dir.display()),
            ))
        };
    }
    if !dir.is_dir() {
        private_dir(volumes).map_err(failed)?;
        let record = VolumeRecord { app: app.clone(), key: key.clone() };
        // First whose it is, then the volume: a crash between leaves no directory that nobody owns.
        let name = marker(&dir);
        write(volumes, &name.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(), &record).map_err(failed)?;
        private_dir(&dir).map_err(failed)?;
    }
    Ok(dir)
}

pub(crate) fn remove(volumes: &Path, app: &AppName, key: &VolumeName, volume: &Volume) -> Result<(), RuntimeError> {
    let dir = dir(volumes, volume)?;
    let failed = |e: io::Error| RuntimeError::failed(format!("delete volume `{key}`"), e);
    let marker = marker(&dir);
    let owner: Option<VolumeRecord> = read(&marker).map_err(failed)?;
    if volume.external || owner.is_none_or(|o| o.app != *app) {
        return Ok(());
    }
    for gone in [fs::remove_dir_all(&dir), fs::remove_file(&marker)] {
        match gone {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
    }
    Ok(())
}

/// What a directory holds; nothing for one with more entries than can be counted in a moment. Links are not followed.
pub(crate) fn bytes(dir: &Path) -> Option<u64> {
    const MOST: usize = 100_000;
    let (mut open, mut seen, mut sum) = (vec![dir.to_owned()], 0, 0);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).ok()? {
            let entry = entry.ok()?;
            let about = entry.metadata().ok()?;
            seen += 1;
            if about.is_dir() {
                open.push(entry.path());
            } else {
                sum += about.len();
            }
            if seen > MOST {
                return None;
            }
        }
    }
    Some(sum)
}

/// Keys of the volumes an app has.
pub(crate) fn of_app(volumes: &Path, app: &AppName) -> BTreeSet<VolumeName> {
    let Ok(entries) = fs::read_dir(volumes) else { return BTreeSet::new() };
    entries
        .flatten()
        .map(|e| e.path())
        .filter(|path| path.is_dir())
        .filter_map(|path| read::<VolumeRecord>(&marker(&path)).ok().flatten())
        .filter(|record| record.app == *app)
        .map(|record| record.key)
        .collect()
}

/// How a program finds its volume.
pub(crate) fn variable(key: &VolumeName) -> String {
    let upper = key.as_str().to_ascii_uppercase();
    format!("LANDFALL_VOLUME_{}", upper.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str) -> Volume {
        Volume { external_name: name.into(), ..Volume::default() }
    }

    #[test]
    fn a_volume_cannot_lie_outside_and_is_nobody_elses_to_delete() {
        let home = tempfile::tempdir().unwrap();
        let (app, other, key) = ("shop".parse().unwrap(), "other".parse().unwrap(), "pg-data".parse().unwrap());
        for hostile in ["../x", "/etc", "", ".hidden", "a/b", "a\0b"] {
            assert!(ensure(home.path(), &app, &key, &volume(hostile)).is_err(), "{hostile:?}");
        }
        let dir = ensure(home.path(), &app, &key, &volume("shop_pg-data")).unwrap();
        fs::write(dir.join("row"), "1").unwrap();
        remove(home.path(), &other, &key, &volume("shop_pg-data")).unwrap();
        assert!(dir.join("row").exists());
        assert_eq!(of_app(home.path(), &app), BTreeSet::from([key.clone()]));
        remove(home.path(), &app, &key, &volume("shop_pg-data")).unwrap();
        remove(home.path(), &app, &key, &volume("shop_pg-data")).unwrap();
        assert!(!dir.exists() && of_app(home.path(), &app).is_empty());
        assert_eq!(variable(&key), "LANDFALL_VOLUME_PG_DATA");
    }
}
