//! The table the proxy carries requests by: an immutable value, swapped whole.
//!
//! It is made by the agent from every app's current release and read by the proxy alone. The lookup is pure and lives here so
//! that it can be tested without a socket: `find` takes a host and a path that were canonicalised once, and nothing else.

use crate::container::is_default;
use crate::filter::{FilesRoot, Filters};
use crate::front::Front;
use crate::name::{Domain, InterfaceName, PathMatch};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Everything the proxy needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RouteTable {
    /// Grows by one with every swap; a proxy refuses to go back.
    pub generation: u64,
    /// Answers to requests from outside.
    pub sites: Vec<Site>,
    /// By key `<app>/<service>`.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Loopback addresses that stand for a service inside an app (process runtime).
    pub internal: Vec<InternalListener>,
    /// Files of sites, by [`folder_key`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub folders: BTreeMap<String, Folder>,
    /// Names that containers ask for (Docker runtime).
    pub names: Vec<NameScope>,
    /// Certificates by the names they are for.
    pub certificates: Vec<CertificateFiles>,
    /// What authorities of certificates are about to ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<ChallengeAnswer>,
}

/// Where the files of a site lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Absolute. What is in it never changes.
    pub current: String,
    /// Of earlier releases, the newest first: pages that are still open go on loading their scripts from there.
    pub earlier: Vec<String>,
}

/// Where the files of a route are found in the table.
pub fn folder_key(upstream: &str, root: &FilesRoot) -> String {
    format!("{upstream} {root}")
}

/// Path below which HTTP-01 asks (RFC 8555 §8.3).
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// What shows an authority that a name is ours. Nothing in it is secret: it proves who has the account's key, which is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ChallengeAnswer {
    /// HTTP-01.
    Http {
        /// Asked of this host.
        host: Domain,
        /// Last element of the path, below [`CHALLENGE_PATH`].
        token: String,
        /// The body of the answer.
        answer: String,
    },
    /// TLS-ALPN-01 (RFC 8737): shown to who offers `acme-tls/1` alone.
    TlsAlpn(CertificateFiles),
}

/// One app's face to the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The app, for records and errors.
    pub app: String,
    /// Hosts it answers to. Empty: any host no other site names.
    pub hosts: Vec<Domain>,
    /// Hosts that are redirected (308) to the first of `hosts`.
    pub redirect_hosts: Vec<Domain>,
    /// False: plain HTTP is served instead of being redirected to HTTPS.
    pub https: bool,
    /// In any order; a path of its own wins before the longest matching prefix.
    pub routes: Vec<SiteRoute>,
    /// What holds for all of them.
    #[serde(default, skip_serializing_if = "Front::is_empty")]
    pub front: Front,
}

/// Paths of a site and what becomes of requests for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRoute {
    /// Which; prefixes end on segment boundaries.
    pub path: PathMatch,
    /// Key into `upstreams`. Not asked where a filter answers.
    pub upstream: String,
    /// From the last byte of the request to the first of the answer, milliseconds.
    pub timeout_ms: u64,
    /// Of a WebSocket or stream without any byte, milliseconds.
    pub idle_timeout_ms: u64,
    /// What is done to its requests and answers on their way.
    #[serde(default, skip_serializing_if = "Filters::is_empty")]
    pub filters: Filters,
}

/// A service's endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Upstream {
    /// Ready replicas.
    pub endpoints: Vec<Endpoint>,
    /// Path asked for by active health checks; a TCP connection when absent.
    pub health_path: Option<String>,
    /// The host they ask for; the replica's address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_host: Option<String>,
    /// What its replicas speak.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
}

/// What a service's replicas speak with the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, from the first byte (RFC 9113 §3.3). gRPC needs it.
    H2c,
}

/// One ready replica.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// `<app>/<replica>`.
    pub id: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The bridge of its network. The address means something only there: by another way it may be anybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<InterfaceName>,
}

/// A loopback listener that forwards to an upstream, so that a service has one address for its whole life.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InternalListener {
    /// Loopback only.
    pub address: SocketAddr,
    /// Key into `upstreams`.
    pub upstream: String,
}

/// The names that one app has in one container network, and who asks for them. Several apps may have replicas in one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameScope {
    /// The host's address in that network, where the questions arrive (port 53, UDP and TCP).
    pub listen: IpAddr,
    /// Service name in lower case → addresses of its ready replicas, which may be none.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Whose names they are. Empty in tables of earlier versions, as is all that follows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub app: String,
    /// Addresses of the network, `10.1.0.0/16`: questions from elsewhere are not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// The app's replicas in the network, and for each the gateways of all networks it has joined.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub askers: BTreeMap<IpAddr, Vec<IpAddr>>,
    /// There is no way out of the network, so nothing is asked outside for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub internal: bool,
    /// Suffixes that the app's containers put to names (`dns_search`).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub search: BTreeSet<String>,
}

