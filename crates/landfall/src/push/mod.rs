//! Sending images of this machine's Docker: only layers the server lacks travel, in pieces, and what an earlier attempt sent is not sent again.

mod archive;
mod saved;

use crate::client::Client;
use crate::command::Context;
use crate::error::{Outcome, Plain};
use crate::output::{Printer, bytes as size};
use archive::Archive;
use bytes::Bytes;
use landfall_model::image::MAX_PIECE;
use landfall_model::name::{ImageId, ImageRef};
use landfall_model::spec::{Program, PullPolicy, Spec};
use landfall_runtime::RuntimeError;
use landfall_runtime::docker::Images;
use std::collections::BTreeSet;

/// Answers that a piece was not the one expected, in a row: somebody else sends the same layer.
const MAX_REFUSED: u32 = 50;

/// An image that arrived.
pub struct Sent {
    image: ImageRef,
    id: ImageId,
    /// Of the layers that travelled now.
    sent: u64,
    /// Of all its layers.
    bytes: u64,
}

impl Sent {
    /// `tutor-backend:1 is there: sent 1.2 MB of 60.0 MB (58.8 MB already there)`
    pub fn tell(&self, printer: &Printer) -> Outcome {
        if printer.is_json() {
            return printer.json_line(&serde_json::json!({ "image": self.image, "id": self.id, "sent": self.sent, "bytes": self.bytes }));
        }
        printer.done(&self.line())
    }

    pub fn line(&self) -> String {
        let there = self.bytes.saturating_sub(self.sent);
        format!("{}: sent {} of {} ({} already there)", self.image, size(self.sent), size(self.bytes), size(there))
    }
}

/// Sends every image of a spec that this machine has, and pins it, so that the server asks no registry for it. Others are left to the server.
pub async fn images_of(context: &Context, client: &Client, spec: &mut Spec) -> Outcome {
    let images = Images::of_host(std::env::var("DOCKER_HOST").ok().as_deref());
    let named = spec.services.values().filter_map(|service| match &service.template.program {
        // What was built for this release has been sent.
        Program::Image { reference, pinned: None, .. } => Some(reference.clone()),
        _ => None,
    });
    let mut pinned = std::collections::BTreeMap::new();
    for image in named.collect::<BTreeSet<_>>() {
        if images.look(&image).await.map_err(local)?.is_none() {
            context.printer.warning(&format!("this machine's Docker does not have {image}: the server looks for it itself"));
            continue;
        }
        let sent = send(context, client, &images, (&image, &image)).await?;
        if !context.printer.is_json() {
            context.printer.note(&sent.line());
        }
        pinned.insert(image, sent.id);
    }
    for service in spec.services.values_mut() {
        if let Program::Image { reference, pinned: pin, pull } = &mut service.template.program
            && let Some(id) = pinned.get(reference)
        {
            (*pin, *pull) = (Some(id.clone()), PullPolicy::Missing);
        }
    }
    Ok(())
}

/// Sends one image by the name it has here, to be called by another there.
pub async fn send(context: &Context, client: &Client, images: &Images, (here, image): (&ImageRef, &ImageRef)) -> Outcome<Sent> {
    let (_, stream) = images.save(here).await.map_err(local)?;
    let archive = Archive::read(here, stream, context.printer.reading(image.as_ref())).await?;
    let manifest = archive.manifest(image);
    let bytes = archive.bytes();
    let wanted = client.wanted(&manifest).await?;
    let mut sent = 0;
    if !wanted.here {
        let left: u64 = wanted.layers.iter().map(|layer| archive.bytes_of(&layer.id).saturating_sub(layer.has)).sum();
        let mut shown = context.printer.transfer(image.as_ref(), left);
        for layer in &wanted.layers {
            let (of, mut at, mut refused) = (archive.bytes_of(&layer.id), layer.has, 0);
            while at < of {
                let piece = Bytes::from(archive.piece(&layer.id, at, MAX_PIECE)?);
                let received = client.send_piece(&layer.id, (at, of), &piece).await?;
                if received.has == at + piece.len() as u64 {
                    sent += piece.len() as u64;
                    shown.add(piece.len() as u64);
                    refused = 0;
                } else {
                    refused += 1;
                }
                if refused > MAX_REFUSED {
                    let plain = Plain::failed("push-stuck", format!("the server does not take layer {} of {image}", layer.id));
                    return Err(plain.hint("does somebody else send the same image? try again").into());
                }
                at = received.has;
            }
        }
        shown.finish();
        client.load_image(&manifest).await?;
    }
    Ok(Sent { image: image.clone(), id: wanted.image, sent, bytes })
}

/// What this machine's Docker says.
pub fn local(error: RuntimeError) -> Plain {
    let hints = match &error {
        RuntimeError::NoImage { image, .. } => vec![format!("see `docker image ls`; `docker build -t {image} …` makes it here")],
        other => other.hints(),
    };
    let plain = Plain::failed(error.code(), error.to_string()).log(error.log());
    let plain = hints.into_iter().fold(plain, Plain::hint);
    match std::error::Error::source(&error).map(ToString::to_string) {
        Some(cause) => plain.because(cause),
        None => plain,
    }
}
