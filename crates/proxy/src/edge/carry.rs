//! The way of one request: canonicalise, find, prepare, forward, and turn whatever happens into an answer.

use crate::edge::answer;
use crate::edge::arriving::Arriving;
use crate::edge::client::{Client, claims_https};
use crate::edge::connection::{Conn, Origin};
use crate::edge::filter::{self, Filters, Passage, Stop};
use crate::edge::guess::Caller;
use crate::edge::header::{self, Terms, Trailing};
use crate::edge::http1::{MAX_FIELDS, MAX_HEAD, decimal};
use crate::edge::record::{Record, Seen};
use crate::edge::refusal::{Asked, Refusal, is_grpc, plain, redirect};
use crate::edge::target::{Host, Target};
use crate::edge::watch::{InFlight, Room};
use crate::edge::websocket::{Opening, is_extended_connect};
use crate::stream::tunnel;
use crate::table::{CompiledRoute, CompiledSite, Found};
use crate::upstream::balance::{LocalTable, LocalUpstream};
use crate::upstream::body::{LastWords, Limits, Relay, RequestBody, ResponseBody};
use crate::upstream::coming::Coming;
use crate::upstream::fault::Failed;
use crate::upstream::forward::{Came, Inbound, Outbound, fail, forward};
use crate::upstream::patience::IdleLimit;
use crate::upstream::pool::Held;
use crate::upstream::upload::Upload;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, response};
use landfall_model::route::Protocol;
use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Of a field beside its name and value: `: ` and the end of its line.
const FIELD_BYTES: usize = 4;
/// What a probe hears when all is well.
const READY: &[u8] = b"ok\n";

