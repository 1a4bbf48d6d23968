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
    fn try_from(base64: String) -> Result<Self, Self::Error> {
        if base64.len() > PICTURE_BASE64_BYTES_MAX {
            return Err("over 40 KiB of base64");
        }
        let png = STANDARD.decode(&base64).map_err(|_| "not base64")?;
        decode(&png).ok_or("not a readable PNG of at most 1024 by 1024")?;
        Ok(Self(base64))
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

    #[test]
    fn the_bound_on_base64_is_40_kib() {
        let text = |bytes: usize| Picture::try_from("A".repeat(bytes));
        assert_eq!(text(40 * 1024), Err("not a readable PNG of at most 1024 by 1024"));
        assert_eq!(text(40 * 1024 + 4), Err("over 40 KiB of base64"));
    }
}
