//! What this server's owner granted to apps, and whether a release takes more.
//!
//! The file lies on the server and belongs to its owner; nothing in a Compose file, and nothing a client sends, can write it. What a release takes
//! is worked out here from its spec. A bind is judged by where its path leads on this disk as well: a link in the project is no way out of it.
//! The file is read for every release, so a grant that was taken back is taken back.

mod route;

use crate::core::Core;
use crate::error::{GrantError, StoreError};
use crate::home::Home;
use landfall_model::compose::parse_grants;
use landfall_model::filter::Network;
use landfall_model::name::{AppName, ServiceName};
use landfall_model::power::{Grants, Power, is_free};
use landfall_model::spec::{MountSource, RuntimeKind, Service, Spec};
use landfall_runtime::{Owners, RuntimeError};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Most bytes of the file.
const MAX_FILE: u64 = 64 * 1024;

/// Knows the file of grants, and what needs one on this server.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    file: PathBuf,
    programs: bool,
    home: PathBuf,
}

/// What a spec is judged beside: other apps, and what is the engine's own.
#[derive(Debug, Default)]
pub(crate) struct Around {
    owners: Owners,
    /// What containers of other apps may write of the host.
    writable: Vec<PathBuf>,
}

impl Around {
    /// As it is now.
    pub(crate) async fn look<E: From<RuntimeError> + From<StoreError>>(core: &Core, spec: &Spec) -> Result<Self, E> {
        if spec.runtime != RuntimeKind::Docker {
            return Ok(Self::default());
        }
        let networks = spec.networks.values().map(|n| n.external_name.as_str()).collect();
        let volumes = spec.volumes.values().map(|v| v.external_name.as_str()).collect();
        let owners = core.runtimes.get(spec.runtime).owners(&networks, &volumes).await?;
        let mut writable = Vec::new();
        for other in core.store.apps()?.into_iter().filter(|a| a.name != spec.app && a.runtime == RuntimeKind::Docker) {
            writable.extend(core.current_spec(&other)?.iter().flat_map(writable_binds));
        }
        Ok(Self { owners, writable })
    }
}

impl Guard {
    /// With `programs`, those of the process runtime need a grant: this agent is root, and who speaks to it need not be.
    pub(crate) fn new(home: &Home, programs: bool) -> Self {
        Self { file: home.grants(), programs, home: led(home.path()) }
    }

    /// Fails when a release takes what was not granted.
    pub(crate) fn check(&self, spec: &Spec, around: &Around) -> Result<(), GrantError> {
        self.allow(spec, self.powers(spec, around), None)
    }

    /// Fails when one of its services does: grants are taken back and links are changed while an app runs, so each start is judged by itself.
    pub(crate) fn check_service(&self, spec: &Spec, service: &ServiceName, around: &Around) -> Result<(), GrantError> {
        let mut powers = self.powers(spec, around);
        powers.retain(|name, _| name == service);
        self.allow(spec, powers, None)
    }

    /// Fails when a release binds or serves files of a directory that it calls its project and that is not the asker's: which directory is the project is a
    /// client's word, and whoever says it must own it, or be root, or the owner of the server must have granted the path.
    pub(crate) fn check_project(&self, spec: &Spec, uid: u32) -> Result<(), GrantError> {
        if uid == 0 || uid == rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        let project = led(Path::new(&spec.project_dir));
        // What is not there yet would be made, by root, in what is there.
        let there = project.ancestors().find_map(|dir| std::fs::metadata(dir).ok());
        if there.is_some_and(|about| about.uid() == uid) {
            return Ok(());
        }
        let mut powers: BTreeMap<ServiceName, BTreeSet<Power>> = BTreeMap::new();
        for (name, service) in &spec.services {
            let bound = binds(spec, service).filter(|_| spec.runtime == RuntimeKind::Docker).map(|bind| bind.path);
            let of_project = service.files().filter(|files| !files.root.is_in_image());
            // Copied by an agent that may read everything, and shown to everybody.
            let served = of_project.map(|files| Path::new(&spec.project_dir).join(files.root.as_str()).display().to_string());
            let free = bound.filter(|path| is_free(&spec.project_dir, path)).chain(served);
            let taken: BTreeSet<Power> = free.filter_map(|path| format!("bind:{path}").parse().ok()).collect();
            if !taken.is_empty() {
                powers.insert(name.clone(), taken);
            }
        }
        let why = format!(
            "the project directory {} is not yours (uid {uid}), so what lies in it is not free to bind or to serve",
            spec.project_dir
        );
        self.allow(spec, powers, Some(why))
    }

    /// Where a bind of a service leads by links that nobody granted, if one does. What it was when the replica was made does not count: the engine
    /// follows links anew each time a container starts.
    pub(crate) fn strayed(&self, spec: &Spec, service: &ServiceName) -> Option<String> {
        let found = (spec.runtime == RuntimeKind::Docker).then(|| spec.services.get(service))??;
        let strays: BTreeSet<Power> = binds(spec, found).filter_map(|bind| self.stray(spec, &bind)).collect();
        let powers = BTreeMap::from([(service.clone(), strays)]);
        let missing = read(&self.file).unwrap_or_default().missing(&spec.app, &powers);
        missing.into_values().flatten().next().map(|power| power.to_string())
    }

