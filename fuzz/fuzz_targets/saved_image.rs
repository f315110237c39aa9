//! An image as an engine saves it. Every layer that is found is a part of the archive or what is compressed in one, and is read to its end in pieces of
//! any size.

#![no_main]

#[path = "../../crates/landfall/src/push/saved.rs"]
#[allow(dead_code)]
mod saved;

use saved::Saved;
use std::io::{Read as _, Write as _};

fn inflated(bytes: &[u8], from: usize) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[from..]).read_to_end(&mut all).ok()?;
    Some(all)
}

landfall_fuzz::fuzz!(|data: &[u8]| {
    let mut file = tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).expect("a file");
    file.write_all(data).expect("it is written");
    let Ok(saved) = Saved::index(file) else { return };
    assert!(saved.order.len() <= landfall_model::image::MAX_LAYERS && saved.config.len() <= data.len());
    for id in &saved.order {
        let bytes = saved.bytes_of(id);
        let Ok(whole) = saved.piece(id, 0, 1 << 20) else { panic!("layer {id} of {bytes} bytes is not there") };
        assert_eq!(whole.len() as u64, bytes.min(1 << 20));
        let mut joined = Vec::new();
        while let Ok(piece) = saved.piece(id, joined.len() as u64, 7)
            && !piece.is_empty()
            && joined.len() < 100
        {
            joined.extend(piece);
        }
        assert!(whole.starts_with(&joined) && (joined.len() == whole.len() || joined.len() >= 100));
        let probe = &whole[..whole.len().min(64)];
        let there = data.windows(probe.len().max(1)).any(|window| window == probe) || probe.is_empty();
        let packed = || {
            data.windows(2)
                .enumerate()
                .filter(|(_, two)| *two == [0x1f, 0x8b])
                .any(|(at, _)| inflated(data, at).is_none_or(|all| all.starts_with(probe)))
        };
        assert!(there || packed(), "layer {id} is not in the archive");
    }
    assert!(saved.bytes() <= 1 << 30);
});
