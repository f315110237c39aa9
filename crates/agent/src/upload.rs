//! Images that a client sends, layer by layer, in pieces that may be cut off anywhere.
//!
//! A layer is a file named by the digest of what it will be; its length says where to go on, so there is nothing else to remember. A whole layer is
//! digested before it counts. When every layer is here, or known to the engine, the engine gets an archive as `docker save` writes it, put together while it
//! reads. Refused: configurations that are not the image's, layers it does not list, more than there is room for. What nobody goes on with for a day is deleted.

use crate::core::Core;
use crate::error::{RequestError, UploadError};
use crate::manifest::image_of;
use axum::body::Bytes;
use futures_util::StreamExt as _;
use landfall_model::digest::hex;
use landfall_model::image::{ImageManifest, Loaded, MAX_LAYER, MAX_PIECE, Received, Wanted, WantedLayer};
use landfall_model::name::ImageId;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::io::{ReaderStream, SyncIoBridge};

/// Bytes of all layers that wait.
const MAX_WAITING: u64 = 32 * 1024 * 1024 * 1024;
/// Bytes of the disk that stay free for everybody else: databases, and the agent's own store.
const RESERVE: u64 = 512 * 1024 * 1024;
/// Nobody goes on with it.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Between the archive's writer and the engine.
const BUFFER: usize = 256 * 1024;

/// Where layers wait. One piece is written at a time.
pub(crate) struct Uploads {
    dir: PathBuf,
    turn: tokio::sync::Mutex<()>,
}

impl Uploads {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, turn: tokio::sync::Mutex::default() }
    }

    /// A layer that is whole and was digested.
    fn whole(&self, id: &ImageId) -> PathBuf {
        self.dir.join(format!("{}.layer", hex_of(id)))
    }

    fn part(&self, id: &ImageId) -> PathBuf {
        self.dir.join(format!("{}.part", hex_of(id)))
    }

    /// Bytes that are here of a layer.
    fn has(&self, id: &ImageId) -> u64 {
        let length = |path: PathBuf| std::fs::metadata(path).ok().map(|m| m.len());
        length(self.whole(id)).or_else(|| length(self.part(id))).unwrap_or(0)
    }

    fn files(&self) -> Vec<(PathBuf, std::fs::Metadata)> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|e| Some((e.path(), e.metadata().ok()?))).collect()
    }

    fn clear_stale(&self) {
        for (path, found) in self.files() {
            if found.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE)) {
                // Tried again at the next image.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// The digits of `sha256:…`, which make a file name.
fn hex_of(id: &ImageId) -> &str {
    id.as_str().trim_start_matches("sha256:")
}

/// What is missing of an image.
pub(crate) async fn wanted(core: &Core, manifest: &ImageManifest) -> Result<Wanted, RequestError> {
    let image = checked(manifest)?;
    core.uploads.clear_stale();
    catch_up(&core.uploads, manifest).await;
    if core.images()?.look(&manifest.reference).await?.as_ref() == Some(&image) {
        return Ok(Wanted { image, here: true, layers: Vec::new() });
    }
    let mut seen = BTreeSet::new();
    let missing = missing(core, manifest).await?.into_iter().filter(|id| seen.insert(id.clone()));
    let layers = missing.map(|id| WantedLayer { has: core.uploads.has(&id), id }).collect();
    Ok(Wanted { image, here: false, layers })
}

/// Digests layers that came whole before an agent that ended meanwhile. A damaged one is deleted, and sent again.
async fn catch_up(uploads: &Uploads, manifest: &ImageManifest) {
    let _turn = uploads.turn.lock().await;
    for layer in &manifest.layers {
        if std::fs::metadata(uploads.part(&layer.id)).is_ok_and(|found| found.len() >= layer.bytes) {
            let _ = finish(uploads, &layer.id).await;
        }
    }
}

/// Layers of an image that the engine does not have, in order.
async fn missing(core: &Core, manifest: &ImageManifest) -> Result<Vec<ImageId>, RequestError> {
    let layers: Vec<ImageId> = manifest.layers.iter().map(|l| l.id.clone()).collect();
    let known = core.images()?.has_layers(&layers).await?;
    Ok(layers.into_iter().skip(known).collect())
}

/// The image's id, when the manifest is one that holds together.
fn checked(manifest: &ImageManifest) -> Result<ImageId, RequestError> {
    image_of(manifest).map_err(|why| RequestError::Bad(format!("{} cannot be taken: {why}", manifest.reference)))
}

/// Takes a piece of a layer. One that does not begin where the file ends changes nothing, and is answered with where to go on.
pub(crate) async fn receive(core: &Core, id: &ImageId, (at, of): (u64, u64), bytes: Bytes) -> Result<Received, RequestError> {
    let uploads = &core.uploads;
    let end = at.saturating_add(bytes.len() as u64);
    if bytes.is_empty() || bytes.len() > MAX_PIECE || of > MAX_LAYER || end > of {
        return Err(RequestError::Bad(format!("a piece of layer {id} is empty, too large or beyond its end")));
    }
    let _turn = uploads.turn.lock().await;
    let has = uploads.has(id);
    if has != at || uploads.whole(id).exists() {
        return Ok(Received { has });
    }
    let waiting: u64 = uploads.files().iter().map(|(_, found)| found.len()).sum();
    if waiting.saturating_add(bytes.len() as u64) > MAX_WAITING {
        return Err(UploadError::Full { limit: MAX_WAITING }.into());
    }
    let place = uploads.dir.parent().unwrap_or(&uploads.dir);
    let free = rustix::fs::statvfs(place).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    if free < RESERVE.saturating_add(bytes.len() as u64) {
        let (place, need) = (place.display().to_string(), bytes.len() as u64);
        return Err(UploadError::NoRoom { place, free, need, reserve: RESERVE }.into());
    }
    let failed = |source| RequestError::from(UploadError::Disk { id: id.clone(), source });
    append(&uploads.dir, &uploads.part(id), &bytes).map_err(failed)?;
    if end == of {
        finish(uploads, id).await?;
    }
    Ok(Received { has: end })
}

fn append(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    crate::certs::make_private_dir(dir)?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let before = file.metadata()?.len();
    // A disk that fills up in the middle of a piece must not leave half of it.
    file.write_all(bytes).inspect_err(|_| drop(file.set_len(before)))
}

/// Digests a layer; one that is not what it is named is deleted.
async fn finish(uploads: &Uploads, id: &ImageId) -> Result<(), RequestError> {
    let (part, whole, wanted) = (uploads.part(id), uploads.whole(id), hex_of(id).to_owned());
    let kept = tokio::task::spawn_blocking(move || {
        if digest(&part)? == wanted { std::fs::rename(&part, &whole).map(|()| true) } else { std::fs::remove_file(&part).map(|()| false) }
    });
    let disk = |source| UploadError::Disk { id: id.clone(), source };
    match kept.await.map_err(|e| disk(io::Error::other(e)))?.map_err(disk)? {
        true => Ok(()),
        false => Err(UploadError::Damaged(id.clone()).into()),
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut piece) = (std::fs::File::open(path)?, Sha256::new(), vec![0; 256 * 1024]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(piece.get(..n).unwrap_or_default()),
        }
    }
}