/// Answers one request.
pub(crate) async fn carry(conn: Rc<Conn>, request: Request<Arriving>) -> Result<Response<ResponseBody>, Infallible> {
    let in_flight = conn.watch.begin(conn.http2.then(|| conn.unread.place()));
    let mut asked = Asked::of(request.method(), request.headers(), conn.http2);
    conn.worker.count_request();
    let mut record = Record::new(&conn.worker);
    let answer = answer(&conn, request, in_flight, (&mut asked, &mut record)).await;
    let mut response = answer.unwrap_or_else(|refusal| refuse(&conn, refusal, (&asked, &mut record)));
    record.answered(response.status());
    response.body_mut().keep(record);
    if conn.is_last_answer() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn refuse(conn: &Conn, refusal: Refusal, (asked, record): (&Asked, &mut Record)) -> Response<ResponseBody> {
    if refusal.is_failure() {
        conn.worker.count_failure();
    }
    if let Some(reason) = refusal.reason() {
        record.refused(reason);
    }
    refusal.response(asked)
}

async fn answer(
    conn: &Rc<Conn>,
    mut request: Request<Arriving>,
    in_flight: InFlight,
    (asked, record): (&mut Asked, &mut Record),
) -> Result<Response<ResponseBody>, Refusal> {
    let (host, target) = admit(conn, &request).inspect_err(|_| record.unread(conn, Some(&request)))?;
    let table = conn.worker.table();
    if let Some(challenge) = table.compiled.challenge(host.name(), target.path()).filter(|_| !matches!(conn.origin, Origin::Internal(_))) {
        return Ok(plain(challenge.clone()));
    }
    if let Some(services) = table.compiled.probe(host.name(), target.path()).filter(|_| !matches!(conn.origin, Origin::Internal(_))) {
        let ready = services.iter().all(|index| table.upstreams.get(*index).is_some_and(LocalUpstream::is_ready));
        return if ready { Ok(plain(Bytes::from_static(READY))) } else { Err(Refusal::NoEndpoint) };
    }
    let Decided { decision, client, site } = decide(conn, &table, Asking { host: &host, target: &target, headers: request.headers() });
    if let Some(site) = site
        && let Some(local) = table.sites.get(site.index)
    {
        let (method, version) = (request.method(), request.version());
        record.seen(&Seen { log: site.log, site: local, method, host: host.value(), target: target.sent(), client: &client, version });
        asked.site = Some(Rc::clone(local));
    }
    let (site, route) = match decision? {
        Decision::Forward(site, route) => (site, route),
        Decision::Redirect(site, location) => {
            let mut response = redirect(&location);
            if site.hsts && is_secure(&client, site, &host) {
                filter::hsts(response.headers_mut());
            }
            return Ok(response);
        }
    };
    let Some(filters) = route.filters.and_then(|index| table.filters.get(index)) else {
        let (target, identity) = (target.sent().clone(), [].as_slice());
        return pass(conn, &table, route, Arrived { request, client, host, target, in_flight, filtered: None, identity }, record).await;
    };
    let secure = site.is_some_and(|site| is_secure(&client, site, &host));
    let mut passage = Passage::new(conn.worker.request_ids.next(), secure);
    record.routed(&filters.meter, passage.id());
    if let Some(shown) = filters.shown(target.sent()) {
        record.show(&shown);
    }
    let spelled = target.admit_encoded_slashes(filters.encoded_slashes);
    let target = target.sent().clone();
    let caller = Caller { client: client.address, guesses: conn.worker.guesses() };
    let open = asked.site.as_ref().map_or(Ok(()), |site| site.admit(caller, request.headers_mut()));
    let admitted = spelled.and(open).map_err(Stop::from).and_then(|()| filters.admit(caller, &request, &mut passage));
    let passed = match admitted {
        Ok(()) => match &filters.answer {
            Some(own) => {
                let shown = filters.shown(&target).unwrap_or_else(|| target.clone());
                let asking = answer::Asking { request: &request, target: &shown, filters, in_flight };
                let answer = own.answer(asking, || site.map(|site| origin(conn, &client, site, host.name())).unwrap_or_default());
                filter::linger(request);
                answer
            }
            None => {
                let filtered = Some((filters, &mut passage));
                let identity = site.map_or(&[][..], |site| &site.identity);
                pass(conn, &table, route, Arrived { request, client, host, target, in_flight, filtered, identity }, record).await
            }
        },
        Err(stop) => {
            filter::linger(request);
            match stop {
                Stop::Refuse(Refusal::TooMany { .. }) => record.limited(),
                Stop::Refuse(Refusal::Maintenance { .. }) => record.planned(),
                _ => {}
            }
            match stop {
                Stop::Refuse(refusal) => Err(refusal),
                Stop::Answer(response) => Ok(*response),
            }
        }
    };
    let mut response = passed.unwrap_or_else(|refusal| refuse(conn, refusal, (&*asked, &mut *record)));
    if !matches!(response.body(), ResponseBody::Tunnel) {
        filters.relay(&mut response, passage);
    }
    Ok(response)
}

/// The client may be told to come by HTTPS only from now on.
fn is_secure(client: &Client<'_>, site: &CompiledSite, host: &Host) -> bool {
    client.https && site.canonical.is_some() && filter::is_public(host.name())
}

/// A request that may pass.
struct Arrived<'a> {
    request: Request<Arriving>,
    client: Client<'a>,
    host: Host,
    target: PathAndQuery,
    in_flight: InFlight,
    /// Absent for calls between services.
    filtered: Option<(&'a Filters, &'a mut Passage)>,
    /// Of its site.
    identity: &'a [HeaderName],
}

