//! Taking up what a dead agent left.
//!
//! The newest rollout of an app that has not ended is driven again. One that a newer rollout overtook is ended and never driven: it would put its own,
//! older release in the place of the newer one.

use super::drive;
use super::patience::Patience;
use crate::clock::now_ms;
use crate::core::Core;
use crate::error::StoreError;
use crate::store::RolloutRow;
use landfall_model::api::{Failure, RolloutState};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Before a journal that could not be read is read again.
const AGAIN: Duration = Duration::from_secs(1);

/// Drives again, or ends, what has not ended. A journal that cannot be read now is read again.
pub(crate) fn recover(core: &Arc<Core>) {
    let unfinished = match core.store.unfinished() {
        Ok(unfinished) => unfinished,
        Err(e) => {
            tracing::error!(error = %e, cause = %e.source, "the journal cannot be read; it is tried again");
            let core = Arc::clone(core);
            return drop(tokio::spawn(async move {
                sleep(AGAIN).await;
                recover(&core);
            }));
        }
    };
    let mut newest = BTreeSet::new();
    for row in unfinished.into_iter().rev() {
        let older = !newest.insert(row.app.clone());
        match core.store.is_overtaken(&row.id) {
            Ok(overtaken) if overtaken || older => drop(tokio::spawn(end_overtaken(Arc::clone(core), row))),
            Ok(_) => {
                if let Ok(held) = core.hold(&row.app, &row.id, &row.who) {
                    tokio::spawn(drive(Arc::clone(core), row, held));
                }
            }
            Err(e) => tracing::error!(rollout = %row.id, error = %e, cause = %e.source, "the journal cannot be read"),
        }
    }
}

/// What it began was cleared away by the one that overtook it, whose plan starts from what exists.
async fn end_overtaken(core: Arc<Core>, row: RolloutRow) {
    let (state, failure) = if row.committed { (RolloutState::Succeeded, None) } else { (RolloutState::Failed, Some(overtaken(&row))) };
    tracing::warn!(rollout = %row.id, app = %row.app, "a rollout that a newer one overtook is ended");
    let mut patience = Patience::new(&core, &row.app, &row.id);
    while let Err(error) = end(&core, &row, state, failure.clone()) {
        patience.wait(error).await;
    }
    core.stalls.clear(&row.id);
}

fn end(core: &Core, row: &RolloutRow, state: RolloutState, failure: Option<Failure>) -> Result<(), StoreError> {
    core.store.end(row, state, failure, now_ms().saturating_sub(row.started_ms))
}

fn overtaken(row: &RolloutRow) -> Failure {
    Failure {
        code: "overtaken".into(),
        message: format!("the {} of {} was interrupted, and a newer rollout took its place", row.purpose, row.app),
        causes: Vec::new(),
        hints: vec!["deploy it again if it is still wanted".into()],
        log: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AppRow, Kind};
    use crate::{Agent, Runtimes, Settings};
    use landfall_model::name::ReleaseNumber;
    use landfall_model::plan::Serving;
    use landfall_model::spec::{RuntimeKind, Spec, Tls};
    use landfall_runtime::fake::FakeRuntime;
    use std::collections::BTreeMap;

    fn row(id: &str, release: u64) -> RolloutRow {
        let spec = Spec {
            app: "shop".parse().unwrap(),
            runtime: RuntimeKind::Process,
            project_dir: "/srv".into(),
            domains: Vec::new(),
            tls: Tls::Internal,
            services: BTreeMap::new(),
            volumes: BTreeMap::new(),
            networks: BTreeMap::new(),
            front: Default::default(),
            environment: None,
            secrets: BTreeMap::new(),
        };
        RolloutRow {
            id: id.parse().unwrap(),
            wanted: None,
            app: spec.app.clone(),
            purpose: "deploy".into(),
            who: "somebody".into(),
            release: ReleaseNumber(release),
            kind: Kind::Release,
            spec,
            before: Serving::default(),
            state: RolloutState::Running,
            committed: false,
            started_ms: release,
            failure: None,
        }
    }

    /// A store as an agent before this one could leave it: `left` unfinished, and after it a newer release.
    fn ends(left: &RolloutRow, commit_left: bool, newer: &RolloutRow) -> (RolloutRow, Option<ReleaseNumber>) {
        let home = tempfile::tempdir().unwrap();
        let fake = Arc::new(FakeRuntime::new(RuntimeKind::Process));
        let settings = Settings { home: home.path().to_owned(), http: None, https: None, binary: "/bin/landfall".into() };
        let agent = Agent::open(&settings, Runtimes { docker: fake.clone(), process: fake }).unwrap();
        let store = &agent.core.store;
        store.put_app(&AppRow::new(left.app.clone(), RuntimeKind::Process)).unwrap();
        store.begin(left).unwrap();
        if commit_left {
            store.commit(left, &left.spec).unwrap();
        }
        store.begin(newer).unwrap();
        store.commit(newer, &newer.spec).unwrap();
        store.end(newer, RolloutState::Succeeded, None, 1).unwrap();
        let life = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        life.block_on(async {
            recover(&agent.core);
            let mut newest = store.newest();
            while !store.rollout(&left.id).unwrap().unwrap().state.is_final() {
                newest.changed().await.unwrap();
            }
        });
        assert!(agent.core.holder(&left.app).is_none(), "it was driven");
        (store.rollout(&left.id).unwrap().unwrap(), store.app(&left.app).unwrap().unwrap().release)
    }

    #[test]
    fn a_rollout_that_a_newer_release_overtook_is_ended_and_not_driven() {
        let (left, serves) = ends(&row("old", 10), false, &row("new", 11));
        assert_eq!((left.state, left.failure.unwrap().code.as_str()), (RolloutState::Failed, "overtaken"));
        assert_eq!(serves, Some(ReleaseNumber(11)));
        let undoing = RolloutRow { state: RolloutState::Undoing, ..row("old", 10) };
        assert_eq!(ends(&undoing, false, &row("new", 11)).0.state, RolloutState::Failed);
    }

    #[test]
    fn one_that_was_committed_and_overtaken_is_a_release_and_clears_nothing_away() {
        let (left, serves) = ends(&row("old", 10), true, &row("new", 11));
        assert_eq!((left.state, serves), (RolloutState::Succeeded, Some(ReleaseNumber(11))));
    }

    #[test]
    fn one_that_was_overtaken_by_a_down_brings_nothing_up() {
        let down = RolloutRow { kind: Kind::Down { volumes: false }, purpose: "down".into(), ..row("down", 9) };
        let (left, serves) = ends(&row("old", 10), false, &down);
        assert_eq!((left.state, serves), (RolloutState::Failed, None));
    }
}
