//! What few services need, as the engine wants it told: field by field, pure, nothing set that the spec does not say.

use crate::docker::container::{said, signed};
use bollard::models::{
    DeviceMapping, DeviceRequest, HostConfig, HostConfigCgroupnsModeEnum, MountBindOptions, MountBindOptionsPropagationEnum,
    MountTmpfsOptions, ResourcesBlkioWeightDevice, ResourcesUlimits, ThrottleDevice,
};
use landfall_model::container::{Container, Namespace, Share};
use landfall_model::spec::{Mount, MountSource, Propagation};
use std::collections::BTreeMap;

/// Puts everything a container says of itself into the host's part of its body.
pub(crate) fn fill(host: &mut HostConfig, container: &Container) {
    let list = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    let map = |pairs: &BTreeMap<String, String>| (!pairs.is_empty()).then(|| pairs.clone().into_iter().collect());
    host.extra_hosts = list(&container.extra_hosts);
    host.dns_search = list(&container.dns_search);
    host.dns_options = list(&container.dns_options);
    host.group_add = list(&container.groups);
    host.security_opt = list(&container.security);
    host.sysctls = map(&container.sysctls);
    host.storage_opt = map(&container.storage);
    host.tmpfs = map(&container.tmpfs);
    let limit = |(name, limit): (&String, &landfall_model::container::Ulimit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    };
    host.ulimits = (!container.ulimits.is_empty()).then(|| container.ulimits.iter().map(limit).collect());
    host.cap_drop = (!container.dropped.is_empty()).then(|| container.dropped.iter().cloned().collect());
    host.cgroupns_mode = container.private_cgroup.then_some(HostConfigCgroupnsModeEnum::PRIVATE);
    host.ipc_mode = said(&container.ipc);
    share(host, &container.share);
    access(host, container);
}

fn share(host: &mut HostConfig, share: &Share) {
    let some = |n: u64| (n > 0).then(|| signed(n));
    host.cpu_shares = some(share.cpu_shares);
    host.cpu_period = some(share.cpu_period);
    host.cpu_quota = (share.cpu_quota != 0).then_some(share.cpu_quota);
    host.cpu_realtime_period = some(share.realtime_period);
    host.cpu_realtime_runtime = some(share.realtime_runtime);
    host.cpuset_cpus = said(&share.cores);
    host.memory_reservation = some(share.memory_reservation);
    host.memory_swap = (share.memory_and_swap != 0).then_some(share.memory_and_swap);
    host.memory_swappiness = share.swappiness.map(i64::from);
    host.oom_score_adj = (share.oom_score != 0).then(|| i64::from(share.oom_score));
    host.blkio_weight = (share.disk_weight > 0).then_some(share.disk_weight);
    let weight =
        |(path, weight): (&String, &u16)| ResourcesBlkioWeightDevice { path: Some(path.clone()), weight: Some(usize::from(*weight)) };
    host.blkio_weight_device = (!share.disk_weights.is_empty()).then(|| share.disk_weights.iter().map(weight).collect());
    let rates = |rates: &BTreeMap<String, u64>| {
        let rate = |(path, rate): (&String, &u64)| ThrottleDevice { path: Some(path.clone()), rate: Some(signed(*rate)) };
        (!rates.is_empty()).then(|| rates.iter().map(rate).collect::<Vec<_>>())
    };
    host.blkio_device_read_bps = rates(&share.read_bytes);
    host.blkio_device_write_bps = rates(&share.write_bytes);
    host.blkio_device_read_iops = rates(&share.reads);
    host.blkio_device_write_iops = rates(&share.writes);
}

