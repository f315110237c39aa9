//! `landfall push`: images of this machine's Docker to the server, over the connection there is, without a registry.

use super::Context;
use crate::cli::Push;
use crate::error::Outcome;
use crate::push::send;
use landfall_runtime::docker::Images;
use std::process::ExitCode;

/// Sends one image after the other.
pub async fn run(context: &Context, args: Push) -> Outcome<ExitCode> {
    let client = context.client_at(&args.server)?;
    client.agent().await?;
    let images = Images::of_host(std::env::var("DOCKER_HOST").ok().as_deref());
    for image in &args.images {
        let sent = send(context, &client, &images, (image, image)).await?;
        sent.tell(&context.printer)?;
    }
    Ok(ExitCode::SUCCESS)
}
