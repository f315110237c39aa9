//! Files out of an archive that a runtime sends: regular files, by their names below the directory that was asked for. Links and devices are
//! left out, whatever they point to.

use super::writer::{Kept, Writer};
use std::io::{self, Read};

/// Writes what is in it. The first part of each name is that of the directory itself.
pub(super) fn unpack(archive: impl Read, mut writer: Writer) -> io::Result<Kept> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() {
            writer.leave_out();
            continue;
        }
        let path = entry.path_bytes().into_owned();
        let name = std::str::from_utf8(&path).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a name is no UTF-8"))?;
        let Some((_, below)) = name.trim_start_matches("./").split_once('/') else {
            // The path that was asked for is a file.
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no directory"));
        };
        let modified = entry.header().mtime()?;
        writer.file(below, modified, &mut entry)?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{Builder, EntryType, Header};

    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, text) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o4777);
            // As it is: the library itself would refuse `..`.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            if *kind != EntryType::Regular {
                header.set_link_name("/etc/passwd").unwrap();
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
                continue;
            }
            header.set_size(text.len() as u64);
            header.set_cksum();
            builder.append(&header, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn links_and_devices_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = archive(&[
            (EntryType::Directory, "html/", ""),
            (EntryType::Regular, "html/index.html", "<p>"),
            (EntryType::Symlink, "html/passwd", ""),
            (EntryType::Link, "html/hard", ""),
            (EntryType::Char, "html/null", ""),
            (EntryType::Regular, "html/a/b.js", "1"),
        ]);
        let kept = unpack(&bytes[..], Writer::new(dir.path())).unwrap();
        assert_eq!(
            kept.words("/html"),
            "`/html`: 2 files, 1 KiB; 3 left out: links, devices and names that begin with a dot are not served"
        );
        assert_eq!(std::fs::read_to_string(dir.path().join("index.html")).unwrap(), "<p>");
        assert_eq!(std::fs::read_to_string(dir.path().join("a/b.js")).unwrap(), "1");
        assert!(!dir.path().join("passwd").exists() && !dir.path().join("hard").exists());
    }

    #[test]
    fn what_no_honest_archive_has_is_refused() {
        for (entry, what) in [
            (&[(EntryType::Regular, "html/../../x", "1")][..], "no name"),
            (&[(EntryType::Regular, "html//etc/x", "1")][..], "no name"),
            (&[(EntryType::Regular, "html", "1")][..], "no directory"),
            (&[(EntryType::Directory, "html/", "")][..], "no files"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let error = unpack(&archive(entry)[..], Writer::new(dir.path())).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let mut cut = archive(&[(EntryType::Regular, "html/x", &"x".repeat(5000))]);
        cut.truncate(3000);
        assert!(unpack(&cut[..], Writer::new(dir.path())).is_err(), "a half file is none");
    }
}
