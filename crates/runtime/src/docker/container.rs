//! From a [`Launch`] to the body of the engine's create call, field by field.
//!
//! Pure, so that the whole mapping is tested without an engine. Words of the user (arguments, environment, labels) are passed on as they
//! are, in JSON; nothing is ever put into a shell.

use super::{about, detail};
use crate::{Launch, RuntimeError};
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use landfall_model::container::Namespace;
use landfall_model::spec::{HealthTest, MountSource, Network, Program, Restart};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Labels that say what a container, network or volume is. What has no [`APP`] is not Landfall's.
pub(crate) mod label {
    pub(crate) const APP: &str = "landfall.app";
    pub(crate) const SERVICE: &str = "landfall.service";
    pub(crate) const REPLICA: &str = "landfall.replica";
    pub(crate) const RELEASE: &str = "landfall.release";
    pub(crate) const REVISION: &str = "landfall.revision";
    pub(crate) const JOB: &str = "landfall.job";
    pub(crate) const PORT: &str = "landfall.port";
    pub(crate) const IMAGE: &str = "landfall.image";
    /// The restart policy, to be put back after a stop that had to take it away.
    pub(crate) const RESTART: &str = "landfall.restart";
    /// On containers: JSON, key of the spec → external name.
    pub(crate) const NETWORKS: &str = "landfall.networks";
    pub(crate) const VOLUMES: &str = "landfall.volumes";
    /// On a network or volume: its key in the spec.
    pub(crate) const NETWORK: &str = "landfall.network";
    pub(crate) const VOLUME: &str = "landfall.volume";
    /// On a network: Landfall chooses the addresses of its containers.
    pub(crate) const ADDRESSES: &str = "landfall.addresses";
    /// On a network: JSON, all that was asked for when it was made.
    pub(crate) const OPTIONS: &str = "landfall.options";
}

/// The networks a launch joins, by key, in name order: the first is the one it is made with.
pub(crate) fn joined(launch: &Launch) -> Result<Vec<&Network>, RuntimeError> {
    let find = |key| {
        launch.networks.get(key).ok_or_else(|| RuntimeError::failed(format!("start `{}`", launch.id), format!("it has no network `{key}`")))
    };
    launch.template.networks.iter().map(find).collect()
}

/// What the engine is asked to make.
pub(crate) fn body(launch: &Launch) -> Result<ContainerCreateBody, RuntimeError> {
    let template = &launch.template;
    let Program::Image { reference, pinned, .. } = &template.program else {
        return Err(RuntimeError::NoProgram {
            program: launch.service.to_string(),
            reason: "the Docker runtime runs images, not programs".into(),
        });
    };
    let given = launch.environment.iter().chain(&template.environment);
    let environment: BTreeMap<&str, &str> = given.map(|(k, v)| (k.as_str(), v.reveal())).collect();
    Ok(ContainerCreateBody {
        image: Some(pinned.as_ref().map_or_else(|| reference.to_string(), ToString::to_string)),
        entrypoint: template.entrypoint.clone(),
        cmd: launch.argv.clone().or_else(|| template.command.clone()),
        env: Some(environment.into_iter().map(|(k, v)| format!("{k}={v}")).collect()),
        working_dir: template.working_dir.clone(),
        user: template.user.clone(),
        labels: Some(labels(launch, reference.as_str())?),
        exposed_ports: Some(template.ports.iter().map(|p| port_key(p.port, p.udp)).collect()),
        stop_signal: template.stop_signal.clone(),
        stop_timeout: Some(signed(template.stop_grace_ms.div_ceil(1000))),
        // A job has nothing to be healthy for, and its image's own check must not call it unhealthy; nor where the file turns checks off.
        healthcheck: if launch.job || template.container.no_healthcheck {
            Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() })
        } else {
            healthcheck(launch)
        },
        hostname: said(&template.container.hostname),
        domainname: said(&template.container.domain),
        tty: Some(template.container.tty),
        open_stdin: Some(template.container.stdin_open),
        host_config: Some(host(launch)?),
        networking_config: joined(launch)?.first().map(|network| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.external_name.clone(), EndpointSettings::default())])),
        }),
        ..ContainerCreateBody::default()
    })
}

fn host(launch: &Launch) -> Result<HostConfig, RuntimeError> {
    let template = &launch.template;
    let some = |n: u64| (n > 0).then(|| signed(n));
    let mut ports: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &template.ports {
        let binding = PortBinding { host_ip: Some(port.host_ip.clone()), host_port: Some(port.host_port.to_string()) };
        ports.entry(port_key(port.port, port.udp)).or_default().get_or_insert_default().push(binding);
    }
    let mounts = template.mounts.iter().filter(|m| detail::bind(m).is_none()).map(|m| mount(launch, m)).collect::<Result<Vec<_>, _>>()?;
    let mut host = HostConfig {
        network_mode: Some(match joined(launch)?.first() {
            Some(network) => network.external_name.clone(),
            None if template.container.access.host.contains(&Namespace::Network) => "host".to_owned(),
            None => "none".to_owned(),
        }),
        dns: (!launch.dns.is_empty()).then(|| launch.dns.iter().map(ToString::to_string).collect()),
        mounts: Some(mounts),
        binds: Some(template.mounts.iter().filter_map(detail::bind).collect()),
        port_bindings: Some(ports),
        restart_policy: Some(restart(if launch.job { Restart::No } else { template.restart })),
        memory: some(template.limits.memory_bytes),
        nano_cpus: some(template.limits.cpu_millis.saturating_mul(1_000_000)),
        pids_limit: some(template.limits.pids),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), template.log.max_bytes.max(1).to_string()),
                ("max-file".to_owned(), template.log.max_files.max(1).to_string()),
            ])),
        }),
        init: Some(template.init),
        readonly_rootfs: Some(template.read_only),
        shm_size: some(template.shm_bytes),
        ..HostConfig::default()
    };
    detail::fill(&mut host, &template.container);
    Ok(host)
}

