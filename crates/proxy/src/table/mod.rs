//! The route table as workers read it: compiled once per swap, shared by all workers, never changed.
//!
//! Lookup is a hash of the host and a walk over that site's paths, the most special first; a test proves it equal to `RouteTable::find`. The
//! compiled table also names the live [`EndpointState`]s, which outlive tables: an endpoint keeps its counters through swaps.

pub(crate) mod endpoint;
#[cfg(test)]
mod folding;
#[cfg(test)]
mod spell;
mod spelling;

use crate::edge::file::Folder;
use crate::edge::filter;
use crate::edge::front::LocalSite;
use crate::table::endpoint::{EndpointState, Endpoints};
use crate::upstream::reach::Reach;
use bytes::Bytes;
use http::HeaderName;
use landfall_model::filter::{Answer, Network};
use landfall_model::front::{AccessLog, Front};
use landfall_model::route::{CHALLENGE_PATH, ChallengeAnswer, Protocol, RouteTable, Site, SiteRoute, covers, folder_key};
use spelling::{Guard, Readings, without_format};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a call between services may take to be answered. Such a call has no route to say so, and in the Docker runtime, where it is a
/// direct connection, nobody limits it either; this bound only frees what was forgotten.
const INTERNAL_LIMIT: Duration = Duration::from_secs(3600);

/// A compiled table.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// Of the table it was made from; 0 for the empty one a proxy starts with, and for one that nobody has confirmed.
    pub(crate) generation: u64,
    sites: Vec<CompiledSite>,
    hosts: HashMap<String, Host>,
    any_host: Option<usize>,
    /// Services, addressed by index inside one table and by name across tables.
    pub(crate) upstreams: Vec<CompiledUpstream>,
    upstream_index: HashMap<String, usize>,
    internal: HashMap<SocketAddr, CompiledRoute>,
    /// Host, token and answer of each HTTP-01 challenge. There are few, and mostly none.
    challenges: Vec<(String, String, Bytes)>,
    /// Services that must be ready, by the path of the probe that asks for them.
    probes: HashMap<String, Vec<usize>>,
    /// What routes do to requests and answers, by the index in the route.
    pub(crate) filters: Vec<filter::Shared>,
}

#[derive(Debug, Clone, Copy)]
enum Host {
    Serve(usize),
    Redirect(usize),
}

/// One app's face to the outside.
#[derive(Debug)]
pub(crate) struct CompiledSite {
    /// Whose.
    pub(crate) app: String,
    /// Plain HTTP is redirected to HTTPS.
    pub(crate) https: bool,
    /// No route says anything about HSTS of its own.
    pub(crate) hsts: bool,
    /// The first of its hosts; absent if it answers for every host.
    pub(crate) canonical: Option<String>,
    /// What it shows and whom it lets in.
    front: Front,
    /// Its place among the sites.
    pub(crate) index: usize,
    /// What is kept of its requests.
    pub(crate) log: AccessLog,
    /// Proxies before this one whose word about the client is taken.
    pub(crate) trusted: Vec<Network>,
    /// Headers by which the app's services are told who somebody is, and nobody else may use.
    pub(crate) identity: Vec<HeaderName>,
    routes: Vec<CompiledRoute>,
    /// Those that keep something out.
    guards: Vec<Guard>,
}

/// Where requests with one prefix go.
#[derive(Debug, Clone)]
pub(crate) struct CompiledRoute {
    /// A prefix, or one path alone.
    path: String,
    exact: bool,
    /// Index into `upstreams`; absent when the table names a service it does not list.
    pub(crate) upstream: Option<usize>,
    /// From the last byte of the request to the first of the answer.
    pub(crate) timeout: Duration,
    /// Of a body, stream or WebSocket without any byte.
    pub(crate) idle: Duration,
    /// Index into `filters`; absent for calls between services.
    pub(crate) filters: Option<usize>,
}

/// A service's endpoints.
#[derive(Debug)]
pub(crate) struct CompiledUpstream {
    /// `<app>/<service>`.
    pub(crate) key: String,
    /// Path of active health checks; a TCP connection when absent.
    pub(crate) health_path: Option<String>,
    /// The host they ask for; the endpoint's address when absent.
    pub(crate) health_host: Option<String>,
    /// What they speak.
    pub(crate) protocol: Protocol,
    /// Ready replicas.
    pub(crate) endpoints: Vec<(Arc<EndpointState>, Reach)>,
}

