//! Powers over the host: what a container may do that reaches over its walls, and who was granted it.
//!
//! They are worked out from the spec itself and not from what a client says about it, so a spec cannot ask for less than it takes. A power is one
//! word, `privileged`, or a kind and a value, `bind:/var/run/docker.sock`: what the server's owner writes into the file of grants, and nothing
//! in a Compose file can.

use crate::container::{Access, Namespace};
use crate::name::{AppName, ServiceName};
use crate::spec::{MountSource, Network, RuntimeKind, Service, Spec, Tls, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Capabilities every container of the engine has unless they are dropped.
pub const USUAL_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// File systems of a volume's `driver_opts` that show nothing of the host.
const HARMLESS_TYPES: [&str; 4] = ["tmpfs", "nfs", "nfs4", "cifs"];

/// Directories that hold projects and much else: none of them is one.
const SHARED: [&str; 7] = ["", "/home", "/mnt", "/opt", "/root", "/srv", "/tmp"];
/// Directories the server is made of: nothing in them is a project, but for what [`WITHIN`] names.
const SYSTEM: [&str; 12] = ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var"];
/// Places for projects in those.
const WITHIN: [&str; 3] = ["/usr/src", "/var/tmp", "/var/www"];

/// Stands for the app's certificates in the place of a service.
pub(crate) const TLS: &str = "tls";

/// One power: its kind, and a value where the kind has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Power {
    kind: &'static str,
    value: String,
}

/// Every kind, whether it has a value, and why it is no container's by default.
const KINDS: [(&str, bool, &str); 18] = [
    ("bind", true, "the host's file system belongs to the host"),
    ("cap", true, "a capability beyond the engine's usual set reaches the host"),
    ("cgroup-parent", true, "it leaves the limits the owner set for containers"),
    ("device", true, "devices belong to the host"),
    ("device-rule", true, "devices belong to the host"),
    ("driver", true, "a volume driver is a program with the host's rights"),
    ("gpus", false, "devices belong to the host"),
    ("hook", true, "it is a program of the host, run with the agent's rights"),
    ("namespace", true, "it lets the container out into the host"),
    ("network", true, "it is another app's network, whose services are reached in it"),
    ("network-option", true, "it changes how the host's own network carries packets"),
    ("privileged", false, "a privileged container is root on the host"),
    ("process", false, "Landfall runs as root here, and so do programs of the process runtime: whoever names one owns the server"),
    ("propagation", true, "it changes the host's own mounts"),
    ("runtime", true, "another runtime may build other walls, or none"),
    ("security", true, "it takes the container's walls away"),
    ("subnet", true, "the host would look for these addresses among containers, and no longer where they are"),
    ("volume", true, "it holds another app's data"),
];

impl Power {
    /// A power of a kind; `None` for a kind there is not, a value that is missing, or one that cannot be written on a line.
    fn new(kind: &str, value: &str) -> Option<Self> {
        let (kind, wants_value, _) = KINDS.iter().find(|(known, ..)| *known == kind)?;
        let plain = value.len() <= 1000 && !value.chars().any(char::is_control);
        (*wants_value != value.is_empty() && plain).then(|| Self { kind, value: value.to_owned() })
    }

    /// A power whose value may hold anything: what cannot be written is made visible, and so can never be granted.
    pub(crate) fn of(kind: &'static str, value: &str) -> Self {
        let plain = !value.chars().any(char::is_control);
        Self { kind, value: if plain { value.to_owned() } else { value.escape_debug().to_string() } }
    }

    /// `bind`, `cap`, …
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What of it; empty for kinds without a value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Why nobody has it by default.
    pub fn reason(&self) -> &'static str {
        if self.kind == "bind" && is_socket(&self.value) {
            return "whoever reaches the engine's socket is root on the host";
        }
        KINDS.iter().find(|(kind, ..)| *kind == self.kind).map_or("", |(.., reason)| reason)
    }

    /// True when whoever was granted this has `other`: the same, or a path below the granted one.
    pub fn covers(&self, other: &Power) -> bool {
        self == other || self.kind == "bind" && other.kind == "bind" && below(&self.value, &other.value)
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() { f.write_str(self.kind) } else { write!(f, "{}:{}", self.kind, self.value) }
    }
}

