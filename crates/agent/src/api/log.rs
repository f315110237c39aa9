//! What replicas write, all services in one stream.

use super::named;
use crate::core::Core;
use crate::error::RequestError;
use crate::lines::Lines;
use crate::secret::Redactor;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use landfall_model::api::{LogLine, LogsQuery};
use landfall_model::name::{AppName, ReplicaId, ServiceName};
use landfall_model::spec::RuntimeKind;
use landfall_runtime::{LogEntry, Runtime};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Lines of the past of each replica when nobody says how many, and at most.
const TAIL: u32 = 100;
const MOST: u32 = 10_000;
/// Lines on their way to the reader. A slow reader slows the reading of logs, never the app.
const QUEUE: usize = 256;
/// How often new replicas are looked for.
const LOOK: Duration = Duration::from_millis(500);

struct Follower {
    core: Arc<Core>,
    app: AppName,
    runtime: RuntimeKind,
    services: BTreeSet<ServiceName>,
    tail: u32,
    follow: bool,
    out: mpsc::Sender<LogLine>,
}

pub(super) async fn follow(
    State(core): State<Arc<Core>>,
    Path(app): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, RequestError> {
    let app: AppName = named(&app)?;
    let row = core.store.app(&app)?.ok_or_else(|| RequestError::NoApp(app.clone()))?;
    let services = query.services.split(',').filter(|s| !s.is_empty()).map(named).collect::<Result<BTreeSet<ServiceName>, _>>()?;
    if let (Some(spec), Some(service)) = (core.current_spec(&row)?, services.first())
        && !spec.services.contains_key(service)
    {
        return Err(RequestError::NoService { app, service: service.clone() });
    }
    let (out, lines) = mpsc::channel(QUEUE);
    let tail = query.tail.unwrap_or(TAIL).min(MOST);
    let follower = Follower { core, app, runtime: row.runtime, services, tail, follow: query.follow, out };
    tokio::spawn(follower.run());
    let stream = futures_util::stream::unfold(lines, |mut lines| async move {
        let line = lines.recv().await?;
        let text = serde_json::to_string(&line).map(|l| l + "\n").map_err(std::io::Error::other);
        Some((text, lines))
    });
    Ok(Response::builder().header("content-type", "application/x-ndjson").body(Body::from_stream(stream)).unwrap_or_default())
}

impl Follower {
    /// Without following: the past of all replicas, in the order of time. With it: what comes, and replicas that come.
    async fn run(self) {
        if !self.follow {
            return self.past().await;
        }
        let mut known: BTreeSet<ReplicaId> = BTreeSet::new();
        let mut tail = self.tail;
        while !self.out.is_closed() {
            for id in self.replicas().await {
                if known.insert(id.clone()) {
                    let runtime = Arc::clone(self.core.runtimes.get(self.runtime));
                    // Made when a replica is seen for the first time, so that it knows the values this one has.
                    let redactor = self.core.redactor(&self.app);
                    tokio::spawn(copy(runtime, (self.app.clone(), id), tail, redactor, self.out.clone()));
                }
            }
            // Replicas that come later are new: all they wrote is shown.
            tail = MOST;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.out.closed() => return,
            }
        }
    }

    async fn past(self) {
        let mut lines: Vec<LogLine> = Vec::new();
        let redactor = self.core.redactor(&self.app);
        let replicas = self.replicas().await;
        // They are all held at once, to be put in order.
        let tail = self.tail.min(MOST / u32::try_from(replicas.len().max(1)).unwrap_or(MOST)).max(1);
        for id in replicas {
            let runtime = self.core.runtimes.get(self.runtime);
            let opened = Lines::open(runtime.as_ref(), (&self.app, &id), (tail, false), redactor.clone()).await;
            let Ok(mut entries) = opened else { continue };
            while let Some(entry) = entries.next().await {
                lines.push(line(&id, entry));
            }
        }
        lines.sort_by_key(|l| l.at_ms);
        for line in lines {
            if self.out.send(line).await.is_err() {
                return;
            }
        }
    }

    async fn replicas(&self) -> Vec<ReplicaId> {
        let observed = self.core.runtimes.get(self.runtime).observe(&self.app, &BTreeSet::new()).await.unwrap_or_default();
        let wanted = |service: &ServiceName| self.services.is_empty() || self.services.contains(service);
        observed.replicas.into_iter().filter(|(_, r)| wanted(&r.service)).map(|(id, _)| id).collect()
    }
}

async fn copy(runtime: Arc<dyn Runtime>, (app, id): (AppName, ReplicaId), tail: u32, redactor: Redactor, out: mpsc::Sender<LogLine>) {
    let Ok(mut entries) = Lines::open(runtime.as_ref(), (&app, &id), (tail, true), redactor).await else { return };
    loop {
        let entry = tokio::select! {
            entry = entries.next() => entry,
            () = out.closed() => return,
        };
        let Some(entry) = entry else { return };
        if out.send(line(&id, entry)).await.is_err() {
            return;
        }
    }
}

fn line(id: &ReplicaId, entry: LogEntry) -> LogLine {
    LogLine { at_ms: entry.at_ms, replica: id.clone(), stderr: entry.stderr, line: entry.line, partial: entry.partial }
}
