//! What there is to look at: hosts, the places below them, and what the file says of each.

use super::wire::Reach;
use crate::error::Plain;
use http::Uri;
use landfall_model::filter::{Answer, Filters};
use landfall_model::name::Domain;
use landfall_model::spec::{Probe, Route, Service, Spec, Tls};

/// Most places that are looked at below one host.
const MAX_PLACES: usize = 100;
/// What a route has when the file does not say how long a stream may be silent.
const USUAL_IDLE_MS: u64 = 3_600_000;

/// An app, or one address.
#[derive(Debug)]
pub struct Target {
    /// How it is called.
    pub name: String,
    /// Served over HTTPS.
    pub secure: bool,
    /// It serves whatever name it is called by.
    pub every_host: bool,
    /// The canonical one first.
    pub hosts: Vec<Host>,
}

/// A name it is served by.
#[derive(Debug)]
pub struct Host {
    /// The name.
    pub name: String,
    /// Where its ports are, when not the usual ones.
    pub reach: Reach,
    /// It only sends on to this one.
    pub redirects_to: Option<String>,
    /// Below it.
    pub places: Vec<Place>,
}

/// Something that answers.
#[derive(Debug)]
pub struct Place {
    /// What is asked for.
    pub path: String,
    /// The service behind it, for hints.
    pub service: Option<String>,
    /// What must come back.
    pub expect: Expect,
    /// Headers of answers that the file leaves to the application.
    pub waived: Vec<String>,
    /// Headers of answers that the file gives a value.
    pub stated: Vec<(String, String)>,
    /// It may be compressed.
    pub compressed: bool,
    /// It takes WebSockets, as far as the file tells.
    pub websocket: bool,
    /// Everybody may ask for it, as often as they like.
    pub open: bool,
}

/// What must come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Below 400: it is the very thing that was asked for.
    Success,
    /// Below 500: an application may have nothing at the root of a route.
    Answer,
    /// 401 or 403: who shows nothing is not let in.
    Refusal,
    /// Exactly this.
    Status(u16),
}

impl Host {
    /// As a browser shows it.
    pub fn url(&self, secure: bool, path: &str) -> String {
        let (scheme, port, usual) = if secure { ("https", self.reach.https, 443) } else { ("http", self.reach.http, 80) };
        let port = if port == usual { String::new() } else { format!(":{port}") };
        format!("{scheme}://{}{port}{path}", self.name)
    }
}

impl Target {
    /// Of an app: every domain and every route of its file.
    pub fn of(spec: &Spec, reach: Reach) -> Self {
        let secure = spec.tls != Tls::Off;
        let host =
            |name: &str, redirects_to: Option<String>, places: Vec<Place>| Host { name: name.to_owned(), reach, redirects_to, places };
        let canonical = spec.domains.first().map_or("localhost", Domain::as_str);
        let mut hosts = vec![host(canonical, None, places(spec, None))];
        hosts.extend(spec.domains.iter().skip(1).map(|name| host(name.as_str(), Some(canonical.to_owned()), Vec::new())));
        hosts.extend(spec.route_hosts().into_iter().map(|name| host(name.as_str(), None, places(spec, Some(name)))));
        hosts.retain(|host| host.redirects_to.is_some() || !host.places.is_empty());
        Self { name: spec.app.to_string(), secure, every_host: spec.domains.is_empty(), hosts }
    }