/// What the table says about a request.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// Forward it.
    Route(&'a CompiledSite, &'a CompiledRoute),
    /// Send the client to this domain.
    Redirect(&'a CompiledSite, &'a str),
    /// The path has a route, and may be taken for another path that is better guarded.
    Respelled(&'a CompiledSite),
    /// The host is served, the path is not.
    NoRoute(&'a CompiledSite),
    /// Nobody serves this host.
    NoSite,
}

impl<'a> Found<'a> {
    /// Whose site, if any.
    pub(crate) fn site(&self) -> Option<&'a CompiledSite> {
        match self {
            Found::Route(site, _) | Found::Respelled(site) | Found::Redirect(site, _) | Found::NoRoute(site) => Some(site),
            Found::NoSite => None,
        }
    }
}

impl Compiled {
    /// Compiles `table`; endpoint states are taken from, or added to, `endpoints`, and what filters remember from the table `before`.
    pub(crate) fn new(table: &RouteTable, endpoints: &mut Endpoints, before: &Self) -> Self {
        let mut compiled = Compiled { generation: table.generation, ..Compiled::default() };
        for (key, upstream) in &table.upstreams {
            compiled.upstream_index.insert(key.clone(), compiled.upstreams.len());
            compiled.upstreams.push(CompiledUpstream {
                key: key.clone(),
                health_path: upstream.health_path.clone(),
                health_host: upstream.health_host.clone(),
                protocol: upstream.protocol,
                endpoints: upstream
                    .endpoints
                    .iter()
                    .map(Reach::from)
                    .zip(&upstream.endpoints)
                    .map(|(reach, e)| (endpoints.state(&e.id, &reach), reach))
                    .collect(),
            });
        }
        for site in &table.sites {
            compiled.add_site(site, (table, endpoints.workers()), before);
        }
        for site in &table.sites {
            let Some(path) = &site.front.probe else { continue };
            let services = site.routes.iter().filter_map(|route| compiled.upstream_index.get(&route.upstream)).copied();
            let services: Vec<usize> = services.collect();
            compiled.probes.entry(path.as_str().to_owned()).or_default().extend(services);
        }
        for listener in &table.internal {
            let route = CompiledRoute {
                path: String::new(),
                exact: false,
                upstream: compiled.upstream_index.get(&listener.upstream).copied(),
                timeout: INTERNAL_LIMIT,
                idle: INTERNAL_LIMIT,
                filters: None,
            };
            compiled.internal.insert(listener.address, route);
        }
        for answer in &table.challenges {
            if let ChallengeAnswer::Http { host, token, answer } = answer {
                compiled.challenges.push((host.to_string(), token.clone(), Bytes::from(answer.clone())));
            }
        }
        compiled
    }

    /// The answer to an authority that asks `host` for `path`. All other paths below the same are the app's.
    pub(crate) fn challenge(&self, host: &str, path: &str) -> Option<&Bytes> {
        if self.challenges.is_empty() {
            return None;
        }
        let asked = path.strip_prefix(CHALLENGE_PATH)?;
        self.challenges.iter().find(|(of, token, _)| of == host && token == asked).map(|(_, _, answer)| answer)
    }

    /// The services that must be ready for a probe to be answered well, if this is one.
    pub(crate) fn probe(&self, host: &str, path: &str) -> Option<&[usize]> {
        if self.probes.is_empty() || self.hosts.contains_key(host) {
            return None;
        }
        self.probes.get(path).map(Vec::as_slice)
    }

