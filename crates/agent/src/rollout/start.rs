//! How a rollout comes to be: from a person's request, or from the monitor.

use super::{drive, pin, shared};
use crate::clock::now_ms;
use crate::core::Core;
use crate::error::RequestError;
use crate::grant::Around;
use crate::secret::{self, Pinned};
use crate::store::{AppRow, Kind, RolloutRow};
use landfall_model::api::{Accepted, Planned, RolloutRequest, RolloutState, Want, What};
use landfall_model::name::{AppName, Domain, NetworkName, ReleaseNumber, RolloutId, ServiceName};
use landfall_model::observed::Observed;
use landfall_model::plan::{Input, Mode, Plan, plan, plan_down};
use landfall_model::spec::{RuntimeKind, Service, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Ports by which services of the process runtime are known inside their app.
const INTERNAL_PORTS: std::ops::RangeInclusive<u16> = 30_000..=31_999;

/// A request that was looked at: what it means here and now.
struct Considered {
    app: AppRow,
    row: RolloutRow,
    plan: Plan,
    pinned: Pinned,
}

/// Plans a request and leaves it at that.
pub(crate) async fn plan_only(core: &Arc<Core>, name: &AppName, request: RolloutRequest, who: &str) -> Result<Planned, RequestError> {
    let considered = consider(core, name, request, who).await?;
    Ok(Planned { lines: considered.plan.lines(), plan: considered.plan })
}

/// Longest time a request may be looked at before its rollout is written down.
const CONSIDERED: Duration = Duration::from_secs(30);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(50);

/// Begins a rollout. Asked twice with one id it begins once; asked for what is already being done, by somebody whose connection or command line died, it
/// answers the rollout that does it.
pub(crate) async fn begin(core: &Arc<Core>, name: &AppName, request: RolloutRequest, who: &str) -> Result<Accepted, RequestError> {
    let wanted = request.want.revision();
    let since = Instant::now();
    let held = loop {
        if let Some(known) = core.store.rollout(&request.id)? {
            if known.app != *name {
                return Err(RequestError::Bad(format!("the rollout {} is not one of {name}", request.id)));
            }
            return Ok(Accepted::Rollout { id: known.id, release: known.release });
        }
        let busy = match core.hold(name, &request.id, who) {
            Ok(held) => break held,
            Err(busy) => busy,
        };
        // One that is not written down yet, or has just ended, will be either or gone in a moment. It may be this very request, of which the client heard nothing.
        match core.store.rollout(&busy.rollout)?.filter(|row| !row.state.is_final()) {
            Some(row) if row.wanted.as_ref() == Some(&wanted) => return Ok(Accepted::Rollout { id: row.id, release: row.release }),
            // Nobody waits for the server to put back what he wants to replace or take away.
            Some(row) if row.kind == Kind::Repair && since.elapsed() < CONSIDERED => {
                busy.make_way.cancel();
                sleep(LOOK).await;
            }
            Some(row) => {
                let waits = core.stalls.of(&row.id).map(|stall| format!(" ({})", stall.line)).unwrap_or_default();
                return Err(RequestError::Busy { purpose: format!("{}{waits}", row.purpose), holder: busy });
            }
            None if since.elapsed() < CONSIDERED => sleep(LOOK).await,
            None => return Err(RequestError::Busy { purpose: "rollout".to_owned(), holder: busy }),
        }
    };
    let Considered { app, row, plan, pinned } = consider(core, name, request, who).await?;
    if let (true, Some(release)) = (plan.is_empty(), app.release) {
        return Ok(Accepted::Unchanged { release });
    }
    core.store.put_secrets(name, &pinned.rows)?;
    core.store.put_app(&app)?;
    core.store.begin(&row)?;
    for secret in &pinned.overruled {
        let line = format!("the value of {secret} on this server is used, and not the one the project has");
        core.tell(name, Some(&row.id), None, &What::Progress { service: None, line });
    }
    core.tell(name, Some(&row.id), Some(who), &What::RolloutStarted { purpose: row.purpose.clone(), release: row.release });
    let begun = Accepted::Rollout { id: row.id.clone(), release: row.release };
    tokio::spawn(drive(Arc::clone(core), row, held));
    Ok(begun)
}

/// Begins a rollout that puts back what died, if something did. Answers whether it did.
pub(crate) async fn repair(core: &Arc<Core>, app: &AppRow, spec: &Spec, observed: &Observed) -> Result<bool, RequestError> {
    let Some(release) = app.release else { return Ok(false) };
    let mut spec = spec.clone();
    pin(&mut spec, observed, &BTreeMap::new());
    let input =
        Input { spec: &spec, previous: Some(&spec), observed, serving: &app.serving, before: &app.serving, release, mode: Mode::Repair };
    if plan(&input, &core.policy).is_empty() {
        return Ok(false);
    }
    let now = now_ms();
    let id: RolloutId = format!("repair-{now}").parse().map_err(|e: landfall_model::name::NameError| RequestError::Bad(e.to_string()))?;
    let Ok(held) = core.hold(&app.name, &id, "landfall") else { return Ok(false) };
    let row = RolloutRow {
        id,
        wanted: None,
        app: app.name.clone(),
        purpose: "repair".into(),
        who: "landfall".into(),
        release,
        kind: Kind::Repair,
        spec,
        before: app.serving.clone(),
        state: RolloutState::Running,
        committed: false,
        started_ms: now,
        failure: None,
    };
    core.store.begin(&row)?;
    core.tell(&app.name, Some(&row.id), None, &What::RolloutStarted { purpose: row.purpose.clone(), release });
    tokio::spawn(drive(Arc::clone(core), row, held));
    Ok(true)
}

/// What a request means here and now.
async fn consider(core: &Arc<Core>, name: &AppName, request: RolloutRequest, who: &str) -> Result<Considered, RequestError> {
    let known = core.store.app(name)?;
    let wanted = request.want.revision();
    let (mut spec, purpose) = led_to(core, name, known.as_ref(), &request.want)?;
    let mut app = known.unwrap_or_else(|| AppRow::new(name.clone(), spec.runtime));
    let down = matches!(request.want, Want::Down { .. });
    let pinned = match &request.want {
        Want::Deploy { given, unset, .. } => {
            core.secrets.none_is_left_out(&core.store, &spec, unset)?;
            // An older client, or one of another's making, sends what signs tokens as it is.
            let taken = secret::take(&mut spec);
            let given = given.clone().into_iter().chain(taken).collect();
            core.secrets.pin(&core.store, (name, &mut spec), &given, who)?
        }
        Want::Renew { .. } => {
            let taken = secret::take(&mut spec);
            core.secrets.pin(&core.store, (name, &mut spec), &taken, who)?
        }
        Want::Rollback { .. } => {
            core.secrets.check(&core.store, name, &spec)?;
            core.secrets.seal_token_keys(&core.store, &mut spec, who)?
        }
        Want::Down { .. } => core.secrets.seal_token_keys(&core.store, &mut spec, who)?,
    };
    if app.runtime != spec.runtime && app.release.is_some() {
        return Err(RequestError::Bad(format!(
            "{name} runs under the {} runtime and the file says {}: take it down first (`landfall down {name}`)",
            app.runtime, spec.runtime
        )));
    }
    app.runtime = spec.runtime;
    let observed = core.observe(&spec).await?;
    pin(&mut spec, &observed, &BTreeMap::new());
    if !down {
        core.guard.check(&spec, &Around::look::<RequestError>(core, &spec).await?)?;
        hosts_are_free(core, name, &spec)?;
        volumes_are_free(core, name, &spec)?;
        names_are_free(core, name, &spec)?;
        assign_internal_ports(&mut app, &spec, &observed, core.policy.first_port);
    }
    let previous = core.current_spec(&app)?;
    if let (Some(previous), Want::Deploy { .. }) = (&previous, &request.want) {
        keep_forced(&mut spec, previous);
    }
    if let (Some(previous), Want::Deploy { .. }) = (&previous, &request.want)
        && previous.environment != spec.environment
    {
        let words = |spec: &Spec| {
            spec.environment.as_ref().map_or_else(|| "an app of its own".to_owned(), |e| format!("the environment {e} of another"))
        };
        return Err(RequestError::Bad(format!(
            "{name} is {} on this server, and would become {}: give one of them another name",
            words(previous),
            words(&spec)
        )));
    }
    let release = if down { app.release.unwrap_or(ReleaseNumber(0)) } else { core.store.next_release(name)? };
    let input = Input {
        spec: &spec,
        previous: previous.as_ref(),
        observed: &observed,
        serving: &app.serving,
        before: &app.serving,
        release,
        mode: Mode::Release,
    };
    let (kind, plan) = match request.want {
        Want::Down { volumes } => {
            let plan = plan_down(&input, volumes);
            shared::check_down(core, &input, &plan).await?;
            (Kind::Down { volumes }, plan)
        }
        Want::Deploy { .. } | Want::Renew { .. } | Want::Rollback { .. } => {
            let notes = shared::check(core, &input).await?;
            let mut plan = plan(&input, &core.policy);
            plan.notes.extend(notes);
            (Kind::Release, plan)
        }
    };
    let row = RolloutRow {
        id: request.id,
        wanted: Some(wanted),
        app: name.clone(),
        purpose,
        who: who.to_owned(),
        release,
        before: app.serving.clone(),
        kind,
        spec,
        state: RolloutState::Running,
        committed: false,
        started_ms: now_ms(),
        failure: None,
    };
    Ok(Considered { app, row, plan, pinned })
}

/// What was forced once stays as it is: the file knows nothing of it, and would force it again.
fn keep_forced(spec: &mut Spec, previous: &Spec) {
    for (name, service) in &mut spec.services {
        let forced = &mut service.template.container.forced;
        if let Some(before) = previous.services.get(name).filter(|_| forced.is_empty()) {
            forced.clone_from(&before.template.container.forced);
        }
    }
}

/// The spec a request leads to, and its purpose in words.
fn led_to(core: &Core, name: &AppName, app: Option<&AppRow>, want: &Want) -> Result<(Spec, String), RequestError> {
    let no_app = || RequestError::NoApp(name.clone());
    match want {
        Want::Deploy { spec, .. } if spec.app != *name => {
            Err(RequestError::Bad(format!("the spec is of {}, the request of {name}", spec.app)))
        }
        Want::Deploy { spec, .. } => Ok(((**spec).clone(), want.to_string())),
        Want::Renew { .. } => {
            let spec = core.current_spec(app.ok_or_else(no_app)?)?.ok_or_else(no_app)?;
            Ok((spec, want.to_string()))
        }
        Want::Rollback { release } => {
            let current = app.and_then(|a| a.release).ok_or_else(no_app)?;
            let release = match release {
                Some(release) => *release,
                None => core.store.release_before(name, current)?.ok_or_else(|| RequestError::NothingEarlier(name.clone()))?,
            };
            let spec = core.store.release_spec(name, release)?.ok_or_else(|| RequestError::NoRelease { app: name.clone(), release })?;
            Ok((spec, format!("rollback to release {release}")))
        }
        Want::Down { .. } => {
            let app = app.ok_or_else(no_app)?;
            let newest = core.store.last_rollout(name)?.map(|r| r.spec);
            let spec = core.current_spec(app)?.or(newest).ok_or_else(no_app)?;
            Ok((spec, "down".to_owned()))
        }
    }
}

/// Two apps cannot answer to one host; only one can answer to all.
fn hosts_are_free(core: &Core, name: &AppName, spec: &Spec) -> Result<(), RequestError> {
    if spec.services.values().all(|s| s.routes.is_empty()) {
        return Ok(());
    }
    let (mine, mine_redirected) = core.table.hosts(name, spec);
    let everywhere = mine.is_empty();
    let mine: Vec<&Domain> = mine.iter().chain(&mine_redirected).chain(spec.route_hosts()).collect();
    for other in core.store.apps()?.into_iter().filter(|a| a.name != *name) {
        let Some(theirs) = core.current_spec(&other)? else { continue };
        if theirs.services.values().all(|s| s.routes.is_empty()) {
            continue;
        }
        let (hosts, redirected) = core.table.hosts(&other.name, &theirs);
        if everywhere && hosts.is_empty() {
            return Err(RequestError::HostTaken { host: "every host without a domain of its own".into(), by: other.name });
        }
        if let Some(host) = hosts.iter().chain(&redirected).chain(theirs.route_hosts()).find(|h| mine.contains(h)) {
            return Err(RequestError::HostTaken { host: host.to_string(), by: other.name });
        }
    }
    Ok(())
}

/// A volume belongs to one app: what another writes would be its loss, and a reset of one would delete the data of both.
fn volumes_are_free(core: &Core, name: &AppName, spec: &Spec) -> Result<(), RequestError> {
    let own: Vec<&str> = spec.volumes.values().filter(|v| !v.external).map(|v| v.external_name.as_str()).collect();
    if own.is_empty() {
        return Ok(());
    }
    for other in core.store.apps()?.into_iter().filter(|a| a.name != *name && a.runtime == spec.runtime) {
        let Some(theirs) = core.current_spec(&other)? else { continue };
        if let Some(taken) = theirs.volumes.values().find(|v| !v.external && own.contains(&v.external_name.as_str())) {
            return Err(RequestError::VolumeTaken { volume: taken.external_name.clone(), by: other.name });
        }
    }
    Ok(())
}

/// In a network that several apps use a name means one service: others there could not say which of two they want.
fn names_are_free(core: &Core, name: &AppName, spec: &Spec) -> Result<(), RequestError> {
    let mine = names_in_networks(spec);
    if spec.runtime != RuntimeKind::Docker || mine.is_empty() {
        return Ok(());
    }
    for other in core.store.apps()?.into_iter().filter(|a| a.name != *name && a.runtime == RuntimeKind::Docker) {
        let Some(theirs) = core.current_spec(&other)? else { continue };
        if let Some((network, known)) = names_in_networks(&theirs).intersection(&mine).next().cloned() {
            return Err(RequestError::NameTaken { name: known, network, by: other.name });
        }
    }
    Ok(())
}

/// Names that services have, with the networks, by their names outside the app, in which they have them.
fn names_in_networks(spec: &Spec) -> BTreeSet<(String, String)> {
    let joined = |(name, service): (&ServiceName, &Service)| {
        let names = |key: &NetworkName| service.known_as(key).chain([name.as_str().to_ascii_lowercase()]).collect::<Vec<_>>();
        let networks = service.template.networks.iter().filter_map(|key| Some((names(key), spec.networks.get(key)?)));
        networks.flat_map(|(names, network)| names.into_iter().map(|n| (network.external_name.to_string(), n))).collect::<Vec<_>>()
    };
    spec.services.iter().filter(|(_, service)| !service.job).flat_map(joined).collect()
}

/// A service of the process runtime keeps the port by which others know it for as long as the app exists.
fn assign_internal_ports(app: &mut AppRow, spec: &Spec, observed: &Observed, seed: u16) {
    if spec.runtime != RuntimeKind::Process {
        return;
    }
    for name in spec.services.iter().filter(|(_, s)| s.port.is_some()).map(|(n, _)| n) {
        if !app.ports.contains_key(name) {
            let taken: Vec<u16> = app.ports.values().copied().collect();
            let first = INTERNAL_PORTS.start() + seed % 1_900;
            let mut ports = (first..=*INTERNAL_PORTS.end()).chain(INTERNAL_PORTS);
            let free = ports.find(|p| !taken.contains(p) && !observed.busy_ports.contains(p));
            app.ports.insert(name.clone(), free.unwrap_or(*INTERNAL_PORTS.end()));
        }
    }
}
