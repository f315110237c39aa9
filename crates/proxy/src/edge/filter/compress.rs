//! Compression of answers: zstd, brotli or gzip, whichever the client likes best and the proxy does fastest.
//!
//! Left alone is what is encoded already, what is small or does not shrink, parts of files, whatever says `no-transform`, and event streams, whose
//! next line must not wait for more. An answer of which nothing comes for now is flushed, so slow ones arrive as they are made. Each encoder
//! costs about a megabyte, so only so many work at once; the answers beyond go as they are.

use super::encoder::Encoder;
use crate::edge::file::FileBody;
use crate::edge::record::Record;
use crate::upstream::body::{BodyError, FrameResult, LastWords, Relay, ResponseBody};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, VARY,
};
use http::{Method, Response, StatusCode};
use http_body::Frame;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Answers below this size gain nothing.
const SMALLEST: u64 = 512;
/// Encoders of one route and worker.
const MAX_ENCODERS: usize = 32;
/// Passed on at once.
const CHUNK: usize = 16 * 1024;
/// Taken in before something is passed on and others have their turn.
const BUDGET: usize = 256 * 1024;
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// What a client accepts, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Zstd,
    Brotli,
    Gzip,
}

impl Encoding {
    const ALL: [(Self, &'static str); 3] = [(Self::Zstd, "zstd"), (Self::Brotli, "br"), (Self::Gzip, "gzip")];

    /// Those a client accepts for files that are there in them, the best first. Among equals the smaller file, whose making costs nothing now.
    pub(crate) fn accepted(headers: &HeaderMap) -> [Option<Self>; 3] {
        let lists: Vec<HeaderValue> = headers.get_all(ACCEPT_ENCODING).iter().cloned().collect();
        let mut accepted = [(Self::Brotli, "br"), (Self::Zstd, "zstd"), (Self::Gzip, "gzip")].map(|(e, name)| (quality(&lists, name), e));
        accepted.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
        accepted.map(|(quality, encoding)| (quality > 0).then_some(encoding))
    }

    /// How names of files in it end.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Brotli => "br",
            Self::Gzip => "gz",
        }
    }

    fn best(lists: &[HeaderValue]) -> Option<Self> {
        let mut best: Option<(u16, Self)> = None;
        for (encoding, name) in Self::ALL {
            let quality = quality(lists, name);
            if quality > best.map_or(0, |(known, _)| known) {
                best = Some((quality, encoding));
            }
        }
        best.map(|(_, encoding)| encoding)
    }

    pub(crate) fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        })
    }
}

/// What a request accepts, read only if its answer is worth compressing.
#[derive(Debug, Default)]
pub(crate) struct Accepted(Lists);

#[derive(Debug, Default)]
enum Lists {
    #[default]
    None,
    /// As nearly every client sends it; costs no memory.
    One([HeaderValue; 1]),
    Several(Vec<HeaderValue>),
}

impl Accepted {
    /// Of a request.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        // The answer to HEAD has no body to tell its compressed length by.
        if method == Method::HEAD {
            return Self::default();
        }
        let mut lists = headers.get_all(ACCEPT_ENCODING).iter();
        match (lists.next(), lists.next()) {
            (None, _) => Self::default(),
            (Some(one), None) => Self(Lists::One([one.clone()])),
            (Some(_), Some(_)) => Self(Lists::Several(headers.get_all(ACCEPT_ENCODING).iter().cloned().collect())),
        }
    }

    /// The encoding to use.
    fn best(&self) -> Option<Encoding> {
        match &self.0 {
            Lists::None => None,
            Lists::One(list) => Encoding::best(list),
            Lists::Several(lists) => Encoding::best(lists),
        }
    }
}

/// How much the client likes an encoding, in thousandths; 0 if not at all (RFC 9110 §12.5.3).
fn quality(lists: &[HeaderValue], encoding: &str) -> u16 {
    let lists = lists.iter().filter_map(|value| value.to_str().ok());
    let mut items = lists.flat_map(|list| list.split(','));
    items
        .find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(encoding))?;
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight: f32 = weight.map_or(1.0, |text| text.parse().unwrap_or(0.0));
            Some((weight.clamp(0.0, 1.0) * 1000.0) as u16)
        })
        .unwrap_or(0)
}

