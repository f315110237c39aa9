//! Errors become answers here and nowhere else.

use crate::edge::front::LocalSite;
use crate::upstream::body::ResponseBody;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use std::rc::Rc;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why a request came to nothing that is a fault of its own, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Malformed,
    HeadTooLarge,
    Method,
    Expectation,
    Respelled,
    Protocol,
    Guessing,
    Crowding,
    Busy,
}

impl Reason {
    pub(crate) const ALL: [Self; 9] = [
        Self::Malformed,
        Self::HeadTooLarge,
        Self::Method,
        Self::Expectation,
        Self::Respelled,
        Self::Protocol,
        Self::Guessing,
        Self::Crowding,
        Self::Busy,
    ];

    /// As metrics have it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::HeadTooLarge => "head-too-large",
            Reason::Method => "method",
            Reason::Expectation => "expectation",
            Reason::Respelled => "respelled",
            Reason::Protocol => "protocol",
            Reason::Guessing => "failed-logins",
            Reason::Crowding => "client-in-flight",
            Reason::Busy => "replica-in-flight",
        }
    }
}

/// Why a request is answered by the proxy itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It can be understood in more than one way; says what.
    Ambiguous(&'static str),
    /// Its path is another spelling of one that is better guarded.
    Respelled,
    /// Its head is larger than one may be.
    HeadTooLarge,
    /// CONNECT and TRACE are not for this server.
    Method,
    /// A tunnel is asked for, for a protocol that is not spoken there.
    Protocol,
    /// It expects something else than `100-continue`.
    Expectation,
    /// The proxy was never given a table.
    NoTable,
    /// No site has this host.
    NoSite,
    /// No site has this host, and the connection was opened for another.
    Misdirected,
    /// The site has no route for this path.
    NoRoute,
    /// The service has no ready replica.
    NoEndpoint,
    /// No replica could be reached.
    BadGateway,
    /// A replica ended the connection before it answered.
    NoAnswer,
    /// A replica's answer cannot be passed on.
    Unreadable,
    /// No answer in time.
    Timeout,
    /// The client did not finish sending its request.
    Unfinished,
    /// The body is larger than the route takes.
    TooLarge,
    /// Clients of this address are not served here.
    Forbidden,
    /// Who asks has not shown that they may.
    Unauthorized,
    /// There is no token.
    NoToken,
    /// There is one, and it is not valid.
    BadToken,
    /// Tokens cannot be checked for now.
    NoKeys,
    /// The app is closed for a while.
    Maintenance {
        /// Seconds.
        retry_after: u32,
    },
    /// The client asks more often than the route allows.
    TooMany {
        /// Seconds.
        retry_after: u32,
    },
    /// The client failed too often to show that it may.
    Guessing {
        /// Seconds.
        retry_after: u32,
    },
    /// Applications work on as many requests of this client as they may.
    Crowding,
    /// The replicas have as many requests as they may.
    Busy,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Refusal::Ambiguous(_) | Refusal::Respelled => StatusCode::BAD_REQUEST,
            Refusal::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Protocol => StatusCode::NOT_IMPLEMENTED,
            Refusal::Expectation => StatusCode::EXPECTATION_FAILED,
            Refusal::NoSite | Refusal::NoRoute => StatusCode::NOT_FOUND,
            Refusal::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Refusal::NoTable | Refusal::NoEndpoint | Refusal::NoKeys | Refusal::Busy | Refusal::Maintenance { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::BadGateway | Refusal::NoAnswer | Refusal::Unreadable => StatusCode::BAD_GATEWAY,
            Refusal::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Unfinished => StatusCode::REQUEST_TIMEOUT,
            Refusal::Forbidden => StatusCode::FORBIDDEN,
            Refusal::Unauthorized | Refusal::NoToken | Refusal::BadToken => StatusCode::UNAUTHORIZED,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooMany { .. } | Refusal::Guessing { .. } | Refusal::Crowding => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// For the person who reads it: nothing about the inside of the server.
    fn text(self) -> &'static str {
        match self {
            Refusal::Ambiguous(_) | Refusal::Respelled => "The request can be understood in more than one way",
            Refusal::HeadTooLarge => "The request's header is too large",
            Refusal::Method => "This method is not served here",
            Refusal::Protocol => "This protocol is not spoken here",
            Refusal::Expectation => "What the request expects of the server is not done here",
            Refusal::NoSite | Refusal::Misdirected => "No site of this name is served here",
            Refusal::NoRoute => "There is nothing at this address",
            Refusal::NoTable => "The server is starting",
            Refusal::NoEndpoint | Refusal::NoKeys => "The service is not available at the moment",
            Refusal::BadGateway => "The service could not be reached",
            Refusal::NoAnswer => "The service ended the connection without an answer",
            Refusal::Unreadable => "The service gave an answer that cannot be passed on",
            Refusal::Timeout => "The service did not answer in time",
            Refusal::Unfinished => "The request was not sent to its end in time",
            Refusal::Forbidden => "This is not open to you",
            Refusal::Unauthorized => "A name and a password are needed here",
            Refusal::NoToken => "A token is needed here",
            Refusal::BadToken => "The token is not valid here",
            Refusal::Maintenance { .. } => "This is being worked on; come back in a while",
            Refusal::TooLarge => "The request is too large",
            Refusal::TooMany { .. } => "Too many requests; wait a little",
            Refusal::Guessing { .. } => "Too many failed attempts; wait a little",
            Refusal::Crowding => "Too many requests at the same time",
            Refusal::Busy => "The service is busy",
        }
    }

    /// Why, if nobody carried it though an application is there, and in more words for the log.
    pub(crate) fn reason(self) -> Option<(Reason, &'static str)> {
        Some(match self {
            Refusal::Ambiguous(what) => (Reason::Malformed, what),
            Refusal::HeadTooLarge => (Reason::HeadTooLarge, "its header is too large or has too many fields"),
            Refusal::Method => (Reason::Method, "its method is not served"),
            Refusal::Expectation => (Reason::Expectation, "it expects something else than 100-continue"),
            Refusal::Respelled => (Reason::Respelled, "another spelling of a path with a stricter route"),
            Refusal::Protocol => (Reason::Protocol, "it asks for a protocol that is not spoken there"),
            Refusal::Guessing { .. } => (Reason::Guessing, "its client failed to log in too often"),
            Refusal::Crowding => (Reason::Crowding, "its client has too many requests at the same time"),
            Refusal::Busy => (Reason::Busy, "the replicas have as many requests as they may"),
            _ => return None,
        })
    }

    /// True if the request failed for want of an application, as opposed to for what it asked.
    pub(crate) fn is_failure(self) -> bool {
        matches!(
            self,
            Refusal::NoTable
                | Refusal::NoEndpoint
                | Refusal::NoKeys
                | Refusal::Busy
                | Refusal::BadGateway
                | Refusal::NoAnswer
                | Refusal::Unreadable
                | Refusal::Timeout
        )
    }

    /// The answer.
    pub(crate) fn response(self, asked: &Asked) -> Response<ResponseBody> {
        if asked.grpc {
            return self.grpc();
        }
        let status = self.status();
        let own = asked.site.as_ref().filter(|_| asked.wants_html()).and_then(|site| site.page(self, status.as_u16()));
        let (kind, text) = if let Some(page) = own {
            ("text/html; charset=utf-8", page)
        } else if asked.wants_html() {
            let code = status.as_u16();
            let page =
                format!("<!doctype html>\n<meta charset=\"utf-8\">\n<title>{code}</title>\n<h1>{code}</h1>\n<p>{}.</p>\n", self.text());
            ("text/html; charset=utf-8", Bytes::from(page))
        } else {
            let line = match self {
                Refusal::Ambiguous(what) => format!("{}: {what}.\n", self.text()),
                Refusal::Respelled => format!("{}: its path is spelled in an unusual way.\n", self.text()),
                _ => format!("{}.\n", self.text()),
            };
            ("text/plain; charset=utf-8", Bytes::from(line))
        };
        let length = text.len();
        let mut response = Response::new(ResponseBody::text(if asked.head { Bytes::new() } else { text }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            Refusal::NoTable | Refusal::NoEndpoint | Refusal::NoKeys | Refusal::Busy | Refusal::Crowding => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Refusal::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
                if !asked.http2 {
                    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
            }
            Refusal::Unauthorized => {
                let challenge = HeaderValue::from_static("Basic realm=\"restricted\", charset=\"UTF-8\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Refusal::NoToken => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Refusal::BadToken => {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Refusal::TooMany { retry_after } | Refusal::Guessing { retry_after } | Refusal::Maintenance { retry_after } => {
                drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after)))
            }
            // What follows on such a connection cannot be trusted, or is a body nobody wants. In HTTP/2 the header would itself be an error.
            Refusal::Ambiguous(_) | Refusal::Expectation | Refusal::Unfinished | Refusal::TooLarge if !asked.http2 => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl Refusal {
    /// As a gRPC client reads it: success of HTTP, and a status in the place of trailers. The statuses are those its specification gives to HTTP's.
    fn grpc(self) -> Response<ResponseBody> {
        let status = match self.status().as_u16() {
            400 => "13",
            401 => "16",
            403 => "7",
            404 => "12",
            413 => "8",
            429 | 502..=504 => "14",
            _ => "2",
        };
        let mut response = Response::new(ResponseBody::text(Bytes::new()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS, HeaderValue::from_static(status));
        headers.insert(GRPC_MESSAGE, HeaderValue::from_static(self.text()));
        response
    }
}

/// How an answer of the proxy's own must look, noted before the request is given away.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    accept: Option<HeaderValue>,
    head: bool,
    http2: bool,
    grpc: bool,
    /// Whose pages are shown, once that is known.
    pub(crate) site: Option<Rc<LocalSite>>,
}

impl Asked {
    /// For this request.
    pub(crate) fn of(method: &Method, headers: &HeaderMap, http2: bool) -> Self {
        // Kept, not read: hardly any request is refused.
        Self {
            accept: headers.get(header::ACCEPT).cloned(),
            head: method == Method::HEAD,
            http2,
            grpc: http2 && is_grpc(headers),
            site: None,
        }
    }

    fn wants_html(&self) -> bool {
        self.accept.as_ref().and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"))
    }
}

/// True for a gRPC call. gRPC-Web, which browsers speak, reads answers of HTTP.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers.get(header::CONTENT_TYPE).and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}

/// 200 with a text for a program, as HTTP-01 wants it (RFC 8555 §8.3).
pub(crate) fn plain(text: Bytes) -> Response<ResponseBody> {
    let length = text.len();
    let mut response = Response::new(ResponseBody::text(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 308 to another origin; path and query stay.
pub(crate) fn redirect(location: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::text(Bytes::new()));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    match HeaderValue::from_str(location) {
        Ok(location) => drop(response.headers_mut().insert(header::LOCATION, location)),
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}
