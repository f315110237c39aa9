//! Several files: override, extends, include, files of variables.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| landfall_fuzz::Project::parse(text).check());
