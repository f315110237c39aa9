//! Frames of HTTP/2 as the guard in front of h2 follows them: where reads end makes no difference, and its decision is that of a reader with all bytes before it.

#![no_main]

use landfall_fuzz::pieces::ways;
use landfall_proxy::fuzzing::Guard;

const PREFACE: usize = 24;
/// GOAWAY for PROTOCOL_ERROR, as h2 writes it.
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Where it says stop, and what it makes of a GOAWAY then.
fn followed(parts: &[&[u8]]) -> (Option<isize>, Option<Vec<u8>>) {
    let mut guard = Guard::begin();
    let mut at = 0;
    for part in parts {
        if let Some(stop) = guard.read(part) {
            return (Some(at as isize + stop), guard.corrected(&GOAWAY));
        }
        at += part.len();
    }
    (None, guard.corrected(&GOAWAY))
}

/// Too few frames for a flood fit into an input, so all that stops a connection is how it begins.
fn slowly(bytes: &[u8]) -> Option<isize> {
    let head = bytes.get(PREFACE..PREFACE + 9)?;
    (head[3] != 4 || head[4] & 1 != 0).then_some(PREFACE as isize)
}

landfall_fuzz::fuzz!(|bytes: &[u8]| {
    let [whole, single, cut] = ways(bytes).map(|parts| followed(&parts));
    assert_eq!(whole, single, "where reads end makes a difference");
    assert_eq!(whole, cut, "where reads end makes a difference");
    assert_eq!(whole.0, slowly(bytes));
    if let Some(corrected) = whole.1 {
        assert_eq!((&corrected[..13], corrected.len()), (&GOAWAY[..13], GOAWAY.len()), "only the code changes");
        assert!((2..=13).contains(&corrected[16]) && corrected[13..16] == [0; 3]);
    }
    // What we send is followed as well.
    let [mut guard, mut other] = [Guard::begin(), Guard::begin()];
    guard.wrote(bytes);
    bytes.iter().for_each(|byte| other.wrote(&[*byte]));
    for guard in [&mut guard, &mut other] {
        guard.read(&[&[b'x'; PREFACE][..], &[0, 0, 1, 4, 0, 0, 0, 0, 0, 0]].concat());
    }
    assert_eq!(guard.corrected(&GOAWAY), other.corrected(&GOAWAY));
});