/// One route's encoders.
#[derive(Debug, Default)]
pub(crate) struct Compression {
    /// Held by everyone at work; counting holders is counting encoders.
    seats: Rc<()>,
}

impl Compression {
    /// Compresses an answer if that is worth it.
    pub(crate) fn relay(&self, response: &mut Response<ResponseBody>, accepted: &Accepted) {
        let compressible = matches!(response.body(), ResponseBody::Relay(_) | ResponseBody::File(_));
        if !compressible || !is_worth_it(response.status(), response.headers()) {
            return;
        }
        let headers = response.headers_mut();
        // Also for the clients that get it as it is: a cache in between must know.
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
        let Some(encoding) = accepted.best().filter(|_| Rc::strong_count(&self.seats) <= MAX_ENCODERS) else { return };
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let Ok(encoder) = Encoder::new(encoding, length) else { return };
        headers.insert(CONTENT_ENCODING, encoding.name());
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT_RANGES);
        weaken_etag(headers);
        let body = response.body_mut();
        let source = match std::mem::replace(body, ResponseBody::text(Bytes::new())) {
            ResponseBody::Relay(relay) => Source::Relay(relay),
            ResponseBody::File(file) => Source::File(file),
            other => {
                *body = other;
                return;
            }
        };
        let compressed = Compressed {
            source,
            encoder: Some(encoder),
            taken: 0,
            trailers: None,
            last_words: LastWords::default(),
            record: None,
            _seat: Rc::clone(&self.seats),
        };
        *body = ResponseBody::Compressed(Box::new(compressed));
    }
}

/// Where the bytes come from.
enum Source {
    Relay(Box<Relay>),
    File(Box<FileBody>),
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        match self {
            Self::Relay(relay) => relay.poll_frame(cx),
            Self::File(file) => file.poll_frame(cx),
        }
    }
}

fn is_worth_it(status: StatusCode, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // First, because it is most often the answer.
    if !shrinks(text(CONTENT_TYPE)) {
        return false;
    }
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    let small = headers.contains_key(CONTENT_LENGTH) && text(CONTENT_LENGTH).parse().is_ok_and(|length: u64| length < SMALLEST);
    let fixed = [CONTENT_ENCODING, CONTENT_RANGE, CONTENT_DIGEST].iter().any(|name| headers.contains_key(name))
        || text(CACHE_CONTROL).split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-transform"));
    !(bodiless || small || fixed)
}

/// Types that are text, whatever they are called.
pub(crate) fn shrinks(content_type: &str) -> bool {
    const TYPES: [&str; 12] = [
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/rtf",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/xml",
        "font/otf",
        "font/ttf",
        "image/bmp",
    ];
    let name = content_type.split(';').next().unwrap_or_default().trim();
    let begins = |with: &str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let ends =
        |with: &str| name.len().checked_sub(with.len()).and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(with));
    // gRPC has a compression of its own, message by message, and its clients know no other.
    if begins("application/grpc") {
        return false;
    }
    (begins("text/") && !name.eq_ignore_ascii_case("text/event-stream"))
        || ends("+json")
        || ends("+xml")
        || TYPES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Two encodings of one thing are not the same bytes (RFC 9110 §8.8.1).
fn weaken_etag(headers: &mut HeaderMap) {
    let strong = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    if let Some(weak) = strong.and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok()) {
        headers.insert(ETAG, weak);
    }
}

/// An answer's body on its way through an encoder.
pub(crate) struct Compressed {
    source: Source,
    /// Gone when the body has ended.
    encoder: Option<Encoder>,
    /// Bytes since something was passed on.
    taken: usize,
    trailers: Option<Frame<Bytes>>,
    /// How it failed.
    last_words: LastWords,
    /// What is known of the request.
    pub(crate) record: Option<Record>,
    _seat: Rc<()>,
}

