//! The files a builder gets: a directory without what `.dockerignore` leaves out, as a tar archive.
//!
//! Names are gone through and links are not followed, so nothing outside the directory is read; a link travels as a link. Files belong to root and keep
//! their permissions, as with `docker build`. The Dockerfile travels whatever `.dockerignore` says, because the builder reads it there and hides it from
//! the image. Sockets and devices are left out. Refused: more than the bounds of `landfall_model::build`, and a file that changes while it is read.

use super::ignore::Ignore;
use crate::error::{Outcome, Plain};
use crate::output::bytes as size;
use crate::project::count;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use landfall_model::build::{Dockerfile, MAX_CONTEXT, MAX_FILES};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Deepest directory.
const MAX_DEPTH: usize = 128;
/// Largest Dockerfile or `.dockerignore`.
const MAX_TEXT: u64 = 1024 * 1024;
/// Of a Dockerfile that does not lie in the context.
const OWN: &str = ".landfall.Dockerfile";
const IGNORE: &str = ".dockerignore";
/// Of one piece of the archive, and how many may wait.
const PIECE: usize = 256 * 1024;
const PIECES: usize = 8;

/// What a builder gets.
#[derive(Debug)]
pub struct Context {
    dir: PathBuf,
    entries: Vec<Entry>,
    /// Files that are made here: by name, their text.
    made: BTreeMap<String, Vec<u8>>,
    /// Name of the Dockerfile in the archive.
    pub dockerfile: String,
    /// The Dockerfile itself.
    pub text: String,
    /// Bytes of all files.
    pub bytes: u64,
}

#[derive(Debug)]
struct Entry {
    name: String,
    found: Metadata,
}

impl Context {
    /// Goes through the directory. Reads no file but the Dockerfile and `.dockerignore`.
    pub fn list(dir: &str, dockerfile: &Dockerfile) -> Outcome<Self> {
        let dir = PathBuf::from(dir);
        let unreadable = |what: &Path, e: io::Error| Plain::usage("no-context", format!("cannot read {}", what.display())).because(e);
        if let Err(e) = std::fs::read_dir(&dir) {
            return Err(unreadable(&dir, e).hint("`context` names the directory that is sent to the builder").into());
        }
        let (text, inside) = match dockerfile {
            Dockerfile::Text(text) => (text.clone(), None),
            Dockerfile::At(path) => {
                let text = read(Path::new(path)).map_err(|e| {
                    Plain::usage("no-dockerfile", format!("cannot read {path}")).because(e).hint("`dockerfile` is relative to `context`")
                })?;
                // Where a link leads outside, its text is sent under a name of ours.
                let inside = Path::new(path).strip_prefix(&dir).ok().filter(|_| is_within(Path::new(path), &dir));
                (text, inside.map(|name| name.to_string_lossy().into_owned()))
            }
        };
        let (ignore_name, ignore) = ignore(&dir, inside.as_deref()).map_err(|(path, e)| unreadable(&path, e))?;
        let mut made = BTreeMap::new();
        let dockerfile = inside.unwrap_or_else(|| {
            made.insert(OWN.to_owned(), text.clone().into_bytes());
            OWN.to_owned()
        });
        // What the builder reads here it must also hide: it knows by this file. One with the Dockerfile's own name counts only here.
        let hidden = made.contains_key(OWN).then(|| format!("\n{OWN}\n{}", if ignore_name.is_none() { IGNORE } else { "" }));
        if hidden.is_some() || ignore_name.as_deref().is_some_and(|name| name != IGNORE) {
            made.insert(IGNORE.to_owned(), format!("{ignore}{}", hidden.unwrap_or_default()).into_bytes());
        }
        let mut walk =
            Walk { dir: &dir, ignore: Ignore::parse(&ignore), always: [dockerfile.as_str(), IGNORE], entries: Vec::new(), bytes: 0 };
        walk.directory("", 0)?;
        let Walk { mut entries, bytes, .. } = walk;
        entries.retain(|e| !made.contains_key(&e.name));
        Ok(Self { entries, made, dockerfile, text, bytes, dir })
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.entries.len() + self.made.len()
    }

