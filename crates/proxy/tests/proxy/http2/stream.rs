//! Streams: their numbers and states, and the frames that move them (RFC 9113 §5.1, §6.1 to §6.4, §6.6).

use super::wire::{code, continuation, data, flag, frame, get, headers, kind, post, request, reset, window};
use super::{Expect, case, keep};

#[tokio::test]
async fn streams_are_opened_in_order_by_the_client_with_odd_numbers() {
    keep(vec![
        case("9113 §5.1.1", "a stream with an even number").send(get(2, "/0")).goaway(&[code::PROTOCOL]),
        case("9113 §5.1.1", "a request on stream 0").send(get(0, "/0")).goaway(&[code::PROTOCOL]),
        case("9113 §5.1.1", "numbers may be left out").send(get(5, "/0")).answered(5).send(get(101, "/0")).status(101, 200),
        case("9113 §5.1.1", "a number smaller than the last")
            .send(get(5, "/0"))
            .answered(5)
            .send(get(3, "/0"))
            .goaway(&[code::PROTOCOL, code::STREAM_CLOSED]),
        case("9113 §5.1.1", "the same number again")
            .send(get(5, "/0"))
            .answered(5)
            .send(get(5, "/0"))
            .goaway(&[code::PROTOCOL, code::STREAM_CLOSED]),
        case("9113 §5.1.1", "the greatest number").send(get(0x7FFF_FFFF, "/0")).status(0x7FFF_FFFF, 200),
        case("9113 §5.1.2", "one stream more than allowed is refused")
            .send((0..251).flat_map(|i| get(1 + 2 * i, "/never")).collect::<Vec<u8>>())
            .reset(501, &[code::REFUSED]),
        case("9113 §5.1.2", "a stream that was given up makes room")
            .send((0..250).flat_map(|i| get(1 + 2 * i, "/never")).collect::<Vec<u8>>())
            .send(reset(1, code::CANCEL))
            .settled()
            .send(get(501, "/0"))
            .status(501, 200),
    ])
    .await;
}

#[tokio::test]
async fn an_idle_stream_knows_only_headers_and_priority() {
    keep(vec![
        case("9113 §5.1", "DATA on an idle stream").send(data(1, flag::END_STREAM, b"x")).goaway(&[code::PROTOCOL]),
        case("9113 §5.1", "RST_STREAM on an idle stream").send(reset(1, code::CANCEL)).goaway(&[code::PROTOCOL]),
        case("9113 §5.1", "WINDOW_UPDATE on an idle stream").send(window(1, 1)).goaway(&[code::PROTOCOL]),
        case("9113 §5.1", "CONTINUATION on an idle stream")
            .send(continuation(1, flag::ALL, &request("GET", "/0", &[])))
            .goaway(&[code::PROTOCOL]),
        case("9113 §5.1", "DATA on an idle stream of the server's numbers").send(data(2, 0, b"x")).goaway(&[code::PROTOCOL]),
        case("9113 §5.1", "WINDOW_UPDATE on an idle stream of the server's numbers").send(window(2, 1)).goaway(&[code::PROTOCOL]),
        case("9113 §5.1", "PRIORITY on an idle stream")
            .send(frame(kind::PRIORITY, 0, 9, &[0, 0, 0, 0, 1]))
            .send(get(1, "/0"))
            .status(1, 200),
    ])
    .await;
}

#[tokio::test]
async fn after_its_end_a_stream_takes_nothing_more() {
    let closed: &[u32] = &[code::STREAM_CLOSED];
    keep(vec![
        case("9113 §5.1", "half-closed: DATA").send(get(1, "/never")).send(data(1, 0, b"x")).expect(Expect::Either(1, closed)),
        case("9113 §5.1", "half-closed: HEADERS").send(get(1, "/never")).send(get(1, "/0")).expect(Expect::Either(1, closed)),
        case("9113 §5.1", "half-closed: CONTINUATION")
            .send(get(1, "/never"))
            .send(continuation(1, flag::END_HEADERS, b""))
            .goaway(&[code::PROTOCOL, code::STREAM_CLOSED]),
        case("9113 §5.1", "half-closed: WINDOW_UPDATE is taken").send(get(1, "/never")).send(window(1, 9)).expect(Expect::Alive),
        case("9113 §5.1", "half-closed: PRIORITY is taken")
            .send(get(1, "/never"))
            .send(frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 1]))
            .expect(Expect::Alive),
        case("9113 §5.1", "closed: DATA").send(get(1, "/0")).answered(1).send(data(1, 0, b"x")).expect(Expect::Either(1, closed)),
        case("9113 §5.1", "closed: HEADERS")
            .send(get(1, "/0"))
            .answered(1)
            .send(get(1, "/0"))
            .goaway(&[code::STREAM_CLOSED, code::PROTOCOL]),
        case("9113 §5.1", "closed: CONTINUATION")
            .send(get(1, "/0"))
            .answered(1)
            .send(continuation(1, flag::END_HEADERS, b""))
            .goaway(&[code::STREAM_CLOSED, code::PROTOCOL]),
        case("9113 §5.1", "closed: WINDOW_UPDATE is forgiven").send(get(1, "/0")).answered(1).send(window(1, 9)).expect(Expect::Alive),
        case("9113 §5.1", "closed: RST_STREAM is forgiven")
            .send(get(1, "/0"))
            .answered(1)
            .send(reset(1, code::CANCEL))
            .expect(Expect::Alive),
        case("9113 §5.1", "closed: PRIORITY is taken")
            .send(get(1, "/0"))
            .answered(1)
            .send(frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 1]))
            .expect(Expect::Alive),
        case("9113 §5.1", "reset by the client: DATA")
            .send(post(1, "/len"))
            .send(reset(1, code::CANCEL))
            .send(data(1, 0, b"x"))
            .expect(Expect::Either(1, closed)),
        case("9113 §5.1", "reset by the client: HEADERS")
            .send(get(1, "/never"))
            .send(reset(1, code::CANCEL))
            .send(get(1, "/0"))
            .expect(Expect::Either(1, closed)),
        case("9113 §5.4.2", "no answer to RST_STREAM").send(get(1, "/never")).send(reset(1, code::STREAM_CLOSED)).expect(Expect::Alive),
    ])
    .await;
}

