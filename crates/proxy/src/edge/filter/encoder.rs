//! The three encoders behind one face: bytes go in, and what has come out can be taken.

use super::compress::Encoding;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use zstd::stream::raw::CParameter;

/// What windows look back over: 256 KiB, a fraction of the encoders' defaults in memory and nearly all of their effect on pages.
const WINDOW_LOG: u32 = 18;

/// One body's encoder.
pub(crate) enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// For a body of this length, if that is known.
    pub(crate) fn new(encoding: Encoding, length: Option<u64>) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
                // A small body gets small tables.
                encoder.set_pledged_src_size(length)?;
                Self::Zstd(encoder)
            }
            Encoding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 4, WINDOW_LOG))),
            Encoding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(5))),
        })
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(data),
            Self::Brotli(encoder) => encoder.write_all(data),
            Self::Gzip(encoder) => encoder.write_all(data),
        }
    }

    /// Has everything written so far come out.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }

    /// What has come out.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        }
    }

    /// Ends it and gives what is left.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}
