//! Sizes and cores: a number of bytes printed plainly reads back as the same.
#![no_main]
use landfall_model::compose::fuzzing::{cores, size};

landfall_fuzz::fuzz!(|text: &str| {
    let (binary, decimal) = size(text);
    for bytes in [binary, decimal].into_iter().flatten() {
        assert_eq!(size(&bytes.to_string()), (Some(bytes), Some(bytes)));
    }
    if let Some(millis) = cores(text) {
        assert!(millis <= 1_024_000);
    }
});