    /// The archive, made while it is read.
    pub fn archive(self) -> BoxStream<'static, io::Result<Bytes>> {
        let (send, receive) = mpsc::channel(PIECES);
        tokio::task::spawn_blocking(move || {
            let mut pieces = Pieces { send, piece: Vec::with_capacity(PIECE) };
            let written = self.write(&mut pieces).and_then(|()| pieces.flush());
            if let Err(e) = written {
                // Nobody reads it any more, or this is what is wrong with it.
                let _ = pieces.send.blocking_send(Err(e));
            }
        });
        futures_util::stream::unfold(receive, |mut receive| async move { Some((receive.recv().await?, receive)) }).boxed()
    }

    fn write(&self, into: &mut impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(into);
        for (name, text) in &self.made {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, text.as_slice())?;
        }
        for entry in &self.entries {
            self.entry(&mut archive, entry).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", entry.name)))?;
        }
        archive.into_inner()?.flush()
    }

    fn entry(&self, archive: &mut tar::Builder<impl Write>, entry: &Entry) -> io::Result<()> {
        let (path, found) = (self.dir.join(&entry.name), &entry.found);
        let mut header = tar::Header::new_gnu();
        header.set_mode(found.permissions().mode() & 0o7777);
        header.set_mtime(u64::try_from(found.mtime()).unwrap_or_default());
        header.set_size(0);
        if found.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            return archive.append_data(&mut header, &entry.name, io::empty());
        }
        if found.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            return archive.append_link(&mut header, &entry.name, std::fs::read_link(path)?);
        }
        let file = File::open(path)?;
        header.set_size(found.len());
        archive.append_data(&mut header, &entry.name, Exactly { file, left: found.len() })
    }
}

/// Whether a file is below a directory with links followed.
fn is_within(path: &Path, dir: &Path) -> bool {
    matches!((path.canonicalize(), dir.canonicalize()), (Ok(path), Ok(dir)) if path.starts_with(&dir))
}

