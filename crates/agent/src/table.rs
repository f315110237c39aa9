//! From what apps are to the table the proxy carries requests by.
//!
//! Each app's part is computed from its spec, who serves, and where they are; the parts are kept and put together into one table with every swap, so a
//! change of one app asks nothing about the others.

use crate::certs::Certs;
use crate::control::ProxyControl;
use crate::error::{CertError, ControlError};
use crate::folder::Folders;
use crate::keys::KeySets;
use crate::secret::TokenKeys;
use crate::store::AppRow;
use landfall_model::name::{AppName, CertificateName, Domain, NetworkName, ReplicaId, ServiceName};
use landfall_model::observed::{Observed, ObservedNetwork};
use landfall_model::route::{
    CertificateFiles, ChallengeAnswer, Endpoint, Folder, InternalListener, NameScope, RouteTable, Site, SiteRoute, Upstream, folder_key,
};
use landfall_model::spec::{Probe, Route, RuntimeKind, Service, Spec, Tls};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

/// One app's share of the table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Part {
    sites: Vec<Site>,
    upstreams: BTreeMap<String, Upstream>,
    internal: Vec<InternalListener>,
    names: Vec<NameScope>,
    certificates: Vec<CertificateFiles>,
    folders: BTreeMap<String, Folder>,
}

/// The parts and the way to the proxy.
pub(crate) struct Table {
    proxy: ProxyControl,
    /// Host of the address users are shown, such as `localhost`: every app answers to `<app>.<host>` as well when it is a local name.
    local_host: Option<String>,
    certs: Certs,
    folders: Folders,
    keys: KeySets,
    parts: Mutex<Parts>,
    /// Every app of the store is in `parts`. Until then the proxy is told nothing: half a table would take apps away.
    complete: watch::Sender<bool>,
}

/// What the table is put together from.
#[derive(Clone, Default)]
struct Parts {
    /// Of the table told last.
    generation: u64,
    apps: BTreeMap<AppName, Part>,
    /// What authorities are about to ask for.
    challenges: BTreeMap<CertificateName, ChallengeAnswer>,
}

/// The proxy's word for a table older than the one it has.
const STALE: &str = "stale-generation";
/// How long a swap waits for the other apps to be looked at after the agent's start.
const COMPLETE_WITHIN: Duration = Duration::from_secs(20);

impl Table {
    pub(crate) fn new(proxy: ProxyControl, certs: Certs, (folders, keys): (Folders, KeySets), local_host: Option<String>) -> Self {
        Self { proxy, local_host, certs, folders, keys, parts: Mutex::default(), complete: watch::Sender::new(false) }
    }

    /// The proxy itself.
    pub(crate) fn proxy(&self) -> &ProxyControl {
        &self.proxy
    }

    /// An app's part as it should be.
    pub(crate) fn part(&self, view: &View<'_>) -> Result<Part, CertError> {
        let mut part = Part { upstreams: view.upstreams(), ..Part::default() };
        match view.sites.runtime {
            RuntimeKind::Process => part.internal = view.internal(),
            RuntimeKind::Docker => part.names = view.names(),
        }
        let routed: Vec<(&ServiceName, &Service)> =
            view.sites.services.iter().filter(|(n, s)| !s.routes.is_empty() && view.row.serving.routes.contains_key(*n)).collect();
        if !routed.is_empty() {
            part.sites = self.sites(view, &routed);
            part.folders = self.site_folders(view, &routed);
            if view.sites.tls != Tls::Off {
                part.certificates = self.certs.for_app(view.sites, &self.served_names(view.sites))?;
            }
        }
        Ok(part)
    }

    /// Hosts an app answers to; empty for every host.
    pub(crate) fn hosts(&self, app: &AppName, spec: &Spec) -> (Vec<Domain>, Vec<Domain>) {
        let mut domains = spec.domains.iter().cloned();
        let Some(canonical) = domains.next() else { return (Vec::new(), Vec::new()) };
        let mut hosts = vec![canonical];
        if let Some(local) = &self.local_host {
            let here = format!("{}.{local}", app.as_str().replace('_', "-")).parse();
            hosts.extend(here.ok().filter(|host| !spec.domains.contains(host)));
        }
        (hosts, domains.collect())
    }

