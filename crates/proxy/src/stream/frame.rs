//! Follows WebSocket frames by their headers (RFC 6455 §5.2), to know where one ends and another may be put in. Payloads are not looked at.

/// Largest frame header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;
const CLOSE: u8 = 0x8;

/// Close, code 1001 "going away", as a server sends it.
pub(crate) const CLOSE_TO_CLIENT: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];
/// The same as a client sends it. The mask is constant: it protects caches on the way from payloads an attacker chose, and this one is ours.
pub(crate) const CLOSE_TO_SERVER: [u8; 8] = [0x88, 0x82, 0x4C, 0x46, 0x30, 0x31, 0x03 ^ 0x4C, 0xE9 ^ 0x46];

/// One direction of a WebSocket.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    header: [u8; MAX_HEADER],
    have: usize,
    payload: u64,
    closed: bool,
}

impl Follower {
    /// No frame is unfinished.
    pub(crate) fn at_boundary(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// A Close frame went by.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Follows `bytes` up to the end of the first frame that ends in them; answers how many bytes that is.
    pub(crate) fn follow_frame(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            if self.payload > 0 {
                let step = self.payload.min((bytes.len() - taken) as u64);
                taken += step as usize;
                self.payload -= step;
            } else {
                self.header[self.have] = bytes[taken];
                self.have += 1;
                taken += 1;
                if self.have < header_length(&self.header[..self.have]) {
                    continue;
                }
                self.payload = payload_length(&self.header);
                self.closed |= self.header[0] & 0x0F == CLOSE;
                self.have = 0;
            }
            if self.at_boundary() {
                break;
            }
        }
        taken
    }

    /// Follows all of `bytes`.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.follow_frame(bytes)..];
        }
    }
}

/// How long this header is, as far as its beginning tells.
fn header_length(header: &[u8]) -> usize {
    let Some(second) = header.get(1) else { return 2 };
    let length = match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 == 0 { 0 } else { 4 }
}

fn payload_length(header: &[u8; MAX_HEADER]) -> u64 {
    let wide = |bytes: &[u8]| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    match header[1] & 0x7F {
        126 => wide(&header[2..4]),
        127 => wide(&header[2..10]),
        short => u64::from(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(opcode: u8, masked: bool, length: usize) -> Vec<u8> {
        let mut bytes = vec![0x80 | opcode];
        let mask = if masked { 0x80 } else { 0 };
        match length {
            0..126 => bytes.push(mask | length as u8),
            126..65536 => {
                bytes.push(mask | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            bytes.extend([1, 2, 3, 4]);
        }
        // Payload that looks like headers.
        bytes.extend(std::iter::repeat_n(0x88, length));
        bytes
    }

    #[test]
    fn our_close_frames_are_frames() {
        for close in [&CLOSE_TO_CLIENT[..], &CLOSE_TO_SERVER[..]] {
            let mut follower = Follower::default();
            follower.follow(close);
            assert!(follower.at_boundary() && follower.is_closed());
        }
        let unmasked: Vec<u8> = CLOSE_TO_SERVER[6..].iter().zip(&CLOSE_TO_SERVER[2..]).map(|(b, m)| b ^ m).collect();
        assert_eq!(unmasked, 1001u16.to_be_bytes());
    }

    proptest! {
        #[test]
        fn boundaries_are_found_wherever_reads_end(
            frames in proptest::collection::vec((0u8..3, any::<bool>(), prop_oneof![0usize..300, 65530usize..65550]), 1..6),
            cuts in proptest::collection::vec(1usize..5000, 0..40),
        ) {
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            for (opcode, masked, length) in frames {
                bytes.extend(frame(opcode, masked, length));
                ends.push(bytes.len());
            }
            let mut follower = Follower::default();
            let mut at = 0usize;
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let end = at.saturating_add(cut).min(bytes.len());
                while at < end {
                    at += follower.follow_frame(&bytes[at..end]);
                    prop_assert_eq!(follower.at_boundary(), ends.contains(&at));
                }
            }
            prop_assert!(!follower.is_closed());
        }
    }
}