/// Takes a request to its application and the answer back.
async fn pass(
    conn: &Rc<Conn>,
    table: &Rc<LocalTable>,
    route: &CompiledRoute,
    mut arrived: Arrived<'_>,
    record: &mut Record,
) -> Result<Response<ResponseBody>, Refusal> {
    let upstream = route.upstream.ok_or(Refusal::NoEndpoint)?;
    // Calls between services all come from one address.
    if arrived.filtered.is_some() {
        arrived.in_flight.counts(conn.worker.in_flight.take(arrived.client.address).ok_or(Refusal::Crowding)?);
    }
    let protocol = table.compiled.upstreams.get(upstream).map(|upstream| upstream.protocol).unwrap_or_default();
    let interim = (arrived.request.version() == Version::HTTP_11).then(|| Rc::clone(&conn.interim));
    let (Prepared { request, upload, opening }, in_flight) = prepare(conn, arrived, (protocol, route.idle), record)?;
    record.uploads(upload.as_ref());
    let outbound = Outbound { request, upload: upload.clone(), upstream, timeout: route.timeout, interim };
    let Inbound { answer, held } = forward(&conn.worker, table, outbound, record).await.map_err(|refusal| match refusal {
        // The gate may have seen why the body did not come to its end.
        Refusal::Unfinished if conn.watch.is_refused(conn.requests()) => Refusal::Ambiguous("where its body ends"),
        refusal => refusal,
    })?;
    match answer {
        Came::Http(response) if opening.as_ref().is_some_and(|opening| opening.misleads(response.status())) => {
            Err(fail(record, Failed::upgrade(response.status())))
        }
        Came::Http(response) => Ok(relay(conn, response, Passing { held, in_flight, upload, idle: route.idle })),
        Came::Switched(response, upstream) => {
            let status = response.status();
            let opening = opening.filter(|opening| opening.is_accepted(response.headers()));
            let opening = opening.ok_or_else(|| fail(record, Failed::upgrade(status)))?;
            let (mut head, ()) = response.into_parts();
            opening.answer(&mut head);
            let agreed = Agreed { held, in_flight, opening, idle: route.idle };
            Ok(become_tunnel(conn, head, agreed, async move { Some((upstream, ())) }))
        }
        Came::Connected(response, upstream) => {
            let status = response.status();
            let opening = opening.ok_or_else(|| fail(record, Failed::upgrade(status)))?;
            let (mut head, ()) = response.into_parts();
            opening.answer_connected(&mut head);
            let agreed = Agreed { held, in_flight, opening, idle: route.idle };
            Ok(become_tunnel(conn, head, agreed, upstream.open()))
        }
    }
}

/// Refuses what can be understood in two ways; what remains has one host and one path that is meant.
fn admit(conn: &Conn, request: &Request<Arriving>) -> Result<(Host, Target), Refusal> {
    if conn.watch.is_refused(conn.count()) {
        return Err(Refusal::Ambiguous("where it ends"));
    }
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) && !is_extended_connect(request) {
        return Err(Refusal::Method);
    }
    let headers = request.headers();
    if conn.http2 && !has_room(headers) {
        return Err(Refusal::HeadTooLarge);
    }
    if conn.http2 && !has_one_length(headers) {
        return Err(Refusal::Ambiguous("how long it is"));
    }
    if !header::expects_nothing_else(headers) {
        return Err(Refusal::Expectation);
    }
    let host = Host::of(request.uri(), headers, request.version())?.or_address(conn.local);
    Ok((host, Target::of(request.uri())?))
}

/// The limits of HTTP/1 hold in HTTP/2 too. There a browser may send each cookie as a field of its own (RFC 9113 §8.2.3).
fn has_room(headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(COOKIE).iter().count();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES).sum();
    headers.len() - cookies.saturating_sub(1) <= MAX_FIELDS && bytes <= MAX_HEAD
}

/// In HTTP/2 frames say how long a request is; a length beside them goes on to the application as it is written.
fn has_one_length(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    lengths.next().is_none_or(|length| decimal(length.as_bytes()).is_some()) && lengths.next().is_none()
}

/// What the table says, as far as this connection may use it.
enum Decision<'a> {
    /// Calls between services have a route and no site.
    Forward(Option<&'a CompiledSite>, &'a CompiledRoute),
    Redirect(&'a CompiledSite, String),
}

/// What a decision is made from.
#[derive(Clone, Copy)]
struct Asking<'a> {
    host: &'a Host,
    target: &'a Target,
    headers: &'a HeaderMap,
}

/// What came of it.
struct Decided<'a> {
    decision: Result<Decision<'a>, Refusal>,
    client: Client<'a>,
    site: Option<&'a CompiledSite>,
}

