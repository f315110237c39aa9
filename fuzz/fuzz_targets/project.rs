//! Several files: override, extends, include, files of variables.
#![no_main]
landfall_fuzz::fuzz!(|text: &str| landfall_fuzz::Project::parse(text).check());
