//! The connection as a whole: its beginning, the layout of frames, SETTINGS, PING, GOAWAY, and frames nobody knows.

use super::wire::{PREFACE, fields, headers, reset, window};
use super::wire::{code, data, flag, frame, get, head, kind, ping, post, setting, settings};
use super::{Case, Expect, case, keep};

/// SETTINGS with one value that is not allowed.
fn setting(id: u16, value: u32) -> Vec<u8> {
    settings(&[(id, value)])
}

#[tokio::test]
async fn a_connection_begins_with_the_preface_and_settings() {
    keep(vec![
        case("9113 §3.4", "preface and empty SETTINGS are enough")
            .silent()
            .send([PREFACE, &settings(&[]), &get(1, "/0")].concat())
            .status(1, 200),
        case("9113 §3.4", "requests may follow at once")
            .silent()
            .send([PREFACE, &settings(&[]), &get(1, "/9")].concat())
            .expect(Expect::Body(1, 9)),
        case("9113 §3.4", "another preface ends the connection").silent().send(*b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n").expect(Expect::Ends),
        case("9113 §3.4", "HTTP/1.1 in its place ends the connection")
            .silent()
            .send(*b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            .expect(Expect::Ends),
        case("9113 §3.4", "SETTINGS come first").silent().send([PREFACE, &ping(b"too soon")].concat()).goaway(&[code::PROTOCOL]),
        case("9113 §3.4", "HEADERS before SETTINGS").silent().send([PREFACE, &get(1, "/0")].concat()).goaway(&[code::PROTOCOL]),
        case("9113 §3.4", "an acknowledgement is not the settings")
            .silent()
            .send([PREFACE, &frame(kind::SETTINGS, flag::ACK, 0, &[])].concat())
            .goaway(&[code::PROTOCOL]),
        case("9113 §3.4", "the preface may come byte by byte")
            .silent()
            .send(&PREFACE[..5])
            .send(&PREFACE[5..])
            .send(settings(&[]))
            .send(get(1, "/0"))
            .status(1, 200),
    ])
    .await;
}

#[tokio::test]
async fn frames_have_a_size_and_unknown_ones_are_skipped() {
    let largest = vec![b'x'; 16_384];
    keep(vec![
        case("9113 §4.1", "an unknown type is ignored").send(frame(0xBE, 0xFF, 0, b"what?")).send(get(1, "/0")).status(1, 200),
        case("9113 §4.1", "an unknown type on a stream that is idle is ignored")
            .send(frame(0xBE, 0, 77, b""))
            .send(get(1, "/0"))
            .status(1, 200),
        case("9113 §4.1", "flags that mean nothing are ignored").send(frame(kind::PING, 0xFE, 0, b"flagged!")).expect(Expect::Alive),
        case("9113 §4.1", "the reserved bit before the stream is ignored")
            .send({
                let mut bytes = get(1, "/0");
                bytes[5] |= 0x80;
                bytes
            })
            .status(1, 200),
        case("9113 §4.1", "a reserved bit on the connection's own frames is ignored")
            .send(frame(kind::PING, 0, 0x8000_0000, b"reserved"))
            .expect(Expect::Alive),
        case("9113 §4.2", "DATA of the largest size is taken")
            .send(post(1, "/len"))
            .send(data(1, flag::END_STREAM, &largest))
            .status(1, 200),
        case("9113 §4.2", "DATA one byte longer")
            .send(post(1, "/len"))
            .send([&head(16_385, kind::DATA, 0, 1)[..], &largest, b"x"].concat())
            .goaway(&[code::FRAME_SIZE]),
        case("9113 §4.2", "HEADERS longer than allowed")
            .send([&head(16_385, kind::HEADERS, flag::ALL, 1)[..], &largest, b"x"].concat())
            .goaway(&[code::FRAME_SIZE]),
        case("9113 §4.2", "SETTINGS longer than allowed")
            .send([&head(16_386, kind::SETTINGS, 0, 0)[..], &largest, b"xx"].concat())
            .goaway(&[code::FRAME_SIZE]),
        case("9113 §4.2", "an unknown frame longer than allowed").send(head(0xFF_FFFF, 0xBE, 0, 0)).goaway(&[code::FRAME_SIZE]),
        case("9113 §5.5", "an extension frame in the middle of a header block")
            .send(headers(1, flag::END_STREAM, &fields(&[(":method", "GET")])))
            .send(frame(0xBE, 0, 0, b""))
            .goaway(&[code::PROTOCOL]),
    ])
    .await;
}

#[tokio::test]
async fn settings_are_checked_one_by_one() {
    keep(vec![
        case("9113 §6.5", "SETTINGS on a stream").send(frame(kind::SETTINGS, 0, 1, &[])).goaway(&[code::PROTOCOL]),
        case("9113 §6.5", "an acknowledgement with a payload")
            .send(frame(kind::SETTINGS, flag::ACK, 0, &[0; 6]))
            .goaway(&[code::FRAME_SIZE]),
        case("9113 §6.5", "a length that is no multiple of six").send(frame(kind::SETTINGS, 0, 0, &[0; 5])).goaway(&[code::FRAME_SIZE]),
        case("9113 §6.5", "a length of seven").send(frame(kind::SETTINGS, 0, 0, &[0; 7])).goaway(&[code::FRAME_SIZE]),
        case("9113 §6.5.2", "ENABLE_PUSH 2").send(setting(setting::ENABLE_PUSH, 2)).goaway(&[code::PROTOCOL]),
        case("9113 §6.5.2", "ENABLE_PUSH 0 and 1")
            .send(setting(setting::ENABLE_PUSH, 0))
            .send(setting(setting::ENABLE_PUSH, 1))
            .expect(Expect::Alive),
        case("9113 §6.5.2", "a window of 2^31").send(setting(setting::INITIAL_WINDOW_SIZE, 1 << 31)).goaway(&[code::FLOW_CONTROL]),
        case("9113 §6.5.2", "a window of 2^31-1")
            .send(setting(setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1))
            .send(get(1, "/9"))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.5.2", "frames below the least size").send(setting(setting::MAX_FRAME_SIZE, 16_383)).goaway(&[code::PROTOCOL]),
        case("9113 §6.5.2", "frames of size 0").send(setting(setting::MAX_FRAME_SIZE, 0)).goaway(&[code::PROTOCOL]),
        case("9113 §6.5.2", "frames beyond 2^24-1").send(setting(setting::MAX_FRAME_SIZE, 1 << 24)).goaway(&[code::PROTOCOL]),
        case("9113 §6.5.2", "frames of 2^24-1").send(setting(setting::MAX_FRAME_SIZE, (1 << 24) - 1)).expect(Expect::Alive),
        case("9113 §6.5.2", "no streams of the server's own")
            .send(setting(setting::MAX_CONCURRENT_STREAMS, 0))
            .send(get(1, "/0"))
            .status(1, 200),
        case("9113 §6.5.2", "a header table of 4 GiB")
            .send(setting(setting::HEADER_TABLE_SIZE, u32::MAX))
            .send(get(1, "/0"))
            .status(1, 200),
        case("9113 §6.5.2", "an unknown setting is ignored").send(setting(0xFF, 1)).send(setting(0, 1)).expect(Expect::Alive),
        case("9113 §6.5.2", "of one setting twice the last counts")
            .send(settings(&[(setting::INITIAL_WINDOW_SIZE, 0), (setting::INITIAL_WINDOW_SIZE, 3)]))
            .settled()
            .send(get(1, "/9"))
            .settled()
            .send(window(1, 6))
            .expect(Expect::Body(1, 9)),
        case("9113 §6.5.3", "every SETTINGS is acknowledged")
            .send(settings(&[]))
            .send(settings(&[]))
            .send(settings(&[]))
            .expect(Expect::Acks(3)),
        case("9113 §5.4.1", "an acknowledgement of nothing may end the connection")
            .send(frame(kind::SETTINGS, flag::ACK, 0, &[]))
            .goaway(&[code::PROTOCOL]),
        case("9113 §6.5.2", "a small MAX_HEADER_LIST_SIZE is advice")
            .send(setting(setting::MAX_HEADER_LIST_SIZE, 100))
            .send(get(1, "/0"))
            .status(1, 200),
        case("8441 §3", "ENABLE_CONNECT_PROTOCOL may be 0").send(setting(setting::ENABLE_CONNECT_PROTOCOL, 0)).expect(Expect::Alive),
        case("8441 §3", "ENABLE_CONNECT_PROTOCOL 2").send(setting(setting::ENABLE_CONNECT_PROTOCOL, 2)).goaway(&[code::PROTOCOL]),
    ])
    .await;
}

#[tokio::test]
async fn ping_and_goaway_belong_to_the_connection() {
    let goaway = |stream: u32, payload: &[u8]| frame(kind::GOAWAY, 0, stream, payload);
    let bye = [0, 0, 0, 0, 0, 0, 0, 0];
    keep(vec![
        case("9113 §6.7", "PING is answered with its payload").send(ping(b"12345678")).expect(Expect::Pong(b"12345678")),
        case("9113 §6.7", "an answer to no PING is not answered").send(frame(kind::PING, flag::ACK, 0, b"unasked!")).expect(Expect::Alive),
        case("9113 §6.7", "PING on a stream").send(frame(kind::PING, 0, 1, b"12345678")).goaway(&[code::PROTOCOL]),
        case("9113 §6.7", "PING of seven bytes").send(ping(b"1234567")).goaway(&[code::FRAME_SIZE]),
        case("9113 §6.7", "PING of nine bytes").send(ping(b"123456789")).goaway(&[code::FRAME_SIZE]),
        case("9113 §6.7", "an empty PING").send(ping(b"")).goaway(&[code::FRAME_SIZE]),
        case("9113 §6.8", "GOAWAY on a stream").send(goaway(1, &bye)).goaway(&[code::PROTOCOL]),
        case("9113 §6.8", "GOAWAY that is too short").send(goaway(0, &bye[..7])).goaway(&[code::FRAME_SIZE]),
        case("9113 §6.8", "what was asked before GOAWAY is answered").send(get(1, "/9")).send(goaway(0, &bye)).expect(Expect::Last(1, 9)),
        case("9113 §6.8", "GOAWAY with more to say")
            .send(get(1, "/9"))
            .send(goaway(0, &[&bye[..], b"so long"].concat()))
            .expect(Expect::Last(1, 9)),
        case("9113 §7", "GOAWAY with an unknown code")
            .send(get(1, "/9"))
            .send(goaway(0, &[0, 0, 0, 0, 0xFF, 0, 0, 1]))
            .expect(Expect::Last(1, 9)),
        case("9113 §7", "RST_STREAM with an unknown code").send(get(1, "/never")).send(reset(1, 0xFFFF)).send(get(3, "/0")).status(3, 200),
    ])
    .await;
}

#[tokio::test]
async fn every_code_may_be_said() {
    let mut cases: Vec<Case> = Vec::new();
    for number in 0..=13 {
        cases.push(
            case("9113 §7", "a stream may be given up with any code")
                .send(get(1, "/never"))
                .send(reset(1, number))
                .send(get(3, "/0"))
                .status(3, 200),
        );
        let payload = [[0; 4], number.to_be_bytes()].concat();
        cases.push(
            case("9113 §7", "a connection too").send(get(1, "/9")).send(frame(kind::GOAWAY, 0, 0, &payload)).expect(Expect::Last(1, 9)),
        );
    }
    keep(cases).await;
}
