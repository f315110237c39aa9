//! Durations: what is printed reads back as the same.
#![no_main]
use landfall_model::compose::fuzzing::{duration, print_duration};

landfall_fuzz::fuzz!(|text: &str| {
    if let Some(ms) = duration(text) {
        assert_eq!(duration(&print_duration(ms)), Some(ms));
    }
});
