//! Everything needed to make one replica, job, or one-off of a service.

use crate::core::Core;
use crate::error::{RequestError, StepError};
use crate::grant::Around;
use landfall_model::api::ExecRequest;
use landfall_model::digest::Revision;
use landfall_model::name::{EnvKey, NameError, ReleaseNumber, ReplicaId, ServiceName};
use landfall_model::spec::{EnvValue, RuntimeKind, Spec};
use landfall_runtime::{Launch, RuntimeError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A launch of a service's template, not a job and without a port until the caller says so.
pub(super) async fn launch(
    core: &Arc<Core>,
    spec: &Spec,
    release: ReleaseNumber,
    (name, id, revision): (&ServiceName, &ReplicaId, &Revision),
) -> Result<Launch, StepError> {
    let mut template = spec.services.get(name).ok_or_else(|| StepError::Unknown(name.clone()))?.template.clone();
    core.guard.check_service(spec, name, &Around::look::<StepError>(core, spec).await?)?;
    core.secrets.fill(&core.store, &spec.app, &mut template)?;
    let joined = spec.networks.iter().filter(|(key, _)| template.networks.contains(*key));
    let networks: BTreeMap<_, _> = joined.map(|(key, network)| (key.clone(), network.clone())).collect();
    let mut dns = Vec::new();
    if spec.runtime == RuntimeKind::Docker {
        let observed = core.runtimes.get(spec.runtime).observe(&spec.app, &BTreeSet::new()).await?;
        let gateways = networks.iter().filter_map(|(key, network)| {
            let seen = observed.networks.get(key)?;
            Some(((seen.internal, network.external, key), seen.gateway?))
        });
        // The engine asks the first that answers: one with a way out, and of those one of the app's own.
        let ordered: BTreeMap<_, _> = gateways.collect();
        dns.extend(ordered.into_values());
    }
    Ok(Launch {
        app: spec.app.clone(),
        id: id.clone(),
        service: name.clone(),
        release,
        revision: revision.clone(),
        job: false,
        template,
        argv: None,
        environment: addresses(core, spec)?,
        networks,
        volumes: spec.volumes.clone(),
        dns,
        port: None,
        takes: None,
        project_dir: spec.project_dir.clone(),
    })
}

/// `landfall run`: a job of its own, outside of every release.
pub(crate) async fn one_off(core: &Arc<Core>, spec: &Spec, ask: &ExecRequest) -> Result<Launch, RequestError> {
    let bad = |e: NameError| RequestError::Bad(e.to_string());
    let service =
        spec.services.get(&ask.service).ok_or_else(|| RequestError::NoService { app: spec.app.clone(), service: ask.service.clone() })?;
    let release = core.store.app(&spec.app)?.and_then(|a| a.release).ok_or_else(|| RequestError::NoApp(spec.app.clone()))?;
    let id = format!("{}-{release}-run{}", ask.service, crate::clock::now_ms()).parse().map_err(bad)?;
    let revision = service.template.revision();
    let mut launch = launch(core, spec, release, (&ask.service, &id, &revision)).await.map_err(|e| match e {
        StepError::Runtime(e) => RequestError::Runtime(e),
        StepError::Store(e) => RequestError::Store(e),
        StepError::Secret(e) => RequestError::Secret(e),
        StepError::Grant(e) => RequestError::Grant(e),
        other => RequestError::Runtime(RuntimeError::failed(format!("run in {}", ask.service), other)),
    })?;
    launch.job = true;
    launch.argv = Some(ask.argv.clone());
    for (key, value) in &ask.environment {
        launch.template.environment.insert(key.parse().map_err(bad)?, EnvValue::new(value));
    }
    Ok(launch)
}

/// `LANDFALL_URL_<SERVICE>` for every service that has an address inside the app (process runtime).
fn addresses(core: &Core, spec: &Spec) -> Result<BTreeMap<EnvKey, EnvValue>, StepError> {
    let ports = core.store.app(&spec.app)?.map(|a| a.ports).unwrap_or_default();
    let key = |name: &ServiceName| {
        let upper: String = name.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        format!("LANDFALL_URL_{upper}").parse::<EnvKey>().ok()
    };
    Ok(ports.iter().filter_map(|(name, port)| Some((key(name)?, EnvValue::new(format!("http://127.0.0.1:{port}"))))).collect())
}
