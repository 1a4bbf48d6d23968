//! Pictures: base64 of a PNG, decoded in full before they are kept, since one unreadable
//! picture crashes every terminal client that sees it (protocol section 3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Bytes of base64 at most.
pub const PICTURE_BASE64_BYTES_MAX: usize = 40 * 1024;
/// Width and height in pixels at most.
pub const PICTURE_PIXELS_MAX: u32 = 1024;
/// What decoding may allocate: a row and the window, not the picture.
const DECODER_BYTES_MAX: usize = 1 << 20;

/// A readable PNG in base64 (standard alphabet, padded).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Picture(String);

impl Picture {
    /// The base64.
    pub fn as_base64(&self) -> &str {
        &self.0
    }

    /// The base64, given away.
    pub fn into_base64(self) -> String {
        self.0
    }

    /// A picture from the bytes of a PNG file. Fails as `try_from` does.
    pub fn from_png(png: &[u8]) -> Result<Self, &'static str> {
        Self::try_from(STANDARD.encode(png))
    }
}

impl TryFrom<String> for Picture {
    type Error = &'static str;

    /// Fails on over 40 KiB of base64, and on what is not a whole PNG of at most 1,024 by
    /// 1,024 pixels: a wrong checksum or a missing end too (protocol section 10).
    ///
    /// Chunks that no picture needs are left out unless they are plainly harmless: clients
    /// read them with libraries that fail on broken ones, and some tell where a photograph was
    /// taken. All else is kept as it came.
    fn try_from(base64: String) -> Result<Self, Self::Error> {
        if base64.len() > PICTURE_BASE64_BYTES_MAX {
            return Err("over 40 KiB of base64");
        }
        let png = STANDARD.decode(&base64).map_err(|_| "not base64")?;
        let unreadable = "not a readable PNG of at most 1024 by 1024";
        decode(&png).ok_or(unreadable)?;
        let kept = kept_chunks(&png).ok_or(unreadable)?;
        Ok(Self(if kept.len() == png.len() { base64 } else { STANDARD.encode(kept) }))
    }
}

/// The signature, the chunks that make the picture (header, palette, transparency, data, end)
/// and such others as can do no harm. `None` where one that makes the picture is not as the
/// PNG specification (section 11) has it.
fn kept_chunks(png: &[u8]) -> Option<Vec<u8>> {
    let (signature, mut rest) = png.split_at_checked(8)?;
    let mut kept = signature.to_vec();
    let (mut colour_type, mut palette_entries) = (0, 0);
    loop {
        let (length, _) = rest.split_first_chunk::<4>()?;
        let data_bytes = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (chunk, after) = rest.split_at_checked(data_bytes.checked_add(12)?)?;
        rest = after;
        let is_whole = match chunk.get(4..8)? {
            b"IHDR" => {
                colour_type = *chunk.get(17)?;
                true
            }
            b"PLTE" => {
                palette_entries = data_bytes / 3;
                data_bytes % 3 == 0 && (1..=256).contains(&palette_entries)
            }
            b"tRNS" => match colour_type {
                0 => data_bytes == 2,
                2 => data_bytes == 6,
                3 => (1..=palette_entries).contains(&data_bytes),
                _ => return None,
            },
            b"IDAT" if colour_type == 3 => palette_entries > 0,
            b"IDAT" | b"IEND" => true,
            b"tEXt" => true,
            b"gAMA" if data_bytes == 4 => true,
            b"pHYs" if data_bytes == 9 => true,
            b"sRGB" if data_bytes == 1 => true,
            b"tIME" if data_bytes == 7 => true,
            // A lower-case first letter: whoever does not know it may pass it over.
            [b'a'..=b'z', ..] => continue,
            _ => return None,
        };
        if !is_whole {
            return None;
        }
        kept.extend_from_slice(chunk);
        if chunk.get(4..8)? == b"IEND" {
            return Some(kept);
        }
    }
}

/// Reads every row and the end, keeping none of it.
fn decode(png: &[u8]) -> Option<()> {
    let mut options = png::DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_skip_ancillary_crc_failures(false);
    let mut decoder = png::Decoder::new_with_options(std::io::Cursor::new(png), options);
    decoder.set_limits(png::Limits { bytes: DECODER_BYTES_MAX });
    let header = decoder.read_header_info().ok()?;
    if header.width > PICTURE_PIXELS_MAX || header.height > PICTURE_PIXELS_MAX {
        return None;
    }
    let mut reader = decoder.read_info().ok()?;
    while reader.next_row().ok()?.is_some() {}
    reader.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        let pixels = vec![7; (width * height) as usize];
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        bytes
    }

    fn readable(png: &[u8]) -> bool {
        Picture::from_png(png).is_ok()
    }

    #[test]
    fn a_whole_png_within_the_bounds_is_a_picture() {
        assert!(readable(&png(1, 1)));
        assert!(readable(&png(1024, 1024)));
        assert!(!readable(&png(1025, 1)));
        assert!(!readable(&png(1, 1025)));
        assert!(!readable(b""));
        assert!(Picture::try_from("%%%".to_owned()).is_err());
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_found() {
        let whole = png(9, 9);
        for end in 0..whole.len() {
            assert!(!readable(&whole[..end]), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            assert!(!readable(&broken), "flipped at {at}");
        }
    }

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length, &kind[..], data, &crc32(kind, data).to_be_bytes()].concat()
    }

    /// As PNG has it, bit by bit.
    fn crc32(kind: &[u8], data: &[u8]) -> u32 {
        let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
        let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
        !kind.iter().chain(data).fold(!0, byte)
    }

    #[test]
    fn chunks_that_no_picture_needs_are_left_out_and_broken_ones_that_it_needs_refused() {
        let whole = png(3, 3);
        // Behind the signature and the header.
        let with = |chunk: Vec<u8>| [&whole[..33], &chunk, &whole[33..]].concat();
        let plain = Picture::from_png(&whole);
        for kind in [b"gAMA", b"iCCP", b"eXIf", b"acTL", b"zTXt"] {
            assert_eq!(Picture::from_png(&with(chunk(kind, b""))), plain, "{kind:?}");
        }
        assert_eq!(Picture::from_png(&[&whole[..], b"behind the end"].concat()), plain);
        let harmless = with(chunk(b"gAMA", &[0, 0, 1, 1]));
        assert_eq!(Picture::from_png(&harmless).unwrap().0, STANDARD.encode(&harmless));
        assert!(readable(&with(chunk(b"tRNS", &[0, 7]))));
        assert!(!readable(&with(chunk(b"tRNS", b""))));
        assert!(!readable(&with(chunk(b"WHAT", b""))));
        let mut broken = with(chunk(b"gAMA", b""));
        broken[44] ^= 1;
        assert!(!readable(&broken), "a wrong checksum, even there");
    }

    #[test]
    fn the_bound_on_base64_is_40_kib() {
        let text = |bytes: usize| Picture::try_from("A".repeat(bytes));
        assert_eq!(text(40 * 1024), Err("not a readable PNG of at most 1024 by 1024"));
        assert_eq!(text(40 * 1024 + 4), Err("over 40 KiB of base64"));
    }
}
