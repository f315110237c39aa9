//! Reads along on an HTTP/1 connection and points out requests whose end two parsers could see at different places.
//!
//! hyper parses requests, and it settles some ambiguities silently before a service can see them: with `Transfer-Encoding` it drops
//! `Content-Length`, and it merges equal lengths (RFC 9112 §6.3 allows both). What it forwards is safe, but such a request is an attack or
//! a bug, and is answered 400 here. The gate sees the same bytes, follows heads and bodies, and says which request, counted from 1, is
//! ambiguous. It decides nothing else: what is carried is always what hyper parsed, so a disagreement can only refuse too much.
//!
//! In chunked bodies hyper takes an extension, a trailer or a space that others do not, and says of a broken chunk only that the body ended. So
//! the gate follows those lines by the letter too: a request whose body breaks a rule is refused if it has not been forwarded, and every later one.

use http::HeaderName;
use memchr::memchr;

/// Head bytes after which following ends; hyper refuses long before.
const MAX_HEAD: usize = 64 * 1024;
/// Bytes of a line between chunks and of all trailers, as in hyper.
const MAX_TRAILER: usize = 16 * 1024;

/// Follows one connection.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: State,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    head: Head,
    heads: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first byte of a head.
    #[default]
    Start,
    /// Within an empty line before a head.
    Blank,
    /// Within a head, on a line boundary or inside a line.
    Head,
    /// Within a body of known length.
    Length(u64),
    /// On the line that says how long a chunk is.
    ChunkSize,
    /// Within a chunk.
    Chunk(u64),
    /// On the line end after a chunk.
    ChunkEnd,
    /// After the last chunk.
    Trailer,
    /// It cannot be followed any further.
    Lost,
}

#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    length: Option<u64>,
    chunked: bool,
    ambiguous: bool,
}

/// What the bytes showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// A head began or went on.
    pub(crate) head: bool,
    /// The request, counted from 1 on this connection, that must be refused, and every later one.
    pub(crate) ambiguous: Option<u64>,
}

impl Gate {
    /// Follows the next bytes of the connection.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while !bytes.is_empty() {
            match self.state {
                State::Lost => break,
                State::Start if bytes[0] == b'\r' => {
                    bytes = &bytes[1..];
                    self.state = State::Blank;
                }
                State::Start => {
                    self.heads += 1;
                    self.head = Head::default();
                    self.state = State::Head;
                }
                State::Blank if bytes[0] == b'\n' => {
                    bytes = &bytes[1..];
                    self.state = State::Start;
                }
                State::Blank => {
                    self.heads += 1;
                    self.lose();
                }
                State::Length(left) => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = &bytes[taken as usize..];
                    self.state = if taken == left { State::Start } else { State::Length(left - taken) };
                }
                State::Chunk(left) => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = &bytes[taken as usize..];
                    self.state = if taken == left { State::ChunkEnd } else { State::Chunk(left - taken) };
                }
                State::Head | State::ChunkSize | State::ChunkEnd | State::Trailer => {
                    seen.head |= self.state == State::Head;
                    bytes = self.line(bytes);
                }
            }
        }
        if self.state == State::Lost {
            seen.ambiguous = Some(self.heads);
        }
        seen
    }

    /// Takes one line, or keeps its beginning for later.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = memchr(b'\n', bytes) else {
            self.partial.extend_from_slice(bytes);
            if self.partial.len() > if self.state == State::Head { MAX_HEAD } else { MAX_TRAILER } {
                self.lose();
            }
            return &[];
        };
        let (line, rest) = bytes.split_at(end + 1);
        if self.partial.is_empty() {
            self.complete_line(line);
        } else {
            // Taken and given up afterwards: an idle connection keeps no buffer.
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(line);
            self.complete_line(&whole);
        }
        rest
    }

    fn complete_line(&mut self, line: &[u8]) {
        match self.state {
            State::Head => self.head_line(line),
            State::ChunkSize => match chunk_size(line) {
                Some(0) => {
                    self.head.bytes = 0;
                    self.state = State::Trailer;
                }
                Some(size) => self.state = State::Chunk(size),
                None => self.lose(),
            },
            State::ChunkEnd if line == b"\r\n" => self.state = State::ChunkSize,
            State::Trailer if line == b"\r\n" => self.state = State::Start,
            State::Trailer if is_field(line) && self.head.bytes <= MAX_TRAILER => self.head.bytes += line.len(),
            _ => self.lose(),
        }
    }

    fn head_line(&mut self, line: &[u8]) {
        self.head.bytes += line.len();
        let Some(text) = line.strip_suffix(b"\r\n") else { return self.lose() };
        if text.is_empty() {
            return self.head_end();
        }
        if let Some(value) = value_of(text, b"content-length") {
            let length = decimal(value);
            self.head.ambiguous |= length.is_none() || self.head.length.is_some();
            self.head.length = length;
        } else if let Some(value) = value_of(text, b"transfer-encoding") {
            self.head.ambiguous |= self.head.chunked || !value.eq_ignore_ascii_case(b"chunked");
            self.head.chunked = true;
        }
        if self.head.bytes > MAX_HEAD {
            self.lose();
        }
    }

    fn head_end(&mut self) {
        if self.head.ambiguous || (self.head.chunked && self.head.length.is_some()) {
            return self.lose();
        }
        self.state = match (self.head.chunked, self.head.length) {
            (true, _) => State::ChunkSize,
            (false, None | Some(0)) => State::Start,
            (false, Some(length)) => State::Length(length),
        };
    }

    fn lose(&mut self) {
        self.state = State::Lost;
        self.partial = Vec::new();
    }
}

