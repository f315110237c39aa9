//! Bytes as a network hands them over: cut anywhere, the same way each time for the same bytes, so that a seed is nothing but what is sent.

/// Cuts of up to 24 bytes, at places that the bytes themselves decide.
pub fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let mut state = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)) | 1;
    let (mut rest, mut pieces) = (bytes, Vec::new());
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (now, later) = rest.split_at((1 + state as usize % 24).min(rest.len()));
        pieces.push(now);
        rest = later;
    }
    pieces
}

/// The ways of arriving that must make no difference: at once, byte by byte, cut anywhere.
pub fn ways(bytes: &[u8]) -> [Vec<&[u8]>; 3] {
    [vec![bytes], bytes.chunks(1).collect(), pieces(bytes)]
}
