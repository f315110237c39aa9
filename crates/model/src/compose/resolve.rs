//! The typed file → the complete [`Spec`]: every default filled in, every reference followed. What could go wrong was said by `check`; a service
//! that still cannot be made is left out, and the caller makes no spec after an error.

use super::check::App;
use super::contract::Environments;
use super::health::HealthFile;
use super::mount::{MountFile, SourceFile};
use super::path;
use super::report::{Place, Report};
use super::service::ServiceFile;
use super::shape;
use crate::name::{AppName, NetworkName, ServiceName, VolumeName};
use crate::spec::{
    Dependency, HealthTest, Healthcheck, Limits, Mount, MountSource, Network, Probe, Program, PublishedPort, PullPolicy, Restart, Route,
    RuntimeKind, Service, Spec, Template, Tls, Volume,
};
use std::collections::{BTreeMap, BTreeSet};

const STOP_GRACE_MS: u64 = 10_000;
const DRAIN_MS: u64 = 30_000;
const ROUTE_TIMEOUT_MS: u64 = 60_000;
const ROUTE_IDLE_MS: u64 = 3_600_000;

/// The spec of an app. `None` when a service lacks what it needs, which was complained about.
pub(crate) fn resolve(name: &AppName, app: &App<'_>, environments: &Environments, report: &mut Report) -> Option<Spec> {
    let default_network: NetworkName = "default".parse().ok()?;
    let mut services = BTreeMap::new();
    for (service_name, file) in app.enabled {
        let service = Resolver { app, default_network: &default_network }.service(service_name, file, environments, report)?;
        services.insert((*service_name).clone(), service);
    }
    let networks = networks(name, app, &services);
    let volumes = volumes(name, app, &services);
    Some(Spec {
        app: name.clone(),
        runtime: app.runtime,
        project_dir: app.project_dir.to_owned(),
        domains: app.file.landfall.domains.iter().map(|d| d.value.clone()).collect(),
        tls: app.file.landfall.tls.clone().unwrap_or(Tls::Internal),
        services,
        volumes,
        networks,
    })
}

fn networks(name: &AppName, app: &App<'_>, services: &BTreeMap<ServiceName, Service>) -> BTreeMap<NetworkName, Network> {
    let used: BTreeSet<&NetworkName> = services.values().flat_map(|s| &s.template.networks).collect();
    let network = |key: &NetworkName| {
        let file = app.file.networks.get(key).filter(|_| app.runtime == RuntimeKind::Docker);
        let external = file.is_some_and(|f| f.external);
        let own = if external { key.to_string() } else { format!("{name}_{key}") };
        Network { external_name: file.and_then(|f| f.name.clone()).unwrap_or(own), external, internal: file.is_some_and(|f| f.internal) }
    };
    used.into_iter().map(|key| (key.clone(), network(key))).collect()
}

fn volumes(name: &AppName, app: &App<'_>, services: &BTreeMap<ServiceName, Service>) -> BTreeMap<VolumeName, Volume> {
    let used = services.values().flat_map(|s| &s.template.mounts).filter_map(|m| match &m.source {
        MountSource::Volume { name } => Some(name),
        _ => None,
    });
    let volume = |key: &VolumeName| {
        let file = app.file.volumes.get(key);
        let external = file.is_some_and(|f| f.external);
        let own = if external { key.to_string() } else { format!("{name}_{key}") };
        Volume { external_name: file.and_then(|f| f.name.clone()).unwrap_or(own), external }
    };
    used.collect::<BTreeSet<_>>().into_iter().map(|key| (key.clone(), volume(key))).collect()
}

struct Resolver<'a> {
    app: &'a App<'a>,
    default_network: &'a NetworkName,
}

