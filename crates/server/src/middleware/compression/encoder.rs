//! One content, encoded piece by piece: three libraries behind one face.

use std::fmt;
use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::GzBuilder;
use flate2::write::GzEncoder;
use zstd::zstd_safe::CParameter;

use crate::coding::Coding;

/// So much is compressed at a time: half a millisecond at the usual levels. Brotli gathers 64 KiB, which then
/// take up to three.
pub(super) const SLICE_BYTES: usize = 32 * 1024;

/// Bits of brotli's and zstd's windows. Larger ones gain a few per cent on long content and cost each
/// stream megabytes; gzip's is 15. Brotli below 17 takes tables that are slow to set up.
const WINDOW_BITS: u32 = 18;

/// Bits of brotli's blocks, which are compressed in one go.
const BROTLI_BLOCK_BITS: i32 = 16;

/// Bits of zstd's tables, which are those of level 3. Higher levels would take many times as much.
const ZSTD_HASH_BITS: u32 = 17;
const ZSTD_CHAIN_BITS: u32 = 16;

/// None where a coding is left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    pub(super) gzip: Option<u32>,
    pub(super) brotli: Option<u32>,
    pub(super) zstd: Option<u32>,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            gzip: Some(5),
            brotli: Some(4),
            zstd: Some(3),
        }
    }
}

impl Levels {
    pub(super) fn of(&self, coding: Coding) -> Option<u32> {
        match coding {
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        }
    }
}

/// An encoder with what has come out of it.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Begins. If the content's length is known the encoder takes no more memory than that needs.
    pub(super) fn new(coding: Coding, levels: &Levels, len: Option<u64>) -> io::Result<Encoder> {
        let level = levels.of(coding).unwrap_or(1);
        Ok(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(level);
                // No time and no system: the same content has the same bytes.
                let builder = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM);
                Encoder::Gzip(builder.write(Vec::new(), level))
            }
            Coding::Brotli => {
                let params = BrotliEncoderParams {
                    quality: level as i32,
                    lgwin: WINDOW_BITS as i32,
                    lgblock: BROTLI_BLOCK_BITS,
                    size_hint: len.map_or(0, |len| len.min(1 << 30) as usize),
                    ..BrotliEncoderParams::default()
                };
                let writer = CompressorWriter::with_params(Vec::new(), OUTPUT_BYTES, &params);
                Encoder::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level as i32)?;
                encoder.set_parameter(CParameter::WindowLog(window_bits(len)))?;
                encoder.set_parameter(CParameter::HashLog(ZSTD_HASH_BITS))?;
                encoder.set_parameter(CParameter::ChainLog(ZSTD_CHAIN_BITS))?;
                encoder.set_pledged_src_size(len)?;
                Encoder::Zstd(encoder)
            }
        })
    }

    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.writer().write_all(data)
    }

    /// Makes all that was written come out.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }

    /// What has come out.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Encoder::Gzip(writer) => writer.get_mut(),
            Encoder::Brotli(writer) => writer.get_mut(),
            Encoder::Zstd(writer) => writer.get_mut(),
        }
    }

    /// Ends the content.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(writer) => writer.finish(),
            Encoder::Brotli(writer) => Ok(writer.into_inner()),
            Encoder::Zstd(writer) => writer.finish(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Encoder::Gzip(writer) => writer,
            Encoder::Brotli(writer) => writer,
            Encoder::Zstd(writer) => writer,
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoder::Gzip(_) => "Encoder(gzip)",
            Encoder::Brotli(_) => "Encoder(br)",
            Encoder::Zstd(_) => "Encoder(zstd)",
        })
    }
}

/// RFC 1952 §2.3.1.
const UNKNOWN_SYSTEM: u8 = 255;

/// The buffer between brotli and its output.
const OUTPUT_BYTES: usize = 4096;

/// No more than covers all of the content; ten is the least that there is.
fn window_bits(len: Option<u64>) -> u32 {
    let needed = len.map_or(u64::BITS, |len| u64::BITS - len.leading_zeros());
    needed.clamp(10, WINDOW_BITS)
}