    fn add_site(&mut self, site: &Site, (table, workers): (&RouteTable, usize), before: &Self) {
        let index = self.sites.len();
        for host in &site.hosts {
            // A host that one site serves and another redirects is served; the first site that names it wins.
            let entry = self.hosts.entry(host.as_str().to_owned()).or_insert(Host::Serve(index));
            if matches!(entry, Host::Redirect(_)) {
                *entry = Host::Serve(index);
            }
        }
        for host in &site.redirect_hosts {
            self.hosts.entry(host.as_str().to_owned()).or_insert(Host::Redirect(index));
        }
        if site.hosts.is_empty() && self.any_host.is_none() {
            self.any_host = Some(index);
        }
        // An app may have several sites: their routes remember nothing of each other.
        let face = format!("{} {}", site.app, site.hosts.first().map_or("*", |host| host.as_str()));
        let mut routes: Vec<CompiledRoute> = site
            .routes
            .iter()
            .map(|route| {
                let known = (self.filters.as_slice(), before.filters.as_slice());
                let whose = filter::Whose { app: &site.app, site: &face, path: &route.path, workers };
                let shared = filter::Shared::new(whose, &route.filters, folder(table, route), known);
                self.filters.push(shared);
                CompiledRoute {
                    path: route.path.path().to_owned(),
                    exact: route.path.is_exact(),
                    upstream: self.upstream_index.get(&route.upstream).copied(),
                    timeout: Duration::from_millis(route.timeout_ms),
                    idle: Duration::from_millis(route.idle_timeout_ms),
                    filters: Some(self.filters.len() - 1),
                }
            })
            .collect();
        // Reversed before the stable sort: of two equal paths the last one wins, as `Iterator::max_by_key` has it in the model.
        routes.reverse();
        routes.sort_by_key(|route| std::cmp::Reverse((route.exact, route.path.len())));
        let guards = |(i, route): (usize, &CompiledRoute)| {
            self.filters_of(route).is_some_and(filter::Shared::is_guard).then(|| Guard::new(&route.path, route.exact, i))
        };
        let guards = routes.iter().enumerate().filter_map(guards).collect();
        self.sites.push(CompiledSite {
            app: site.app.clone(),
            https: site.https,
            hsts: !site.routes.iter().any(|r| r.filters.headers.keys().any(|k| k.as_str() == "strict-transport-security")),
            canonical: site.hosts.first().map(|d| d.as_str().to_owned()),
            front: site.front.clone(),
            index,
            log: site.front.access_log,
            trusted: site.front.trusted_proxies.iter().copied().collect(),
            identity: identity(table, &site.app),
            routes,
            guards,
        });
    }

    fn filters_of(&self, route: &CompiledRoute) -> Option<&filter::Shared> {
        self.filters.get(route.filters?)
    }

    /// What to do with `path` at `host`, both canonical.
    pub(crate) fn find(&self, host: &str, path: &str) -> Found<'_> {
        let site = match self.hosts.get(host) {
            Some(Host::Redirect(index)) => {
                let site = &self.sites[*index];
                match &site.canonical {
                    Some(canonical) => return Found::Redirect(site, canonical),
                    None => site,
                }
            }
            Some(Host::Serve(index)) => &self.sites[*index],
            None => match self.any_host {
                Some(index) => &self.sites[index],
                None => return Found::NoSite,
            },
        };
        let meant = |route: &&CompiledRoute| if route.exact { route.path == path } else { covers(&route.path, path) };
        match site.routes.iter().enumerate().find(|(_, route)| meant(route)) {
            Some((index, route)) if self.walks_round(site, (index, route), path) => Found::Respelled(site),
            Some((_, route)) => Found::Route(site, route),
            None => Found::NoRoute(site),
        }
    }

    /// A reader less exact than the proxy may take `path` for one that is better guarded than `route`. What the proxy answers by itself has no such
    /// reader.
    fn walks_round(&self, site: &CompiledSite, (index, route): (usize, &CompiledRoute), path: &str) -> bool {
        if site.guards.is_empty() {
            return false;
        }
        let readings = Readings::of(path);
        let meets = |guard: &&Guard| {
            // One server's own habit: it matters only where the same server has the guarded path.
            let same_server = || site.routes.get(guard.route).is_some_and(|r| r.upstream == route.upstream);
            let covers = |read: &str| guard.covers(read) || without_format(read).is_some_and(|bare| guard.covers(bare) && same_server());
            let gives_way = !matches!(readings, Readings::Any) && guard.gives_way_to(&route.path, route.exact);
            guard.route != index && readings.any(covers) && !gives_way
        };
        let own = self.filters_of(route);
        site.guards.iter().filter(meets).any(|guard| {
            let guard = site.routes.get(guard.route).and_then(|route| self.filters_of(route));
            own.zip(guard).is_some_and(|(own, guard)| own.lets_more_pass_than(guard))
        })
    }

    /// What a request to an internal listener goes to.
    pub(crate) fn internal(&self, address: SocketAddr) -> Option<&CompiledRoute> {
        self.internal.get(&address)
    }

    /// The sites, in order, as one worker uses them.
    pub(crate) fn local_sites(&self) -> impl Iterator<Item = LocalSite> {
        self.sites.iter().map(|site| LocalSite::new(&site.app, &site.front))
    }

    /// The index of a service by name.
    pub(crate) fn upstream(&self, key: &str) -> Option<usize> {
        self.upstream_index.get(key).copied()
    }
}

