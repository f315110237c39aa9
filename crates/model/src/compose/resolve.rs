//! The typed file → the complete [`Spec`]: every default filled in, every reference followed. What could go wrong was said by `check`; a service
//! that still cannot be made is left out, and the caller makes no spec after an error.

use super::access;
use super::build::{self, BuildFile};
use super::check::App;
use super::contract::Environments;
use super::front;
use super::health::HealthFile;
use super::mount::{MountFile, SourceFile};
use super::path;
use super::report::Report;
use super::service::ServiceFile;
use super::shape;
use super::tls;
use crate::container::{Container, MountedFile, Namespace};
use crate::diagnostic::Diagnostic;
use crate::digest::digest;
use crate::filter::JwtKeys;
use crate::name::{AppName, Domain, EnvironmentName, ImageRef, NetworkName, SecretName, ServiceName, VolumeName};
use crate::power::is_free;
use crate::secret::Need;
use crate::spec::{
    Dependency, HealthTest, Healthcheck, Limits, Mount, MountSource, Network, Probe, Program, PublishedPort, PullPolicy, Restart, Route,
    RuntimeKind, Service, Spec, Template, Tls, Volume,
};
use std::collections::{BTreeMap, BTreeSet};

const STOP_GRACE_MS: u64 = 10_000;
const DRAIN_MS: u64 = 30_000;
const ROUTE_TIMEOUT_MS: u64 = 60_000;
const ROUTE_IDLE_MS: u64 = 3_600_000;
/// Largest mounted file whose content is watched, bytes.
const MAX_WATCHED: usize = 256 * 1024;

/// The spec of an app. `None` when a service lacks what it needs, which was complained about.
pub(crate) fn resolve(name: &AppName, app: &App<'_>, values: &Values<'_>, report: &mut Report) -> Option<Spec> {
    let default_network: NetworkName = "default".parse().ok()?;
    let mut services = BTreeMap::new();
    for (service_name, file) in app.enabled {
        let service = Resolver { app, app_name: name, default_network: &default_network }.service(service_name, file, values, report)?;
        services.insert((*service_name).clone(), service);
    }
    let networks = networks(name, app, &services);
    let volumes = volumes(name, app, &services);
    let own = values.environment.and_then(|name| app.file.landfall.environments.get(name)).and_then(|e| e.domains.as_ref());
    let domains: Vec<Domain> = own.unwrap_or(&app.file.landfall.domains).iter().map(|d| d.value.clone()).collect();
    let mut spec = Spec {
        app: name.clone(),
        runtime: app.runtime,
        project_dir: app.project_dir.to_owned(),
        tls: Tls::Off,
        domains,
        services,
        volumes,
        networks,
        front: front::resolve(&app.file.landfall.front, app, report),
        environment: values.environment.cloned(),
        secrets: values.needs.clone(),
    };
    spec.tls = tls::resolve(app.file.landfall.tls.as_ref(), &spec.all_domains(), app.project_dir);
    access::warn(&spec, app, report);
    Some(spec)
}

fn networks(name: &AppName, app: &App<'_>, services: &BTreeMap<ServiceName, Service>) -> BTreeMap<NetworkName, Network> {
    let used: BTreeSet<&NetworkName> = services.values().flat_map(|s| &s.template.networks).collect();
    let network = |key: &NetworkName| {
        let mut network = app.file.networks.get(key).filter(|_| app.runtime == RuntimeKind::Docker).cloned().unwrap_or_default();
        if network.external_name.is_empty() {
            network.external_name = if network.external { key.to_string() } else { format!("{name}_{key}") };
        }
        network
    };
    used.into_iter().map(|key| (key.clone(), network(key))).collect()
}

fn volumes(name: &AppName, app: &App<'_>, services: &BTreeMap<ServiceName, Service>) -> BTreeMap<VolumeName, Volume> {
    let used = services.values().flat_map(|s| &s.template.mounts).filter_map(|m| match &m.source {
        MountSource::Volume { name, .. } => Some(name),
        _ => None,
    });
    let volume = |key: &VolumeName| {
        let mut volume = app.file.volumes.get(key).cloned().unwrap_or_default();
        if volume.external_name.is_empty() {
            volume.external_name = if volume.external { key.to_string() } else { format!("{name}_{key}") };
        }
        volume
    };
    used.collect::<BTreeSet<_>>().into_iter().map(|key| (key.clone(), volume(key))).collect()
}

/// What was read outside of the Compose files.
pub(crate) struct Values<'a> {
    pub(crate) environments: &'a Environments,
    pub(crate) files: &'a BTreeMap<ServiceName, Vec<MountedFile>>,
    pub(crate) environment: Option<&'a EnvironmentName>,
    pub(crate) needs: &'a BTreeMap<SecretName, Need>,
}