    /// One for the app's domains and one for each host of single routes.
    fn sites(&self, view: &View<'_>, routed: &[(&ServiceName, &Service)]) -> Vec<Site> {
        let (app, spec) = (&view.row.name, view.sites);
        let (hosts, redirect_hosts) = self.hosts(app, spec);
        let own = spec.route_hosts().into_iter().map(|host| (Some(host), vec![host.clone()], Vec::new()));
        let faces = std::iter::once((None, hosts, redirect_hosts)).chain(own);
        let site = |(host, hosts, redirect_hosts)| Site {
            app: app.to_string(),
            hosts,
            redirect_hosts,
            https: spec.tls != Tls::Off,
            routes: self.site_routes(view, host, routed),
            front: spec.front.clone(),
        };
        faces.map(site).filter(|site| !site.routes.is_empty()).collect()
    }

    /// Routes of one host, or those of the app's domains.
    fn site_routes(&self, view: &View<'_>, host: Option<&Domain>, routed: &[(&ServiceName, &Service)]) -> Vec<SiteRoute> {
        let routes = routed.iter().flat_map(|(name, service)| service.routes.iter().map(move |route| (name, route)));
        let here = routes.filter(|(_, route)| route.host.as_ref() == host);
        let site_route = |(name, route): (&&ServiceName, &Route)| {
            let mut filters = self.keys.complete(route.filters.clone());
            view.tokens.fill(&mut filters);
            SiteRoute {
                path: route.path.clone(),
                upstream: upstream_key(&view.row.name, name),
                timeout_ms: route.timeout_ms,
                idle_timeout_ms: route.idle_timeout_ms,
                filters,
            }
        };
        here.map(site_route).collect()
    }

    /// Where the files of routes lie. One whose files are not known has none, and says so to who asks.
    fn site_folders(&self, view: &View<'_>, routed: &[(&ServiceName, &Service)]) -> BTreeMap<String, Folder> {
        let app = &view.row.name;
        let mut folders = BTreeMap::new();
        for (name, service) in routed {
            for files in service.files() {
                let Some(current) = self.folders.path(app, service, files) else { continue };
                let mut earlier: Vec<PathBuf> = Vec::new();
                for old in view.earlier.iter().filter_map(|spec| spec.services.get(*name)) {
                    // The same directory by the file's own word, whatever the route is now.
                    let same = old.files().filter(|f| f.root == files.root).filter_map(|f| self.folders.path(app, old, f));
                    earlier.extend(same.filter(|path| *path != current && path.is_dir()));
                }
                earlier.dedup();
                let text = |path: PathBuf| path.display().to_string();
                let folder = Folder { current: text(current), earlier: earlier.into_iter().map(text).collect() };
                folders.insert(folder_key(&upstream_key(app, name), &files.root), folder);
            }
        }
        folders
    }

