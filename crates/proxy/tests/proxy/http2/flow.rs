//! Flow control (RFC 9113 §5.2, §6.9): the server sends what it may and no more, and notices who exceeds it.

use super::wire::{code, data, flag, frame, get, kind, post, setting, settings, window};
use super::{Expect, case, keep};

/// So many frames of 16 KiB. A stream's window is 16 of them, the connection's four times that.
fn body(stream: u32, frames: usize) -> Vec<u8> {
    data(stream, flag::NONE, &[b'x'; 16_384]).repeat(frames)
}

#[tokio::test]
async fn windows_are_kept_by_the_server() {
    let window_of = |value| settings(&[(setting::INITIAL_WINDOW_SIZE, value)]);
    keep(vec![
        case("9113 §6.9.1", "a window of 0 holds the body back")
            .with(setting::INITIAL_WINDOW_SIZE, 0)
            .send(get(1, "/9"))
            .expect(Expect::Held(1, 0)),
        case("9113 §6.9.1", "a window of 1 lets one byte through")
            .with(setting::INITIAL_WINDOW_SIZE, 1)
            .send(get(1, "/9"))
            .expect(Expect::Held(1, 1)),
        case("9113 §6.9.1", "an answer without a body needs no window")
            .with(setting::INITIAL_WINDOW_SIZE, 0)
            .send(get(1, "/0"))
            .status(1, 200),
        case("9113 §6.9", "WINDOW_UPDATE opens the stream's")
            .with(setting::INITIAL_WINDOW_SIZE, 0)
            .send(get(1, "/9"))
            .settled()
            .send(window(1, 9))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.9", "byte by byte")
            .with(setting::INITIAL_WINDOW_SIZE, 0)
            .send(get(1, "/3"))
            .settled()
            .send(window(1, 1))
            .settled()
            .send(window(1, 1))
            .settled()
            .send(window(1, 1))
            .expect(Expect::Body(1, 3)),
        case("9113 §6.9", "it may come before the body")
            .with(setting::INITIAL_WINDOW_SIZE, 0)
            .send(get(1, "/9"))
            .send(window(1, 9))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.9.2", "SETTINGS open the window of open streams")
            .with(setting::INITIAL_WINDOW_SIZE, 0)
            .send(get(1, "/9"))
            .settled()
            .send(window_of(9))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.9.2", "a window may become negative, and is then made up for")
            .with(setting::INITIAL_WINDOW_SIZE, 3)
            .send(get(1, "/9"))
            .until_data(1, 3)
            .send(window_of(1))
            .send(window(1, 8))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.9.2", "and holds back until then")
            .with(setting::INITIAL_WINDOW_SIZE, 3)
            .send(get(1, "/9"))
            .until_data(1, 3)
            .send(window_of(1))
            .send(window(1, 2))
            .expect(Expect::Held(1, 3)),
        case("9113 §6.9.2", "SETTINGS leave the connection's window alone")
            .with(setting::INITIAL_WINDOW_SIZE, 200_000)
            .send(get(1, "/100000"))
            .expect(Expect::Held(1, 65_535)),
        case("9113 §6.9.1", "the connection's window holds all streams")
            .with(setting::INITIAL_WINDOW_SIZE, 200_000)
            .send(get(1, "/65535"))
            .answered(1)
            .send(get(3, "/9"))
            .expect(Expect::Held(3, 0)),
        case("9113 §6.9.1", "WINDOW_UPDATE opens the connection's")
            .with(setting::INITIAL_WINDOW_SIZE, 200_000)
            .send(window(0, 34_465))
            .send(get(1, "/100000"))
            .expect(Expect::Body(1, 100_000)),
    ])
    .await;
}

#[tokio::test]
async fn windows_are_kept_by_the_client_or_else() {
    keep(vec![
        case("9113 §6.9", "an increment of 0 for a stream")
            .send(get(1, "/never"))
            .send(window(1, 0))
            .expect(Expect::Either(1, &[code::PROTOCOL])),
        case("9113 §6.9", "an increment of 0 for the connection").send(window(0, 0)).goaway(&[code::PROTOCOL]),
        case("9113 §6.9", "a WINDOW_UPDATE of three bytes").send(frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3])).goaway(&[code::FRAME_SIZE]),
        case("9113 §6.9", "a WINDOW_UPDATE of five bytes").send(frame(kind::WINDOW_UPDATE, 0, 0, &[1; 5])).goaway(&[code::FRAME_SIZE]),
        case("9113 §6.9", "the reserved bit of an increment is ignored").send(window(0, 0x8000_0001)).expect(Expect::Alive),
        case("9113 §6.9.1", "a connection's window beyond 2^31-1").send(window(0, 0x7FFF_FFFF)).goaway(&[code::FLOW_CONTROL]),
        case("9113 §6.9.1", "a connection's window of 2^31-1").send(window(0, 0x7FFF_FFFF - 65_535)).expect(Expect::Alive),
        case("9113 §6.9.1", "a stream's window beyond 2^31-1")
            .send(get(1, "/never"))
            .send(window(1, 0x7FFF_FFFF))
            .expect(Expect::Either(1, &[code::FLOW_CONTROL])),
        case("9113 §6.9.2", "SETTINGS that overflow a stream's window")
            .send(get(1, "/never"))
            .send(window(1, 1))
            .send(settings(&[(setting::INITIAL_WINDOW_SIZE, 0x7FFF_FFFF)]))
            .goaway(&[code::FLOW_CONTROL]),
        case("9113 §6.9.1", "more DATA than the stream's window")
            .send(post(1, "/unread"))
            .send(body(1, 17))
            .expect(Expect::Either(1, &[code::FLOW_CONTROL])),
        case("9113 §6.9.1", "as much DATA as the stream's window").send(post(1, "/unread")).send(body(1, 16)).expect(Expect::Alive),
        case("9113 §6.9.1", "more DATA than the connection's window")
            .send((0..5).flat_map(|i| [post(1 + 2 * i, "/unread"), body(1 + 2 * i, 16)].concat()).collect::<Vec<u8>>())
            .goaway(&[code::FLOW_CONTROL]),
        case("9113 §6.9", "padding counts")
            .send(post(1, "/unread"))
            .send((0..16).flat_map(|_| data(1, flag::PADDED, &[&[255][..], &[0; 16_383]].concat())).collect::<Vec<u8>>())
            .send(data(1, flag::PADDED, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
            .expect(Expect::Either(1, &[code::FLOW_CONTROL])),
        case("9113 §6.9", "DATA for a stream that was given up counts for the connection, and is given back")
            .send((0..6).flat_map(|i| [post(1 + 2 * i, "/len"), super::wire::reset(1 + 2 * i, code::CANCEL)].concat()).collect::<Vec<u8>>())
            .expect(Expect::Alive),
    ])
    .await;
}
