//! Building an image on the server: `POST /v1/builds`. The body is a line of JSON ([`BuildRequest`]) and a tar archive of files; the answer is a line of
//! JSON for every line the builder writes, and one for the end.
//!
//! The archive goes to the engine as it comes and is never unpacked here. A client that goes away ends its build. Refused: more than
//! [`MAX_CONTEXT`] bytes, and networks other than the engine's usual one, for a build is nothing that may reach what a container may not.

use super::audit::Note;
use crate::core::Core;
use crate::error::RequestError;
use crate::registry;
use axum::Extension;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use landfall_model::build::{BuildNews, BuildRequest, Built, MAX_CONTEXT, MAX_REGISTRIES, MAX_REQUEST, by_content};
use landfall_runtime::docker::Build;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc::{self, Sender};

/// Of the archive's own headers and padding, at most so much for every byte of files: a thousand small files are mostly headers.
const ARCHIVE: u64 = MAX_CONTEXT / 4;

/// Lines on their way to the client.
const QUEUE: usize = 1024;

pub(super) async fn build(State(core): State<Arc<Core>>, Extension(note): Extension<Note>, body: Body) -> Result<Response, RequestError> {
    let (request, files) = begin(body.into_data_stream()).await?;
    note.write(format!("build {}", request.name), None);
    check(&request)?;
    core.images()?;
    let (out, news) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let closed = out.clone();
        tokio::select! {
            end = run(&core, &request, files, &out) => drop(out.send(end.unwrap_or_else(|e| BuildNews::Failed(e.failure()))).await),
            () = closed.closed() => tracing::info!(image = %request.name, "a build was given up: its client went away"),
        }
    });
    let lines = stream::unfold(news, |mut news| async move {
        let line = serde_json::to_string(&news.recv().await?).map(|line| line + "\n").map_err(io::Error::other);
        Some((line, news))
    });
    Ok(Response::builder().header("content-type", "application/x-ndjson").body(Body::from_stream(lines)).unwrap_or_default())
}

/// The first line, and what comes after it.
async fn begin(mut body: BodyDataStream) -> Result<(BuildRequest, BoxStream<'static, io::Result<Bytes>>), RequestError> {
    let bad = |why: String| RequestError::Bad(format!("the build cannot be read: {why}"));
    let mut head = BytesMut::new();
    let end = loop {
        if let Some(end) = head.iter().position(|byte| *byte == b'\n') {
            break end;
        }
        if head.len() > MAX_REQUEST {
            return Err(bad(format!("its first line is longer than {MAX_REQUEST} bytes")));
        }
        let piece = body.next().await.ok_or_else(|| bad("it ends in its first line".into()))?;
        head.extend_from_slice(&piece.map_err(|e| bad(e.to_string()))?);
    };
    let rest = head.split_off(end + 1).freeze();
    let request = serde_json::from_slice(&head).map_err(|e| bad(e.to_string()))?;
    let pieces = stream::once(async { Ok(rest) }).chain(body.map(|piece| piece.map_err(io::Error::other)));
    let bounded = pieces.scan(0, |bytes, piece| {
        *bytes += piece.as_ref().map_or(0, |p| p.len() as u64);
        let full = *bytes > MAX_CONTEXT + ARCHIVE;
        std::future::ready(Some(if full { Err(io::Error::other("the context is too large")) } else { piece }))
    });
    Ok((request, bounded.boxed()))
}

fn check(request: &BuildRequest) -> Result<(), RequestError> {
    if request.registries.len() > MAX_REGISTRIES {
        return Err(RequestError::Bad(format!("the base images come from more than {MAX_REGISTRIES} registries")));
    }
    match request.recipe.network.as_deref() {
        None | Some("none" | "default" | "bridge") => Ok(()),
        Some(other) => Err(RequestError::Bad(format!("a build on the server gets no network `{other}`: write `none`, or build here"))),
    }
}

async fn run(
    core: &Core,
    request: &BuildRequest,
    files: BoxStream<'static, io::Result<Bytes>>,
    out: &Sender<BuildNews>,
) -> Result<BuildNews, RequestError> {
    // A line that a slow reader has no room for is left out; a failure brings its log.
    let said = |line: &str| drop(out.try_send(BuildNews::Said { line: line.to_owned() }));
    let turn = core.building.try_lock();
    let _turn = match turn {
        Ok(turn) => turn,
        Err(_) => {
            said("waiting for another build to end");
            core.building.lock().await
        }
    };
    let mut build = Build {
        dockerfile: &request.dockerfile,
        recipe: &request.recipe,
        logins: Default::default(),
        registries: request.registries.clone(),
    };
    for host in &request.registries {
        build.logins.extend(registry::login(core, host)?.map(|login| (host.clone(), login)));
    }
    let images = core.images()?;
    let image = images.build(&build, files, &said).await?;
    let reference = if request.by_content { by_content(&request.name, &image) } else { request.name.complete() };
    images.name(&image, &reference).await?;
    core.store.put_image(&image, &reference, true)?;
    Ok(BuildNews::Done(Built { reference, image }))
}