struct Resolver<'a> {
    app: &'a App<'a>,
    app_name: &'a AppName,
    default_network: &'a NetworkName,
}

impl Resolver<'_> {
    fn service(&self, name: &ServiceName, file: &ServiceFile, values: &Values<'_>, report: &mut Report) -> Option<Service> {
        let runtime = self.app.runtime;
        let job = shape::is_job(name, file, self.app.enabled);
        let (program, command) = self.program(name, file, report)?;
        let mut template = self.template(file, (program, command), job, values.environments.get(name).cloned().unwrap_or_default());
        if runtime == RuntimeKind::Docker {
            template.container.files = values.files.get(name).cloned().unwrap_or_default();
        }
        let depends_on = file.depends_on.iter().filter(|(other, _)| self.app.enabled.contains_key(other));
        let gate = shape::gate(file, runtime);
        let unsaid = u32::from(!shape::is_files_only(file));
        Some(Service {
            template,
            replicas: file.deploy.replicas.as_ref().map_or(if job { 1 } else { unsaid }, |r| if job { r.value.min(1) } else { r.value }),
            job,
            depends_on: depends_on
                .map(|(other, (dependency, _))| (other.clone(), *dependency))
                .collect::<BTreeMap<ServiceName, Dependency>>(),
            port: if job { None } else { shape::port(file, runtime) },
            protocol: file.landfall.protocol,
            routes: file.landfall.routes.iter().map(|r| self.route(r, report)).collect(),
            gate: if job { crate::spec::Gate { probe: Probe::Stays { for_ms: 0 }, ..gate } } else { gate },
            order: if job { crate::spec::UpdateOrder::StartFirst } else { shape::order(file, runtime, report) },
            migrate: file.landfall.migrate.clone(),
            drain_ms: file.landfall.drain_ms.unwrap_or(DRAIN_MS),
            aliases: self.aliases(name, file),
        })
    }

    fn route(&self, file: &super::landfall::RouteFile, report: &mut Report) -> Route {
        let mut filters = file.filters.clone();
        if let Some(JwtKeys::Public { from, .. }) = filters.jwt.as_mut().map(|jwt| &mut jwt.keys)
            && !from.contains("://")
        {
            *from = path::absolute(self.app.project_dir, from);
        }
        if let Some(bucket) = &file.bucket {
            filters.rate_limit = self.app.file.landfall.front.rate_limits.get(&bucket.value).copied();
            if filters.rate_limit.is_none() {
                let message = format!("there is no limit `{}`", report.written(bucket.place, &bucket.value));
                report
                    .error("unknown-limit", bucket.place, message)
                    .hint("name it at the top: `x-landfall: { rate_limits: { api: 100/min } }`");
            }
        }
        Route {
            host: file.host.as_ref().map(|h| h.value.clone()).filter(|h| self.app.file.landfall.canonical() != Some(h)),
            path: file.path.value.clone(),
            timeout_ms: file.timeout_ms.unwrap_or(ROUTE_TIMEOUT_MS),
            idle_timeout_ms: file.idle_timeout_ms.unwrap_or(ROUTE_IDLE_MS),
            filters,
        }
    }

    /// What runs, and its arguments.
    fn program(&self, name: &ServiceName, file: &ServiceFile, report: &mut Report) -> Option<(Program, Option<Vec<String>>)> {
        let command = file.command.as_ref().map(|c| c.value.clone());
        if self.app.runtime == RuntimeKind::Docker {
            let pull = file.pull.unwrap_or(PullPolicy::Missing);
            let (reference, pull) = match (&file.image, &file.build) {
                (Some(image), _) => (image.value.clone(), pull),
                // No registry has what is built here.
                (None, Some(build)) => (self.built(name, build, report)?, PullPolicy::Never),
                (None, None) => return None,
            };
            return Some((Program::Image { reference, pinned: None, pull }, command));
        }
        let argv: Vec<String> = file.entrypoint.iter().flat_map(|e| e.value.clone()).chain(command.unwrap_or_default()).collect();
        let Some((first, arguments)) = argv.split_first() else {
            // Nothing is run of a service that is there for its files.
            let nothing = (Program::Executable { path: String::new(), sha256: None }, None);
            return Some(nothing).filter(|_| shape::is_idle(file));
        };
        let path = if first.contains('/') { path::absolute(self.app.project_dir, first) } else { first.clone() };
        Some((Program::Executable { path, sha256: None }, Some(arguments.to_vec())))
    }

    /// The name of an image that has none.
    fn built(&self, name: &ServiceName, file: &BuildFile, report: &mut Report) -> Option<ImageRef> {
        let named = build::name(self.app_name, name);
        if named.is_none() {
            let message = format!("an image cannot be called `{}-{name}`, as that of `{name}` would be", self.app_name);
            report.error("bad-image", file.place, message).hint("give it a name: `image: name`");
        }
        named
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
            mounts: if docker { file.mounts.iter().filter_map(|m| self.mount(m)).collect() } else { Vec::new() },
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
            container: if docker { self.container(file) } else { Container::default() },
        }
    }

    fn container(&self, file: &ServiceFile) -> Container {
        let memory = file.mounts.iter().filter_map(|m| match &m.source {
            SourceFile::Memory(options) => Some((m.target.clone(), options.clone())),
            _ => None,
        });
        let no_healthcheck = matches!(file.healthcheck, HealthFile::Disabled);
        Container { tmpfs: memory.collect(), no_healthcheck, ..file.container.clone() }
    }

    /// Other names of a service: those it gives itself on a network, its container's, and those by which others link to it.
    fn aliases(&self, name: &ServiceName, file: &ServiceFile) -> BTreeMap<NetworkName, BTreeSet<String>> {
        if self.app.runtime != RuntimeKind::Docker {
            return BTreeMap::new();
        }
        let links = self.app.enabled.values().flat_map(|s| &s.links).filter(|(to, _)| to == name).map(|(_, alias)| alias);
        let everywhere: Vec<&String> = links.chain(&file.container_name).collect();
        let mut out: BTreeMap<NetworkName, BTreeSet<String>> = BTreeMap::new();
        for network in self.networks(file) {
            let given = file.aliases.get(&network).into_iter().flatten().chain(everywhere.iter().copied());
            let mut names: BTreeSet<String> = given.map(|n| n.to_ascii_lowercase()).filter(|n| !n.is_empty()).collect();
            names.remove(&name.as_str().to_ascii_lowercase());
            if !names.is_empty() {
                out.insert(network, names);
            }
        }
        out
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
        let access = &file.container.access;
        match &file.networks {
            _ if self.app.runtime == RuntimeKind::Docker && (access.no_network || access.host.contains(&Namespace::Network)) => {
                BTreeSet::new()
            }
            Some(networks) if !networks.is_empty() && self.app.runtime == RuntimeKind::Docker => {
                networks.iter().map(|n| n.value.clone()).collect()
            }
            _ => BTreeSet::from([self.default_network.clone()]),
        }
    }

    /// Digest of a mounted file of the project. One that the program may write and that is no text is its data, and changes by
    /// itself.
    fn content(&self, path: &str, read_only: bool) -> String {
        if !is_free(self.app.project_dir, path) {
            return String::new();
        }
        match self.app.reader.read(path) {
            Ok(bytes) if bytes.len() <= MAX_WATCHED && (read_only || std::str::from_utf8(&bytes).is_ok()) => {
                digest(&bytes).short().to_owned()
            }
            _ => String::new(),
        }
    }

    /// `None` for an entry of `tmpfs:`, which the engine is told in its own way.
    fn mount(&self, file: &MountFile) -> Option<Mount> {
        let options = &file.options;
        let source = match &file.source {
            SourceFile::Volume(name) => MountSource::Volume { name: name.clone(), no_copy: options.no_copy },
            SourceFile::Anonymous => MountSource::Anonymous { no_copy: options.no_copy },
            SourceFile::Bind(source) => MountSource::Bind {
                path: path::absolute(self.app.project_dir, source),
                create: options.create,
                relabel: options.relabel.clone(),
                propagation: options.propagation,
                content: self.content(&path::absolute(self.app.project_dir, source), file.read_only),
            },
            SourceFile::Tmpfs(size_bytes) => MountSource::Tmpfs { size_bytes: *size_bytes, mode: options.mode },
            SourceFile::Memory(_) => return None,
        };
        Some(Mount { source, target: file.target.clone(), read_only: file.read_only })
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

/// The project's name as an app's, which is bounded.
pub(crate) fn app_name(name: &str, app: &App<'_>, report: &mut Report) -> Option<AppName> {
    match name.parse::<AppName>() {
        Ok(name) => Some(name),
        Err(error) => {
            let message = format!("`{}` is no {}: {}", error.text, error.kind, error.want);
            let span = app.file.name.as_ref().and_then(|n| report.span(n.place));
            report.push(Diagnostic::error("bad-name", span, message)).hint("write `name: my-app` at the top of the file");
            None
        }
    }
}