/// A certificate on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFiles {
    /// Names it is served for.
    pub hosts: Vec<String>,
    /// PEM chain, leaf first.
    pub chain: String,
    /// PEM key.
    pub key: String,
    /// Changes when the content changes, so that the proxy reads again.
    pub fingerprint: String,
}

/// What the table says about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Forward it.
    Route(&'a Site, &'a SiteRoute),
    /// Send the client to the canonical domain.
    Redirect(&'a Site, &'a Domain),
    /// The host is served, the path is not.
    NoRoute(&'a Site),
    /// Nobody serves this host.
    NoSite,
}

impl RouteTable {
    /// Finds what to do with `path` at `host`. Both must be canonical: host in lower case without port and trailing dot, path
    /// as it will be forwarded. Linear in sites and routes, which is what tests compare faster indexes with.
    pub fn find(&self, host: &str, path: &str) -> Found<'_> {
        let Some((site, redirect)) = self.site(host) else { return Found::NoSite };
        if redirect && let Some(canonical) = site.hosts.first() {
            return Found::Redirect(site, canonical);
        }
        match site.route(path) {
            Some(route) => Found::Route(site, route),
            None => Found::NoRoute(site),
        }
    }

    fn site(&self, host: &str) -> Option<(&Site, bool)> {
        let named = |list: &[Domain]| list.iter().any(|d| d.as_str() == host);
        self.sites
            .iter()
            .find(|s| named(&s.hosts))
            .map(|s| (s, false))
            .or_else(|| self.sites.iter().find(|s| named(&s.redirect_hosts)).map(|s| (s, true)))
            .or_else(|| self.sites.iter().find(|s| s.hosts.is_empty()).map(|s| (s, false)))
    }
}

impl Site {
    /// The route for this very path, or the one with its longest prefix.
    pub fn route(&self, path: &str) -> Option<&SiteRoute> {
        self.routes.iter().filter(|r| r.path.covers(path)).max_by_key(|r| (r.path.is_exact(), r.path.path().len()))
    }
}

impl PathMatch {
    /// A request for `path` is meant.
    pub fn covers(&self, path: &str) -> bool {
        if self.is_exact() { self.path() == path } else { covers(self.path(), path) }
    }
}

/// True when `prefix` covers `path` on a segment boundary: `/api` covers `/api` and `/api/x`, not `/apix`.
pub fn covers(prefix: &str, path: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RouteTable {
        let route = |path: &str, upstream: &str| SiteRoute {
            path: path.parse().unwrap(),
            upstream: upstream.into(),
            timeout_ms: 1,
            idle_timeout_ms: 1,
            filters: Filters::default(),
        };
        RouteTable {
            sites: vec![
                Site {
                    app: "tutor".into(),
                    hosts: vec!["tutor.example.com".parse().unwrap()],
                    redirect_hosts: vec!["www.tutor.example.com".parse().unwrap()],
                    https: true,
                    routes: vec![route("/", "web"), route("/api", "api"), route("/api/v2/", "v2"), route("=/api/up", "up")],
                    front: Front::default(),
                },
                Site {
                    app: "any".into(),
                    hosts: vec![],
                    redirect_hosts: vec![],
                    https: true,
                    routes: vec![route("/only", "any")],
                    front: Front::default(),
                },
            ],
            ..RouteTable::default()
        }
    }

    fn upstream(host: &str, path: &str) -> String {
        match table().find(host, path) {
            Found::Route(_, r) => r.upstream.clone(),
            Found::Redirect(_, d) => format!("redirect {d}"),
            Found::NoRoute(s) => format!("no route in {}", s.app),
            Found::NoSite => "no site".into(),
        }
    }

    #[test]
    fn the_longest_prefix_on_a_segment_boundary_wins() {
        let host = "tutor.example.com";
        assert_eq!(upstream(host, "/"), "web");
        assert_eq!(upstream(host, "/api"), "api");
        assert_eq!(upstream(host, "/api/x"), "api");
        assert_eq!(upstream(host, "/apix"), "web");
        assert_eq!(upstream(host, "/api/v2"), "v2");
        assert_eq!(upstream(host, "/api/v2/x"), "v2");
        assert_eq!((upstream(host, "/api/up"), upstream(host, "/api/up/")), ("up".into(), "api".into()), "one path alone");
    }

    #[test]
    fn other_domains_redirect_and_unknown_hosts_fall_to_the_site_without_hosts() {
        assert_eq!(upstream("www.tutor.example.com", "/x"), "redirect tutor.example.com");
        assert_eq!(upstream("other.example.com", "/only/x"), "any");
        assert_eq!(upstream("other.example.com", "/x"), "no route in any");
    }
}
