//! The parts of a saved image. Nothing of this crate is used here: the fuzz target `saved_image` reads this file too.

use flate2::read::MultiGzDecoder;
use landfall_model::image::{MAX_CONFIG, MAX_LAYER, MAX_LAYERS};
use landfall_model::name::ImageId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

/// Entries of an archive.
const MAX_ENTRIES: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<ImageId>,
}

/// Part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    unpacked: bool,
    at: u64,
    bytes: u64,
}

/// One image, saved, and where its parts are.
pub struct Saved {
    file: File,
    /// Layers that were compressed, one after the other.
    unpacked: File,
    /// The image's configuration.
    pub config: String,
    /// Its layers, from the base up.
    pub order: Vec<ImageId>,
    layers: BTreeMap<ImageId, Part>,
}

impl Saved {
    /// Finds the parts.
    pub fn index(mut saved: File) -> io::Result<Self> {
        let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        saved.seek(SeekFrom::Start(0))?;
        let (mut parts, mut links) = (BTreeMap::new(), BTreeMap::new());
        let mut entries = tar::Archive::new(&saved);
        for entry in entries.entries()?.take(MAX_ENTRIES) {
            let entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            match entry.link_name()? {
                Some(target) => drop(links.insert(name, target.to_string_lossy().into_owned())),
                None => drop(parts.insert(name, Part { unpacked: false, at: entry.raw_file_position(), bytes: entry.size() })),
            }
        }
        let find = |name: &str| parts.get(name).copied().or_else(|| parts.get(&linked(name, links.get(name)?)).copied());
        let text = |name: &str| {
            let part = find(name).filter(|part| part.bytes <= MAX_CONFIG as u64).ok_or_else(|| bad(&format!("it has no {name}")))?;
            let mut bytes = vec![0; usize::try_from(part.bytes).unwrap_or_default()];
            saved.read_exact_at(&mut bytes, part.at)?;
            String::from_utf8(bytes).map_err(|_| bad(&format!("{name} is no text")))
        };
        let listed: Vec<Listed> = serde_json::from_str(&text("manifest.json")?)?;
        let listed = listed.into_iter().next().ok_or_else(|| bad("it lists no image"))?;
        let config = text(&listed.config)?;
        let order = serde_json::from_str::<Config>(&config)?.rootfs.diff_ids;
        if order.len() != listed.layers.len() || order.len() > MAX_LAYERS {
            return Err(bad("its layers are not those of its configuration"));
        }
        let mut unpacked = tempfile::tempfile()?;
        let mut layers = BTreeMap::new();
        for (id, name) in order.iter().zip(&listed.layers) {
            let part = find(name).ok_or_else(|| bad(&format!("it lacks layer {name}")))?;
            layers.insert(id.clone(), unpack(&saved, &mut unpacked, part)?);
        }
        Ok(Self { file: saved, unpacked, config, order, layers })
    }

    /// Bytes of all layers.
    pub fn bytes(&self) -> u64 {
        self.layers.values().map(|part| part.bytes).sum()
    }

    /// Bytes of one.
    pub fn bytes_of(&self, id: &ImageId) -> u64 {
        self.layers.get(id).map_or(0, |part| part.bytes)
    }

    /// Bytes of a layer from `at`, at most `most`.
    pub fn piece(&self, id: &ImageId, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let part = self.layers.get(id).copied().unwrap_or(Part { unpacked: false, at: 0, bytes: 0 });
        let left = part.bytes.saturating_sub(at);
        let mut piece = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(most)];
        let file = if part.unpacked { &self.unpacked } else { &self.file };
        file.read_exact_at(&mut piece, part.at + at)?;
        Ok(piece)
    }
}

/// Where a link in an archive leads: relative to its folder.
fn linked(name: &str, target: &str) -> String {
    let mut path: Vec<&str> = name.split('/').collect();
    path.pop();
    for step in target.split('/') {
        match step {
            "." | "" => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.join("/")
}

/// The layer as it is, or unpacked to the end of another file.
fn unpack(saved: &File, unpacked: &mut File, part: Part) -> io::Result<Part> {
    let mut magic = [0; 4];
    if part.bytes < 4 || saved.read_exact_at(&mut magic, part.at).is_err() {
        return Ok(part);
    }
    if magic == [0x28, 0xb5, 0x2f, 0xfd] {
        return Err(io::Error::other("its layers are compressed with zstd, which is not understood here"));
    }
    if !magic.starts_with(&[0x1f, 0x8b]) {
        return Ok(part);
    }
    let at = unpacked.seek(SeekFrom::End(0))?;
    let mut packed = saved.try_clone()?;
    packed.seek(SeekFrom::Start(part.at))?;
    let bytes = io::copy(&mut MultiGzDecoder::new(packed.take(part.bytes)).take(MAX_LAYER + 1), unpacked)?;
    if bytes > MAX_LAYER { Err(io::Error::other("a layer is too large")) } else { Ok(Part { unpacked: true, at, bytes }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn id(n: u8) -> String {
        format!("sha256:{}", format!("{n:02x}").repeat(32))
    }

    fn archive(layers: &[(&str, &[u8])], paths: &[&str]) -> File {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        let mut put = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes).unwrap();
        };
        for (name, bytes) in layers {
            put(name, bytes);
        }
        let ids: Vec<String> = (1..=paths.len()).map(|n| id(n as u8)).collect();
        put("c.json", serde_json::json!({ "rootfs": { "diff_ids": ids } }).to_string().as_bytes());
        put("manifest.json", serde_json::json!([{ "Config": "c.json", "RepoTags": null, "Layers": paths }]).to_string().as_bytes());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, "b/layer.tar", "../a/layer.tar").unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn layers_are_found_in_folders_behind_links_and_under_compression() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"the second layer").unwrap();
        let packed = packed.finish().unwrap();
        let saved = archive(&[("a/layer.tar", b"first"), ("blobs/sha256/x", &packed)], &["a/layer.tar", "blobs/sha256/x", "b/layer.tar"]);
        let read = Saved::index(saved).unwrap();
        let text = |n: u8, at: u64| String::from_utf8(read.piece(&id(n).parse().unwrap(), at, 100).unwrap()).unwrap();
        assert_eq!((text(1, 0), text(1, 3), text(2, 4), text(3, 0)), ("first".into(), "st".into(), "second layer".into(), "first".into()));
        assert_eq!(read.order.len(), 3);
    }

    #[test]
    fn an_archive_that_lacks_a_layer_or_its_list_is_refused() {
        assert!(Saved::index(archive(&[], &["a/layer.tar"])).is_err());
        assert!(Saved::index(tempfile::tempfile().unwrap()).is_err());
        assert_eq!(linked("b/layer.tar", "../../../etc/passwd"), "etc/passwd", "a name in the archive and never one outside");
    }
}