    /// Of one address, about which no file says anything.
    pub fn at(url: &str, reach: Reach) -> Result<Self, Plain> {
        let bad = |why: &str| Plain::usage("bad-url", format!("`{}` cannot be looked at: {why}", url.escape_debug()));
        let uri: Uri = url.parse().map_err(|_| bad("it is no URL"))?;
        let secure = uri.scheme_str() == Some("https");
        if !secure && uri.scheme_str() != Some("http") {
            return Err(bad("it does not begin with https:// or http://"));
        }
        let name: Domain = uri.host().unwrap_or_default().parse().map_err(|_| bad("its host is no domain"))?;
        let port = uri.port_u16();
        let reach = Reach {
            http: if secure { reach.http } else { port.unwrap_or(reach.http) },
            https: if secure { port.unwrap_or(reach.https) } else { reach.https },
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let place = Place {
            path,
            service: None,
            expect: Expect::Success,
            waived: Vec::new(),
            stated: Vec::new(),
            compressed: true,
            websocket: false,
            open: true,
        };
        let host = Host { name: name.to_string(), reach, redirects_to: None, places: vec![place] };
        Ok(Self { name: url.to_owned(), secure, every_host: false, hosts: vec![host] })
    }
}

/// Below the domains, or below a route's own host.
fn places(spec: &Spec, host: Option<&Domain>) -> Vec<Place> {
    let closed = spec.front.maintenance.is_some();
    let mine = |route: &&Route| route.host.as_ref() == host;
    let mut places: Vec<Place> = Vec::new();
    for (name, service) in &spec.services {
        for route in service.routes.iter().filter(mine) {
            let mut place = place(route, closed);
            place.service = Some(name.to_string());
            places.push(place);
        }
        // Where health can be asked from outside it is the best question there is.
        if let (Probe::Http { path, .. }, false) = (&service.gate.probe, closed)
            && let Some(route) = service.routes.iter().filter(mine).find(|route| leads(spec, host, route, service, path))
        {
            let mut place = self::place(route, closed);
            if place.expect == Expect::Answer {
                place.expect = Expect::Success;
            }
            (place.path, place.service, place.websocket) = (path.clone(), Some(name.to_string()), false);
            places.retain(|other| other.path != place.path || other.websocket);
            places.push(place);
        }
    }
    places.truncate(MAX_PLACES);
    places
}

/// A request for the service's health path from outside comes to this route, unchanged.
fn leads(spec: &Spec, host: Option<&Domain>, route: &Route, service: &Service, path: &str) -> bool {
    let plain = path.split('?').next().unwrap_or(path);
    let best = spec
        .services
        .values()
        .flat_map(|other| other.routes.iter().map(move |route| (other, route)))
        .filter(|(_, other)| other.host.as_ref() == host && other.path.covers(plain))
        .max_by_key(|(_, other)| (other.path.is_exact(), other.path.path().len()));
    best.is_some_and(|(of, best)| std::ptr::eq(of, service) && std::ptr::eq(best, route))
        && route.filters.rewrite.is_none()
        && route.filters.answer.is_none()
}

fn place(route: &Route, closed: bool) -> Place {
    let Filters { headers, rate_limit, uncompressed, allow, deny, basic_auth, jwt, answer, .. } = &route.filters;
    let guarded = !basic_auth.is_empty() || jwt.is_some();
    let path = match route.path.path() {
        "" => "/",
        path => path,
    };
    let expect = match answer {
        _ if closed => Expect::Status(503),
        _ if guarded => Expect::Refusal,
        Some(Answer::Redirect(redirect)) => Expect::Status(redirect.status),
        Some(Answer::Respond(respond)) => Expect::Status(respond.status),
        _ if route.path.is_exact() => Expect::Success,
        _ => Expect::Answer,
    };
    // `/ws`, `/api/socket.io`, or a route for which somebody thought about how long it may be silent.
    let named = path.rsplit('/').next().is_some_and(|last| ["ws", "wss", "websocket", "socket", "sockets", "socket.io"].contains(&last));
    Place {
        path: path.to_owned(),
        service: None,
        expect,
        stated: headers.iter().filter_map(|(key, value)| Some((key.as_str().to_owned(), value.as_ref()?.to_string()))).collect(),
        waived: headers.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_str().to_owned()).collect(),
        compressed: !uncompressed,
        websocket: answer.is_none() && (named || route.idle_timeout_ms != USUAL_IDLE_MS),
        open: !guarded && rate_limit.is_none() && allow.is_empty() && deny.is_empty() && answer.is_none() && !closed,
    }
}