    fn allow(&self, spec: &Spec, powers: BTreeMap<ServiceName, BTreeSet<Power>>, why: Option<String>) -> Result<(), GrantError> {
        if powers.is_empty() {
            return Ok(());
        }
        let missing = read(&self.file)?.missing(&spec.app, &powers);
        if missing.is_empty() {
            Ok(())
        } else {
            Err(GrantError::Missing { app: spec.app.clone(), powers: missing, file: self.file.display().to_string(), why })
        }
    }

    /// What a spec takes, by its words, by where its paths lead here, and by whose things they are.
    fn powers(&self, spec: &Spec, around: &Around) -> BTreeMap<ServiceName, BTreeSet<Power>> {
        match spec.runtime {
            RuntimeKind::Process if self.programs => return spec.powers_of_programs(),
            RuntimeKind::Process => return BTreeMap::new(),
            RuntimeKind::Docker => {}
        }
        let mut powers = spec.powers();
        let writable: Vec<PathBuf> = writable_binds(spec).chain(around.writable.iter().cloned()).collect();
        for (name, service) in &spec.services {
            let mut taken = self.taken_by_paths(spec, service, (writable.as_slice(), around.owners.root.as_deref()));
            taken.extend(taken_of_others(spec, service, &around.owners));
            taken.extend(taken_of_host(spec, service));
            if !taken.is_empty() {
                powers.entry(name.clone()).or_default().extend(taken);
            }
        }
        powers
    }

    fn taken_by_paths(&self, spec: &Spec, service: &Service, (writable, engine): (&[PathBuf], Option<&Path>)) -> BTreeSet<Power> {
        let mut taken = BTreeSet::new();
        for bind in binds(spec, service).filter(|bind| is_free(&spec.project_dir, &bind.path)) {
            taken.extend(self.stray(spec, &bind));
            let real = led(Path::new(&bind.path));
            // Whoever may write a directory may put a link in the place of what is in it.
            let unsteady = writable.iter().any(|w| *w != real && real.starts_with(w));
            let kept = engine.into_iter().chain([self.home.as_path()]).any(|own| real.starts_with(own) || own.starts_with(&real));
            if unsteady || kept {
                taken.extend(format!("bind:{}", bind.path).parse().ok());
            }
        }
        taken
    }

    /// The power that a bind takes by leading out of the project.
    fn stray(&self, spec: &Spec, bind: &Bind) -> Option<Power> {
        let project = led(Path::new(&spec.project_dir)).display().to_string();
        let real = led(Path::new(&bind.path)).display().to_string();
        let out = is_free(&spec.project_dir, &bind.path) && !is_free(&project, &real);
        out.then(|| format!("bind:{real}").parse().ok())?
    }
}

/// A path of the host that a service sees.
struct Bind {
    path: String,
    read_only: bool,
}

/// All of a service: its binds, and volumes that are made of a directory.
fn binds<'a>(spec: &'a Spec, service: &'a Service) -> impl Iterator<Item = Bind> + 'a {
    service.template.mounts.iter().filter_map(|mount| {
        let path = match &mount.source {
            MountSource::Bind { path, .. } => Some(path),
            MountSource::Volume { name, .. } => spec.volumes.get(name)?.options.get("device").filter(|d| d.starts_with('/')),
            _ => None,
        };
        Some(Bind { path: path?.clone(), read_only: mount.read_only })
    })
}

/// What containers of an app may write of the host.
fn writable_binds(spec: &Spec) -> impl Iterator<Item = PathBuf> {
    let all = spec.services.values().flat_map(|service| binds(spec, service));
    all.filter(|bind| !bind.read_only).map(|bind| led(Path::new(&bind.path))).collect::<Vec<_>>().into_iter()
}

/// Volumes and networks that another app made.
fn taken_of_others(spec: &Spec, service: &Service, owners: &Owners) -> BTreeSet<Power> {
    let foreign = |kind: &str, made: &BTreeMap<String, AppName>, name: &str| {
        made.get(name).filter(|app| **app != spec.app).and_then(|_| format!("{kind}:{name}").parse().ok())
    };
    let volumes = service.template.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume { name, .. } => foreign("volume", &owners.volumes, &spec.volumes.get(name)?.external_name),
        _ => None,
    });
    let networks = service.template.networks.iter();
    let networks = networks.filter_map(|key| foreign("network", &owners.networks, &spec.networks.get(key)?.external_name));
    volumes.chain(networks).collect()
}

