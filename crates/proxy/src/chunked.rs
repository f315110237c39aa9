//! A body that says piece by piece how long it is (RFC 9112 §7.1).

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use memchr::{memchr, memchr_iter};

/// A chunk's size with its extensions, which are skipped.
const MAX_SIZE_LINE: usize = 4 * 1024;
/// All trailer fields together.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_TRAILER_FIELDS: usize = 100;

/// Where in the body the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Chunked {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Ended,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Nothing whole yet: more must be read.
    More,
    Data(Bytes),
    /// The body has ended; trailers if it has any.
    End(Option<HeaderMap>),
}

impl Chunked {
    /// Takes the next piece off the front of `input`. The error says what is wrong.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Result<Piece, &'static str> {
        loop {
            match *self {
                Self::Size => {
                    let Some(line) = line(input, MAX_SIZE_LINE, "a chunk's size is too long")? else { return Ok(Piece::More) };
                    let size = size_of(&input[..line]).ok_or("a chunk's size is none")?;
                    let _ = input.split_to(line + 2);
                    *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                }
                Self::Data(_) if input.is_empty() => return Ok(Piece::More),
                Self::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let left = left - here as u64;
                    *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                    return Ok(Piece::Data(input.split_to(here).freeze()));
                }
                Self::DataEnd => {
                    match (input.first(), input.get(1)) {
                        (Some(b'\r'), Some(b'\n')) => {}
                        (None, _) | (Some(b'\r'), None) => return Ok(Piece::More),
                        _ => return Err("a chunk is longer than it says"),
                    }
                    let _ = input.split_to(2);
                    *self = Self::Size;
                }
                Self::Trailers => {
                    let Some(trailers) = trailers(input)? else { return Ok(Piece::More) };
                    *self = Self::Ended;
                    return Ok(Piece::End((!trailers.is_empty()).then_some(trailers)));
                }
                Self::Ended => return Ok(Piece::End(None)),
            }
        }
    }

    /// False if what is there of a body, from here on, already breaks a rule.
    pub(crate) fn is_sound(mut self, input: &[u8]) -> bool {
        let mut input = BytesMut::from(input);
        loop {
            match self.take(&mut input) {
                Ok(Piece::Data(_)) => {}
                Ok(Piece::More | Piece::End(_)) => return true,
                Err(_) => return false,
            }
        }
    }

    /// What is known to be still to come.
    pub(crate) fn left(self) -> u64 {
        if let Self::Data(left) = self { left } else { 0 }
    }
}

/// Length of the first line without its CRLF.
fn line(input: &[u8], max: usize, too_long: &'static str) -> Result<Option<usize>, &'static str> {
    match memchr(b'\n', &input[..input.len().min(max)]) {
        Some(end) if end > 0 && input[end - 1] == b'\r' => Ok(Some(end - 1)),
        Some(_) => Err("a line of it does not end with CR and LF"),
        None if input.len() >= max => Err(too_long),
        None => Ok(None),
    }
}

fn size_of(line: &[u8]) -> Option<u64> {
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return None;
    }
    let size = line.split(|byte| *byte == b';').next()?;
    // Space before an extension was allowed once (RFC 2616) and is still sent.
    let size = size.trim_ascii_end();
    if size.is_empty() || size.len() > 16 || !size.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

/// httparse takes a line feed alone for the end of a line; others do not.
fn ends_lines_well(text: &[u8]) -> bool {
    memchr_iter(b'\n', text).all(|at| at > 0 && text[at - 1] == b'\r')
}

fn trailers(input: &mut BytesMut) -> Result<Option<HeaderMap>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let mut trailers = HeaderMap::new();
    let end = match httparse::parse_headers(input, &mut fields) {
        // However much of them came at once.
        Ok(httparse::Status::Complete((end, _))) if end > MAX_TRAILERS => return Err("its trailers are too large"),
        Ok(httparse::Status::Complete((end, fields))) if ends_lines_well(&input[..end]) => {
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "a trailer's name is none")?;
                trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| "a trailer's value is none")?);
            }
            end
        }
        Ok(httparse::Status::Partial) if input.len() > MAX_TRAILERS => return Err("its trailers are too large"),
        Ok(httparse::Status::Partial) if ends_lines_well(input) => return Ok(None),
        Ok(_) | Err(_) => return Err("its trailers are no header fields"),
    };
    let _ = input.split_to(end);
    Ok(Some(trailers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything `text` says, given in pieces of `step` bytes.
    fn read(text: &[u8], step: usize) -> Result<(Vec<u8>, bool, Vec<u8>), &'static str> {
        let (mut chunked, mut input, mut data, mut ended) = (Chunked::Size, BytesMut::new(), Vec::new(), false);
        for part in text.chunks(step) {
            input.extend_from_slice(part);
            while !ended {
                match chunked.take(&mut input)? {
                    Piece::More => break,
                    Piece::Data(piece) => data.extend_from_slice(&piece),
                    Piece::End(_) => ended = true,
                }
            }
        }
        Ok((data, ended, input.to_vec()))
    }

    #[test]
    fn what_follows_the_end_is_left() {
        let text = b"5;a=\"b\"\r\nhello\r\n00A \r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nHTTP/1.1";
        for step in [1, 2, 3, 7, text.len()] {
            assert_eq!(read(text, step), Ok((b"hello0123456789".to_vec(), true, b"HTTP/1.1".to_vec())), "{step}");
        }
        let mut input = BytesMut::from(&b"0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n"[..]);
        let Ok(Piece::End(Some(trailers))) = Chunked::Size.take(&mut input) else { panic!("no trailers") };
        assert_eq!(trailers.get_all("x-sum").iter().count(), 2);
    }

    #[test]
    fn a_size_is_hexadecimal_and_nothing_else() {
        for text in [
            "\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            "1_0\r\n",
            "g\r\n",
            " 5\r\nhello\r\n",
            "5\nhello",
            "5\r\nhello!",
            "5\r\nhello\n\n",
            "11111111111111111\r\n",
            "5;\0\r\nhello\r\n",
            "0\r\nX: y\n\r\n",
            "0\r\nX: y\n\n",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\nno field\r\n\r\n",
            "0\n\n",
        ] {
            assert!(read(text.as_bytes(), text.len()).is_err(), "{text:?}");
        }
        assert!(read(&[b'1'; MAX_SIZE_LINE], MAX_SIZE_LINE).is_err());
        assert!(read(&[b"0\r\n".to_vec(), b"A: b\r\n".repeat(101), b"\r\n".to_vec()].concat(), 4096).is_err());
        assert!(read(&[b"0\r\nA: ".to_vec(), vec![b'x'; MAX_TRAILERS]].concat(), 4096).is_err());
    }

    #[test]
    fn trailers_that_are_too_large_are_so_when_they_come_at_once() {
        let text = [b"0\r\nA: ".to_vec(), vec![b'x'; MAX_TRAILERS], b"\r\n\r\n".to_vec()].concat();
        for step in [1000, text.len()] {
            assert_eq!(read(&text, step), Err("its trailers are too large"), "{step} bytes at a time");
        }
    }

    proptest! {
        #[test]
        fn pieces_come_out_as_they_went_in(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8), step in 1usize..400) {
            let mut text = Vec::new();
            for piece in &pieces {
                text.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                text.extend_from_slice(piece);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(&text, step), Ok((pieces.concat(), true, Vec::new())));
        }

        #[test]
        fn nothing_panics(text in prop::collection::vec(any::<u8>(), 0..200), step in 1usize..50) {
            let _ = read(&text, step);
        }
    }
}
