//! Secrets and configs, written into a container before it starts.
//!
//! They go through the engine's archive call instead of being bound from files of the host: owner and mode come out as asked even when the agent is
//! not root, SELinux has nothing to say, a rollback finds the old values in the old containers, and what is left of them goes with the
//! container. A file that the container could not see there, because its root cannot be written or memory is mounted over it, lies in a
//! volume of the engine, from which it is mounted alone and read-only; the volume goes with the container as well. A secret without an owner belongs to the user the container runs as
//! ([`user`]), because nobody else has any business with it.

use super::user;
use crate::docker::container::label;
use crate::docker::engine::{Engine, MAKE};
use crate::docker::image;
use crate::{Launch, RuntimeError};
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, VolumeCreateRequest};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use bytes::Bytes;
use landfall_model::container::MountedFile;
use landfall_model::spec::{MountSource, Template};
use std::collections::HashMap;

/// Bytes of a block of an archive.
const BLOCK: usize = 512;

/// Where the volume is while its files are written.
const WRITTEN: &str = "/landfall-files";

/// Files that would not be seen where they belong if they were written into the container.
fn hidden(template: &Template) -> Vec<&MountedFile> {
    let memory = template.mounts.iter().filter(|m| matches!(m.source, MountSource::Tmpfs { .. })).map(|m| m.target.as_str());
    let memory: Vec<&str> = memory.chain(template.container.tmpfs.keys().map(String::as_str)).collect();
    let hidden = |file: &&MountedFile| template.read_only || memory.iter().any(|m| below(m, &file.target));
    template.container.files.iter().filter(hidden).collect()
}

/// The volume of a container's hidden files.
pub(crate) fn volume(container: &str) -> String {
    format!("{container}-files")
}

/// Keeps the hidden files of a container that is about to be made, and answers how each is mounted. They are written through a
/// container that is never started, because only the engine may write there.
pub(crate) async fn keep(engine: &Engine, container: &str, launch: &Launch, image: &str) -> Result<Vec<Mount>, RuntimeError> {
    let files = hidden(&launch.template);
    // What is said of an image that is not here is said when the container itself is made.
    if files.is_empty() || image::about_of(engine, image).await?.is_none() {
        return Ok(Vec::new());
    }
    let doing = format!("write the secrets and configs of `{}`", launch.id);
    let (client, name) = (engine.client().await?, volume(container));
    let labels = HashMap::from([(label::APP.to_owned(), launch.app.to_string())]);
    let request = VolumeCreateRequest { name: Some(name.clone()), labels: Some(labels), ..VolumeCreateRequest::default() };
    let kept = engine.ask(&doing, MAKE, client.create_volume(request)).await?;
    // What an agent that died left of an earlier attempt has the same name.
    let remove = || RemoveContainerOptionsBuilder::new().force(true).build();
    engine.look(&doing, client.remove_container(&name, Some(remove()))).await?;
    let at = |target: &str, source: &str, typ| Mount {
        typ: Some(typ),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        ..Mount::default()
    };
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["none".into()]),
        user: launch.template.user.clone(),
        host_config: Some(HostConfig {
            network_mode: Some("none".into()),
            mounts: Some(vec![at(WRITTEN, &name, MountType::VOLUME)]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    engine.ask(&doing, MAKE, client.create_container(Some(options), body)).await?;
    let written = async {
        let user = if files.iter().any(|f| f.of_user) { user::of(engine, &name, &launch.id).await? } else { None };
        let numbered: Vec<MountedFile> =
            files.iter().enumerate().map(|(i, f)| MountedFile { target: format!("{WRITTEN}/{i}"), ..(*f).clone() }).collect();
        let options = UploadToContainerOptionsBuilder::new().path(WRITTEN).build();
        let body = bollard::body_full(Bytes::from(archive(WRITTEN, &numbered.iter().collect::<Vec<_>>(), user)));
        engine.ask(&doing, MAKE, client.upload_to_container(&name, Some(options), body)).await
    };
    let written = written.await;
    engine.look(&doing, client.remove_container(&name, Some(remove()))).await?;
    written?;
    let mount = |(i, file): (usize, &&MountedFile)| {
        let source = format!("{}/{i}", kept.mountpoint);
        Mount { read_only: Some(true), ..at(&file.target, &source, MountType::BIND) }
    };
    Ok(files.iter().enumerate().map(mount).collect())
}

/// Writes the other files of a container that was made and not started.
pub(crate) async fn write(engine: &Engine, container: &str, launch: &Launch) -> Result<(), RuntimeError> {
    let hidden: Vec<&str> = hidden(&launch.template).into_iter().map(|f| f.target.as_str()).collect();
    let files: Vec<&MountedFile> = launch.template.container.files.iter().filter(|file| !hidden.contains(&file.target.as_str())).collect();
    if files.is_empty() {
        return Ok(());
    }
    let user = if files.iter().any(|file| file.of_user) { user::of(engine, container, &launch.id).await? } else { None };
    let client = engine.client().await?;
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let body = bollard::body_full(Bytes::from(archive("/", &files, user)));
    let doing = format!("write the secrets and configs of `{}`", launch.id);
    engine.ask(&doing, MAKE, client.upload_to_container(container, Some(options), body)).await
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
