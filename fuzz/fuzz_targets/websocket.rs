//! Frames of a WebSocket: every boundary is found, wherever reads end, and none where there is none.

#![no_main]

use landfall_fuzz::pieces::ways;
use landfall_proxy::fuzzing::WebSocket;

/// Ends of frames, and whether a Close frame was among them.
fn followed(parts: &[&[u8]]) -> (Vec<usize>, bool, bool) {
    let (mut socket, mut ends, mut at) = (WebSocket::default(), Vec::new(), 0);
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let taken = socket.follow_frame(rest);
            assert!(taken > 0 && taken <= rest.len());
            at += taken;
            rest = &rest[taken..];
            if socket.at_boundary() {
                ends.push(at);
            }
        }
    }
    (ends, socket.is_closed(), socket.at_boundary())
}

fn slowly(bytes: &[u8]) -> (Vec<usize>, bool) {
    let (mut at, mut ends, mut closed) = (0_u128, Vec::new(), false);
    let byte = |at: u128| usize::try_from(at).ok().and_then(|at| bytes.get(at)).copied();
    while let (Some(first), Some(second)) = (byte(at), byte(at + 1)) {
        let wide = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let length = if wide == 0 {
            Some(u128::from(second & 0x7f))
        } else {
            (2..2 + wide).try_fold(0, |sum, i| Some(sum << 8 | u128::from(byte(at + i)?)))
        };
        let Some(length) = length else { break };
        let head = 2 + wide + if second & 0x80 == 0 { 0 } else { 4 };
        if at + head > bytes.len() as u128 {
            break;
        }
        closed |= first & 0xf == 8;
        at += head + length;
        if at > bytes.len() as u128 {
            break;
        }
        ends.push(at as usize);
    }
    (ends, closed)
}

landfall_fuzz::fuzz!(|bytes: &[u8]| {
    let [whole, single, cut] = ways(bytes).map(|parts| followed(&parts));
    assert_eq!(whole, single);
    assert_eq!(whole, cut);
    assert_eq!((whole.0.clone(), whole.1), slowly(bytes));
    assert_eq!(whole.2, bytes.len() == whole.0.last().copied().unwrap_or(0));
});
