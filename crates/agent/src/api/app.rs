//! Apps as they stand, and their releases.

use super::named;
use super::peer::Peer;
use crate::core::Core;
use crate::error::RequestError;
use crate::reach;
use crate::secret;
use crate::store::{AppRow, RolloutRow};
use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use landfall_model::api::{AppStatus, Release, ReplicaStatus, RolloutStatus, ServiceStatus, VolumeStatus};
use landfall_model::control::ProxyStatus;
use landfall_model::name::{AppName, ReleaseNumber, ServiceName};
use landfall_model::observed::{Observed, ReplicaState};
use landfall_model::spec::{Service, Spec, Tls};
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) async fn list(
    State(core): State<Arc<Core>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<Vec<AppStatus>>, RequestError> {
    let mut apps = Vec::new();
    for row in core.store.apps()?.into_iter().filter(|row| peer.may(&row.name)) {
        apps.push(status(&core, &row).await?);
    }
    Ok(Json(apps))
}

pub(super) async fn show(State(core): State<Arc<Core>>, Path(app): Path<String>) -> Result<Json<AppStatus>, RequestError> {
    let row = row(&core, named(&app)?)?;
    Ok(Json(status(&core, &row).await?))
}

pub(super) async fn releases(State(core): State<Arc<Core>>, Path(app): Path<String>) -> Result<Json<Vec<Release>>, RequestError> {
    let row = row(&core, named(&app)?)?;
    Ok(Json(core.store.releases(&row.name)?))
}

pub(super) async fn release_spec(
    State(core): State<Arc<Core>>,
    Path((app, number)): Path<(String, u64)>,
) -> Result<Json<Spec>, RequestError> {
    let (app, release) = (named::<AppName>(&app)?, ReleaseNumber(number));
    let mut spec = core.store.release_spec(&app, release)?;
    // An earlier version of Landfall stored what signs tokens as it was.
    spec.as_mut().map(secret::take);
    spec.map(Json).ok_or(RequestError::NoRelease { app, release })
}

pub(super) async fn volumes(State(core): State<Arc<Core>>, Path(app): Path<String>) -> Result<Json<Vec<VolumeStatus>>, RequestError> {
    let row = row(&core, named(&app)?)?;
    let newest = core.store.last_rollout(&row.name)?.map(|r| r.spec);
    let mut volumes = Vec::new();
    if let Some(spec) = core.current_spec(&row)?.or(newest) {
        for (key, volume) in spec.volumes.iter().filter(|(_, v)| !v.external) {
            let bytes = core.runtimes.get(spec.runtime).volume_bytes(&row.name, key, volume).await;
            volumes.push(VolumeStatus { volume: key.clone(), external_name: volume.external_name.clone(), bytes });
        }
    }
    Ok(Json(volumes))
}

fn row(core: &Core, app: AppName) -> Result<AppRow, RequestError> {
    core.store.app(&app)?.ok_or(RequestError::NoApp(app))
}

async fn status(core: &Arc<Core>, row: &AppRow) -> Result<AppStatus, RequestError> {
    let newest = core.store.last_rollout(&row.name)?;
    let current = core.current_spec(row)?;
    let running = newest.as_ref().filter(|r| !r.state.is_final());
    let spec = running.map(|r| r.spec.clone()).or_else(|| current.clone());
    let observed = match &spec {
        Some(spec) => core.observe(spec).await?,
        None => Observed::default(),
    };
    let proxy = core.table.proxy().status().await.unwrap_or_default();
    let services =
        spec.iter().flat_map(|s| &s.services).map(|(name, service)| service_status(row, name, service, &observed, &proxy)).collect();
    let cut_off = reach::cut_off(core, (&row.name, row.runtime), &observed).await;
    let brief = newest.map(|r| brief(core, r)).transpose()?;
    let (rollout, last_rollout) = brief.map_or((None, None), |b| if b.state.is_final() { (None, Some(b)) } else { (Some(b), None) });
    Ok(AppStatus {
        app: row.name.clone(),
        runtime: row.runtime,
        release: row.release,
        rollout,
        last_rollout,
        urls: current.map(|s| urls(core, &row.name, &s)).unwrap_or_default(),
        services,
        cut_off,
    })
}

fn brief(core: &Core, row: RolloutRow) -> Result<RolloutStatus, RequestError> {
    let stall = core.stalls.of(&row.id);
    let step = match row.state.is_final() {
        true => None,
        false if stall.is_some() => stall.map(|s| s.line),
        false => core.store.attempts(&row.id)?.last().and_then(|a| Some(a.plan.steps.get(a.begun.checked_sub(1)?)?.line())),
    };
    Ok(RolloutStatus {
        id: row.id,
        purpose: row.purpose,
        release: row.release,
        state: row.state,
        who: row.who,
        started_ms: row.started_ms,
        step,
        failure: row.failure,
    })
}

fn service_status(row: &AppRow, name: &ServiceName, service: &Service, observed: &Observed, proxy: &ProxyStatus) -> ServiceStatus {
    let serving = row.serving.names.get(name);
    let mut replicas: Vec<ReplicaStatus> = Vec::new();
    for (id, replica) in observed.replicas.iter().filter(|(_, r)| r.service == *name && (service.job || !r.job)) {
        let endpoint = proxy.endpoints.get(&format!("{}/{id}", row.name));
        let address = replica.address().filter(|_| replica.state == ReplicaState::Running);
        replicas.push(ReplicaStatus {
            id: id.clone(),
            release: replica.release,
            state: replica.state,
            serving: serving.is_some_and(|s| s.contains(id)),
            healthy: endpoint.map(|e| e.healthy),
            fault: proxy.faults.get(&format!("{}/{id}", row.name)).cloned(),
            address: address.zip(replica.port.or(service.port)).map(|(ip, port)| SocketAddr::new(ip, port).to_string()),
            active: endpoint.map_or(0, |e| e.requests + e.streams),
            restarts: replica.restarts,
            started_ms: replica.started_ms,
        });
    }
    ServiceStatus {
        service: name.clone(),
        job: service.job,
        wanted: service.replicas,
        replicas,
        routes: service
            .routes
            .iter()
            .map(|r| r.host.as_ref().map_or_else(|| r.path.to_string(), |host| format!("{host}{}", r.path)))
            .collect(),
    }
}

/// Where users find the app: its canonical domain, or this machine.
fn urls(core: &Core, app: &AppName, spec: &Spec) -> Vec<String> {
    if spec.services.values().all(|s| s.routes.is_empty()) {
        return Vec::new();
    }
    let Some(base) = (if spec.tls == Tls::Off { &core.http } else { &core.https }) else { return Vec::new() };
    let Some((scheme, authority)) = base.split_once("://") else { return Vec::new() };
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|p| p.parse::<u16>().is_ok());
    let (hosts, _) = core.table.hosts(app, spec);
    if hosts.is_empty() {
        return vec![base.clone()];
    }
    let default = if scheme == "https" { "443" } else { "80" };
    let suffix = port.filter(|p| *p != default).map(|p| format!(":{p}")).unwrap_or_default();
    hosts.iter().map(|host| format!("{scheme}://{host}{suffix}")).collect()
}
