//! Deleting images that no release needs.
//!
//! Only images that came through Landfall are looked at, and of those only what nobody else gave a name, no kept release of any app is made of, no
//! rollout under way names and no container uses. Volumes are no business of this file.

use crate::core::{Core, images};
use crate::error::RequestError;
use crate::store::ImageRow;
use landfall_model::api::What;
use landfall_model::image::{PruneRequest, Pruned, PrunedImage};
use landfall_model::name::{ImageId, ImageRef};
use landfall_model::spec::{Program, Spec};
use std::collections::{BTreeMap, BTreeSet};

/// Releases of each app whose images are kept, to go back to.
const KEPT: u32 = 5;
/// How long an image that was sent may wait for the release it was sent for.
const WAITS_MS: u64 = 24 * 3600 * 1000;

/// Deletes them, or says which they are.
pub(crate) async fn prune(core: &Core, request: PruneRequest) -> Result<Pruned, RequestError> {
    let _turn = core.pruning.lock().await;
    let mut by_id: BTreeMap<ImageId, Vec<ImageRow>> = BTreeMap::new();
    for row in core.store.images()? {
        by_id.entry(row.id.clone()).or_default().push(row);
    }
    let mut pruned = Pruned::default();
    let needed = Needed::now(core)?;
    let engine = core.images()?;
    for (id, rows) in by_id {
        let references: Vec<ImageRef> = rows.iter().map(|r| r.reference.clone()).collect();
        let waits = rows.iter().any(|r| r.sent && r.at_ms.saturating_add(WAITS_MS) > core.clock.now_ms());
        let used = needed.ids.contains(&id) || references.iter().any(|r| needed.references.contains(r));
        // A sent image has had its release when one of an earlier number was made of it.
        if used || waits && !needed.past.contains(&id) {
            pruned.kept += 1;
            continue;
        }
        let Some(bytes) = engine.removable(&id, &references).await? else {
            pruned.kept += 1;
            continue;
        };
        // A rollout may have begun since.
        let now = Needed::now(core)?;
        let begun = now.ids.contains(&id) || references.iter().any(|r| now.references.contains(r));
        if begun || !request.dry_run && !engine.remove(&id, &references).await? {
            pruned.kept += 1;
            continue;
        }
        if !request.dry_run {
            core.store.drop_image(&id)?;
        }
        pruned.images.extend(references.into_iter().next().map(|reference| PrunedImage { reference, id, bytes }));
    }
    if !request.dry_run && !pruned.images.is_empty() {
        let names = pruned.images.iter().map(|i| i.reference.clone()).collect();
        core.store.append(None, None, None, &What::ImagesPruned { images: names, bytes: pruned.bytes() })?;
    }
    Ok(pruned)
}

/// What must stay.
#[derive(Default)]
struct Needed {
    ids: BTreeSet<ImageId>,
    /// Names whose images may be on their way.
    references: BTreeSet<ImageRef>,
    /// Images of releases that are not kept.
    past: BTreeSet<ImageId>,
}

impl Needed {
    fn now(core: &Core) -> Result<Self, RequestError> {
        let mut needed = Self::default();
        for app in core.store.apps()? {
            let specs = core.store.last_specs(&app.name, 200)?;
            let kept = usize::try_from(KEPT).unwrap_or(usize::MAX);
            needed.ids.extend(specs.iter().take(kept).flat_map(|(spec, _)| pinned(spec)));
            needed.ids.extend(core.current_spec(&app)?.iter().flat_map(pinned));
            needed.past.extend(specs.iter().skip(kept).flat_map(|(spec, _)| pinned(spec)));
        }
        for rollout in core.store.unfinished()? {
            needed.ids.extend(pinned(&rollout.spec));
            needed.references.extend(images(&rollout.spec));
        }
        Ok(needed)
    }
}

fn pinned(spec: &Spec) -> impl Iterator<Item = ImageId> + '_ {
    spec.services.values().filter_map(|service| match &service.template.program {
        Program::Image { pinned, .. } => pinned.clone(),
        Program::Executable { .. } => None,
    })
}