impl Resolver<'_> {
    fn service(&self, name: &ServiceName, file: &ServiceFile, environments: &Environments, report: &mut Report) -> Option<Service> {
        let runtime = self.app.runtime;
        let job = shape::is_job(name, file, self.app.enabled);
        let (program, command) = self.program(file)?;
        let template = self.template(file, (program, command), job, environments.get(name).cloned().unwrap_or_default());
        let depends_on = file.depends_on.iter().filter(|(other, _)| self.app.enabled.contains_key(other));
        let gate = shape::gate(file, runtime);
        Some(Service {
            template,
            replicas: if job { 1 } else { file.deploy.replicas.as_ref().map_or(1, |r| r.value) },
            job,
            depends_on: depends_on
                .map(|(other, (dependency, _))| (other.clone(), *dependency))
                .collect::<BTreeMap<ServiceName, Dependency>>(),
            port: if job { None } else { shape::port(file, runtime) },
            routes: file.landfall.routes.iter().map(route).collect(),
            gate: if job { crate::spec::Gate { probe: Probe::Stays { for_ms: 0 }, ..gate } } else { gate },
            order: if job { crate::spec::UpdateOrder::StartFirst } else { shape::order(file, runtime, report) },
            migrate: file.landfall.migrate.clone(),
            drain_ms: file.landfall.drain_ms.unwrap_or(DRAIN_MS),
        })
    }

    /// What runs, and its arguments.
    fn program(&self, file: &ServiceFile) -> Option<(Program, Option<Vec<String>>)> {
        let command = file.command.as_ref().map(|c| c.value.clone());
        if self.app.runtime == RuntimeKind::Docker {
            let reference = file.image.as_ref()?.value.clone();
            return Some((Program::Image { reference, pinned: None, pull: file.pull.unwrap_or(PullPolicy::Missing) }, command));
        }
        let argv: Vec<String> = file.entrypoint.iter().flat_map(|e| e.value.clone()).chain(command.unwrap_or_default()).collect();
        let (first, arguments) = argv.split_first()?;
        let path = if first.contains('/') { path::absolute(self.app.project_dir, first) } else { first.clone() };
        Some((Program::Executable { path, sha256: None }, Some(arguments.to_vec())))
    }

    fn template(
        &self,
        file: &ServiceFile,
        (program, command): (Program, Option<Vec<String>>),
        job: bool,
        environment: BTreeMap<crate::name::EnvKey, crate::spec::EnvValue>,
    ) -> Template {
        let docker = self.app.runtime == RuntimeKind::Docker;
        let routed = !file.landfall.routes.is_empty();
        let limit = |l: &Option<super::report::Located<u64>>| l.as_ref().map_or(0, |l| l.value);
        Template {
            program,
            entrypoint: file.entrypoint.as_ref().filter(|_| docker).map(|e| e.value.clone()),
            command,
            environment,
            working_dir: file
                .working_dir
                .as_ref()
                .map(|w| if docker { w.value.clone() } else { path::absolute(self.app.project_dir, &w.value) }),
            user: file.user.as_ref().filter(|_| docker).map(|u| u.value.clone()),
            mounts: if docker { file.mounts.iter().map(|m| self.mount(m)).collect() } else { Vec::new() },
            networks: self.networks(file),
            ports: if docker && !routed { distinct(file.ports.iter().map(|p| &p.value)) } else { Vec::new() },
            labels: file.labels.clone(),
            restart: if job { Restart::No } else { shape::written_restart(file).unwrap_or(Restart::UnlessStopped) },
            stop_signal: file.stop_signal.clone(),
            stop_grace_ms: file.stop_grace_ms.unwrap_or(STOP_GRACE_MS),
            healthcheck: self.healthcheck(file),
            limits: Limits {
                memory_bytes: limit(&file.limits.memory),
                cpu_millis: limit(&file.limits.cpus),
                pids: limit(&file.limits.pids),
            },
            log: file.log,
            init: file.init,
            read_only: file.read_only,
            shm_bytes: file.shm_bytes,
        }
    }

    fn healthcheck(&self, file: &ServiceFile) -> Option<Healthcheck> {
        match &file.healthcheck {
            HealthFile::Given(check, _) if self.app.runtime == RuntimeKind::Docker || !matches!(check.test, HealthTest::Shell { .. }) => {
                Some(check.clone())
            }
            _ => None,
        }
    }

    fn networks(&self, file: &ServiceFile) -> BTreeSet<NetworkName> {
        match &file.networks {
            Some(networks) if !networks.is_empty() && self.app.runtime == RuntimeKind::Docker => {
                networks.iter().map(|n| n.value.clone()).collect()
            }
            _ => BTreeSet::from([self.default_network.clone()]),
        }
    }

    fn mount(&self, file: &MountFile) -> Mount {
        let source = match &file.source {
            SourceFile::Volume(name) => MountSource::Volume { name: name.clone() },
            SourceFile::Anonymous => MountSource::Anonymous,
            SourceFile::Bind(source) => MountSource::Bind { path: path::absolute(self.app.project_dir, source) },
            SourceFile::Tmpfs(size_bytes) => MountSource::Tmpfs { size_bytes: *size_bytes },
        };
        Mount { source, target: file.target.clone(), read_only: file.read_only }
    }
}

fn distinct<'a>(ports: impl Iterator<Item = &'a PublishedPort>) -> Vec<PublishedPort> {
    let mut out: Vec<PublishedPort> = Vec::new();
    for port in ports {
        if !out.contains(port) {
            out.push(port.clone());
        }
    }
    out
}

fn route(file: &super::landfall::RouteFile) -> Route {
    Route {
        path: file.path.value.clone(),
        timeout_ms: file.timeout_ms.unwrap_or(ROUTE_TIMEOUT_MS),
        idle_timeout_ms: file.idle_timeout_ms.unwrap_or(ROUTE_IDLE_MS),
        filters: file.filters.clone(),
    }
}

/// The app's name: what the caller says, else `COMPOSE_PROJECT_NAME`, else `name:`, else the directory's, made plain as Compose does.
pub(crate) fn app_name(asked: Option<&str>, app: &App<'_>, variable: Option<&str>, report: &mut Report) -> Option<AppName> {
    let file = app.file.name.as_ref();
    let (text, place) = match (asked.or(variable.filter(|v| !v.is_empty())), file) {
        (Some(given), _) => (given.to_owned(), None),
        (None, Some(name)) => (name.value.clone(), Some(name.place)),
        (None, None) => (plain(path::base_name(app.project_dir)), None),
    };
    match text.parse::<AppName>() {
        Ok(name) => Some(name),
        Err(error) => {
            let shown = place.map_or_else(|| error.text.clone(), |p: Place| report.written(p, &text));
            let message = format!("`{shown}` is no {}: {}", error.kind, error.want);
            let diagnostic = crate::diagnostic::Diagnostic::error("bad-name", place.and_then(|p| report.span(p)), message);
            let hint = match plain(&text).parse::<AppName>() {
                Ok(good) if place.is_some() => format!("write `name: {good}`"),
                _ => "write `name: my-app` at the top of the file".to_owned(),
            };
            report.push(diagnostic).hint(hint);
            None
        }
    }
}

/// Lower case, without the characters an app's name cannot have.
fn plain(text: &str) -> String {
    let kept: String =
        text.to_lowercase().chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')).collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}
