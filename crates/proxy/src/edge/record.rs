//! What is known of a request while it is carried, and what is made of it when it is over: counts, and perhaps a line in the access log.
//!
//! It travels with the answer's body, so it ends when the last byte is sent, or when anybody gives up before. Nothing is allocated for it.

use crate::access::{Line, bounded};
use crate::edge::arriving::Arriving;
use crate::edge::client::Client;
use crate::edge::connection::{Conn, Origin};
use crate::edge::front::LocalSite;
use crate::edge::refusal::Reason;
use crate::meter::{End, RouteMeter, Slot, add};
use crate::upstream::fault::Failed;
use crate::upstream::pool::LocalEndpoint;
use crate::upstream::upload::Upload;
use crate::worker::Worker;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, StatusCode, Version};
use landfall_model::front::AccessLog;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

/// The client left before there was an answer. nginx's number, which people know.
const LEFT: u16 = 499;

/// One request.
pub(crate) struct Record {
    worker: Rc<Worker>,
    began: Instant,
    route: Option<Rc<RouteMeter>>,
    endpoint: Option<Rc<LocalEndpoint>>,
    upload: Option<Rc<Upload>>,
    waited: Duration,
    status: Option<u16>,
    whole: bool,
    /// Its failure is wanted.
    planned: bool,
    /// Why the last endpoint that was tried gave no answer.
    fault: Option<Failed>,
    /// Why nobody could carry it.
    refused: Option<&'static str>,
    sent: u64,
    asked: Option<Asked>,
}

/// What a line would say of the request. Absent if there will be none.
struct Asked {
    log: AccessLog,
    site: Option<Rc<LocalSite>>,
    method: Option<Method>,
    https: bool,
    host: HeaderValue,
    /// Absent if it could not be read.
    target: Option<PathAndQuery>,
    client: IpAddr,
    id: Option<HeaderValue>,
    version: Version,
}

/// What is told about a request when its site is known.
pub(crate) struct Seen<'a> {
    pub(crate) log: AccessLog,
    pub(crate) site: &'a Rc<LocalSite>,
    pub(crate) method: &'a Method,
    pub(crate) host: &'a HeaderValue,
    pub(crate) target: &'a PathAndQuery,
    pub(crate) client: &'a Client<'a>,
    pub(crate) version: Version,
}