    /// Every name an app is served by.
    pub(crate) fn served_names(&self, spec: &Spec) -> Vec<String> {
        let (hosts, redirect_hosts) = self.hosts(&spec.app, spec);
        let mut names: Vec<String> = hosts.iter().chain(&redirect_hosts).chain(spec.route_hosts()).map(Domain::to_string).collect();
        if hosts.is_empty() {
            names.extend(self.local_host.clone());
            names.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]);
        }
        names.sort();
        names.dedup();
        names
    }

    /// The files of sites.
    pub(crate) fn folders(&self) -> &Folders {
        &self.folders
    }

    /// The certificates.
    pub(crate) fn certs(&self) -> &Certs {
        &self.certs
    }

    /// Keys of tokens.
    pub(crate) fn keys(&self) -> &KeySets {
        &self.keys
    }

    /// Puts a part in place and swaps the proxy's table, unless nothing changed.
    pub(crate) async fn swap(&self, app: &AppName, part: Part) -> Result<(), ControlError> {
        self.change(|parts| parts.apps.insert(app.clone(), part.clone()) != Some(part)).await
    }

    /// Has the proxy answer an authority. When this returns, it does.
    pub(crate) async fn show(&self, name: &CertificateName, answer: ChallengeAnswer) -> Result<(), ControlError> {
        self.change(|parts| parts.challenges.insert(name.clone(), answer.clone()) != Some(answer)).await
    }

    /// Has it answer no more.
    pub(crate) async fn hide(&self, name: &CertificateName) -> Result<(), ControlError> {
        let result = self.change(|parts| parts.challenges.remove(name).is_some()).await;
        if result.is_err() {
            // A proxy that is away is told at the next swap.
            self.parts.lock().await.challenges.remove(name);
        }
        result
    }

    /// Changes the parts and swaps the proxy's table; what the proxy refuses is not changed.
    async fn change(&self, change: impl FnOnce(&mut Parts) -> bool) -> Result<(), ControlError> {
        let mut complete = self.complete.subscribe();
        if timeout(COMPLETE_WITHIN, complete.wait_for(|c| *c)).await.is_err() {
            return Err(ControlError::Incomplete);
        }
        let mut parts = self.parts.lock().await;
        let mut changed = parts.clone();
        if change(&mut changed) {
            self.push(&mut changed).await?;
            *parts = changed;
        }
        Ok(())
    }

    /// Puts parts in place without telling the proxy: at start, until all apps are known.
    pub(crate) async fn prepare(&self, app: &AppName, part: Part) {
        self.parts.lock().await.apps.insert(app.clone(), part);
    }

    /// Every app of the start is in place, so the proxy may be told.
    pub(crate) fn is_complete(&self) -> bool {
        *self.complete.borrow()
    }

    /// Every app is in place.
    pub(crate) fn complete(&self) {
        self.complete.send_replace(true);
    }

    /// Swaps again when the proxy has another table than this one: it was restarted with an old file, or the agent was.
    pub(crate) async fn reconcile(&self) -> Result<(), ControlError> {
        let mut parts = self.parts.lock().await;
        let status = self.proxy.status().await?;
        if status.generation != parts.generation {
            parts.generation = parts.generation.max(status.generation);
            self.push(&mut parts).await?;
        }
        Ok(())
    }

    async fn push(&self, parts: &mut Parts) -> Result<(), ControlError> {
        let challenges = parts.challenges.values().cloned().collect();
        let mut table = RouteTable { generation: parts.generation + 1, challenges, ..RouteTable::default() };
        for part in parts.apps.values().cloned() {
            table.sites.extend(part.sites);
            table.upstreams.extend(part.upstreams);
            table.internal.extend(part.internal);
            table.names.extend(part.names);
            table.certificates.extend(part.certificates);
            table.folders.extend(part.folders);
        }
        match self.proxy.swap(&table).await {
            // The proxy began with a table of an earlier agent's: go on counting from there.
            Err(ControlError::Refused { code, .. }) if code == STALE => {
                table.generation = self.proxy.status().await?.generation + 1;
                self.proxy.swap(&table).await?;
            }
            result => result?,
        }
        parts.generation = table.generation;
        Ok(())
    }
}

/// Key of a service's upstream.
pub(crate) fn upstream_key(app: &AppName, service: &ServiceName) -> String {
    format!("{app}/{service}")
}

/// What an app's part is made from. While a rollout goes on there are two specs: the outside is served by the words of one of them, and each replica is
/// where the spec that made it says.
pub(crate) struct View<'a> {
    /// Who serves.
    pub(crate) row: &'a AppRow,
    /// Whose routes and domains are served.
    pub(crate) sites: &'a Spec,
    /// Every spec that replicas may be of, the newest first.
    pub(crate) specs: &'a [&'a Spec],
    /// Where they are.
    pub(crate) observed: &'a Observed,
    /// Of releases whose files may still be asked for, the newest first.
    pub(crate) earlier: &'a [Spec],
    /// What signs the tokens of routes.
    pub(crate) tokens: &'a TokenKeys,
}

