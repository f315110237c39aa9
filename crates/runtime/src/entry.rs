//! Lines of logs, whoever keeps them. Nothing of this crate is used here: fuzz targets read this file too.

/// One line a replica wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// Standard error.
    pub stderr: bool,
    /// Without its newline; invalid UTF-8 replaced; at most [`MAX_LOG_LINE`] bytes.
    pub line: String,
    /// The line goes on in the next entry of the same stream.
    pub partial: bool,
}

/// Longest piece of a log line handed on; a longer line is several entries, all but the last of them marked.
pub const MAX_LOG_LINE: usize = 16 * 1024;
