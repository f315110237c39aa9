//! Secrets and configs, written into a container before it starts.
//!
//! They go through the engine's archive call instead of being bound from files of the host: owner and mode come out as asked even when the agent is
//! not root, SELinux has nothing to say, a rollback finds the old values in the old containers, and what is left of them goes with the
//! container. A file that the container could not see there, because its root cannot be written or memory is mounted over it, is carried by a
//! volume without a name at its directory, which goes with the container as well. A secret without an owner belongs to the user the container runs as
//! ([`user`]), because nobody else has any business with it.

use super::user;
use crate::docker::engine::{Engine, MAKE};
use crate::{Launch, RuntimeError};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bytes::Bytes;
use landfall_model::container::MountedFile;
use landfall_model::spec::{MountSource, Template};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a block of an archive.
const BLOCK: usize = 512;

/// Directories that need a volume of their own for the files below them.
pub(crate) fn carriers(template: &Template) -> BTreeSet<String> {
    let memory = template.mounts.iter().filter(|m| matches!(m.source, MountSource::Tmpfs { .. })).map(|m| m.target.as_str());
    let memory: Vec<&str> = memory.chain(template.container.tmpfs.keys().map(String::as_str)).collect();
    let hidden = |file: &&MountedFile| template.read_only || memory.iter().any(|m| below(m, &file.target));
    template.container.files.iter().filter(hidden).map(|file| parent(&file.target).to_owned()).collect()
}

/// Writes the files of a container that was made and not started.
pub(crate) async fn write(engine: &Engine, container: &str, launch: &Launch) -> Result<(), RuntimeError> {
    let carriers = carriers(&launch.template);
    let mut at: BTreeMap<&str, Vec<&MountedFile>> = BTreeMap::new();
    for file in &launch.template.container.files {
        let directory = carriers.get(parent(&file.target)).map_or("/", String::as_str);
        at.entry(directory).or_default().push(file);
    }
    let wanted = launch.template.container.files.iter().any(|file| file.of_user);
    let user = if wanted { user::of(engine, container, &launch.id).await? } else { None };
    let client = engine.client().await?;
    for (directory, files) in at {
        let options = UploadToContainerOptionsBuilder::new().path(directory).build();
        let body = bollard::body_full(Bytes::from(archive(directory, &files, user)));
        let doing = format!("write the secrets and configs of `{}`", launch.id);
        engine.ask(&doing, MAKE, client.upload_to_container(container, Some(options), body)).await?;
    }
    Ok(())
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn below(base: &str, path: &str) -> bool {
    path.strip_prefix(base.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

/// Files as a tar archive (POSIX.1-2017, pax, "ustar Interchange Format") relative to `directory`. Directories on the way are left out: the engine
/// makes those that are missing and must not change those that are there. Only the usual place of secrets is named, which images lack.
fn archive(directory: &str, files: &[&MountedFile], user: Option<(u32, u32)>) -> Vec<u8> {
    let relative = |path: &str| path.strip_prefix(directory).unwrap_or(path).trim_start_matches('/').to_owned();
    let mut out = Vec::new();
    if directory == "/" && files.iter().any(|f| below("/run/secrets", &f.target)) {
        out.extend(header("run/secrets/", (0o755, 0, 0), 0, b'5'));
    }
    for file in files {
        let bytes = file.content.reveal();
        let (uid, gid) = user.filter(|_| file.of_user).unwrap_or((file.uid, file.gid));
        out.extend(header(&relative(&file.target), (file.mode, uid, gid), bytes.len(), b'0'));
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

/// One entry's header; before it, for a name the header has no room for, an entry that holds the name (GNU tar, `L`).
fn header(name: &str, (mode, uid, gid): (u32, u32, u32), size: usize, kind: u8) -> Vec<u8> {
    const NAME: usize = 100;
    let mut out = Vec::new();
    if name.len() >= NAME {
        out.extend(block("././@LongLink", (0o644, 0, 0), name.len() + 1, b'L'));
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.extend(block(name, (mode, uid, gid), size, kind));
    out
}

fn block(name: &str, (mode, uid, gid): (u32, u32, u32), size: usize, kind: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK);
    let mut field = |bytes: &[u8], width: usize| {
        let end = out.len() + width;
        out.extend(bytes.iter().take(width));
        out.resize(end, 0);
    };
    // The last byte of a name must be zero for readers that count on it.
    field(name.as_bytes().get(..99).unwrap_or(name.as_bytes()), 100);
    field(format!("{mode:07o}").as_bytes(), 8);
    field(&number(uid), 8);
    field(&number(gid), 8);
    field(format!("{size:011o}").as_bytes(), 12);
    // 1970: a file is as old as its value, and equal values make equal archives.
    field(format!("{:011o}", 0).as_bytes(), 12);
    field(b"        ", 8);
    field(&[kind], 1);
    field(b"", 100);
    field(b"ustar  ", 8);
    out.resize(BLOCK, 0);
    let sum: u32 = out.iter().map(|b| u32::from(*b)).sum();
    let sum = format!("{sum:06o}\0 ");
    for (slot, byte) in out.iter_mut().skip(148).zip(sum.bytes()) {
        *slot = byte;
    }
    out
}

/// Seven octal digits, or base 256 where they do not suffice (GNU tar).
fn number(n: u32) -> Vec<u8> {
    if n < 1 << 21 {
        return format!("{n:07o}").into_bytes();
    }
    [0x80, 0, 0, 0].into_iter().chain(n.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::container::Content;

    fn file(target: &str, uid: u32) -> MountedFile {
        MountedFile { target: target.into(), content: Content::new("x"), of_user: false, uid, gid: 7, mode: 0o440 }
    }

    #[test]
    fn an_archive_has_whole_blocks_and_a_sum_that_is_right() {
        let one = file("/run/secrets/key", 1000);
        let archive = archive("/", &[&one], Some((1, 1)));
        // Directory, header, content, two blocks of zeroes.
        assert_eq!(archive.len(), 5 * BLOCK);
        let header = &archive[BLOCK..2 * BLOCK];
        assert_eq!(&header[..17], b"run/secrets/key\0\0");
        assert_eq!(&header[100..107], b"0000440");
        assert_eq!(&header[108..115], b"0001750");
        let sum: u32 = header.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) }).sum();
        assert_eq!(&header[148..154], format!("{sum:06o}").as_bytes());
    }

    #[test]
    fn long_names_and_large_owners_have_their_own_form() {
        let long = format!("/{}", "d/".repeat(80));
        let one = file(&format!("{long}key"), u32::MAX);
        let archive = archive("/", &[&one], None);
        assert_eq!((archive[156], archive.len()), (b'L', 6 * BLOCK));
        assert_eq!(&archive[2 * BLOCK + 108..2 * BLOCK + 116], &[0x80, 0, 0, 0, 255, 255, 255, 255]);
    }
}