fn decide<'a>(conn: &'a Conn, table: &'a LocalTable, asking: Asking<'_>) -> Decided<'a> {
    let Asking { host, target, headers } = asking;
    if let Origin::Internal(address) = conn.origin {
        let decision = table.compiled.internal(address).map(|route| Decision::Forward(None, route)).ok_or(Refusal::NoEndpoint);
        return Decided { decision, client: Client::of(conn, &[], headers), site: None };
    }
    let found = table.compiled.find(host.name(), target.path());
    let site = found.site();
    let client = Client::of(conn, site.map_or(&[], |site| site.trusted.as_slice()), headers);
    let decision = match found {
        Found::Redirect(site, canonical) => Ok(Decision::Redirect(site, location(conn, &client, site, canonical, target))),
        Found::Route(site, _) | Found::Respelled(site) | Found::NoRoute(site) if site.https && !client.https => {
            if !client.proxied && claims_https(headers) {
                conn.worker.looped(&site.app, client.address);
            }
            Ok(Decision::Redirect(site, location(conn, &client, site, host.name(), target)))
        }
        Found::Route(site, route) => Ok(Decision::Forward(Some(site), route)),
        Found::Respelled(..) => Err(Refusal::Respelled),
        Found::NoRoute(site) => {
            tracing::debug!(app = site.app, path = target.path(), "no route");
            Err(Refusal::NoRoute)
        }
        Found::NoSite if table.compiled.generation == 0 => Err(Refusal::NoTable),
        // A client may reuse a connection for another name of its certificate; 421 tells it to open a new one.
        Found::NoSite if conn.server_name.as_deref().is_some_and(|name| name != host.name()) => Err(Refusal::Misdirected),
        Found::NoSite => Err(Refusal::NoSite),
    };
    Decided { decision, client, site }
}

fn location(conn: &Conn, client: &Client<'_>, site: &CompiledSite, host: &str, target: &Target) -> String {
    format!("{}{}", origin(conn, client, site, host), target.sent())
}

/// Scheme, host and port by which a client is to come.
fn origin(conn: &Conn, client: &Client<'_>, site: &CompiledSite, host: &str) -> String {
    let ports = conn.worker.ports();
    let (scheme, port, usual) = if site.https || client.https { ("https", ports.https, 443) } else { ("http", ports.http, 80) };
    if client.proxied || port == usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") }
}

/// A request as the application gets it.
struct Prepared {
    request: Request<RequestBody>,
    upload: Option<Rc<Upload>>,
    /// Present if the client asks for a WebSocket or another protocol.
    opening: Option<Opening>,
}

fn prepare(
    conn: &Conn,
    arrived: Arrived<'_>,
    (protocol, idle): (Protocol, Duration),
    record: &Record,
) -> Result<(Prepared, InFlight), Refusal> {
    let Arrived { mut request, client, host, mut target, in_flight, filtered, identity } = arrived;
    let upgrades = filtered.as_ref().map_or(&[][..], |(filters, _)| &filters.upgrades);
    // In HTTP/2 there are no others than WebSockets.
    let mut opening = Opening::of(conn, &mut request, if protocol == Protocol::Http1 { upgrades } else { &[] });
    // Without its upgrade such a request would be another one, and nobody would know why nothing comes of it.
    let is_lost =
        header::asks_for_other_protocol(request.headers()) || protocol == Protocol::H2c && header::asks_for_websocket(request.headers());
    if opening.is_none() && is_lost {
        return Err(Refusal::Protocol);
    }
    if opening.is_none() && *request.method() == Method::CONNECT {
        return Err(Refusal::Protocol);
    }
    let (mut head, incoming) = request.into_parts();
    let underscored = filtered.as_ref().map_or(&[][..], |(filters, _)| &filters.underscored);
    let terms = Terms { host: &host, peer: client.peer.as_deref(), protocol, identity, underscored };
    let dropped = header::to_upstream(&mut head.headers, &terms);
    if let Some(slot) = record.slot().filter(|_| dropped > 0) {
        slot.dropped(dropped);
    }
    let trailing = Trailing::of(&head.headers, identity);
    match &mut opening {
        Some(opening) if protocol == Protocol::H2c => opening.prepare_connect(&mut head),
        Some(opening) => opening.prepare(&mut head.method, &mut head.headers),
        None => {}
    }
    let mut max_body = u64::MAX;
    if let Some((filters, passage)) = filtered {
        target = filters.prepare(passage, (&head.method, &mut head.headers), target);
        max_body = filters.max_body;
    }
    let limits =
        Limits { bytes: max_body, idle, streams: speaks_both_ways(conn.http2, protocol, &head.headers), http2: conn.http2, trailing };
    let (body, upload) = RequestBody::new(incoming, limits);
    if let Some(upload) = &upload
        && protocol == Protocol::Http1
        && head.headers.contains_key(EXPECT)
    {
        upload.hold();
    }
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = head.headers;
    if let Some(protocol) = head.extensions.remove::<hyper::ext::Protocol>().filter(|_| protocol == Protocol::H2c) {
        request.extensions_mut().insert(protocol);
    }
    Ok((Prepared { request, upload, opening }, in_flight))
}