/// Addresses of a network that the host itself has or reaches directly.
fn taken_of_host(spec: &Spec, service: &Service) -> BTreeSet<Power> {
    let made = service.template.networks.iter().filter_map(|key| spec.networks.get(key)).filter(|network| !network.external);
    let wanted: BTreeSet<&str> = made.flat_map(|network| &network.subnets).map(|subnet| subnet.subnet.as_str()).collect();
    if wanted.is_empty() {
        return BTreeSet::new();
    }
    let host = route::of_host();
    let overlaps = |subnet: &&str| subnet.parse().is_ok_and(|subnet: Network| host.iter().any(|own| own.overlaps(&subnet)));
    wanted.into_iter().filter(overlaps).filter_map(|subnet| format!("subnet:{subnet}").parse().ok()).collect()
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

    /// An app whose one service binds `./data` of a project.
    fn bound(dir: &Path) -> Spec {
        compiled(dir, "name: shop\nservices: { web: { image: nginx, volumes: [./data:/data] } }\n")
    }

    fn compiled(dir: &Path, text: &'static str) -> Spec {
        struct One(&'static str);
        impl landfall_model::compose::Files for One {
            fn read(&self, path: &str) -> Result<Vec<u8>, landfall_model::compose::FileProblem> {
                if path == "compose.yaml" { Ok(self.0.into()) } else { Err(landfall_model::compose::FileProblem::NotFound) }
            }
            fn exists(&self, path: &str) -> bool {
                !path.ends_with(".env")
            }
        }
        let (files, env, dir) = (["compose.yaml".to_owned()], BTreeMap::new(), dir.to_str().unwrap());
        let input = landfall_model::compose::Input {
            files: &files,
            cwd: dir,
            project_dir: dir,
            project_name: None,
            env: &env,
            env_files: None,
            profiles: BTreeSet::new(),
            reader: &One(text),
            rules: None,
            environment: None,
        };
        landfall_model::compose::resolve(&input).spec.unwrap()
    }

    fn guard(home: &Path) -> Guard {
        Guard::new(&Home::new(home), false)
    }

    #[test]
    fn a_link_that_is_put_in_the_place_of_a_bind_is_seen_at_the_next_start() {
        let (home, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = project.path().canonicalize().unwrap();
        let (spec, web) = (bound(&dir), "web".parse().unwrap());
        let guard = guard(home.path());
        std::fs::create_dir(dir.join("data")).unwrap();
        assert!(guard.check_service(&spec, &web, &Around::default()).is_ok());
        assert_eq!(guard.strayed(&spec, &web), None);
        std::fs::remove_dir(dir.join("data")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.join("data")).unwrap();
        assert!(matches!(guard.check_service(&spec, &web, &Around::default()), Err(GrantError::Missing { .. })));
        assert_eq!(guard.strayed(&spec, &web).as_deref(), Some("bind:/etc"));
        let grants = home.path().join("grants.yaml");
        std::fs::write(&grants, "shop: { web: [\"bind:/etc\"] }").unwrap();
        std::fs::set_permissions(&grants, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(guard.strayed(&spec, &web), None, "it was granted");
    }

    #[test]
    fn what_other_apps_may_write_is_no_place_for_a_bind() {
        let (home, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = project.path().canonicalize().unwrap();
        let around = Around { writable: vec![dir.clone()], ..Around::default() };
        assert!(matches!(guard(home.path()).check(&bound(&dir), &around), Err(GrantError::Missing { .. })));
    }

    /// Needs root: it gives a directory away.
    #[test]
    fn a_project_is_its_owners_and_roots() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root: it gives a directory to somebody else");
        let (home, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = project.path().canonicalize().unwrap();
        let (guard, ann, bob) = (guard(home.path()), 23_456, 23_457);
        std::os::unix::fs::chown(&dir, Some(ann), None).unwrap();
        assert!(guard.check_project(&bound(&dir), ann).is_ok() && guard.check_project(&bound(&dir), 0).is_ok());
        // One that is not there yet would be made in a directory of root's.
        for (dir, uid) in [(dir.clone(), bob), ("/srv/names-no-such/project".into(), ann)] {
            let Err(GrantError::Missing { why: Some(why), powers, .. }) = guard.check_project(&bound(&dir), uid) else { panic!("{dir:?}") };
            assert!(why.contains("is not yours") && powers.len() == 1, "{why}");
        }
        let grants = home.path().join("grants.yaml");
        std::fs::write(&grants, format!("shop: {{ web: [\"bind:{}\"] }}", dir.display())).unwrap();
        std::fs::set_permissions(&grants, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(guard.check_project(&bound(&dir), bob).is_ok(), "the owner of the server registered it");

        // What a route serves of it is judged like what a container sees of it, whatever runs the app; an image's files are the image's.
        let text = "name: shop\nx-landfall: { runtime: process }\nservices: { web: { command: [./web], x-landfall: { routes: [{ path: /, static: ./dist }] } } }\n";
        let mut site = compiled(&dir, text);
        site.project_dir = "/etc".into();
        let Err(GrantError::Missing { powers, .. }) = guard.check_project(&site, ann) else { panic!("served") };
        assert_eq!(powers[&"web".parse().unwrap()], BTreeSet::from(["bind:/etc/dist".parse().unwrap()]));
        site.project_dir = dir.display().to_string();
        assert!(guard.check_project(&site, ann).is_ok());
    }
}
