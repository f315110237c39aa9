//! The support table: every key of the Compose Specification and what each runtime does with it.
//!
//! Keys that share a verdict share a line. A key stands relative to the first word of its line; `*` is any name, `[]` any element of a list. The
//! test beside [`super`] holds the table against the official schema: a key in only one of them fails it.

use super::Group;
use super::Support::{Granted, Honoured, Ignored, Partly, Refused};

/// What a container has and a program has not.
const NO_CONTAINER: &str = "a program runs as the user of Landfall, sees the host's files and listens on the port in `PORT`";
const NO_FILES: &str = "a program has no files of its own; hand the value on as a variable";
const NO_NETWORK: &str = "programs share the host's network";
const NO_VOLUME: &str = "programs write where they like";
const ESCAPE: &str = "it would let the container out into the host";
const DEVICES: &str = "devices of the host are not given to containers";
const SWARM: &str = "it speaks of Swarm";
const SWARM_STORE: &str = "what is kept in a Swarm is not on this server; use `file`, `environment` or `content`";
const NOWHERE: &str = "values live in the release and not in the engine, so the name is used nowhere";
const TERMINAL: &str = "it speaks of `docker compose up` in a terminal";
const BUILDKIT: &str =
    "only BuildKit understands it, and the engine's own builder is used; build it elsewhere and `landfall deploy --push`";
const UNBUILT: &str = "it changes nothing of the image";
const OWN_BUILD: &str = "write the program that builds it: `x-landfall: { build: [make] }`";
const NAMED: &str = "replicas are named by Landfall, so that the old and the new release can run side by side; other services reach it by this name all the same";
const WINDOWS: &str = "it speaks of Windows";
const RESOLVES: &str = "a replaced service keeps its name, and those that depend on it find it again by that";
const ONE_SERVER: &str = "there is one server to be placed on";
const BACKOFF: &str = "the engine waits twice as long after each crash by itself";
const UNDO: &str = "a release that fails is undone by a plan of its own: the old replicas never stopped serving";
const TOGETHER: &str = "all replicas of a service are replaced in one switch, after the new ones have passed their gates";
const WATCH: &str = "a new release is not watched after the switch yet";
const SIDE_BY_SIDE: &str = "the old and the new replica run side by side and cannot have one address";
const HOOKS: &str = "no command is run beside a replica's own yet; use `x-landfall.migrate` for one that runs once per release";

const MODELS: &str = "Landfall runs no models";
const PROVIDER: &str = "a program of the server outside of containers would provide it, and Landfall starts none";

/// Keys outside of services.
pub(super) const APP: &[Group] = &[
    rows("", "configs secrets", Honoured, Partly(NO_FILES)),
    both("", "include include[].env_file include[].path include[].project_directory name services", Honoured),
    rows("", "networks", Honoured, Partly(NO_NETWORK)),
    both("", "version", Ignored("it has no meaning any more")).elsewhere(),
    rows("", "volumes", Honoured, Partly(NO_VOLUME)),
    rows("configs.*", "content environment file", Honoured, Partly(NO_FILES)),
    both("configs.*", "external external.name", Refused(SWARM_STORE)).unless(&["false"]),
    both("configs.*", "labels", Ignored(SWARM)),
    both("configs.*", "name", Partly(NOWHERE)),
    both("configs.*", "template_driver", Refused("templates are filled in by Swarm")),
    both("", "models", Partly("a service that uses one is refused")),
    both("models.*", "context_size model name runtime_flags", Partly("a service that uses one is refused")),
    rows(
        "networks.*",
        "attachable driver_opts enable_ipv6 external external.name internal ipam ipam.config ipam.config[].aux_addresses \
         ipam.config[].gateway ipam.config[].ip_range ipam.config[].subnet ipam.driver ipam.options labels name",
        Honoured,
        Partly(NO_NETWORK),
    ),
    rows(
        "networks.*",
        "driver",
        Partly("`bridge`; others are refused, because names are answered on a bridge's gateway"),
        Partly(NO_NETWORK),
    ),
    rows("networks.*", "enable_ipv4", Ignored("names are answered over IPv4"), Partly(NO_NETWORK)).unless(&["true"]),
    both("secrets.*", "driver driver_opts", Refused("secret drivers are plugins of Swarm")),
    rows("secrets.*", "environment file", Honoured, Partly(NO_FILES)),
    rows("secrets.*", "external external.name name", Honoured, Partly(NO_FILES)),
    both("secrets.*", "labels", Ignored(SWARM)),
    both("secrets.*", "template_driver", Refused("templates are filled in by Swarm")),
    rows("volumes.*", "driver", Granted("a volume driver is a program with the host's rights"), Partly(NO_VOLUME)).unless(&["local"]),
    rows(
        "volumes.*",
        "driver_opts",
        Granted("they can mount any directory and device of the host; memory, NFS and CIFS need no grant"),
        Partly(NO_VOLUME),
    ),
    rows("volumes.*", "external external.name labels name", Honoured, Partly(NO_VOLUME)),
];

