//! Conditions and ranges for the fuzz targets.

use super::condition::{self, Part};
use http::{HeaderMap, HeaderValue};

/// What of a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePart {
    /// All of it.
    Whole,
    /// These bytes, both included.
    Some(u64, u64),
    /// What is asked for is not there.
    None,
}

/// What a range asks for of a file of this size.
pub fn part(range: Option<&HeaderValue>, size: u64) -> FilePart {
    match condition::part(range, size) {
        Part::Whole => FilePart::Whole,
        Part::Some { first, last } => FilePart::Some(first, last),
        Part::None => FilePart::None,
    }
}

/// Whether the client has the content of this tag and date, and whether it may be given a part of it.
pub fn is_unchanged(headers: &HeaderMap, tag: &str, modified: &str) -> (bool, bool) {
    (condition::is_unchanged(headers, tag, modified), condition::may_be_part(headers, tag, modified))
}