/// The patterns, and the file they are in: that of the Dockerfile (`x.Dockerfile.dockerignore`) before the directory's.
fn ignore(dir: &Path, dockerfile: Option<&str>) -> Result<(Option<String>, String), (PathBuf, io::Error)> {
    for name in dockerfile.map(|name| format!("{name}{IGNORE}")).into_iter().chain([IGNORE.to_owned()]) {
        let path = dir.join(&name);
        match read(&path) {
            Ok(text) => return Ok((Some(name), text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err((path, e)),
        }
    }
    Ok((None, String::new()))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_TEXT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_TEXT { Err(io::Error::other("it is larger than 1 MiB")) } else { Ok(text) }
}

struct Walk<'a> {
    dir: &'a Path,
    ignore: Ignore,
    always: [&'a str; 2],
    entries: Vec<Entry>,
    bytes: u64,
}

impl Walk<'_> {
    /// `below` is relative, empty for the directory itself. In order of names: equal directories make equal archives.
    fn directory(&mut self, below: &str, depth: usize) -> Outcome {
        let path = self.dir.join(below);
        let failed = |e: io::Error| Plain::failed("no-context", format!("cannot read {}", path.display())).because(e);
        if depth > MAX_DEPTH {
            return Err(Plain::usage("context-too-large", format!("{} lies deeper than {MAX_DEPTH} directories", path.display())).into());
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
            if names.len() > MAX_FILES {
                return Err(self.too_large());
            }
        }
        names.sort();
        for name in names {
            let shown = name.to_string_lossy();
            let Some(text) = name.to_str() else {
                return Err(Plain::usage("bad-name", format!("{}/{shown} is no UTF-8 name", path.display()))
                    .hint("rename it, or leave it out in .dockerignore")
                    .into());
            };
            let name = if below.is_empty() { text.to_owned() } else { format!("{below}/{text}") };
            let left_out = self.ignore.leaves_out(&name) && !self.always.contains(&name.as_str());
            let needed = self.always.iter().any(|file| file.strip_prefix(&name).is_some_and(|rest| rest.starts_with('/')));
            let found = std::fs::symlink_metadata(self.dir.join(&name)).map_err(failed)?;
            if found.is_dir() {
                if !left_out {
                    self.entries.push(Entry { name: name.clone(), found });
                }
                if !left_out || needed || self.ignore.may_keep_below(&name) {
                    self.directory(&name, depth + 1)?;
                }
            } else if !left_out && (found.is_file() || found.is_symlink()) {
                self.bytes += if found.is_file() { found.len() } else { 0 };
                self.entries.push(Entry { name, found });
            }
            if self.entries.len() > MAX_FILES || self.bytes > MAX_CONTEXT {
                return Err(self.too_large());
            }
        }
        Ok(())
    }

    /// Says what is large, for whoever has forgotten a `node_modules`.
    fn too_large(&self) -> crate::error::Problem {
        let mut tops: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
        for entry in &self.entries {
            let top = tops.entry(entry.name.split('/').next().unwrap_or(&entry.name)).or_default();
            *top = (top.0 + if entry.found.is_file() { entry.found.len() } else { 0 }, top.1 + 1);
        }
        let mut tops: Vec<_> = tops.into_iter().collect();
        tops.sort_by_key(|(_, sums)| std::cmp::Reverse(*sums));
        let largest: Vec<String> =
            tops.iter().take(3).map(|(name, (bytes, files))| format!("{name} ({} in {})", size(*bytes), count(*files, "file"))).collect();
        let message = format!("{} has more than {} or {MAX_FILES} files to send", self.dir.display(), size(MAX_CONTEXT));
        Plain::usage("context-too-large", message)
            .hint(format!("leave out in .dockerignore what the image does not need; so far: {}", largest.join(", ")))
            .into()
    }
}

/// A file that has as many bytes as it had when it was found. A longer one is cut, as tar(1) does.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        if read == 0 {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Hands on what is written, in pieces.
struct Pieces {
    send: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend(bytes.iter().take(taken));
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.send.blocking_send(Ok(piece.into())).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn list(dir: &Path, dockerfile: &Dockerfile) -> Context {
        Context::list(&dir.to_string_lossy(), dockerfile).unwrap()
    }

    fn at(dir: &Path, name: &str) -> Dockerfile {
        Dockerfile::At(dir.join(name).to_string_lossy().into_owned())
    }

    /// Names and contents as a builder unpacks them.
    fn unpacked(context: &Context) -> BTreeMap<String, String> {
        let mut bytes = Vec::new();
        context.write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let text = |mut entry: tar::Entry<'_, &[u8]>| {
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let link = entry.link_name().unwrap().map(|to| format!("-> {}", to.display()));
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, link.unwrap_or(text))
        };
        entries.map(text).collect()
    }

    #[test]
    fn what_is_ignored_stays_here_and_a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &[("Dockerfile", "FROM scratch"), ("a/x", "1"), ("a/y", "2"), ("b/z", "3"), (".dockerignore", "*\n!a\na/y\n")]);
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a/passwd")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("a/etc")).unwrap();
        let context = list(dir.path(), &at(dir.path(), "Dockerfile"));
        let files = unpacked(&context);
        assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), [".dockerignore", "Dockerfile", "a", "a/etc", "a/passwd", "a/x"]);
        assert_eq!((files["a/passwd"].as_str(), files["a/etc"].as_str(), files["a/x"].as_str()), ("-> /etc/passwd", "-> /etc", "1"));
        assert_eq!(context.bytes, "FROM scratch".len() as u64 + 1 + "*\n!a\na/y\n".len() as u64);
    }

    #[test]
    fn a_dockerfile_from_elsewhere_is_hidden_from_the_image() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &[("ctx/x", "1"), ("Dockerfile", "FROM a")]);
        let dockerfiles = [at(dir.path(), "Dockerfile"), Dockerfile::Text("FROM a".into())];
        std::os::unix::fs::symlink("../Dockerfile", dir.path().join("ctx/link")).unwrap();
        for dockerfile in dockerfiles.iter().chain([&at(&dir.path().join("ctx"), "link")]) {
            let context = list(&dir.path().join("ctx"), dockerfile);
            let files = unpacked(&context);
            assert_eq!((context.dockerfile.as_str(), files[OWN].as_str()), (OWN, "FROM a"));
            assert_eq!(files[IGNORE], format!("\n{OWN}\n{IGNORE}"));
        }
    }

    #[test]
    fn a_dockerfile_may_have_an_ignore_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        put(
            dir.path(),
            &[("web.Dockerfile", "FROM a"), ("web.Dockerfile.dockerignore", "a"), (".dockerignore", "b"), ("a", ""), ("b", "")],
        );
        let files = unpacked(&list(dir.path(), &at(dir.path(), "web.Dockerfile")));
        assert!(files.contains_key("b") && !files.contains_key("a"));
        assert_eq!(files[IGNORE], "a");
    }

    #[test]
    fn a_file_that_became_shorter_ends_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &[("Dockerfile", "FROM a"), ("x", "12345")]);
        let context = list(dir.path(), &at(dir.path(), "Dockerfile"));
        std::fs::write(dir.path().join("x"), "1").unwrap();
        assert!(context.write(&mut Vec::new()).unwrap_err().to_string().contains("x: it became shorter"));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = dir.path().join("nowhere");
        let code = |dir: &Path| Context::list(&dir.to_string_lossy(), &at(dir, "Dockerfile")).unwrap_err().failure().code;
        assert_eq!((code(&nowhere), code(dir.path())), ("no-context".to_owned(), "no-dockerfile".to_owned()));
    }
}
