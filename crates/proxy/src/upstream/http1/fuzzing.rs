//! Heads of answers for the fuzz targets.

use super::head::{Length, take};
use bytes::BytesMut;
use http::Response;

/// Where an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerEnd {
    /// After so many bytes.
    Known(u64),
    /// Where it says.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Takes the head of an answer off the front of `input`: the head, where its body ends, and whether another request may follow.
pub fn answer_head(input: &mut BytesMut, asked_head_only: bool) -> Result<Option<(Response<()>, AnswerEnd, bool)>, String> {
    let head = take(input, asked_head_only).map_err(|why| why.to_string())?;
    Ok(head.map(|head| {
        let end = match head.length {
            Length::Known(bytes) => AnswerEnd::Known(bytes),
            Length::Chunked => AnswerEnd::Chunked,
            Length::UntilClose => AnswerEnd::UntilClose,
        };
        (head.response, end, head.keep)
    }))
}
