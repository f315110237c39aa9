//! One Compose file.
#![no_main]
landfall_fuzz::fuzz!(|text: &str| landfall_fuzz::Project::of(text).check());