/// Headers that tell what a token says, on any route of the app: a service behind two routes cannot know by which one a request came.
fn identity(table: &RouteTable, app: &str) -> Vec<HeaderName> {
    let routes = table.sites.iter().filter(|site| site.app == app).flat_map(|site| &site.routes);
    let claims = routes.filter_map(|route| route.filters.jwt.as_ref()).flat_map(|jwt| jwt.claims.values());
    let mut names: Vec<HeaderName> = claims.filter_map(|key| HeaderName::try_from(key.as_str()).ok()).collect();
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    names
}

/// The files of a route that serves some, opened.
fn folder(table: &RouteTable, route: &SiteRoute) -> Option<Arc<Folder>> {
    let Some(Answer::Files(files)) = &route.filters.answer else { return None };
    table.folders.get(&folder_key(&route.upstream, &files.root)).and_then(Folder::open).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::name::{Domain, PathMatch};
    use landfall_model::route::{self, Upstream};
    use proptest::prelude::*;

    /// Few names, so that hosts and prefixes collide.
    fn host() -> impl Strategy<Value = Domain> {
        prop_oneof![Just("a.example"), Just("b.example"), Just("www.a.example"), Just("c.example")].prop_map(|h| h.parse().unwrap())
    }

    fn path() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just("api"), Just("apix"), Just("v2"), Just("a.b")], 0..4)
            .prop_flat_map(|parts| (Just(parts), any::<bool>()))
            .prop_map(|(parts, slash)| {
                let text = format!("/{}", parts.join("/"));
                if slash && text.len() > 1 { format!("{text}/") } else { text }
            })
    }

    fn site(index: usize) -> impl Strategy<Value = Site> {
        let exact = any::<bool>().prop_map(|exact| if exact { "=" } else { "" });
        let routes = proptest::collection::vec((exact, path()).prop_map(|(exact, path)| format!("{exact}{path}")), 0..5);
        let hosts = proptest::collection::vec(host(), 0..3);
        let redirects = proptest::collection::vec(host(), 0..3);
        (hosts, redirects, routes).prop_map(move |(hosts, redirect_hosts, routes)| Site {
            app: format!("app{index}"),
            hosts,
            redirect_hosts,
            https: true,
            routes: routes
                .iter()
                .enumerate()
                .map(|(i, path)| SiteRoute {
                    path: path.parse::<PathMatch>().unwrap(),
                    upstream: format!("app{index}/{i}"),
                    timeout_ms: i as u64,
                    idle_timeout_ms: 1,
                    filters: Default::default(),
                })
                .collect(),
            front: Default::default(),
        })
    }

    fn table() -> impl Strategy<Value = RouteTable> {
        (site(0), site(1), site(2)).prop_map(|(a, b, c)| {
            let sites = vec![a, b, c];
            let upstreams = sites.iter().flat_map(|s| s.routes.iter()).map(|r| (r.upstream.clone(), Upstream::default())).collect();
            RouteTable { generation: 1, sites, upstreams, ..RouteTable::default() }
        })
    }

    proptest! {
        #[test]
        fn the_compiled_lookup_says_what_the_table_says(
            table in table(),
            host in prop_oneof![host().prop_map(String::from), Just("other.example".to_owned())],
            path in path(),
        ) {
            let compiled = Compiled::new(&table, &mut Endpoints::new(1), &Compiled::default());
            let expected = match table.find(&host, &path) {
                route::Found::Route(site, route) => format!("route {} {}", site.app, route.upstream),
                route::Found::Redirect(site, domain) => format!("redirect {} {domain}", site.app),
                route::Found::NoRoute(site) => format!("no route {}", site.app),
                route::Found::NoSite => "no site".to_owned(),
            };
            let found = match compiled.find(&host, &path) {
                Found::Route(site, route) => format!("route {} {}", site.app, compiled.upstreams[route.upstream.unwrap()].key),
                Found::Redirect(site, domain) => format!("redirect {} {domain}", site.app),
                Found::NoRoute(site) => format!("no route {}", site.app),
                Found::Respelled(site) => format!("respelled {}", site.app),
                Found::NoSite => "no site".to_owned(),
            };
            prop_assert_eq!(found, expected);
        }
    }
}