impl Compressed {
    /// The next compressed frame. What breaks off, breaks off here too: the encoder is never finished then.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        if let Some(error) = self.last_words.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(self.poll_compressed(cx));
        self.last_words.hold(cx, frame)
    }

    fn poll_compressed(&mut self, cx: &mut Context<'_>) -> Poll<FrameResult> {
        loop {
            let Some(encoder) = &mut self.encoder else { return Poll::Ready(self.trailers.take().map(Ok)) };
            let flushed = match self.source.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.taken += data.len();
                        encoder.write(&data).map(|()| self.taken > BUDGET)
                    }
                    Err(trailers) => {
                        self.trailers = Some(trailers);
                        return self.finish();
                    }
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return self.finish(),
                Poll::Pending if self.taken == 0 => return Poll::Pending,
                Poll::Pending => Ok(true),
            };
            let flushed = flushed.and_then(|now| if now { encoder.flush().map(|()| true) } else { Ok(false) });
            let flushed = match flushed {
                Ok(flushed) => flushed,
                Err(error) => return Poll::Ready(Some(Err(BodyError::Encoder(error)))),
            };
            let output = encoder.output();
            if flushed || output.len() >= CHUNK {
                self.taken = 0;
                if !output.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(std::mem::take(output).into()))));
                }
            }
        }
    }

    fn finish(&mut self) -> Poll<FrameResult> {
        let last = self.encoder.take().map_or(Ok(Vec::new()), Encoder::finish);
        Poll::Ready(Some(last.map(|bytes| Frame::data(Bytes::from(bytes))).map_err(BodyError::Encoder)))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_and_equals_are_taken_by_speed() {
        let of = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
            Accepted::of(&Method::GET, &headers).best()
        };
        assert_eq!(of("gzip, deflate, br, zstd"), Some(Encoding::Zstd));
        assert_eq!(of("gzip, br"), Some(Encoding::Brotli));
        assert_eq!(of("GZIP"), Some(Encoding::Gzip));
        assert_eq!(of("zstd;q=0.5, gzip;q=0.9, br; q=0.2"), Some(Encoding::Gzip));
        for nothing in ["", "identity", "deflate", "zstd;q=0, gzip;q=x", "gzipped", "*"] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
        assert_eq!(Accepted::of(&Method::GET, &HeaderMap::new()).best(), None);
        let mut two = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("x"))]);
        two.append(ACCEPT_ENCODING, HeaderValue::from_static("br"));
        assert_eq!(Accepted::of(&Method::GET, &two).best(), Some(Encoding::Brotli));
        assert_eq!(Accepted::of(&Method::HEAD, &two).best(), None);
    }

    #[test]
    fn only_what_shrinks_and_may_be_changed_is_compressed() {
        let worth = |status: u16, pairs: &[(HeaderName, &'static str)]| {
            let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))]);
            for (name, value) in pairs {
                headers.insert(name, HeaderValue::from_static(value));
            }
            is_worth_it(StatusCode::from_u16(status).unwrap(), &headers)
        };
        assert!(worth(200, &[]) && worth(404, &[(CONTENT_LENGTH, "512")]));
        assert!(!worth(206, &[]) && !worth(304, &[]) && !worth(200, &[(CONTENT_LENGTH, "511")]));
        for (name, value) in [
            (CONTENT_ENCODING, "br"),
            (CONTENT_RANGE, "bytes 0-1/2"),
            (CACHE_CONTROL, "public, No-Transform"),
            (CONTENT_DIGEST, "sha-256=:x:"),
            (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
            (CONTENT_TYPE, "image/png"),
            (CONTENT_TYPE, "application/grpc"),
            (CONTENT_TYPE, "application/grpc+json"),
        ] {
            assert!(!worth(200, &[(name, value)]), "{value}");
        }
        for good in ["application/json", "image/svg+xml", "application/problem+json", "Text/CSS"] {
            assert!(shrinks(good), "{good}");
        }
    }
}