/// A body without any pace, as gRPC has it: over HTTP/2, to a service of which the file says that it speaks it. The header alone anybody can send.
fn speaks_both_ways(http2: bool, protocol: Protocol, headers: &HeaderMap) -> bool {
    http2 && protocol == Protocol::H2c && is_grpc(headers)
}

/// What a tunnel is made of, beside the application's side.
struct Agreed {
    held: Held,
    in_flight: InFlight,
    opening: Opening,
    idle: Duration,
}

/// The application agreed to what the client asks for: from here on it is a tunnel, as soon as `upstream` is there. What comes with it is kept as long.
fn become_tunnel<U, K>(
    conn: &Rc<Conn>,
    mut head: response::Parts,
    agreed: Agreed,
    upstream: impl Future<Output = Option<(U, K)>> + 'static,
) -> Response<ResponseBody>
where
    U: AsyncRead + AsyncWrite + Unpin + 'static,
    K: 'static,
{
    let Agreed { mut held, in_flight, opening, idle } = agreed;
    held.becomes_stream();
    let guard = conn.worker.streams.add(&held.endpoint().state);
    let conn = Rc::clone(conn);
    head.version = Version::HTTP_11;
    let framing = opening.framing();
    tokio::task::spawn_local(async move {
        if let Some(client) = opening.client.open().await
            && let Some((upstream, kept)) = upstream.await
        {
            tunnel::carry(tunnel::Ends { client, upstream }, guard, idle, framing).await;
            drop(kept);
        }
        // Until here they counted: the endpoint's stream, and the client's connection as one that is busy.
        drop((held, conn, in_flight));
    });
    Response::from_parts(head, ResponseBody::Tunnel)
}

/// What an answer takes along on its way back.
struct Passing {
    held: Held,
    in_flight: InFlight,
    /// Present if the request has a body.
    upload: Option<Rc<Upload>>,
    idle: Duration,
}

fn relay(conn: &Conn, response: Response<Coming>, passing: Passing) -> Response<ResponseBody> {
    let Passing { mut held, in_flight, upload, idle } = passing;
    let upload = upload.filter(|upload| upload.ended().is_none()).inspect(|upload| upload.answered());
    let (mut head, incoming) = response.into_parts();
    let stream = is_event_stream(&head.headers).then(|| {
        held.becomes_stream();
        conn.worker.streams.add(&held.endpoint().state)
    });
    header::remove_hop_by_hop(&mut head.headers);
    head.version = Version::HTTP_11;
    let body = ResponseBody::relay(Relay {
        incoming,
        idle: IdleLimit::new(idle),
        held: Some(held),
        stream,
        upload,
        room: conn.http2.then(|| Room::new(&conn.watch)),
        in_flight: Some(in_flight),
        last_words: LastWords::default(),
        record: None,
    });
    Response::from_parts(head, body)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_alone_does_not_switch_the_pace_of_a_body_off() {
        let grpc = |value: &'static str| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
        assert!(speaks_both_ways(true, Protocol::H2c, &grpc("application/grpc")));
        assert!(speaks_both_ways(true, Protocol::H2c, &grpc("application/grpc+proto")));
        for (http2, protocol, kind) in [
            (false, Protocol::Http1, "application/grpc"),
            (false, Protocol::H2c, "application/grpc"),
            (true, Protocol::Http1, "application/grpc"),
            (true, Protocol::H2c, "application/json"),
        ] {
            assert!(!speaks_both_ways(http2, protocol, &grpc(kind)), "{http2} {protocol:?} {kind}");
        }
    }
}
