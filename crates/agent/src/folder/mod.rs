//! Files of sites: taken out of an image or copied from the project when a release is made, and kept under their own name for the proxy.
//!
//! A directory is named by what is in it (the image's content and the path in it, or a digest of the files), made beside its place and renamed
//! into it, and never changed again: what is there is whole, and a rollback serves the old files. Earlier directories stay while pages that
//! were loaded from them may still be open.

mod tar;
mod tree;
mod writer;

pub use tree::digest as project_digest;

use landfall_model::digest::digest;
use landfall_model::filter::Files;
use landfall_model::name::{AppName, ImageId, ServiceName};
use landfall_model::spec::{Program, Service, Spec};
use landfall_runtime::Runtime;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;
use tokio_util::io::SyncIoBridge;
use writer::{Kept, Writer};

/// Between the runtime and who unpacks.
const PIPE: usize = 256 * 1024;

/// A site's files could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// Which they are is not known.
    #[error("the files `{root}` of {service} are not known: the release was planned without them")]
    Unknown {
        /// Whose.
        service: ServiceName,
        /// As the file writes it.
        root: String,
    },
    /// They cannot be read or written.
    #[error("cannot keep the files `{root}` of {service}")]
    Kept {
        /// Whose.
        service: ServiceName,
        /// As the file writes it.
        root: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The directory of all of them.
pub(crate) struct Folders {
    dir: PathBuf,
}

impl Folders {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where a route's files are kept; `None` as long as it is not known which they are.
    pub(crate) fn path(&self, app: &AppName, service: &Service, files: &Files) -> Option<PathBuf> {
        Some(self.dir.join(app.as_str()).join(name(service, files)?))
    }

    /// Keeps the files of all routes of a service that are not kept yet. Answers what was kept, in words.
    pub(crate) async fn unpack(&self, runtime: &dyn Runtime, spec: &Spec, name: &ServiceName) -> Result<Vec<String>, FolderError> {
        let mut told = Vec::new();
        let Some(service) = spec.services.get(name) else { return Ok(told) };
        for files in service.files() {
            let root = || files.root.to_string();
            let Some(path) = self.path(&spec.app, service, files) else {
                return Err(FolderError::Unknown { service: name.clone(), root: root() });
            };
            let failed = |source| FolderError::Kept { service: name.clone(), root: root(), source };
            if path.is_dir() {
                continue;
            }
            let fresh = fresh(&path).map_err(failed)?;
            let kept = match image(service).filter(|_| files.root.is_in_image()) {
                Some(image) => from_image(runtime, image, files.root.as_str(), &fresh).await,
                None => from_project(spec, files, &fresh).await,
            };
            let finished = kept.and_then(|kept| finish(&fresh, &path).map(|()| kept));
            match finished {
                Ok(kept) => told.push(kept.words(files.root.as_str())),
                Err(error) => {
                    let _ = fs::remove_dir_all(&fresh);
                    return Err(failed(error));
                }
            }
        }
        Ok(told)
    }

    /// Deletes the files of an app that none of these specs serves.
    pub(crate) fn retain(&self, app: &AppName, specs: &[Spec]) -> io::Result<()> {
        let services = specs.iter().flat_map(|spec| spec.services.values());
        let kept: BTreeSet<String> = services.flat_map(|s| s.files().filter_map(|files| name(s, files))).collect();
        let entries = match fs::read_dir(self.dir.join(app.as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| !kept.contains(name)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// By what is in it.
fn name(service: &Service, files: &Files) -> Option<String> {
    let name = if files.root.is_in_image() {
        digest(&("image", image(service)?, files.root.as_str()))
    } else {
        digest(&("project", files.sha256.as_ref()?))
    };
    Some(name.as_str().to_owned())
}

fn image(service: &Service) -> Option<&ImageId> {
    match &service.template.program {
        Program::Image { pinned, .. } => pinned.as_ref(),
        Program::Executable { .. } => None,
    }
}

/// An empty directory beside a place.
fn fresh(path: &Path) -> io::Result<PathBuf> {
    let fresh = path.with_extension("new");
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&fresh)?;
    Ok(fresh)
}

/// Everything of it is on the disk before it has its name: a release that is recorded must find its files after a power cut.
fn finish(fresh: &Path, path: &Path) -> io::Result<()> {
    rustix::fs::syncfs(fs::File::open(fresh)?)?;
    fs::rename(fresh, path)?;
    fs::File::open(path.parent().unwrap_or(path))?.sync_all()
}

async fn from_image(runtime: &dyn Runtime, image: &ImageId, root: &str, fresh: &Path) -> io::Result<Kept> {
    let (mut into, from) = tokio::io::duplex(PIPE);
    let writer = Writer::new(fresh);
    let unpacked = spawn_blocking(move || tar::unpack(SyncIoBridge::new(from), writer));
    let read = async {
        let read = runtime.files(image, root, &mut into).await;
        drop(into);
        read
    };
    let (read, unpacked) = tokio::join!(read, unpacked);
    match (unpacked.map_err(io::Error::other)?, read) {
        // Who stops reading breaks the pipe, so why it stopped is the reason; unless there was too little to read.
        (Err(error), _) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        (_, Err(error)) => Err(io::Error::other(error)),
        (unpacked, Ok(())) => unpacked,
    }
}

async fn from_project(spec: &Spec, files: &Files, fresh: &Path) -> io::Result<Kept> {
    let (project, root, writer) = (PathBuf::from(&spec.project_dir), files.root.as_str().to_owned(), Writer::new(fresh));
    let copied = spawn_blocking(move || tree::copy(&project, &root, writer)).await.map_err(io::Error::other)?;
    let (kept, found) = copied?;
    if files.sha256.as_deref() != Some(found.as_str()) {
        return Err(io::Error::other("they changed since the release was planned; deploy again"));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::compose::{FileProblem, Files as Reader, Input, resolve};
    use std::collections::BTreeMap;

    struct One;

    impl Reader for One {
        fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
            let text = "name: shop\nx-landfall: { runtime: process }\nservices: { web: { command: [./web], x-landfall: { routes: [{ path: /, static: ./dist }] } } }\n";
            if path == "compose.yaml" { Ok(text.into()) } else { Err(FileProblem::NotFound) }
        }
        fn exists(&self, _: &str) -> bool {
            true
        }
    }

    fn spec(dir: &Path) -> Spec {
        let files = ["compose.yaml".to_owned()];
        let (env, dir) = (BTreeMap::new(), dir.to_str().unwrap());
        let input = Input {
            files: &files,
            cwd: dir,
            project_dir: dir,
            project_name: None,
            env: &env,
            env_files: None,
            profiles: BTreeSet::new(),
            reader: &One,
            rules: None,
            environment: None,
        };
        let mut spec = resolve(&input).spec.unwrap();
        for route in spec.services.values_mut().flat_map(|s| &mut s.routes) {
            if let Some(landfall_model::filter::Answer::Files(files)) = &mut route.filters.answer {
                files.sha256 = Some(project_digest(Path::new(dir), "dist").unwrap());
            }
        }
        spec
    }

    #[tokio::test]
    async fn what_no_kept_release_serves_is_deleted_and_what_is_kept_is_not_copied_again() {
        let (project, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = Folders::new(home.path().join("folders"));
        let runtime = landfall_runtime::fake::FakeRuntime::new(landfall_model::spec::RuntimeKind::Process);
        fs::create_dir(project.path().join("dist")).unwrap();
        let mut specs = Vec::new();
        for text in ["one", "two"] {
            fs::write(project.path().join("dist/index.html"), text).unwrap();
            let spec = spec(project.path());
            let name = spec.services.keys().next().unwrap().clone();
            assert_eq!(folders.unpack(&runtime, &spec, &name).await.unwrap(), ["`dist`: 1 file, 1 KiB"]);
            assert!(folders.unpack(&runtime, &spec, &name).await.unwrap().is_empty());
            specs.push(spec);
        }
        let app = specs[0].app.clone();
        let there = || fs::read_dir(home.path().join("folders/shop")).unwrap().count();
        fs::create_dir(home.path().join("folders/shop/half.new")).unwrap();
        folders.retain(&app, &specs).unwrap();
        assert_eq!(there(), 2);
        folders.retain(&app, &specs[1..]).unwrap();
        assert_eq!(there(), 1);
        folders.retain(&"other".parse().unwrap(), &[]).unwrap();
    }
}