impl Record {
    /// A request begins.
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        Self {
            worker: Rc::clone(worker),
            began: Instant::now(),
            route: None,
            endpoint: None,
            upload: None,
            waited: Duration::ZERO,
            status: None,
            whole: false,
            planned: false,
            fault: None,
            refused: None,
            sent: 0,
            asked: None,
        }
    }

    /// It is to a site.
    pub(crate) fn seen(&mut self, seen: &Seen<'_>) {
        self.asked = seen.log.is_on().then(|| Asked {
            log: seen.log,
            site: Some(Rc::clone(seen.site)),
            method: Some(seen.method.clone()),
            https: seen.client.https,
            host: seen.host.clone(),
            target: Some(seen.target.clone()),
            client: seen.client.address,
            id: None,
            version: seen.version,
        });
    }

    /// Nobody can say whose it is.
    pub(crate) fn unread(&mut self, conn: &Conn, request: Option<&Request<Arriving>>) {
        if self.asked.is_some() {
            return;
        }
        let host = request.and_then(|request| {
            let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
            authority.or_else(|| request.headers().get(HOST).cloned())
        });
        let unknown = if conn.http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        self.asked = Some(Asked {
            log: AccessLog::default(),
            site: None,
            method: request.map(|request| request.method().clone()),
            https: conn.origin == Origin::Https,
            host: host.unwrap_or(HeaderValue::from_static("")),
            target: request.and_then(|request| request.uri().path_and_query().cloned()),
            client: conn.client,
            id: None,
            version: request.map_or(unknown, Request::version),
        });
    }

    /// Nobody could carry it.
    pub(crate) fn refused(&mut self, (reason, why): (Reason, &'static str)) {
        add(&self.worker.counters().refused[reason as usize], 1);
        self.refused = Some(why);
    }

    /// It has a route, and a name.
    pub(crate) fn routed(&mut self, route: &Rc<RouteMeter>, id: &HeaderValue) {
        route.slot().begin();
        self.route = Some(Rc::clone(route));
        if let Some(asked) = &mut self.asked {
            asked.id = Some(id.clone());
        }
    }

    /// The route, as it is counted.
    pub(crate) fn slot(&self) -> Option<&Slot> {
        self.route.as_ref().map(|route| route.slot())
    }

    /// It is refused because the app is closed, which is no failure.
    pub(crate) fn planned(&mut self) {
        self.planned = true;
    }

    /// It was one too many.
    pub(crate) fn limited(&self) {
        if let Some(slot) = self.slot() {
            slot.limited();
        }
    }

    /// What the log may show of its target: without a token that was in it.
    pub(crate) fn show(&mut self, target: &PathAndQuery) {
        if let Some(asked) = &mut self.asked {
            asked.target = Some(target.clone());
        }
    }

    /// It has a body.
    pub(crate) fn uploads(&mut self, upload: Option<&Rc<Upload>>) {
        self.upload = upload.cloned();
    }

    /// It is at an endpoint now.
    pub(crate) fn sent_to(&mut self, endpoint: &Rc<LocalEndpoint>) {
        if self.endpoint.is_some() {
            self.slot().into_iter().chain(self.endpoint.as_ref().map(|e| e.slot())).for_each(Slot::retried);
        }
        self.leave_endpoint();
        endpoint.slot().begin();
        self.endpoint = Some(Rc::clone(endpoint));
    }

    /// The endpoint it is at gave no answer that can be passed on.
    pub(crate) fn failed(&mut self, reason: Failed) {
        for slot in self.slot().into_iter().chain(self.endpoint.as_ref().map(|e| e.slot())) {
            slot.failed(reason.fault);
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint.state.failed(&reason);
        }
        self.fault = Some(reason);
    }

    /// An endpoint that did not answer is done with.
    fn leave_endpoint(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.slot().end(End { whole: true, status: Some(0), ..End::default() });
        }
    }

    /// There is an answer.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
        self.waited = self.began.elapsed();
        for slot in self.slot().into_iter().chain(self.endpoint.as_ref().map(|e| e.slot())) {
            slot.answered(status.as_u16(), self.waited);
        }
    }

    /// So much more of the answer was sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// All of it was.
    pub(crate) fn completed(&mut self) {
        self.whole = true;
    }

    fn write(&self, asked: &Asked, end: End) {
        let status = end.status.unwrap_or(LEFT);
        let failed = status >= 500 && !self.planned || !end.whole;
        let log = &self.worker.log;
        let refused = self.refused.is_some() && asked.log.errors;
        if !(failed && asked.log.errors || log.is_drawn(asked.log.sample) || refused && log.takes_refusal()) {
            return;
        }
        let duration = self.began.elapsed();
        let time = SystemTime::now().checked_sub(duration).and_then(|t| jiff::Timestamp::try_from(t).ok()).unwrap_or_default();
        log.write(&Line {
            time: time.round(jiff::Unit::Millisecond).unwrap_or(time),
            app: asked.site.as_ref().map(|site| site.app.as_str()),
            route: self.route.as_ref().map(|route| route.path.as_str()),
            method: asked.method.as_ref().map_or("", |method| bounded(method.as_str())),
            scheme: if asked.https { "https" } else { "http" },
            host: asked.host.to_str().unwrap_or_default(),
            path: asked.target.as_ref().map_or("", |target| bounded(target.path())),
            query: asked.target.as_ref().and_then(PathAndQuery::query).filter(|_| asked.log.query).map(bounded),
            status,
            bytes: end.bytes_out,
            bytes_in: end.bytes_in,
            duration_ms: milliseconds(duration),
            wait_ms: milliseconds(if end.status.is_some() { self.waited } else { duration }),
            client: asked.client,
            id: asked.id.as_ref().and_then(|id| id.to_str().ok()),
            upstream: self.endpoint.as_ref().map(|endpoint| endpoint.state.id.as_str()),
            protocol: match asked.version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2",
                Version::HTTP_3 => "HTTP/3",
                _ => "HTTP/1.1",
            },
            refused: self.refused,
            broken: end.status.is_some() && !end.whole,
            fault: self.fault.as_ref().filter(|_| status >= 500).map(ToString::to_string),
        });
    }
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

impl Drop for Record {
    fn drop(&mut self) {
        let bytes_in = self.upload.as_ref().map_or(0, |upload| upload.bytes());
        let end = End { status: self.status, whole: self.whole, bytes_in, bytes_out: self.sent };
        for slot in self.slot().into_iter().chain(self.endpoint.as_ref().map(|e| e.slot())) {
            slot.end(end);
        }
        if let Some(asked) = &self.asked {
            self.write(asked, end);
        }
    }
}
