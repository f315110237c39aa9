//! One Compose file.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| landfall_fuzz::Project::of(text).check());