/// Powers over the host: the agent has made sure that they were granted.
fn access(host: &mut HostConfig, container: &Container) {
    let access = &container.access;
    host.privileged = access.privileged.then_some(true);
    host.cap_add = (!access.capabilities.is_empty()).then(|| access.capabilities.iter().cloned().collect());
    let device = |d: &landfall_model::container::Device| DeviceMapping {
        path_on_host: Some(d.source.clone()),
        path_in_container: Some(d.target.clone()),
        cgroup_permissions: Some(d.permissions.clone()),
    };
    host.devices = (!access.devices.is_empty()).then(|| access.devices.iter().map(device).collect());
    host.device_cgroup_rules = (!access.device_rules.is_empty()).then(|| access.device_rules.clone());
    let request = |g: &landfall_model::container::Gpus| DeviceRequest {
        driver: said(&g.driver),
        count: (g.ids.is_empty()).then_some(g.count),
        device_ids: (!g.ids.is_empty()).then(|| g.ids.clone()),
        // A list of alternatives, each a list of what must all be there.
        capabilities: Some(vec![g.capabilities.clone()]),
        options: Some(g.options.clone().into_iter().collect()),
    };
    host.device_requests = (!access.gpus.is_empty()).then(|| access.gpus.iter().map(request).collect());
    host.cgroup_parent = said(&access.cgroup_parent);
    host.runtime = said(&access.runtime);
    for namespace in &access.host {
        let mode = || Some("host".to_owned());
        match namespace {
            Namespace::Cgroup => host.cgroupns_mode = Some(HostConfigCgroupnsModeEnum::HOST),
            Namespace::Ipc => host.ipc_mode = mode(),
            Namespace::Pid => host.pid_mode = mode(),
            Namespace::Userns => host.userns_mode = mode(),
            Namespace::Uts => host.uts_mode = mode(),
            // Said by the network mode.
            Namespace::Network => {}
        }
    }
}

/// A bind as one line, when it needs what only a line can say to an engine of 20.10: that its source is made, or relabelled. A path with a
/// colon cannot be said so and goes without.
pub(crate) fn bind(mount: &Mount) -> Option<String> {
    let MountSource::Bind { path, create, relabel, propagation, .. } = &mount.source else { return None };
    if path.contains(':') || mount.target.contains(':') || !*create && relabel.is_empty() {
        return None;
    }
    let mode = if mount.read_only { "ro" } else { "rw" };
    let relabel = matches!(relabel.as_str(), "z" | "Z").then_some(relabel.as_str());
    let words: Vec<&str> = [mode, word(*propagation)].into_iter().chain(relabel).collect();
    Some(format!("{path}:{}:{}", mount.target, words.join(",")))
}

fn word(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Rprivate => "rprivate",
        Propagation::Private => "private",
        Propagation::Slave => "slave",
        Propagation::Rslave => "rslave",
        Propagation::Shared => "shared",
        Propagation::Rshared => "rshared",
    }
}

/// What a bind's mount says of mounts below it.
pub(crate) fn propagation(source: &MountSource) -> Option<MountBindOptions> {
    let MountSource::Bind { propagation, .. } = source else { return None };
    let mode = match propagation {
        Propagation::Rprivate => return None,
        Propagation::Private => MountBindOptionsPropagationEnum::PRIVATE,
        Propagation::Slave => MountBindOptionsPropagationEnum::SLAVE,
        Propagation::Rslave => MountBindOptionsPropagationEnum::RSLAVE,
        Propagation::Shared => MountBindOptionsPropagationEnum::SHARED,
        Propagation::Rshared => MountBindOptionsPropagationEnum::RSHARED,
    };
    Some(MountBindOptions { propagation: Some(mode), ..MountBindOptions::default() })
}

/// Bounds of a mount in memory.
pub(crate) fn memory(source: &MountSource) -> Option<MountTmpfsOptions> {
    let MountSource::Tmpfs { size_bytes, mode } = source else { return None };
    let some = |n: u64| (n > 0).then(|| signed(n));
    (*size_bytes > 0 || *mode > 0).then(|| MountTmpfsOptions {
        size_bytes: some(*size_bytes),
        mode: some(u64::from(*mode)),
        ..MountTmpfsOptions::default()
    })
}
