//! Files of a site out of an archive. Whatever is in it, nothing is made outside of the directory but regular files and directories in it, none of them is
//! hidden, and what an archive has in it plainly is there.

#![no_main]

#[path = "../../crates/agent/src/folder/tar.rs"]
#[allow(dead_code)]
mod archive;
#[path = "../../crates/agent/src/folder/writer.rs"]
#[allow(dead_code)]
mod writer;

use archive::unpack;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;
use writer::Writer;

/// Memory where there is some, or an input would cost a disk.
static PLACE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory"));

/// Files below a directory, and how large they are together.
fn look(dir: &Path, files: &mut u32, bytes: &mut u64) {
    for entry in fs::read_dir(dir).expect("it is there") {
        let entry = entry.expect("an entry");
        let (name, kind) = (entry.file_name(), entry.file_type().expect("a kind"));
        let name = name.to_str().expect("a name is text");
        assert!(!name.starts_with('.') || name == ".well-known" && dir.ends_with("site"), "{name} is hidden");
        if kind.is_dir() {
            look(&entry.path(), files, bytes);
        } else {
            assert!(kind.is_file(), "{name} is a link or a device");
            *files += 1;
            *bytes += entry.metadata().expect("about it").len();
        }
    }
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let site = PLACE.path().join("site");
    fs::create_dir(&site).expect("a fresh directory");
    let kept = unpack(data, Writer::new(&site));
    let (mut files, mut bytes) = (0, 0);
    look(&site, &mut files, &mut bytes);
    assert!(bytes <= data.len() as u64, "more than there was");
    if let Ok(kept) = kept {
        let words = kept.words("html");
        assert!(files > 0, "{words}");
    }
    fs::remove_dir_all(&site).expect("it is removed");
    let around: Vec<_> = fs::read_dir(PLACE.path()).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert!(around.is_empty(), "{around:?} is outside");
});
