//! What can only be seen by looking at several keys or services at once. Only services that take part (profiles) are looked at.

use super::file::File;
use super::health::HealthFile;
use super::mount::{MountFile, SourceFile};
use super::report::{Place, Report};
use super::service::ServiceFile;
use super::shape::{Enabled, declared_ports, is_job, port, written_restart};
use super::{Files, path};
use crate::container::Namespace;
use crate::filter::Answer;
use crate::name::{Domain, ServiceName};
use crate::power::is_free;
use crate::spec::{Condition, HealthTest, RuntimeKind};
use std::collections::BTreeMap;

/// What the checks look at.
pub(crate) struct App<'a> {
    pub(crate) file: &'a File,
    pub(crate) enabled: &'a Enabled<'a>,
    pub(crate) runtime: RuntimeKind,
    pub(crate) project_dir: &'a str,
    pub(crate) reader: &'a dyn Files,
}

impl App<'_> {
    /// Reports everything that is wrong between keys and services.
    pub(crate) fn check(&self, report: &mut Report) {
        if self.enabled.is_empty() && !self.file.services.is_empty() {
            let place = self.file.services.values().next().map_or(Place::default(), |s| s.place);
            report
                .error("no-services", place, "every service belongs to a profile, and none is chosen")
                .hint("choose with `--profile NAME`");
        }
        for (name, service) in self.enabled {
            if report.is_full() {
                return;
            }
            self.program(name, service, report);
            self.dependencies(name, service, report);
            self.mounts(name, service, report);
            self.ports(name, service, report);
            self.replicas(name, service, report);
            match self.runtime {
                RuntimeKind::Process => self.of_process(name, service, report),
                RuntimeKind::Docker => {
                    if let Some(build) = &service.landfall.build {
                        let message = format!("`x-landfall.build` of `{name}` has no effect: it builds programs for `runtime: process`");
                        report.warning("not-honoured", build.place, message).hint("remove it");
                    }
                }
            }
        }
        self.routes(report);
        self.host_ports(report);
    }

    /// What runs.
    fn program(&self, name: &ServiceName, service: &ServiceFile, report: &mut Report) {
        match (self.runtime, service.image_place, &service.build) {
            (RuntimeKind::Docker, None, None) if service.provided => {}
            (RuntimeKind::Docker, None, None) => {
                report.error("no-image", service.place, format!("`{name}` has no `image`")).hint("write `image: name:tag`");
            }
            (RuntimeKind::Docker, image, Some(build)) => {
                const ELSEWHERE: &str =
                    "build it elsewhere (`docker buildx build --load`), name it with `image`, and `landfall deploy --push`";
                for (key, place, why) in &build.refused {
                    match image {
                        None => report.error("refused", *place, format!("`{key}` is refused: {why}")).hint(ELSEWHERE),
                        // The image may be pulled, and then nothing is built.
                        Some(_) => report.warning("not-honoured", *place, format!("`{key}` is not honoured: {why}")).hint(ELSEWHERE),
                    }
                }
            }
            (RuntimeKind::Docker, Some(_), None) => {}
            (RuntimeKind::Process, image, build) => {
                if let Some(image) = image {
                    let message = format!("`{name}` has an `image`, and under `runtime: process` programs run without one");
                    report.error("image-under-process", image, message).hint("remove `image`, or remove `runtime: process`");
                }
                if let Some(build) = build {
                    let message = format!("`build` of `{name}` is not honoured under `runtime: process`");
                    report
                        .warning("not-honoured", build.place, message)
                        .hint("write the program that builds it: `x-landfall: { build: [make] }`");
                }
                let argv = service.entrypoint.iter().chain(&service.command).flat_map(|c| &c.value).next();
                let idle = super::shape::is_idle(service);
                if argv.is_none_or(String::is_empty) && !idle && !(service.command_given && service.command.is_none()) {
                    report
                        .error("no-command", service.place, format!("`{name}` has no `command`"))
                        .hint("write `command: [./program, argument]`");
                }
            }
        }
    }

    fn dependencies(&self, name: &ServiceName, service: &ServiceFile, report: &mut Report) {
        for (other, (dependency, place)) in &service.depends_on {
            if report.is_full() {
                return;
            }
            // One that is not there was complained about when references were followed.
            let Some(target) = self.enabled.get(other) else { continue };
            if dependency.condition == Condition::ServiceCompletedSuccessfully && !is_job(other, target, self.enabled) {
                let message = format!("`{name}` waits for the end of `{other}`, which is a service that stays");
                let hint = match written_restart(target) {
                    Some(_) => format!("write `restart: \"no\"` in `{other}`"),
                    None => format!("`{other}` has routes: wait for `service_healthy`"),
                };
                report.error("never-completes", *place, message).hint(hint);
            }
        }
    }

    fn mounts(&self, name: &ServiceName, service: &ServiceFile, report: &mut Report) {
        let mut targets: BTreeMap<&str, u32> = BTreeMap::new();
        for mount in &service.mounts {
            if report.is_full() {
                return;
            }
            if let Some(line) = targets.insert(&mount.target, mount.place.line) {
                let message = format!("`{name}` mounts two things at `{}`; the first is on line {line}", mount.target);
                report.error("mount-collision", mount.place, message).hint("mount each at a path of its own");
            }
            if let SourceFile::Bind(source) = &mount.source {
                self.bind(source, mount, report);
            }
        }
    }

    fn bind(&self, source: &str, mount: &MountFile, report: &mut Report) {
        let full = path::absolute(self.project_dir, source);
        // What lies outside of the project is the server's, and this may be another machine.
        if self.runtime == RuntimeKind::Process || !is_free(self.project_dir, &full) || self.reader.exists(&full) {
            return;
        }
        let message = format!("the path `{}` does not exist", self.host_path(source, mount.place, report));
        match (mount.options.create, mount.read_only) {
            (false, _) => {
                report.error("bind-missing", mount.place, message).hint("create it, or write `bind: { create_host_path: true }`");
            }
            (true, true) => {
                report
                    .error("bind-missing", mount.place, message)
                    .hint("create it; the engine would mount an empty directory in its place");
            }
            (true, false) => {
                report.warning("bind-missing", mount.place, message).hint("the engine will create it as an empty directory owned by root");
            }
        }
    }

    /// A path as the file writes it, which is relative more often than not.
    pub(crate) fn host_path(&self, source: &str, place: Place, report: &Report) -> String {
        let relative = path::relative(self.project_dir, source).unwrap_or_default();
        let ways = [source.to_owned(), format!("./{relative}"), relative];
        ways.iter().map(|way| report.written(place, way)).find(|shown| shown != "…").unwrap_or_else(|| "…".into())
    }

    /// A port for what needs one.
    fn ports(&self, name: &ServiceName, service: &ServiceFile, report: &mut Report) {
        let health = service.landfall.health.as_ref().filter(|h| h.path.is_some() && h.port.is_none());
        let route = service.landfall.routes.first();
        let forwarded = service.landfall.routes.iter().find(|r| r.filters.answer.is_none());
        let needs = forwarded.map(|r| (r.path.place, "routes")).or(health.map(|h| (h.place, "a health path")));
        if let (Some((place, what)), None) = (needs, port(service, self.runtime)) {
            let declared: Vec<String> = declared_ports(service).iter().map(u16::to_string).collect();
            let message = match declared.as_slice() {
                [] => format!("`{name}` has {what} and says no port to ask"),
                many => format!("`{name}` has {what} and several ports: {}", many.join(", ")),
            };
            let example = declared.first().map_or("8000", String::as_str);
            report
                .error("no-port", place, message)
                .hint(format!("say which port the program listens on: `x-landfall: {{ port: {example} }}`"));
        }
        let access = &service.container.access;
        let outside = access.no_network || access.host.contains(&Namespace::Network);
        if let (Some((place, what)), true) = (needs, outside) {
            let message = format!("`{name}` has {what} and is on none of the app's networks");
            report.error("no-network", place, message).hint("remove `network_mode`, or the routes");
        }
        if let Some(first) = service.ports.first().filter(|_| route.is_some()) {
            let message = format!("`ports` of `{name}` is not published: requests reach it through its routes");
            report.warning("port-not-published", first.place, message).hint("remove `ports`; other services reach it by name without it");
        }
    }

    fn replicas(&self, name: &ServiceName, service: &ServiceFile, report: &mut Report) {
        let Some(replicas) = &service.deploy.replicas else { return };
        let routed = !service.landfall.routes.is_empty();
        if replicas.value == 0 && service.landfall.routes.iter().any(|r| r.filters.answer.is_none()) {
            report
                .warning("no-replica", replicas.place, format!("`{name}` has routes and no replica to answer them"))
                .hint("write at least 1");
        }
        if replicas.value < 2 || self.runtime == RuntimeKind::Process {
            return;
        }
        if is_job(name, service, self.enabled) {
            report.warning("not-honoured", replicas.place, format!("`{name}` is a job and runs once")).hint("remove `replicas`");
            return;
        }
        let fixed = service.ports.iter().find(|p| p.value.host_port > 0).filter(|_| !routed);
        if let Some(port) = fixed {
            let message = format!("{} replicas of `{name}` cannot share port {} of the host", replicas.value, port.value.host_port);
            report.error("port-collision", port.place, message).hint("remove the published port, or run one replica");
        }
        let shared = service.mounts.iter().find(|m| !m.read_only && matches!(m.source, SourceFile::Volume(_)));
        if let (Some(mount), SourceFile::Volume(volume)) = (shared, shared.map_or(&SourceFile::Anonymous, |m| &m.source)) {
            let message = format!("{} replicas of `{name}` write the volume `{volume}` at the same time", replicas.value);
            report
                .warning("shared-volume", mount.place, message)
                .hint("right for files, wrong for a database; mount it `:ro` where it is only read");
        }
    }

    /// What has no meaning for programs on the host.
    fn of_process(&self, name: &ServiceName, service: &ServiceFile, report: &mut Report) {
        if let HealthFile::Given(check, place) = &service.healthcheck
            && matches!(check.test, HealthTest::Shell { .. })
        {
            let message = format!("the healthcheck of `{name}` needs a shell, and none is run on the host");
            report
                .error("refused", *place, message)
                .hint("write `test: [CMD, program, argument]`, or `x-landfall: { health: { path: /health } }`");
        }
        for route in &service.landfall.routes {
            if let Some(Answer::Files(files)) =
                route.filters.answer.as_ref().filter(|a| matches!(a, Answer::Files(f) if f.root.is_in_image()))
            {
                let message = format!("`{}` would be a directory of an image, and under `runtime: process` there is none", files.root);
                report.error("image-under-process", route.path.place, message).hint("name a directory of the project: `static: ./dist`");
            }
        }
        // A network every service joins anyway is no wish.
        let networks = service.networks.as_ref().and_then(|n| n.iter().find(|n| n.value.as_str() != "default"));
        let port = service.landfall.health.as_ref().and_then(|h| h.port.as_ref());
        for (place, what) in [(networks.map(|n| n.place), "networks have"), (port.map(|p| p.place), "the port of `health` has")] {
            let Some(place) = place else { continue };
            report
                .warning("not-honoured", place, format!("`{name}`: {what} no effect under `runtime: process`"))
                .hint("a program shares the host's network and listens on the port in `PORT`");
        }
        if let Some(port) = service.ports.first().filter(|_| service.landfall.routes.is_empty()) {
            let message = format!("`ports` of `{name}` is not published under `runtime: process`");
            report.warning("port-not-published", port.place, message).hint("give it routes; the program listens on the port in `PORT`");
        }
    }

    /// Two services that claim one path.
    fn routes(&self, report: &mut Report) {
        let landfall = &self.file.landfall;
        let mut claimed: BTreeMap<(Option<&Domain>, bool, &str), (&ServiceName, Place)> = BTreeMap::new();
        for (name, service) in self.enabled {
            for route in &service.landfall.routes {
                let host = route.host.as_ref().filter(|h| landfall.canonical() != Some(&h.value));
                if let Some((host, canonical)) =
                    host.zip(landfall.canonical()).filter(|(h, _)| landfall.domains.iter().any(|d| d.value == h.value))
                {
                    let message = format!("`{}` redirects to `{canonical}`, so nothing is served there", host.value);
                    report.error("contradiction", host.place, message).hint("remove it from `domains`, or from the route");
                }
                let path = &route.path.value;
                let key = (host.map(|h| &h.value), path.is_exact(), path.path());
                let Some((other, first)) = claimed.get(&key) else {
                    claimed.insert(key, (name, route.path.place));
                    continue;
                };
                let file = report.span(*first).map(|s| s.file).unwrap_or_default();
                let message =
                    format!("`{}` is routed to `{name}` here and to `{other}` at {file}:{}:{}", route.path.value, first.line, first.column);
                report
                    .error("route-collision", route.path.place, message)
                    .hint("give each path to one service; the longest matching path wins");
            }
        }
    }

    /// Two services that publish one port, or one the proxy listens on.
    fn host_ports(&self, report: &mut Report) {
        if self.runtime == RuntimeKind::Process {
            return;
        }
        let mut owners: BTreeMap<(u16, bool), (&ServiceName, &str)> = BTreeMap::new();
        for (name, service) in self.enabled.iter().filter(|(_, s)| s.landfall.routes.is_empty()) {
            for port in service.ports.iter().filter(|p| p.value.host_port > 0) {
                let key = (port.value.host_port, port.value.udp);
                let meets = |ip: &str| ip == port.value.host_ip || ip.is_empty() || port.value.host_ip.is_empty();
                match owners.get(&key) {
                    Some((other, ip)) if meets(ip) => {
                        let message = format!("port {} of the host is published by `{other}` and `{name}`", key.0);
                        report.error("port-collision", port.place, message).hint("publish it once");
                    }
                    _ => {
                        owners.insert(key, (name, &port.value.host_ip));
                    }
                }
                if matches!(key, (80 | 443, false)) {
                    let message = format!("`{name}` publishes port {}, which Landfall's proxy serves", key.0);
                    report
                        .warning("proxy-port", port.place, message)
                        .hint("give the services behind it `x-landfall: { routes: [/] }` and drop this one's port");
                }
            }
        }
    }
}
