//! What this server's owner granted to apps, and whether a release takes more.
//!
//! The file lies on the server and belongs to its owner; nothing in a Compose file, and nothing a client sends, can write it. What a release takes
//! is worked out here from its spec. A bind is judged by where its path leads on this disk as well: a link in the project is no way out of it.
//! The file is read for every release, so a grant that was taken back is taken back.

use crate::error::GrantError;
use landfall_model::compose::parse_grants;
use landfall_model::name::{AppName, ServiceName};
use landfall_model::power::{Grants, Power, is_free};
use landfall_model::spec::{MountSource, RuntimeKind, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Most bytes of the file.
const MAX_FILE: u64 = 64 * 1024;

/// Fails when a release takes what was not granted.
pub(crate) fn check(file: &Path, app: &AppName, spec: &Spec) -> Result<(), GrantError> {
    let powers = powers(spec);
    if powers.is_empty() {
        return Ok(());
    }
    let missing = read(file)?.missing(app, &powers);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(GrantError::Missing { app: app.clone(), powers: missing, file: file.display().to_string() })
    }
}

/// What is granted. No file grants nothing; one that others could have written is not believed.
fn read(file: &Path) -> Result<Grants, GrantError> {
    let name = file.display().to_string();
    let unusable = |why: String| GrantError::Unusable { file: name.clone(), why };
    let about = match std::fs::symlink_metadata(file) {
        Ok(about) => about,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Grants::default()),
        Err(e) => return Err(unusable(e.to_string())),
    };
    if !about.is_file() {
        return Err(unusable("it is no regular file".into()));
    }
    let own = rustix::process::geteuid().as_raw();
    if about.uid() != 0 && about.uid() != own {
        return Err(unusable(format!("it belongs to user {} and not to the server's owner", about.uid())));
    }
    if about.mode() & 0o022 != 0 {
        return Err(unusable(format!("others may write it (mode {:o}): `chmod 600` it", about.mode() & 0o777)));
    }
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|e| unusable(e.to_string()))?;
    opened.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| unusable(e.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(unusable(format!("it is larger than {} KiB", MAX_FILE / 1024)));
    }
    parse_grants(&name, &text).map_err(|complaints| {
        let first = complaints.into_iter().next();
        unusable(first.map_or_else(String::new, |d| {
            let line = d.span.as_ref().map_or_else(String::new, |s| format!("line {}: ", s.line));
            line + &d.message
        }))
    })
}

/// What a spec takes, by its words and by where its paths lead here.
fn powers(spec: &Spec) -> BTreeMap<ServiceName, BTreeSet<Power>> {
    let mut powers = spec.powers();
    if spec.runtime == RuntimeKind::Process {
        return powers;
    }
    let project = led(Path::new(&spec.project_dir));
    for (name, service) in &spec.services {
        let binds = service.template.mounts.iter().filter_map(|m| match &m.source {
            MountSource::Bind { path, .. } => Some(path.clone()),
            MountSource::Volume { name, .. } => {
                spec.volumes.get(name).and_then(|v| v.options.get("device")).filter(|d| d.starts_with('/')).cloned()
            }
            _ => None,
        });
        for path in binds.filter(|path| is_free(&spec.project_dir, path)) {
            let real = led(Path::new(&path)).display().to_string();
            if !is_free(&project.display().to_string(), &real)
                && let Ok(power) = format!("bind:{real}").parse()
            {
                powers.entry(name.clone()).or_default().insert(power);
            }
        }
    }
    powers
}

/// Where a path leads, its links followed; what is not there yet stays as it is written.
fn led(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut at = path;
    loop {
        if let Ok(real) = at.canonicalize() {
            return rest.iter().rev().fold(real, |whole, part| whole.join(part));
        }
        match (at.parent(), at.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name.to_owned());
                at = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_others_may_write_is_not_believed() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("grants.yaml");
        assert_eq!(read(&file).unwrap(), Grants::default());
        std::fs::write(&file, "shop: { web: [privileged] }").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&file).unwrap().0.len(), 1);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(read(&file), Err(GrantError::Unusable { why, .. }) if why.contains("chmod 600")));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "shop: { web: [roots] }").unwrap();
        assert!(matches!(read(&file), Err(GrantError::Unusable { why, .. }) if why.starts_with("line 1: ")));
        let link = home.path().join("link.yaml");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(matches!(read(&link), Err(GrantError::Unusable { .. })));
        std::fs::write(&file, " ".repeat(MAX_FILE as usize + 1)).unwrap();
        assert!(matches!(read(&file), Err(GrantError::Unusable { why, .. }) if why.contains("larger")));
    }

    #[test]
    fn a_path_leads_where_its_links_lead() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("/etc", home.path().join("out")).unwrap();
        assert_eq!(led(&home.path().join("out/passwd")), Path::new("/etc/passwd"));
        assert_eq!(led(&home.path().join("out/no/such")), Path::new("/etc/no/such"));
        assert_eq!(led(&home.path().join("new/data")), real.join("new/data"));
    }
}
