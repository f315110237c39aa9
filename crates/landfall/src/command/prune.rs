//! `landfall prune`: images that came through Landfall and that no release needs any more are deleted. Volumes are never touched.

use super::Context;
use crate::cli::Prune;
use crate::error::Outcome;
use crate::output::bytes as size;
use crate::project::count;
use landfall_model::image::PruneRequest;
use std::process::ExitCode;

/// Deletes them, or says which they are.
pub async fn run(context: &Context, args: &Prune) -> Outcome<ExitCode> {
    let pruned = context.client_at(&args.server)?.prune(PruneRequest { dry_run: args.dry_run }).await?;
    if context.printer.is_json() {
        context.printer.json(&serde_json::json!({
            "dry_run": args.dry_run, "images": pruned.images, "bytes": pruned.bytes(), "kept": pruned.kept
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for image in &pruned.images {
        let id: String = image.id.as_str().chars().skip("sha256:".len()).take(12).collect();
        context.printer.line(&format!(
            "{} {} ({id}, {})",
            if args.dry_run { "would delete" } else { "deleted" },
            image.reference,
            size(image.bytes)
        ))?;
    }
    let (images, kept) = (count(pruned.images.len(), "image"), count(pruned.kept, "image"));
    let freed = size(pruned.bytes());
    context.printer.done(&match (pruned.images.is_empty(), args.dry_run) {
        (true, _) => format!("nothing to delete; {kept} of Landfall's kept"),
        (false, true) => format!("{images} of at most {freed} would be deleted, {kept} kept"),
        (false, false) => format!("{images} of at most {freed} deleted, {kept} kept"),
    })?;
    Ok(ExitCode::SUCCESS)
}
