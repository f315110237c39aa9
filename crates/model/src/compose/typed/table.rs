//! What every key of a Compose file holds, in the order Docker Compose prints the keys.
//!
//! One table, read by two: [`super::decode`] refuses what a key cannot hold, and the printers write the same text Compose writes. The order, and
//! what is left out when empty, is that of the structures of compose-go 2.9, because the resolved file is compared with Compose's byte by byte.

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type {
    Text,
    /// A text, for which yes or no may stand.
    TextOrBool,
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A whole number from 0, cut to this many bits as Compose cuts it.
    Uint(u32),
    /// 32 bits of floating point.
    Float,
    /// The permissions of a file: a number, or octal digits as text. Printed as those.
    Mode,
    /// Bytes, printed as text.
    Bytes,
    Duration,
    /// How many devices: a number or `all`.
    Count,
    /// A list of texts; whole numbers count.
    Texts,
    /// One text or a list.
    OneOrTexts,
    /// A list of texts and numbers of any kind.
    Ports,
    /// A command: words, or a line that is split into them.
    Command,
    /// The command of a health check.
    Test,
    /// `NAME=value`, where nothing is an empty text.
    Mapping,
    /// `NAME=value`, where nothing stays nothing.
    Environment,
    /// The labels of a service, once its files have been worked in: every name is the user's.
    Labels,
    /// Its environment, likewise.
    Variables,
    /// A mapping to texts; whole numbers count.
    Strings,
    Hosts,
    Ssh,
    /// What a provider is told: lists of texts, whatever was written.
    Options,
    Ulimit,
    List(&'static Type),
    /// A mapping; nothing stays nothing.
    Map(&'static Type),
    /// A mapping whose keys are the user's names, `x-` ones too.
    Names(&'static Type),
    Struct(&'static Struct),
}

/// When a key is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Print {
    /// Unless it holds nothing: 0, false, an empty text or list.
    Filled,
    /// When it is there.
    Given,
    /// Always.
    Always,
    /// In YAML unless it holds nothing; in JSON always.
    Inline,
    /// In YAML when it is there; in JSON always, with `null` for what is not there.
    Command,
    /// In YAML unless it holds nothing; in JSON never, where Compose forgot it.
    Yaml,
    /// Never: Compose reads it and leaves it out.
    Never,
}

/// A key of a mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// The name in JSON, where Compose forgot to give one.
    pub(crate) json: &'static str,
    pub(crate) of: Type,
    pub(crate) print: Print,
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) keys: &'static [Key],
    /// Its `x-` keys are printed in YAML.
    pub(crate) extensions: bool,
}

const fn key(name: &'static str, of: Type) -> Key {
    Key { name, json: name, of, print: Print::Filled }
}

impl Key {
    const fn when(self, print: Print) -> Self {
        Self { print, ..self }
    }

    const fn in_json(self, json: &'static str) -> Self {
        Self { json, ..self }
    }
}

const fn open(keys: &'static [Key]) -> Struct {
    Struct { keys, extensions: true }
}

const fn closed(keys: &'static [Key]) -> Struct {
    Struct { keys, extensions: false }
}

use Print::{Always, Given, Inline, Never};
use Type::{
    Bool, Bytes, Command, Count, Duration, Environment, Float, Hosts, Int, Labels, List, Map, Mapping, Mode, Names, OneOrTexts, Options,
    Ports, Ssh, Strings, Test, Text, TextOrBool, Texts, Uint, Ulimit, Variables,
};

/// The whole file. The name stands first and is the printer's.
pub(crate) const FILE: Struct = open(&[
    key("services", Names(&Type::Struct(&SERVICE))).when(Always),
    key("networks", Names(&Type::Struct(&NETWORK))),
    key("volumes", Names(&Type::Struct(&VOLUME))),
    key("secrets", Names(&Type::Struct(&OBJECT))),
    key("configs", Names(&Type::Struct(&OBJECT))),
    key("models", Map(&Type::Struct(&MODEL))).when(Print::Yaml),
]);

pub(crate) const SERVICE: Struct = open(&[
    key("profiles", Texts),
    key("annotations", Mapping),
    key("attach", Bool).when(Given),
    key("build", Type::Struct(&BUILD)).when(Given),
    key("develop", Type::Struct(&DEVELOP)).when(Given),
    key("blkio_config", Type::Struct(&BLKIO)).when(Given),
    key("cap_add", Texts),
    key("cap_drop", Texts),
    key("cgroup_parent", Text),
    key("cgroup", Text),
    key("cpu_count", Int),
    key("cpu_percent", Float),
    key("cpu_period", Int),
    key("cpu_quota", Int),
    key("cpu_rt_period", Int),
    key("cpu_rt_runtime", Int),
    key("cpus", Float),
    key("cpuset", Text),
    key("cpu_shares", Int),
    key("command", Command).when(Print::Command),
    key("configs", List(&Type::Struct(&MOUNTED))),
    key("container_name", Text),
    key("credential_spec", Type::Struct(&CREDENTIAL)).when(Given),
    key("depends_on", Names(&Type::Struct(&DEPENDENCY))),
    key("deploy", Type::Struct(&DEPLOY)).when(Given),
    key("device_cgroup_rules", Texts),
    key("devices", List(&Type::Struct(&DEVICE))),
    key("dns", OneOrTexts),
    key("dns_opt", Texts),
    key("dns_search", OneOrTexts),
    key("domainname", Text),
    key("entrypoint", Command).when(Print::Command),
    key("provider", Type::Struct(&PROVIDER)).when(Given),
    key("environment", Variables),
    key("env_file", List(&Type::Struct(&ENV_FILE))).when(Never),
    key("expose", Ports),
    key("external_links", Texts),
    key("extra_hosts", Hosts),
    key("group_add", Texts),
    key("gpus", List(&Type::Struct(&REQUEST))),
    key("hostname", Text),
    key("healthcheck", Type::Struct(&HEALTH)).when(Given),
    key("image", Text),
    key("init", Bool).when(Given),
    key("ipc", Text),
    key("isolation", Text),
    key("labels", Labels),
    key("label_file", Texts).when(Never),
    key("links", Texts),
    key("logging", Type::Struct(&LOGGING)).when(Given),
    key("mem_limit", Bytes),
    key("mem_reservation", Bytes),
    key("memswap_limit", Bytes),
    key("mem_swappiness", Bytes),
    key("mac_address", Text),
    key("models", Map(&Type::Struct(&USED_MODEL))),
    key("network_mode", Text),
    key("networks", Map(&Type::Struct(&ATTACHMENT))),
    key("oom_kill_disable", Bool),
    key("oom_score_adj", Int),
    key("pid", Text),
    key("pids_limit", Int),
    key("platform", Text),
    key("ports", List(&Type::Struct(&PORT))),
    key("privileged", Bool),
    key("pull_policy", Text),
    key("pull_refresh_after", Text).when(Never),
    key("read_only", Bool),
    key("restart", Text),
    key("runtime", Text),
    key("scale", Int).when(Given),
    key("secrets", List(&Type::Struct(&MOUNTED))),
    key("security_opt", Texts),
    key("shm_size", Bytes),
    key("stdin_open", Bool),
    key("stop_grace_period", Duration).when(Given),
    key("stop_signal", Text),
    key("storage_opt", Strings),
    key("sysctls", Mapping),
    key("tmpfs", OneOrTexts),
    key("tty", Bool),
    key("ulimits", Map(&Ulimit)),
    key("use_api_socket", Bool),
    key("user", Text),
    key("userns_mode", Text),
    key("uts", Text),
    key("volumes", List(&Type::Struct(&MOUNT))),
    key("volumes_from", Texts),
    key("working_dir", Text),
    key("post_start", List(&Type::Struct(&HOOK))),
    key("pre_stop", List(&Type::Struct(&HOOK))),
]);

const BUILD: Struct = open(&[
    key("context", Text),
    key("dockerfile", Text),
    key("dockerfile_inline", Text),
    key("entitlements", Texts),
    key("args", Environment),
    key("provenance", TextOrBool),
    key("sbom", TextOrBool),
    key("ssh", Ssh),
    key("labels", Mapping),
    key("cache_from", OneOrTexts),
    key("cache_to", OneOrTexts),
    key("no_cache", Bool),
    key("additional_contexts", Mapping),
    key("pull", Bool),
    key("extra_hosts", Hosts),
    key("isolation", Text),
    key("network", Text),
    key("target", Text),
    key("secrets", List(&Type::Struct(&MOUNTED))),
    key("shm_size", Bytes),
    key("tags", OneOrTexts),
    key("ulimits", Map(&Ulimit)),
    key("platforms", OneOrTexts),
    key("privileged", Bool),
]);

const DEVELOP: Struct = open(&[key("watch", List(&Type::Struct(&WATCH)))]);

const WATCH: Struct = open(&[
    key("path", Text).when(Always),
    key("action", Text).when(Always),
    key("target", Text),
    key("exec", Type::Struct(&HOOK)).when(Inline),
    key("include", OneOrTexts),
    key("ignore", OneOrTexts),
    key("initial_sync", Bool),
]);

const HOOK: Struct = open(&[
    key("command", Command).when(Print::Command),
    key("user", Text),
    key("privileged", Bool),
    key("working_dir", Text),
    key("environment", Environment),
]);

const BLKIO: Struct = open(&[
    key("weight", Uint(16)),
    key("weight_device", List(&Type::Struct(&WEIGHT))),
    key("device_read_bps", List(&Type::Struct(&THROTTLE))),
    key("device_read_iops", List(&Type::Struct(&THROTTLE))),
    key("device_write_bps", List(&Type::Struct(&THROTTLE))),
    key("device_write_iops", List(&Type::Struct(&THROTTLE))),
]);

const WEIGHT: Struct = open(&[key("path", Text).when(Always).in_json("Path"), key("weight", Uint(16)).when(Always).in_json("Weight")]);

const THROTTLE: Struct = open(&[key("path", Text).when(Always).in_json("Path"), key("rate", Bytes).when(Always).in_json("Rate")]);

const DEVICE: Struct = open(&[key("source", Text), key("target", Text), key("permissions", Text)]);

const LOGGING: Struct = open(&[key("driver", Text), key("options", Mapping)]);

const DEPLOY: Struct = open(&[
    key("mode", Text),
    key("replicas", Int).when(Given),
    key("labels", Mapping),
    key("update_config", Type::Struct(&UPDATE)).when(Given),
    key("rollback_config", Type::Struct(&UPDATE)).when(Given),
    key("resources", Type::Struct(&RESOURCES)).when(Inline),
    key("restart_policy", Type::Struct(&RESTART)).when(Given),
    key("placement", Type::Struct(&PLACEMENT)).when(Inline),
    key("endpoint_mode", Text),
]);

const UPDATE: Struct = open(&[
    key("parallelism", Uint(64)).when(Given),
    key("delay", Duration),
    key("failure_action", Text),
    key("monitor", Duration),
    key("max_failure_ratio", Float),
    key("order", Text),
]);

const RESOURCES: Struct =
    open(&[key("limits", Type::Struct(&RESOURCE)).when(Given), key("reservations", Type::Struct(&RESOURCE)).when(Given)]);

const RESOURCE: Struct = open(&[
    key("cpus", Float),
    key("memory", Bytes),
    key("pids", Int),
    key("devices", List(&Type::Struct(&REQUEST))),
    key("generic_resources", List(&Type::Struct(&GENERIC))),
]);

const GENERIC: Struct = open(&[key("discrete_resource_spec", Type::Struct(&DISCRETE)).when(Given)]);

const DISCRETE: Struct = open(&[key("kind", Text).when(Always), key("value", Int).when(Always)]);

const REQUEST: Struct =
    closed(&[key("capabilities", Texts), key("driver", Text), key("count", Count), key("device_ids", Texts), key("options", Mapping)]);

const RESTART: Struct = open(&[
    key("condition", Text),
    key("delay", Duration).when(Given),
    key("max_attempts", Uint(64)).when(Given),
    key("window", Duration).when(Given),
]);

const PLACEMENT: Struct =
    open(&[key("constraints", Texts), key("preferences", List(&Type::Struct(&PREFERENCE))), key("max_replicas_per_node", Uint(64))]);

const PREFERENCE: Struct = open(&[key("spread", Text)]);

const HEALTH: Struct = open(&[
    key("test", Test),
    key("timeout", Duration).when(Given),
    key("interval", Duration).when(Given),
    key("retries", Uint(64)).when(Given),
    key("start_period", Duration).when(Given),
    key("start_interval", Duration).when(Given),
    key("disable", Bool),
]);

const ATTACHMENT: Struct = open(&[
    key("aliases", Texts),
    key("driver_opts", Mapping),
    key("gw_priority", Int),
    key("interface_name", Text),
    key("ipv4_address", Text),
    key("ipv6_address", Text),
    key("link_local_ips", Texts),
    key("mac_address", Text),
    key("priority", Int),
]);

const PORT: Struct = open(&[
    key("name", Text),
    key("mode", Text),
    key("host_ip", Text),
    key("target", Uint(32)),
    key("published", Text),
    key("protocol", Text),
    key("app_protocol", Text),
]);

const MOUNT: Struct = open(&[
    key("type", Text),
    key("source", Text),
    key("target", Text),
    key("read_only", Bool),
    key("consistency", Text),
    key("bind", Type::Struct(&BIND)).when(Given),
    key("volume", Type::Struct(&MOUNTED_VOLUME)).when(Given),
    key("tmpfs", Type::Struct(&TMPFS)).when(Given),
    key("image", Type::Struct(&MOUNTED_IMAGE)).when(Given),
]);

const BIND: Struct = open(&[key("selinux", Text), key("propagation", Text), key("create_host_path", Bool), key("recursive", Text)]);

const MOUNTED_VOLUME: Struct = open(&[key("labels", Mapping), key("nocopy", Bool), key("subpath", Text)]);

const MOUNTED_IMAGE: Struct = open(&[key("subpath", Text)]);

const TMPFS: Struct = open(&[key("size", Bytes), key("mode", Uint(32))]);

/// A secret or a config in a service or a build.
const MOUNTED: Struct =
    open(&[key("source", Text), key("target", Text), key("uid", Text), key("gid", Text), key("mode", Mode).when(Given)]);

const CREDENTIAL: Struct = open(&[key("config", Text), key("file", Text), key("registry", Text)]);

const DEPENDENCY: Struct = open(&[key("condition", Text), key("restart", Bool), key("required", Bool).when(Always)]);

const ENV_FILE: Struct = closed(&[key("path", Text), key("required", Bool).when(Always), key("format", Text)]);

const NETWORK: Struct = open(&[
    key("name", Text),
    key("driver", Text),
    key("driver_opts", Mapping),
    key("ipam", Type::Struct(&IPAM)).when(Inline),
    key("external", Bool),
    key("internal", Bool),
    key("attachable", Bool),
    key("labels", Mapping),
    key("enable_ipv4", Bool).when(Given),
    key("enable_ipv6", Bool).when(Given),
]);

const IPAM: Struct = open(&[key("driver", Text), key("config", List(&Type::Struct(&POOL)))]);

const POOL: Struct = closed(&[key("subnet", Text), key("gateway", Text), key("ip_range", Text), key("aux_addresses", Mapping)]);

const VOLUME: Struct =
    open(&[key("name", Text), key("driver", Text), key("driver_opts", Mapping), key("external", Bool), key("labels", Mapping)]);

/// A secret or a config at the top of the file.
const OBJECT: Struct = open(&[
    key("name", Text),
    key("file", Text),
    key("environment", Text),
    key("content", Text),
    key("external", Bool),
    key("labels", Mapping),
    key("driver", Text),
    key("driver_opts", Strings),
    key("template_driver", Text),
]);

/// A model that some other program runs.
const MODEL: Struct = open(&[key("name", Text), key("model", Text), key("context_size", Int), key("runtime_flags", Texts)]);

/// Where a service learns of one.
const USED_MODEL: Struct = open(&[key("endpoint_var", Text), key("model_var", Text)]);

const PROVIDER: Struct = open(&[key("type", Text), key("options", Options)]);
