//! Reads along on an HTTP/2 connection, by the heads of its frames.
//!
//! hyper's h2 keeps the protocol. It is content with a few things RFC 9113 is not (a connection that does not begin with SETTINGS), says
//! PROTOCOL_ERROR where the RFC has a code of its own, and lets a client keep a core busy with frames that carry nothing. Here the same bytes are
//! followed: what must end the connection is put in h2's way as a frame it refuses, and its GOAWAY gets the code that says why. Header blocks are
//! not decoded again: if h2 objects to one for no reason seen here, it could not decode it, and has lost its tables (§7, COMPRESSION_ERROR).

use crate::edge::watch::Clock;

/// Codes of errors (RFC 9113 §7).
const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const COMPRESSION: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags of SETTINGS, of DATA and HEADERS, of HEADERS and CONTINUATION, of DATA and HEADERS, of HEADERS.
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

const PREFACE: u8 = 24;
const HEAD: usize = 9;
/// SETTINGS on a stream: nothing, in a form h2 answers with GOAWAY (§6.5).
pub(crate) const REFUSED: [u8; HEAD] = [0, 0, 0, SETTINGS, 0, 0, 0, 0, 1];
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// Frames that carry nothing, which a client may always send, and which it may send more of each tenth of a second. RST_STREAM counts fivefold: it
/// has made the application begin.
const BURST: u64 = 10_000;
const PER_TICK: u64 = 100;
const RESET: u64 = 5;
/// Bytes carried either way that earn one more: a client says WINDOW_UPDATE for what it gets.
const EARNING: u64 = 1024;
/// Requests whose bodies may still come, as far as they are told apart from those that have ended. More than are served at once.
const OPEN: usize = 256;

/// Finds heads in bytes that come in pieces.
#[derive(Debug, Clone, Copy, Default)]
struct Heads {
    head: [u8; HEAD],
    have: u8,
    left: u32,
}

/// What [`Heads`] found next, and how many bytes it is.
enum Piece {
    Head([u8; HEAD], usize),
    Payload(usize),
    /// The beginning of a head.
    Part(usize),
}

impl Heads {
    fn next(&mut self, bytes: &[u8]) -> Piece {
        if self.left > 0 {
            let taken = bytes.len().min(self.left as usize);
            self.left -= taken as u32;
            return Piece::Payload(taken);
        }
        let have = usize::from(self.have);
        let taken = bytes.len().min(HEAD - have);
        self.head[have..have + taken].copy_from_slice(&bytes[..taken]);
        if have + taken < HEAD {
            self.have += taken as u8;
            return Piece::Part(taken);
        }
        self.have = 0;
        self.left = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]);
        Piece::Head(self.head, taken)
    }
}

/// What comes before the data or the block of a frame, by its flags.
fn own_fields(kind: u8, flags: u8) -> u32 {
    let padding = if flags & PADDED == 0 { 0 } else { 1 };
    padding + if kind == HEADERS && flags & WITH_PRIORITY != 0 { 5 } else { 0 }
}

/// Follows one connection.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Bytes of the preface still to come.
    preface: u8,
    heads: Heads,
    kind: u8,
    /// Of the payload of SETTINGS, what does not fill an entry; of a padded frame, whether its first byte is still to come.
    entry: [u8; 6],
    filled: u8,
    padding: bool,
    begun: bool,
    /// Stream of the header block under way.
    block: Option<u32>,
    newest: u32,
    /// Streams on which the client may still send.
    open: Vec<u32>,
    /// What is wrong for certain.
    fault: Option<u32>,
    /// What is wrong with the last frame, if h2 finds something wrong with it.
    suspect: Option<u32>,
    spent: u64,
    carried: u64,
    started: u32,
    written: Heads,
}

