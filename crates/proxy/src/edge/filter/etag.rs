//! Tags that were weakened on their way to a client, on their way back.
//!
//! An answer that the proxy compresses keeps its tag with `W/` before it (RFC 9110 §8.8.1), and the application has never seen such a tag. So a
//! client's `If-Match` loses the mark, which could match nothing with it, and `If-None-Match` names both forms, because the application may have
//! weak tags of its own. What an application that compares texts still sends as a whole becomes the 304 it stands for. `If-Range` stays as it is:
//! parts of what was compressed cannot be had from what was not.

use crate::upstream::body::ResponseBody;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// Longest list of tags that is read; a longer one goes on as it is.
const MAX_LIST: usize = 4096;

/// One tag of a list, without its mark.
struct Tag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

/// Undoes the mark in a request's conditions. Answers the tags that a whole answer is to be compared with, if a weak one was among them.
pub(super) fn undo(method: &Method, headers: &mut HeaderMap) -> Option<HeaderValue> {
    rewrite(headers, IF_MATCH, |tag, list| push(list, &[tag.opaque]));
    let asked = headers.get(IF_NONE_MATCH).cloned();
    let changed = rewrite(headers, IF_NONE_MATCH, |tag, list| {
        if tag.weak {
            push(list, &[b"W/", tag.opaque]);
        }
        push(list, &[tag.opaque]);
    });
    asked.filter(|_| changed && matches!(*method, Method::GET | Method::HEAD))
}

/// Makes a 304 of a whole answer whose tag the client has (RFC 9110 §13.1.2: weak comparison).
pub(super) fn compare(asked: &HeaderValue, response: &mut Response<ResponseBody>) {
    if response.status() != StatusCode::OK {
        return;
    }
    let Some(tag) = response.headers().get(ETAG).and_then(|value| tags(value.as_bytes())).filter(|tags| tags.len() == 1) else { return };
    let has = tags(asked.as_bytes()).is_some_and(|asked| asked.iter().any(|asked| asked.opaque == tag[0].opaque));
    if has {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = ResponseBody::text(Bytes::new());
        for name in [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING] {
            response.headers_mut().remove(name);
        }
    }
}

/// Writes a condition anew if there is a weak tag in it; true if there is.
fn rewrite(headers: &mut HeaderMap, name: http::HeaderName, write: impl Fn(&Tag<'_>, &mut Vec<u8>)) -> bool {
    let weak = |value: &HeaderValue| value.len() <= MAX_LIST && tags(value.as_bytes()).is_some_and(|tags| tags.iter().any(|tag| tag.weak));
    if !headers.get_all(&name).iter().any(weak) {
        return false;
    }
    let mut all = Vec::new();
    for value in headers.get_all(&name) {
        match tags(value.as_bytes()) {
            Some(tags) => tags.iter().for_each(|tag| write(tag, &mut all)),
            None => push(&mut all, &[value.as_bytes()]),
        }
    }
    if let Ok(value) = HeaderValue::from_bytes(&all) {
        headers.insert(name, value);
    }
    true
}

fn push(list: &mut Vec<u8>, parts: &[&[u8]]) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    parts.iter().for_each(|part| list.extend_from_slice(part));
}

/// The tags of a list (RFC 9110 §8.8.3); nothing if it is none, as `*` is not.
fn tags(mut text: &[u8]) -> Option<Vec<Tag<'_>>> {
    let mut tags = Vec::new();
    loop {
        text = text.trim_ascii_start();
        while let Some(rest) = text.strip_prefix(b",") {
            text = rest.trim_ascii_start();
        }
        if text.is_empty() {
            return Some(tags);
        }
        let (weak, rest) = text.strip_prefix(b"W/").map_or((false, text), |rest| (true, rest));
        let inner = rest.strip_prefix(b"\"")?;
        let end = memchr::memchr(b'"', inner)?;
        let (opaque, rest) = rest.split_at_checked(end + 2)?;
        tags.push(Tag { weak, opaque });
        text = rest.trim_ascii_start();
        if !text.is_empty() && !text.starts_with(b",") {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_undone_where_it_stands_between_a_client_and_its_resource() {
        let undone = |name: http::HeaderName, values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
            }
            undo(&Method::GET, &mut headers);
            headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(undone(IF_MATCH, &["W/\"v1\""]), ["\"v1\""]);
        assert_eq!(undone(IF_MATCH, &["\"a,b\", W/\"c\" ,", "W/\"d\""]), ["\"a,b\", \"c\", \"d\""]);
        assert_eq!(undone(IF_NONE_MATCH, &["W/\"v1\""]), ["W/\"v1\", \"v1\""]);
        for same in ["\"v1\"", "*", "W/v1", "w/\"v1\"", "\"open", "W/\"a\" \"b\"", ""] {
            assert_eq!(undone(IF_MATCH, &[same]), [same]);
            assert_eq!(undone(IF_NONE_MATCH, &[same]), [same]);
        }
        assert_eq!(undone(http::header::IF_RANGE, &["W/\"v1\""]), ["W/\"v1\""]);
        let long = format!("W/\"{}\"", "x".repeat(MAX_LIST));
        assert_eq!(undone(IF_MATCH, &[&long]), [long.as_str()]);
    }

    #[test]
    fn a_whole_answer_that_the_client_has_becomes_a_304() {
        let compared = |asked: &'static str, status: StatusCode, tag: &'static str| {
            let mut response = Response::new(ResponseBody::text(Bytes::from_static(b"x")));
            *response.status_mut() = status;
            response.headers_mut().insert(ETAG, HeaderValue::from_static(tag));
            compare(&HeaderValue::from_static(asked), &mut response);
            response.status().as_u16()
        };
        assert_eq!(compared("W/\"v1\"", StatusCode::OK, "\"v1\""), 304);
        assert_eq!(compared("\"x\", W/\"v1\"", StatusCode::OK, "W/\"v1\""), 304);
        assert_eq!(compared("W/\"v1\"", StatusCode::OK, "\"v2\""), 200);
        assert_eq!(compared("W/\"v1\"", StatusCode::NOT_FOUND, "\"v1\""), 404);
        assert_eq!(compared("W/\"v1\"", StatusCode::OK, "v1"), 200);
    }
}