/// Has the engine put the image together.
pub(crate) async fn load(core: &Core, manifest: &ImageManifest) -> Result<Loaded, RequestError> {
    let image = checked(manifest)?;
    let images = core.images()?;
    catch_up(&core.uploads, manifest).await;
    let missing = missing(core, manifest).await?;
    if let Some(lacking) = missing.iter().find(|id| !core.uploads.whole(id).exists()) {
        return Err(RequestError::Bad(format!("layer {lacking} of {} has not arrived", manifest.reference)));
    }
    let files: BTreeSet<(String, PathBuf)> = missing.iter().map(|id| (hex_of(id).to_owned(), core.uploads.whole(id))).collect();
    let (reader, writer) = tokio::io::duplex(BUFFER);
    let (writer, described, name) = (SyncIoBridge::new(writer), manifest.clone(), hex_of(&image).to_owned());
    let written = tokio::task::spawn_blocking(move || archive(writer, &described, &name, &files));
    let loaded = images.load(ReaderStream::new(reader).boxed()).await;
    let disk = |source| UploadError::Disk { id: image.clone(), source };
    // What the engine says is about the end of the archive when the archive could not be written.
    match (written.await.map_err(|e| disk(io::Error::other(e)))?, loaded) {
        (Err(e), Err(_)) if e.kind() != io::ErrorKind::BrokenPipe => return Err(disk(e).into()),
        (_, loaded) => loaded?,
    }
    if images.look(&manifest.reference).await?.as_ref() != Some(&image) {
        return Err(UploadError::Damaged(image).into());
    }
    core.store.put_image(&image, &manifest.reference, true)?;
    for id in &missing {
        // One that stays is stale tomorrow.
        let _ = std::fs::remove_file(core.uploads.whole(id));
    }
    Ok(Loaded { image })
}

/// `docker save` of the image with the layers that are given.
fn archive(into: impl io::Write, manifest: &ImageManifest, image: &str, layers: &BTreeSet<(String, PathBuf)>) -> io::Result<()> {
    let config = format!("{image}.json");
    let paths: Vec<String> = manifest.layers.iter().map(|l| format!("{}/layer.tar", hex_of(&l.id))).collect();
    let list = serde_json::json!([{ "Config": config, "RepoTags": [manifest.reference.complete()], "Layers": paths }]).to_string();
    let mut archive = tar::Builder::new(into);
    for (path, text) in [("manifest.json", list.as_bytes()), (config.as_str(), manifest.config.as_bytes())] {
        archive.append_data(&mut header(text.len() as u64), path, text)?;
    }
    for (id, path) in layers {
        let file = std::fs::File::open(path)?;
        let mut head = header(file.metadata()?.len());
        archive.append_data(&mut head, format!("{id}/layer.tar"), file)?;
    }
    archive.into_inner()?.flush()
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    header
}