impl Frames {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            preface: PREFACE,
            heads: Heads::default(),
            kind: 0,
            entry: [0; 6],
            filled: 0,
            padding: false,
            begun: false,
            block: None,
            newest: 0,
            open: Vec::new(),
            fault: None,
            suspect: None,
            spent: 0,
            carried: 0,
            started: clock.now(),
            written: Heads::default(),
        }
    }

    /// Follows what the client sent. Answers where the frame begins that h2 must not see, if there is one: what follows there is to be
    /// replaced by [`REFUSED`]. It lies before the beginning if a part of its head has gone by already.
    pub(crate) fn read(&mut self, bytes: &[u8], clock: &Clock) -> Option<isize> {
        let skipped = bytes.len().min(usize::from(self.preface));
        self.preface -= skipped as u8;
        let mut at = skipped;
        while at < bytes.len() {
            match self.heads.next(&bytes[at..]) {
                Piece::Part(taken) => at += taken,
                Piece::Payload(taken) => {
                    self.payload(&bytes[at..at + taken]);
                    at += taken;
                }
                Piece::Head(head, taken) => {
                    at += taken;
                    if self.head(head, clock) {
                        return Some(at as isize - HEAD as isize);
                    }
                }
            }
        }
        None
    }

    /// Notes what is wrong with a frame by its head; true if h2 would not mind, and must.
    fn head(&mut self, head: [u8; HEAD], clock: &Clock) -> bool {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let (kind, flags) = (head[3], head[4]);
        (self.kind, self.filled, self.padding) = (kind, 0, matches!(kind, DATA | HEADERS) && flags & PADDED != 0);
        self.suspect = None;
        if let Some(code) = self.wrong(kind, flags, stream, length) {
            self.fault.get_or_insert(code);
        }
        let first = !std::mem::replace(&mut self.begun, true);
        if first && (kind != SETTINGS || flags & ACK != 0) {
            self.fault.get_or_insert(PROTOCOL);
            return true;
        }
        self.follow(kind, flags, stream);
        self.is_flood(kind, length, clock)
    }

    /// The code for what a head alone shows to be wrong.
    fn wrong(&self, kind: u8, flags: u8, stream: u32, length: u32) -> Option<u32> {
        let on_stream = matches!(kind, DATA | HEADERS | PRIORITY | RST_STREAM | CONTINUATION);
        let on_connection = matches!(kind, SETTINGS | PING | GOAWAY);
        let in_order = match self.block {
            Some(open) => kind == CONTINUATION && stream == open,
            None => kind != CONTINUATION,
        };
        let idle = matches!(kind, DATA | RST_STREAM | WINDOW_UPDATE) && stream > self.newest || kind == HEADERS && stream.is_multiple_of(2);
        if !in_order || on_stream && stream == 0 || on_connection && stream != 0 || idle || kind == PUSH_PROMISE {
            return Some(PROTOCOL);
        }
        let sized = match kind {
            SETTINGS if flags & ACK != 0 => length == 0,
            SETTINGS => length.is_multiple_of(6),
            PING => length == 8,
            GOAWAY => length >= 8,
            RST_STREAM | WINDOW_UPDATE => length == 4,
            PRIORITY => length == 5,
            DATA | HEADERS => length >= own_fields(kind, flags),
            _ => true,
        };
        (!sized).then_some(FRAME_SIZE)
    }

    fn follow(&mut self, kind: u8, flags: u8, stream: u32) {
        if matches!(kind, DATA | HEADERS) {
            self.suspect = (stream <= self.newest && !self.open.contains(&stream)).then_some(STREAM_CLOSED);
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            let ended = flags & END_HEADERS != 0;
            self.block = (!ended).then_some(stream);
            self.suspect = self.suspect.or(ended.then_some(COMPRESSION));
        }
        if kind == RST_STREAM || matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            self.open.retain(|open| *open != stream);
        } else if kind == HEADERS && stream > self.newest {
            if self.open.len() == OPEN {
                self.open.remove(0);
            }
            self.open.push(stream);
        }
        if kind == HEADERS {
            self.newest = self.newest.max(stream);
        }
    }

    /// More frames that carry nothing than what is carried explains.
    fn is_flood(&mut self, kind: u8, length: u32, clock: &Clock) -> bool {
        self.spent += match kind {
            HEADERS => 0,
            DATA if length > 0 => {
                self.carried += u64::from(length);
                0
            }
            RST_STREAM => RESET,
            _ => 1,
        };
        if self.spent <= BURST {
            return false;
        }
        let ticks = u64::from(clock.now().saturating_sub(self.started));
        let flood = self.spent > BURST + ticks * PER_TICK + self.carried / EARNING;
        if flood {
            self.fault = Some(ENHANCE_YOUR_CALM);
        }
        flood
    }

    fn payload(&mut self, bytes: &[u8]) {
        if self.padding {
            self.padding = false;
            // The first byte says how much padding follows; `left` is all that does.
            let rest = bytes.len() as u64 - 1 + u64::from(self.heads.left);
            if bytes.first().is_some_and(|length| u64::from(*length) > rest) {
                self.fault.get_or_insert(PROTOCOL);
            }
        }
        if self.kind != SETTINGS {
            return;
        }
        for byte in bytes {
            self.entry[usize::from(self.filled)] = *byte;
            self.filled = (self.filled + 1) % 6;
            if self.filled == 0 && self.entry[..2] == INITIAL_WINDOW_SIZE && self.entry[2] & 0x80 != 0 {
                self.fault.get_or_insert(FLOW_CONTROL);
            }
        }
    }

    /// The code for a GOAWAY in which h2 would say PROTOCOL_ERROR.
    fn farewell(&self) -> u32 {
        self.fault.or(self.suspect).unwrap_or(PROTOCOL)
    }

    /// What h2 is about to send, with another code, if that is a GOAWAY for PROTOCOL_ERROR and there is a better one.
    pub(crate) fn corrected<'a>(&self, slices: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Vec<u8>> {
        if self.farewell() == PROTOCOL {
            return None;
        }
        let (mut heads, mut before) = (self.written, 0);
        let mut goaway = None;
        for slice in slices.clone() {
            let mut at = 0;
            while at < slice.len() {
                at += match heads.next(&slice[at..]) {
                    Piece::Head(head, taken) => {
                        if head[3] == GOAWAY {
                            goaway = Some(before + at + taken);
                        }
                        taken
                    }
                    Piece::Payload(taken) | Piece::Part(taken) => taken,
                };
            }
            before += slice.len();
        }
        let code = goaway? + 4;
        let mut bytes: Vec<u8> = slices.flatten().copied().collect();
        let said = bytes.get_mut(code..code + 4).filter(|said| **said == PROTOCOL.to_be_bytes())?;
        said.copy_from_slice(&self.farewell().to_be_bytes());
        Some(bytes)
    }

    /// Follows what was sent.
    pub(crate) fn wrote<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>, mut count: usize) {
        self.carried += count as u64;
        for slice in slices {
            let mut slice = &slice[..slice.len().min(count)];
            count -= slice.len();
            while !slice.is_empty() {
                let (Piece::Head(_, taken) | Piece::Payload(taken) | Piece::Part(taken)) = self.written.next(slice);
                slice = &slice[taken..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn begun(clock: &Clock) -> Frames {
        let mut frames = Frames::new(clock);
        let start = [&[b'x'; PREFACE as usize][..], &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])].concat();
        assert_eq!(frames.read(&start, clock), None);
        frames
    }

    #[test]
    fn too_many_frames_that_carry_nothing_are_stopped_at_the_one_too_many() {
        let clock = Clock::new();
        let ping = frame(PING, 0, 0, &[0; 8]);
        let mut frames = begun(&clock);
        let all = ping.repeat(BURST as usize - 1);
        assert_eq!(frames.read(&all, &clock), None);
        assert_eq!(frames.read(&ping.repeat(2), &clock), Some(0));
        assert_eq!(frames.farewell(), ENHANCE_YOUR_CALM);

        let mut frames = begun(&clock);
        frames.wrote([&[0; 9][..]].into_iter(), 9);
        frames.carried = 10 * EARNING;
        assert_eq!(frames.read(&ping.repeat(BURST as usize + 9), &clock), None, "who gets something may say more");
    }

    proptest! {
        #[test]
        fn where_reads_end_makes_no_difference(cuts in proptest::collection::vec(1usize..30, 0..60)) {
            let clock = Clock::new();
            let bytes = [
                frame(HEADERS, END_HEADERS, 1, b"block"),
                frame(DATA, PADDED, 1, b"\x02body\0\0"),
                frame(DATA, END_STREAM, 1, b""),
                frame(HEADERS, END_STREAM, 3, b"bl"),
                frame(CONTINUATION, END_HEADERS, 3, b"ock"),
                frame(PING, 0, 0, &[7; 8]),
                frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
            ].concat();
            let mut frames = begun(&clock);
            let mut rest = &bytes[..];
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                prop_assert_eq!(frames.read(now, &clock), None);
                rest = later;
            }
            prop_assert_eq!((frames.newest, frames.farewell()), (3, FLOW_CONTROL));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let clock = Clock::new();
            begun(&clock).read(&bytes, &clock);
            Frames::new(&clock).read(&bytes, &clock);
            let slices = [&bytes[..]];
            let mut frames = begun(&clock);
            frames.suspect = Some(COMPRESSION);
            frames.corrected(slices.into_iter());
            frames.wrote(slices.into_iter(), bytes.len());
        }
    }
}