impl View<'_> {
    fn services(&self) -> BTreeMap<&ServiceName, &Service> {
        let mut services = BTreeMap::new();
        for (name, service) in self.specs.iter().flat_map(|s| &s.services) {
            services.entry(name).or_insert(service);
        }
        services
    }

    fn upstreams(&self) -> BTreeMap<String, Upstream> {
        let ported = self.services().into_iter().filter(|(_, s)| s.port.is_some());
        ported.map(|(name, service)| (upstream_key(&self.row.name, name), self.upstream(name, service))).collect()
    }

    fn upstream(&self, name: &ServiceName, service: &Service) -> Upstream {
        let inside = self.row.serving.names.get(name).into_iter().flatten();
        let outside = self.row.serving.routes.get(name).into_iter().flatten();
        let mut endpoints: Vec<Endpoint> = inside.chain(outside).filter_map(|id| self.endpoint(name, id)).collect();
        endpoints.sort();
        endpoints.dedup();
        let health_path = match &service.gate.probe {
            // The proxy asks where it sends requests to, so a question for another port is none of its own.
            Probe::Http { path, port, .. } if service.port == Some(*port) => Some(path.clone()),
            _ => None,
        };
        // Asked as the gate asks: some applications answer their own domains alone.
        let health_host = health_path.as_ref().and_then(|_| self.sites.domains.first()).map(ToString::to_string);
        Upstream { endpoints, health_path, health_host, protocol: service.protocol }
    }

    fn endpoint(&self, name: &ServiceName, id: &ReplicaId) -> Option<Endpoint> {
        let replica = self.observed.replicas.get(id).filter(|r| r.state.is_running())?;
        let mut services = self.specs.iter().filter_map(|s| s.services.get(name));
        let made = services.clone().find(|s| s.template.revision() == replica.revision).or_else(|| services.next())?;
        let (network, ip) = replica.place()?;
        let address = SocketAddr::new(ip, replica.port.or(made.port)?);
        let interface = self.observed.networks.get(network).and_then(|n| n.interface.clone());
        Some(Endpoint { id: format!("{}/{id}", self.row.name), address, interface })
    }

    fn internal(&self) -> Vec<InternalListener> {
        let services = self.services();
        let listeners = self.row.ports.iter().filter(|(name, _)| services.get(name).is_some_and(|s| s.port.is_some()));
        let listener = |(name, port): (&ServiceName, &u16)| InternalListener {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
            upstream: upstream_key(&self.row.name, name),
        };
        listeners.map(listener).collect()
    }

    /// Which names containers of each network get answered, and which containers those are.
    fn names(&self) -> Vec<NameScope> {
        let services = self.services();
        let askers = self.askers();
        let search = services.values().flat_map(|s| &s.template.container.dns_search);
        let search: BTreeSet<String> =
            search.map(|suffix| suffix.trim_matches('.').to_ascii_lowercase()).filter(|s| !s.is_empty()).collect();
        let scope = |(key, network): (&NetworkName, &ObservedNetwork)| {
            let named = services.iter().filter(|(_, s)| !s.job && s.template.networks.contains(key));
            let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
            for (name, service) in named {
                let replicas = self.row.serving.names.get(*name).into_iter().flatten().filter_map(|id| self.observed.replicas.get(id));
                let addresses: Vec<IpAddr> =
                    replicas.filter(|r| r.state.is_running()).filter_map(|r| r.addresses.get(key).copied()).collect();
                // Two services may share an alias; each replica of either answers to it.
                for known in service.known_as(key).chain([name.as_str().to_ascii_lowercase()]) {
                    names.entry(known).or_default().extend(&addresses);
                }
            }
            Some(NameScope {
                listen: network.gateway?,
                names,
                app: self.row.name.to_string(),
                subnet: network.subnet.clone(),
                askers: askers.get(key).cloned().unwrap_or_default(),
                internal: network.internal,
                search: search.clone(),
            })
        };
        self.observed.networks.iter().filter_map(scope).collect()
    }

    /// By network the addresses of all that runs of the app, jobs and what has not passed its gate included, each with the gateways of its networks.
    fn askers(&self) -> BTreeMap<&NetworkName, BTreeMap<IpAddr, Vec<IpAddr>>> {
        let mut askers: BTreeMap<&NetworkName, BTreeMap<IpAddr, Vec<IpAddr>>> = BTreeMap::new();
        for replica in self.observed.replicas.values() {
            let gateways = replica.addresses.keys().filter_map(|key| self.observed.networks.get(key)?.gateway);
            let gateways: Vec<IpAddr> = gateways.collect();
            for (key, address) in &replica.addresses {
                askers.entry(key).or_default().insert(*address, gateways.clone());
            }
        }
        askers
    }
}