impl FromStr for Power {
    type Err = String;

    /// What it should have been, in words.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, value) = text.split_once(':').unwrap_or((text, ""));
        Power::new(kind, value).ok_or_else(|| {
            let known: Vec<String> = KINDS.iter().map(|(kind, value, _)| format!("`{kind}{}`", if *value { ":…" } else { "" })).collect();
            format!("a power: {}", known.join(", "))
        })
    }
}

/// True when `path` is `base` or lies below it. Both absolute, without `.` and `..`.
fn below(base: &str, path: &str) -> bool {
    path.strip_prefix(base.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// True when a path of the host may be mounted without anybody's grant: it lies in the project, the project is a place for projects, and it is no
/// engine's socket.
pub fn is_free(project_dir: &str, path: &str) -> bool {
    let project = project_dir.trim_end_matches('/');
    let plain = |p: &str| (p.is_empty() || p.starts_with('/')) && !p.split('/').any(|part| matches!(part, "." | ".."));
    plain(project) && plain(path) && is_place(project) && below(project, path) && !is_socket(path)
}

/// True for a directory that may be a project: a client says which it is, and might say `/etc/cron.d`, or a user's `.ssh`.
fn is_place(project: &str) -> bool {
    let home = project.strip_prefix("/home/").is_some_and(|user| !user.contains('/'));
    let system = SYSTEM.iter().any(|s| below(s, project)) && !WITHIN.iter().any(|w| below(w, project) && *w != project);
    let hidden = project.split('/').any(|part| part.starts_with('.')) && !below("/tmp", project);
    !SHARED.contains(&project) && !home && !system && !hidden
}

/// True for the usual names of sockets by which container engines are commanded.
fn is_socket(path: &str) -> bool {
    ["docker.sock", "podman.sock", "containerd.sock", "crio.sock"].iter().any(|s| path.ends_with(s))
}

impl Spec {
    /// What each service takes of the host that only the server's owner can grant. Services that take nothing are left out.
    pub fn powers(&self) -> BTreeMap<ServiceName, BTreeSet<Power>> {
        if self.runtime == RuntimeKind::Process {
            return BTreeMap::new();
        }
        let own = TLS.parse().ok().map(|name| (name, self.powers_of_tls()));
        let all = self.services.iter().map(|(name, service)| (name.clone(), self.powers_of(service)));
        let mut powers: BTreeMap<ServiceName, BTreeSet<Power>> = BTreeMap::new();
        for (name, of) in all.chain(own) {
            powers.entry(name).or_default().extend(of);
        }
        powers.into_iter().filter(|(_, powers)| !powers.is_empty()).collect()
    }

    /// What each service takes under the process runtime where the agent is root and its clients need not be: its programs, whatever they are started
    /// for, have every power there is.
    pub fn powers_of_programs(&self) -> BTreeMap<ServiceName, BTreeSet<Power>> {
        if self.runtime != RuntimeKind::Process {
            return BTreeMap::new();
        }
        let mut powers: BTreeMap<ServiceName, BTreeSet<Power>> =
            self.services.keys().map(|name| (name.clone(), BTreeSet::from([Power::of("process", "")]))).collect();
        let tls = self.powers_of_tls();
        if let (false, Ok(name)) = (tls.is_empty(), TLS.parse()) {
            powers.entry(name).or_default().extend(tls);
        }
        powers
    }

    /// What the app's certificates take: a hook runs on the host, and a key is read from it.
    fn powers_of_tls(&self) -> BTreeSet<Power> {
        match &self.tls {
            Tls::Acme(acme) if !acme.hook.is_empty() => BTreeSet::from([Power::of("hook", &acme.hook.join(" "))]),
            Tls::Files { chain, key } => {
                [chain, key].into_iter().filter(|path| !is_free(&self.project_dir, path)).map(|path| Power::of("bind", path)).collect()
            }
            Tls::Acme(_) | Tls::Internal | Tls::Off => BTreeSet::new(),
        }
    }

    fn powers_of(&self, service: &Service) -> BTreeSet<Power> {
        let template = &service.template;
        let mut powers = of_access(&template.container.access);
        for mount in &template.mounts {
            match &mount.source {
                MountSource::Bind { path, propagation, .. } => {
                    powers.extend((!is_free(&self.project_dir, path)).then(|| Power::of("bind", path)));
                    powers.extend(propagation.is_shared().then(|| Power::of("propagation", path)));
                }
                MountSource::Volume { name, .. } => powers.extend(self.volumes.get(name).and_then(|v| of_volume(&self.project_dir, v))),
                MountSource::Anonymous { .. } | MountSource::Tmpfs { .. } => {}
            }
        }
        let host = |key| self.networks.get(key).is_some_and(Network::is_host);
        let ipc = !matches!(template.container.ipc.as_str(), "" | "private" | "none" | "shareable");
        powers.extend(ipc.then(|| Power::of("namespace", Namespace::Ipc.as_str())));
        powers.extend(template.networks.iter().any(host).then(|| Power::of("namespace", Namespace::Network.as_str())));
        powers.extend(template.networks.iter().filter_map(|key| self.networks.get(key)).flat_map(of_network));
        let open = |option: &&String| takes_walls_away(option);
        powers.extend(template.container.security.iter().filter(open).map(|option| Power::of("security", option)));
        powers
    }
}

fn of_access(access: &Access) -> BTreeSet<Power> {
    let mut powers = BTreeSet::new();
    powers.extend(access.privileged.then(|| Power::of("privileged", "")));
    let beyond = access.capabilities.iter().filter(|c| !USUAL_CAPABILITIES.contains(&c.as_str()));
    powers.extend(beyond.map(|c| Power::of("cap", c)));
    powers.extend(access.devices.iter().map(|d| Power::of("device", &d.source)));
    powers.extend(access.device_rules.iter().map(|r| Power::of("device-rule", r)));
    powers.extend((!access.gpus.is_empty()).then(|| Power::of("gpus", "")));
    powers.extend(access.host.iter().map(|n| Power::of("namespace", n.as_str())));
    powers.extend((!access.cgroup_parent.is_empty()).then(|| Power::of("cgroup-parent", &access.cgroup_parent)));
    powers.extend((!access.runtime.is_empty()).then(|| Power::of("runtime", &access.runtime)));
    powers
}

/// Options of a bridge that only concern the network itself.
const HARMLESS_OPTIONS: [&str; 5] = [
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.bridge.host_binding_ipv4",
    "com.docker.network.container_iface_prefix",
    "com.docker.network.driver.mtu",
];

/// Ranges that are nobody's on the internet (RFC 1918, RFC 4193).
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// What a network that the app makes takes of the host's own.
fn of_network(network: &Network) -> BTreeSet<Power> {
    let mut powers = BTreeSet::new();
    if network.external {
        return powers;
    }
    let private = |subnet: &str| {
        let subnet = subnet.parse::<crate::filter::Network>();
        subnet.is_ok_and(|subnet| PRIVATE.iter().filter_map(|p| p.parse::<crate::filter::Network>().ok()).any(|p| p.covers(&subnet)))
    };
    let ranges = network.subnets.iter().map(|s| s.subnet.as_str()).filter(|s| !s.is_empty() && !private(s));
    powers.extend(ranges.map(|subnet| Power::of("subnet", subnet)));
    let harmless = |key: &str, value: &str| match key.strip_prefix("com.docker.network.bridge.gateway_mode_ipv") {
        Some("4" | "6") => matches!(value, "nat" | "isolated"),
        _ => HARMLESS_OPTIONS.contains(&key),
    };
    let options = network.options.iter().filter(|(key, value)| !harmless(key, value));
    powers.extend(options.map(|(key, value)| Power::of("network-option", &format!("{key}={value}"))));
    powers.extend((!network.ipam_driver.is_empty()).then(|| Power::of("driver", &network.ipam_driver)));
    powers
}

/// What a volume shows of the host by the options it is made with.
pub(crate) fn of_volume(project_dir: &str, volume: &Volume) -> Option<Power> {
    if volume.driver != "local" && !volume.driver.is_empty() {
        return Some(Power::of("driver", &volume.driver));
    }
    let option = |key: &str| volume.options.get(key).map_or("", String::as_str);
    let kind = option("type");
    let device = option("device");
    // `bind` makes a bind of every type.
    let bind = option("o").split(',').any(|o| matches!(o.trim(), "bind" | "rbind"));
    if volume.options.is_empty() || !bind && HARMLESS_TYPES.contains(&kind) {
        return None;
    }
    match (bind, device.starts_with("/dev/")) {
        (true, _) if is_free(project_dir, device) => None,
        (true, _) => Some(Power::of("bind", device)),
        (false, true) => Some(Power::of("device", device)),
        (false, false) => Some(Power::of("driver", if kind.is_empty() { "local" } else { kind })),
    }
}

/// True for an option of `security_opt` that weakens the container.
pub(crate) fn takes_walls_away(option: &str) -> bool {
    let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    match key {
        "no-new-privileges" => false,
        "seccomp" => !matches!(value, "builtin" | "default"),
        "apparmor" => value != "docker-default",
        // `label:disable`, `systempaths:unconfined`, and whatever is not known.
        _ => true,
    }
}

/// What the server's owner granted: app → service → powers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants(pub BTreeMap<AppName, BTreeMap<ServiceName, BTreeSet<Power>>>);

impl Grants {
    /// The powers a spec takes that nobody granted.
    pub fn missing(&self, app: &AppName, powers: &BTreeMap<ServiceName, BTreeSet<Power>>) -> BTreeMap<ServiceName, BTreeSet<Power>> {
        let granted = |service: &ServiceName, power: &Power| {
            let own = self.0.get(app).and_then(|services| services.get(service));
            own.is_some_and(|own| own.iter().any(|g| g.covers(power)))
        };
        let lacks = |(service, powers): (&ServiceName, &BTreeSet<Power>)| {
            let lacking: BTreeSet<Power> = powers.iter().filter(|p| !granted(service, p)).cloned().collect();
            (!lacking.is_empty()).then(|| (service.clone(), lacking))
        };
        powers.iter().filter_map(lacks).collect()
    }
}

/// The line that grants powers, as the file of grants may have it.
pub fn grant_line<'a>(app: &AppName, powers: impl IntoIterator<Item = (&'a ServiceName, Vec<String>)>) -> String {
    let service = |(name, powers): (&ServiceName, Vec<String>)| {
        let words: Vec<String> = powers.into_iter().map(|p| serde_json::Value::from(p).to_string()).collect();
        format!("{name}: [{}]", words.join(", "))
    };
    format!("{app}: {{ {} }}", powers.into_iter().map(service).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_is_written_as_it_is_read() {
        for text in ["privileged", "gpus", "bind:/var/run/docker.sock", "cap:NET_ADMIN", "security:seccomp:unconfined", "namespace:pid"] {
            assert_eq!(text.parse::<Power>().unwrap().to_string(), text);
        }
        for bad in ["", "bind", "bind:", "privileged:yes", "root", "cap:\n"] {
            assert!(bad.parse::<Power>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_granted_directory_covers_what_lies_below_and_nothing_beside() {
        let power = |t: &str| t.parse::<Power>().unwrap();
        assert!(power("bind:/srv/media").covers(&power("bind:/srv/media/x")));
        assert!(!power("bind:/srv/media").covers(&power("bind:/srv/mediaserver")));
        assert!(!power("cap:NET_ADMIN").covers(&power("cap:SYS_ADMIN")));
        assert!(power("bind:/").covers(&power("bind:/etc")));
    }

    #[test]
    fn only_the_project_is_free_and_a_system_directory_is_no_project() {
        for project in ["/srv/shop", "/home/ann/shop", "/root/shop", "/var/www/shop", "/opt/shop", "/data"] {
            assert!(is_free(project, &format!("{project}/.config/nginx.conf")), "{project}");
        }
        for (project, path) in [
            ("/srv/shop", "/srv/shop2/x"),
            ("/srv/shop", "/srv/shop/../x"),
            ("/srv/shop", "/srv/shop/run/docker.sock"),
            ("/", "/anything"),
            ("/etc", "/etc/passwd"),
            ("/etc/cron.d/", "/etc/cron.d/x"),
            ("/srv", "/srv/shop/x"),
            ("/home/ann", "/home/ann/.profile"),
            ("/home/ann/.ssh", "/home/ann/.ssh/authorized_keys"),
            ("/var/lib/docker", "/var/lib/docker/volumes"),
            ("/var/www", "/var/www/x"),
            ("/srv/../etc", "/srv/../etc/passwd"),
        ] {
            assert!(!is_free(project, path), "{project} {path}");
        }
    }

    #[test]
    fn a_volume_cannot_show_the_host_unseen() {
        let volume = |options: &[(&str, &str)]| Volume {
            options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Volume::default()
        };
        let power = |options: &[(&str, &str)]| of_volume("/srv/shop", &volume(options)).map(|p| p.to_string());
        assert_eq!(power(&[]), None);
        assert_eq!(power(&[("type", "nfs"), ("o", "addr=10.0.0.1,rw"), ("device", ":/data")]), None);
        assert_eq!(power(&[("type", "none"), ("o", "bind"), ("device", "/etc")]).as_deref(), Some("bind:/etc"));
        assert_eq!(power(&[("type", "none"), ("o", "bind"), ("device", "/srv/shop/data")]), None);
        assert_eq!(power(&[("type", "ext4"), ("device", "/dev/sda1")]).as_deref(), Some("device:/dev/sda1"));
        assert_eq!(power(&[("type", "overlay"), ("o", "lowerdir=/etc"), ("device", "overlay")]).as_deref(), Some("driver:overlay"));
        // `type: nfs` with `o: bind` would be a bind all the same.
        assert_eq!(power(&[("type", "nfs"), ("o", "bind"), ("device", "/etc")]).as_deref(), Some("bind:/etc"));
    }

    #[test]
    fn a_network_takes_no_addresses_and_no_rules_of_the_host_unseen() {
        let powers = |change: &dyn Fn(&mut Network)| {
            let mut network = Network::default();
            change(&mut network);
            of_network(&network).into_iter().map(|p| p.to_string()).collect::<Vec<_>>()
        };
        let subnet = |text: &str| powers(&|n| n.subnets.push(crate::spec::Subnet { subnet: text.into(), ..Default::default() }));
        for private in ["", "10.1.0.0/16", "172.31.0.0/24", "192.168.7.0/24", "fd00:7::/64"] {
            assert!(subnet(private).is_empty(), "{private}");
        }
        for public in
            ["1.1.1.0/30", "0.0.0.0/0", "172.0.0.0/8", "10.0.0.0/7", "169.254.169.0/24", "127.0.0.0/24", "2001:db8::/64", "::/0", "x"]
        {
            assert_eq!(subnet(public), [format!("subnet:{public}")]);
        }
        let option = |key: &str, value: &str| powers(&|n| drop(n.options.insert(key.into(), value.into())));
        assert!(option("com.docker.network.driver.mtu", "1400").is_empty());
        assert!(option("com.docker.network.bridge.gateway_mode_ipv4", "nat").is_empty());
        for (key, value) in [
            ("com.docker.network.bridge.gateway_mode_ipv4", "nat-unprotected"),
            ("com.docker.network.bridge.gateway_mode_ipv6", "routed"),
            ("com.docker.network.bridge.name", "br-lan"),
            ("com.docker.network.bridge.trusted_host_interfaces", "eth0"),
            ("whatever.comes.next", "1"),
        ] {
            assert_eq!(option(key, value), [format!("network-option:{key}={value}")]);
        }
        assert_eq!(powers(&|n| n.ipam_driver = "dhcp".into()), ["driver:dhcp"]);
    }

    #[test]
    fn walls_are_only_strengthened_without_a_grant() {
        for good in ["no-new-privileges:true", "no-new-privileges", "seccomp=builtin"] {
            assert!(!takes_walls_away(good), "{good}");
        }
        for bad in [
            "seccomp:unconfined",
            "seccomp=unconfined",
            "apparmor=unconfined",
            "label:disable",
            "systempaths=unconfined",
            "label=type:spc_t",
        ] {
            assert!(takes_walls_away(bad), "{bad}");
        }
    }
}