#[tokio::test]
async fn data_and_headers_may_be_padded_within_their_length() {
    let padded = |stream, payload: &[u8]| data(stream, flag::PADDED | flag::END_STREAM, payload);
    let head = request("GET", "/0", &[]);
    let with = |before: &[u8], after: &[u8]| [before, &head, after].concat();
    let dependency = [0x80, 0, 0, 0, 15];
    keep(vec![
        case("9113 §6.1", "padding is no part of the body").send(post(1, "/len")).send(padded(1, b"\x03hey\0\0\0")).status(1, 200),
        case("9113 §6.1", "nothing but padding").send(post(1, "/len")).send(padded(1, b"\x02\0\0")).status(1, 200),
        case("9113 §6.1", "padding as long as the payload").send(post(1, "/len")).send(padded(1, b"\x03hey")).status(1, 200),
        case("9113 §6.1", "padding longer than the payload").send(post(1, "/len")).send(padded(1, b"\x04hey")).goaway(&[code::PROTOCOL]),
        case("9113 §6.1", "no room for the length of the padding")
            .send(post(1, "/len"))
            .send(padded(1, b""))
            .goaway(&[code::FRAME_SIZE, code::PROTOCOL]),
        case("9113 §6.1", "DATA on stream 0").send(data(0, 0, b"x")).goaway(&[code::PROTOCOL]),
        case("9113 §6.1", "empty DATA may end a stream").send(post(1, "/len")).send(data(1, flag::END_STREAM, b"")).status(1, 200),
        case("9113 §6.2", "HEADERS may be padded").send(headers(1, flag::ALL | flag::PADDED, &with(&[4], &[0; 4]))).status(1, 200),
        case("9113 §6.2", "padding longer than the block").send(headers(1, flag::ALL | flag::PADDED, &[9, 0, 0])).goaway(&[code::PROTOCOL]),
        case("9113 §6.2", "HEADERS may carry a priority")
            .send(headers(1, flag::ALL | flag::PRIORITY, &with(&dependency, &[])))
            .status(1, 200),
        case("9113 §6.2", "priority and padding")
            .send(headers(1, flag::ALL | flag::PRIORITY | flag::PADDED, &with(&[&[3][..], &dependency].concat(), &[0; 3])))
            .status(1, 200),
        case("9113 §6.2", "no room for the priority")
            .send(headers(1, flag::ALL | flag::PRIORITY, &[0; 4]))
            .goaway(&[code::FRAME_SIZE, code::PROTOCOL]),
        case("9113 §6.3", "PRIORITY on stream 0").send(frame(kind::PRIORITY, 0, 0, &[0, 0, 0, 1, 1])).goaway(&[code::PROTOCOL]),
        case("9113 §6.3", "PRIORITY of four bytes")
            .send(post(1, "/len"))
            .send(frame(kind::PRIORITY, 0, 1, &[0; 4]))
            .expect(Expect::Either(1, &[code::FRAME_SIZE])),
        case("9113 §6.4", "RST_STREAM on stream 0").send(reset(0, code::CANCEL)).goaway(&[code::PROTOCOL]),
        case("9113 §6.4", "RST_STREAM of three bytes")
            .send(get(1, "/never"))
            .send(frame(kind::RST_STREAM, 0, 1, &[0; 3]))
            .goaway(&[code::FRAME_SIZE]),
        case("9113 §6.4", "RST_STREAM of five bytes")
            .send(get(1, "/never"))
            .send(frame(kind::RST_STREAM, 0, 1, &[0; 5]))
            .goaway(&[code::FRAME_SIZE]),
        case("9113 §6.6", "a client pushes nothing")
            .send(get(1, "/never"))
            .send(frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2, 0x82]))
            .goaway(&[code::PROTOCOL]),
        case("9113 §6.6", "PUSH_PROMISE on stream 0")
            .send(frame(kind::PUSH_PROMISE, flag::END_HEADERS, 0, &[0, 0, 0, 2, 0x82]))
            .goaway(&[code::PROTOCOL]),
    ])
    .await;
}