/// The value of header `name` (in lower case) if this is its line.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(rest.strip_prefix(b":")?.trim_ascii())
}

/// A length in digits only: no sign, no space, no hexadecimal, and no zero before it, which makes it octal for some.
pub(crate) fn decimal(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) || value.len() > 1 && value.starts_with(b"0") {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The size on a chunk's first line; extensions are skipped.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?;
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at_checked(digits)?;
    let extension = rest.trim_ascii_start();
    if !extension.is_empty() && !extension.starts_with(b";") || rest.iter().any(is_control) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

/// A line of a trailer: a name, a colon, a value, and no line folded into another.
fn is_field(line: &[u8]) -> bool {
    let Some(text) = line.strip_suffix(b"\r\n") else { return false };
    let name = text.split(|b| *b == b':').next().unwrap_or_default();
    name.len() < text.len() && !text.iter().any(is_control) && HeaderName::from_bytes(name).is_ok()
}

fn is_control(byte: &u8) -> bool {
    byte.is_ascii_control() && *byte != b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /\r\n\
        \r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n\
        POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n\
        GET /y HTTP/1.1\r\n\r\n";

    fn ambiguous(text: &str) -> Option<u64> {
        Gate::default().read(text.as_bytes()).ambiguous
    }

    #[test]
    fn requests_with_two_possible_ends_are_pointed_out() {
        for headers in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: +3",
            "Content-Length: 0x3",
            "Content-Length: 03",
            "Content-Length: 3, 3",
            "Content-Length:",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "X: bare line feed\nY: z",
        ] {
            assert_eq!(ambiguous(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n")), Some(1), "{headers}");
        }
        let second = "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(ambiguous(second), Some(2));
        for between in ["\n", "\r\n\n", "\r\r\n"] {
            assert_eq!(ambiguous(&format!("GET / HTTP/1.1\r\n\r\n{between}GET / HTTP/1.1\r\n\r\n")), Some(2), "{between:?}");
        }
    }

    #[test]
    fn broken_chunks_refuse_their_request_and_what_follows() {
        for body in [
            "5\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "5 x\r\nhello\r\n0\r\n\r\n",
            "5;\0\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello!\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\r\n0\n\n",
            "0\r\nX: y\n\r\n",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\nno field\r\n\r\n",
        ] {
            let mut gate = Gate::default();
            gate.read(b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
            assert_eq!(gate.read(body.as_bytes()).ambiguous, Some(2), "{body:?}");
        }
    }

    #[test]
    fn bodies_are_not_taken_for_heads() {
        let mut gate = Gate::default();
        assert_eq!(gate.read(GOOD).ambiguous, None);
        assert_eq!((gate.heads, gate.state), (4, State::Start));
    }

    proptest! {
        #[test]
        fn where_reads_end_makes_no_difference(cuts in proptest::collection::vec(1usize..40, 0..60)) {
            let mut gate = Gate::default();
            let mut rest = GOOD;
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                prop_assert_eq!(gate.read(now).ambiguous, None);
                rest = later;
            }
            gate.read(rest);
            prop_assert_eq!((gate.heads, gate.state), (4, State::Start));
        }

        #[test]
        fn no_bytes_make_it_panic_or_grow(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut gate = Gate::default();
            gate.read(&bytes);
            prop_assert!(gate.partial.len() <= bytes.len());
        }
    }
}