/// Keys of services.
pub(super) const SERVICES: &[Group] = &[
    container("services.*", "annotations", Ignored("engines before Docker 25 do not know them, and nothing in Landfall reads them")),
    both("services.*", "attach", Ignored(TERMINAL)),
    container(
        "services.*",
        "blkio_config cap_drop cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset dns_opt dns_search \
         domainname extra_hosts group_add hostname init label_file labels logging mem_limit mem_reservation mem_swappiness \
         memswap_limit oom_score_adj pids_limit read_only shm_size stdin_open storage_opt sysctls tmpfs tty ulimits \
         ulimits.*.hard ulimits.*.soft user volumes",
        Honoured,
    ),
    rows(
        "services.*",
        "configs configs[].gid configs[].mode configs[].source configs[].target configs[].uid secrets secrets[].gid secrets[].mode \
         secrets[].source secrets[].target secrets[].uid",
        Honoured,
        Ignored(NO_FILES),
    ),
    rows("services.*", "build", Partly("`landfall deploy --build` builds; without it the release keeps its image"), Ignored(OWN_BUILD))
        .elsewhere(),
    container("services.*", "cap_add", Granted("capabilities beyond the engine's usual set reach the host")),
    container("services.*", "cgroup", Granted(ESCAPE)).unless(&["private"]),
    container("services.*", "cgroup_parent", Granted("it moves the container out of the limits the owner set for containers")),
    both(
        "services.*",
        "command depends_on depends_on.*.condition depends_on.*.required deploy entrypoint env_file env_file[].format \
         env_file[].path env_file[].required environment expose extends extends.file extends.service healthcheck \
         healthcheck.disable healthcheck.interval healthcheck.retries healthcheck.start_period healthcheck.test \
         healthcheck.timeout profiles restart scale stop_grace_period stop_signal working_dir",
        Honoured,
    ),
    both("services.*", "container_name", Ignored(NAMED)),
    both(
        "services.*",
        "cpu_count cpu_percent credential_spec credential_spec.config credential_spec.file credential_spec.registry isolation",
        Ignored(WINDOWS),
    ),
    both("services.*", "depends_on.*.restart", Ignored(RESOLVES)),
    both("services.*", "develop", Ignored("it speaks of `docker compose watch`")),
    container(
        "services.*",
        "device_cgroup_rules devices devices[].permissions devices[].source devices[].target gpus gpus[].capabilities \
         gpus[].count gpus[].device_ids gpus[].driver gpus[].options",
        Granted(DEVICES),
    ),
    container(
        "services.*",
        "dns",
        Ignored("Landfall answers the names of services itself and passes on all others to the server's resolvers"),
    ),
    both("services.*", "external_links", Refused("containers outside the app have no name inside it")),
    both("services.*", "healthcheck.start_interval", Ignored("the gate asks again and again by itself while a replica starts")),
    container("services.*", "image networks ports", Honoured).elsewhere(),
    container("services.*", "ipc", Granted(ESCAPE)).unless(&["private", "none", "shareable"]),
    container("services.*", "links", Partly("services of one network reach each other by name; an alias is answered to all of them")),
    container(
        "services.*",
        "logging.driver",
        Partly("`json-file` and `local`: logs are kept on the server, in bounded files, for `landfall logs`"),
    ),
    container("services.*", "logging.options", Partly("`max-size` and `max-file`")),
    container("services.*", "mac_address", Ignored(SIDE_BY_SIDE)),
    container(
        "services.*",
        "network_mode",
        Granted("`none` and `bridge` are honoured; `host` must be granted; `service:` and `container:` are refused"),
    ),
    container("services.*", "oom_kill_disable", Refused("a container that cannot be killed can stop the whole server")).unless(&["false"]),
    container("services.*", "pid userns_mode uts", Granted(ESCAPE)),
    container("services.*", "platform", Ignored("images are pulled for the server's own processor")),
    both("services.*", "models models.*.endpoint_var models.*.model_var", Refused(MODELS)),
    both("services.*", "provider provider.options provider.type", Refused(PROVIDER)),
    both(
        "services.*",
        "post_start post_start[].command post_start[].environment post_start[].privileged post_start[].user \
         post_start[].working_dir pre_stop pre_stop[].command pre_stop[].environment pre_stop[].privileged pre_stop[].user \
         pre_stop[].working_dir",
        Ignored(HOOKS),
    ),
    container("services.*", "privileged", Granted("a privileged container is root on the host")).unless(&["false"]),
    container("services.*", "pull_policy", Partly("`always`, `missing` and `never`; the others are as `missing`, with a warning")),
    container("services.*", "pull_refresh_after", Ignored("images are fetched when a release needs them, and not by the clock")),
    container("services.*", "runtime", Granted("another runtime may build other walls, or none")).unless(&["runc"]),
    container("services.*", "security_opt", Granted("options that take walls away must be granted; those that add some are honoured")),
    container(
        "services.*",
        "use_api_socket",
        Refused("it hands the engine, and what its user may fetch from registries, to the container"),
    )
    .unless(&["false"]),
    both("services.*", "volumes_from", Refused("volumes are shared by name")),
    container(
        "services.*.blkio_config",
        "device_read_bps device_read_bps[].path device_read_bps[].rate device_read_iops device_read_iops[].path \
         device_read_iops[].rate device_write_bps device_write_bps[].path device_write_bps[].rate device_write_iops \
         device_write_iops[].path device_write_iops[].rate weight weight_device weight_device[].path weight_device[].weight",
        Honoured,
    ),
    rows("services.*.build", "args dockerfile dockerfile_inline labels no_cache pull shm_size target", Honoured, Ignored(OWN_BUILD))
        .elsewhere(),
    rows("services.*.build", "cache_from", Partly("names of images, not caches of BuildKit"), Ignored(OWN_BUILD)).elsewhere(),
    rows("services.*.build", "context", Partly("a directory; repositories and URLs are refused"), Ignored(OWN_BUILD)).elsewhere(),
    rows("services.*.build", "extra_hosts", Partly("one host, for which the engine's call has room"), Ignored(OWN_BUILD)).elsewhere(),
    rows("services.*.build", "network", Partly("on the server `none`, and the engine's usual one"), Ignored(OWN_BUILD)).elsewhere(),
    rows("services.*.build", "platforms", Partly("the engine's own must be among them"), Ignored(OWN_BUILD)).elsewhere(),
    rows(
        "services.*.build",
        "additional_contexts entitlements privileged secrets secrets[].gid secrets[].mode secrets[].source secrets[].target \
         secrets[].uid ssh ulimits ulimits.*.hard ulimits.*.soft",
        Refused(BUILDKIT),
        Ignored(OWN_BUILD),
    )
    .elsewhere(),
    rows("services.*.build", "cache_to tags", Ignored(UNBUILT), Ignored(OWN_BUILD)),
    rows("services.*.build", "provenance sbom", Ignored("the engine's own builder attests nothing"), Ignored(OWN_BUILD)).unless(&["false"]),
    rows("services.*.build", "isolation", Ignored(WINDOWS), Ignored(OWN_BUILD)),
    both(
        "services.*.deploy",
        "endpoint_mode resources.reservations.generic_resources \
         resources.reservations.generic_resources[].discrete_resource_spec \
         resources.reservations.generic_resources[].discrete_resource_spec.kind \
         resources.reservations.generic_resources[].discrete_resource_spec.value",
        Ignored(SWARM),
    ),
    rows(
        "services.*.deploy",
        "labels",
        Ignored("they are labels of a Swarm service; `labels` beside `deploy` are the container's"),
        Ignored(SWARM),
    ),
    both("services.*.deploy", "mode", Partly("`replicated`; write `restart: \"no\"` for a job")),
    both(
        "services.*.deploy",
        "placement placement.constraints placement.max_replicas_per_node placement.preferences placement.preferences[].spread",
        Ignored(ONE_SERVER),
    ),
    both(
        "services.*.deploy",
        "replicas resources restart_policy restart_policy.condition restart_policy.max_attempts update_config \
         update_config.order",
        Honoured,
    ),
    container(
        "services.*.deploy",
        "resources.limits resources.limits.cpus resources.limits.memory resources.limits.pids resources.reservations \
         resources.reservations.memory",
        Honoured,
    ),
    container(
        "services.*.deploy",
        "resources.reservations.cpus",
        Ignored("nothing is placed, so nothing is reserved; `limits` bound the others"),
    ),
    container(
        "services.*.deploy",
        "resources.reservations.devices resources.reservations.devices[].capabilities resources.reservations.devices[].count \
         resources.reservations.devices[].device_ids resources.reservations.devices[].driver \
         resources.reservations.devices[].options",
        Granted(DEVICES),
    ),
    both("services.*.deploy", "restart_policy.delay restart_policy.window", Ignored(BACKOFF)),
    both(
        "services.*.deploy",
        "rollback_config rollback_config.delay rollback_config.failure_action rollback_config.max_failure_ratio \
         rollback_config.monitor rollback_config.order rollback_config.parallelism",
        Ignored(UNDO),
    ),
    both("services.*.deploy", "update_config.delay update_config.parallelism", Ignored(TOGETHER)),
    both(
        "services.*.deploy",
        "update_config.failure_action",
        Ignored("a release that fails is always undone, and the old one goes on serving"),
    )
    .unless(&["rollback"]),
    both("services.*.deploy", "update_config.max_failure_ratio update_config.monitor", Ignored(WATCH)),
    both(
        "services.*.develop",
        "watch watch[].action watch[].exec watch[].exec.command watch[].exec.environment watch[].exec.privileged \
         watch[].exec.user watch[].exec.working_dir watch[].ignore watch[].include watch[].initial_sync watch[].path \
         watch[].target",
        Ignored("it speaks of `docker compose watch`"),
    ),
    container("services.*.networks.*", "aliases", Honoured),
    container("services.*.networks.*", "driver_opts", Ignored("a bridge has none for a single container")),
    container("services.*.networks.*", "gw_priority priority", Ignored("networks are joined in the order of their names")),
    container("services.*.networks.*", "interface_name", Ignored("engines before Docker 28 name interfaces themselves")),
    container("services.*.networks.*", "ipv4_address ipv6_address link_local_ips mac_address", Ignored(SIDE_BY_SIDE)),
    both("services.*.ports[]", "app_protocol mode name", Partly("it only describes the port")),
    container("services.*.ports[]", "host_ip protocol published target", Honoured),
    container(
        "services.*.volumes[]",
        "bind bind.create_host_path bind.selinux read_only target tmpfs tmpfs.mode tmpfs.size type volume volume.nocopy",
        Honoured,
    ),
    container(
        "services.*.volumes[]",
        "bind.propagation",
        Granted("`shared` propagation changes the host's own mounts; the others are honoured"),
    ),
    container("services.*.volumes[]", "bind.recursive", Ignored("engines before Docker 25 mount what lies below as well")),
    container("services.*.volumes[]", "consistency", Partly("it speaks of Docker Desktop")),
    container("services.*.volumes[]", "image image.subpath", Refused("engines before Docker 28 mount no images")),
    container("services.*.volumes[]", "volume.labels", Ignored("labels of a volume stand where it is declared, under `volumes`")),
    container("services.*.volumes[]", "source", Granted("a path outside the project must be granted")),
    container("services.*.volumes[]", "volume.subpath", Refused("engines before Docker 26 would mount the whole volume")),
];

/// Does the same under both runtimes.
const fn both(under: &'static str, keys: &'static str, support: super::Support) -> Group {
    rows(under, keys, support, support)
}

/// Belongs to containers.
const fn container(under: &'static str, keys: &'static str, docker: super::Support) -> Group {
    rows(under, keys, docker, Ignored(NO_CONTAINER))
}

const fn rows(under: &'static str, keys: &'static str, docker: super::Support, process: super::Support) -> Group {
    Group { under, keys, docker, process, unless: &[], elsewhere: false }
}