/// Gives volumes without a name another container's: those the body asks for fresh, and those of the image, whose paths are
/// `image`. Where the body mounts something else, that stays. Such a volume goes with the last container that has it.
pub(crate) fn hand_on(body: &mut ContainerCreateBody, has: &BTreeMap<String, String>, image: &BTreeSet<String>) {
    let Some(host) = body.host_config.as_mut() else { return };
    let binds: Vec<String> = host.binds.iter().flatten().filter_map(|b| b.split(':').nth(1)).map(about::trimmed).collect();
    let memory: Vec<String> = host.tmpfs.iter().flatten().map(|(target, _)| about::trimmed(target)).collect();
    let mounts = host.mounts.get_or_insert_default();
    for (target, volume) in has {
        let at = mounts.iter_mut().find(|m| m.target.as_deref().map(about::trimmed).as_ref() == Some(target));
        match at {
            Some(mount) if mount.typ == Some(MountType::VOLUME) && mount.source.is_none() => mount.source = Some(volume.clone()),
            Some(_) => {}
            None if image.contains(target) && !binds.contains(target) && !memory.contains(target) => mounts.push(Mount {
                typ: Some(MountType::VOLUME),
                source: Some(volume.clone()),
                target: Some(target.clone()),
                ..Mount::default()
            }),
            None => {}
        }
    }
}

/// Empty text is the engine's own choice.
pub(crate) fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn mount(launch: &Launch, mount: &landfall_model::spec::Mount) -> Result<Mount, RuntimeError> {
    let (typ, source, no_copy) = match &mount.source {
        MountSource::Volume { name, no_copy } => {
            let missing = || RuntimeError::failed(format!("start `{}`", launch.id), format!("it has no volume `{name}`"));
            (MountType::VOLUME, Some(launch.volumes.get(name).ok_or_else(missing)?.external_name.clone()), *no_copy)
        }
        MountSource::Anonymous { no_copy } => (MountType::VOLUME, None, *no_copy),
        MountSource::Bind { path, .. } => (MountType::BIND, Some(path.clone()), false),
        MountSource::Tmpfs { .. } => (MountType::TMPFS, None, false),
    };
    Ok(Mount {
        typ: Some(typ),
        source,
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: detail::propagation(&mount.source),
        volume_options: no_copy.then(|| MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
        tmpfs_options: detail::memory(&mount.source),
        ..Mount::default()
    })
}

fn healthcheck(launch: &Launch) -> Option<HealthConfig> {
    let check = launch.template.healthcheck.as_ref()?;
    let (word, rest) = match &check.test {
        HealthTest::Exec { argv } => ("CMD", argv.clone()),
        HealthTest::Shell { script } => ("CMD-SHELL", vec![script.clone()]),
    };
    // Nanoseconds.
    let nanos = |ms: u64| Some(signed(ms.saturating_mul(1_000_000)));
    Some(HealthConfig {
        test: Some(std::iter::once(word.to_owned()).chain(rest).collect()),
        interval: nanos(check.interval_ms),
        timeout: nanos(check.timeout_ms),
        retries: Some(i64::from(check.retries)),
        start_period: nanos(check.start_period_ms),
        start_interval: None,
    })
}

/// The user's own labels, and ours over them.
fn labels(launch: &Launch, reference: &str) -> Result<HashMap<String, String>, RuntimeError> {
    let networks: BTreeMap<_, _> =
        launch.networks.iter().filter(|(k, _)| launch.template.networks.contains(k)).map(|(k, n)| (k, &n.external_name)).collect();
    let volumes: BTreeMap<_, _> = launch.volumes.iter().map(|(k, v)| (k, &v.external_name)).collect();
    let json = |value: serde_json::Result<String>| value.map_err(|e| RuntimeError::failed(format!("label `{}`", launch.id), e));
    let own = [
        (label::APP, launch.app.to_string()),
        (label::SERVICE, launch.service.to_string()),
        (label::REPLICA, launch.id.to_string()),
        (label::RELEASE, launch.release.to_string()),
        (label::REVISION, launch.revision.as_str().to_owned()),
        (label::JOB, launch.job.to_string()),
        (label::IMAGE, reference.to_owned()),
        (label::RESTART, json(serde_json::to_string(&launch.template.restart))?),
        (label::NETWORKS, json(serde_json::to_string(&networks))?),
        (label::VOLUMES, json(serde_json::to_string(&volumes))?),
    ];
    let port = launch.port.map(|port| (label::PORT, port.to_string()));
    let own = own.into_iter().chain(port).map(|(k, v)| (k.to_owned(), v));
    let users = launch.template.labels.iter().filter(|(k, _)| !k.starts_with("landfall.")).map(|(k, v)| (k.clone(), v.clone()));
    Ok(users.chain(own).collect())
}

pub(crate) fn restart(policy: Restart) -> RestartPolicy {
    let (name, max) = match policy {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure { max } => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(max))),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: max }
}

fn port_key(port: u16, udp: bool) -> String {
    format!("{port}/{}", if udp { "udp" } else { "tcp" })
}

/// The engine counts in signed numbers.
pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
