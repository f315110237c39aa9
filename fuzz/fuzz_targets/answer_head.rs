//! Heads of answers. However they arrive they read alike; a body's end is never guessed, and a connection is used again only when it is certain.

#![no_main]

use bytes::BytesMut;
use http::{StatusCode, Version};
use landfall_fuzz::pieces::ways;
use landfall_proxy::fuzzing::{AnswerEnd, answer_head};

type Read = Result<Option<(http::Response<()>, AnswerEnd, bool, usize)>, ()>;

fn read(parts: &[&[u8]], head_only: bool) -> Read {
    let (mut input, mut arrived) = (BytesMut::new(), 0);
    for part in parts {
        input.extend_from_slice(part);
        arrived += part.len();
        if let Some((head, end, keep)) = answer_head(&mut input, head_only).map_err(drop)? {
            return Ok(Some((head, end, keep, arrived - input.len())));
        }
    }
    Ok(None)
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    for head_only in [false, true] {
        let [whole, bytes, cut] = ways(data).map(|parts| read(&parts, head_only));
        for other in [bytes, cut] {
            // A line that is wrong is seen when it ends; with more behind it, the head's end is waited for first. No answer comes of either.
            if !matches!((&whole, &other), (Ok(None), Err(()))) {
                assert_eq!(format!("{whole:?}"), format!("{other:?}"), "how it arrives decides what is read");
            }
        }
        let Ok(Some((head, end, keep, used))) = whole else { continue };
        let text = &data[..used];
        assert!(used <= 64 * 1024 && (text.ends_with(b"\n\r\n") || text.ends_with(b"\n\n")));
        // Another reader agrees.
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut other = httparse::Response::new(&mut fields);
        assert_eq!(other.parse(data), Ok(httparse::Status::Complete(used)));
        let given = |name: &str| !name.eq_ignore_ascii_case("content-length");
        let fields = other.headers.iter().filter(|field| given(field.name)).count();
        assert_eq!(other.code, Some(head.status().as_u16()));
        // A length that is said twice, or beside chunks, is said once or not at all.
        assert_eq!(fields, head.headers().iter().filter(|(name, _)| given(name.as_str())).count());
        let count = |name: &str| head.headers().get_all(name).iter().count();
        let lengths: Vec<_> = head.headers().get_all("content-length").iter().collect();
        assert!(
            count("transfer-encoding") <= 1
                && lengths.windows(2).all(|pair| {
                    let number = |value: &http::HeaderValue| value.to_str().ok()?.parse::<u64>().ok();
                    number(pair[0]) == number(pair[1])
                })
        );
        assert!(lengths.is_empty() || count("transfer-encoding") == 0, "two ways to end");
        let bare =
            head_only || head.status().is_informational() || matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match end {
            _ if bare => assert_eq!(end, AnswerEnd::Known(0)),
            AnswerEnd::Chunked => assert_eq!(count("transfer-encoding"), 1),
            AnswerEnd::Known(bytes) => assert_eq!(lengths[0].to_str().ok().and_then(|text| text.parse().ok()), Some(bytes)),
            AnswerEnd::UntilClose => assert!(lengths.is_empty() && !keep),
        }
        let says = |value: &http::HeaderValue| value.as_bytes().to_ascii_lowercase().windows(5).any(|five| five == b"close");
        assert!(!keep || head.version() == Version::HTTP_11 && !head_only, "who knows what follows?");
        assert!(
            keep || head.version() == Version::HTTP_10
                || bare
                || end == AnswerEnd::UntilClose
                || head.headers().get_all("connection").iter().any(says)
        );
    }
});
