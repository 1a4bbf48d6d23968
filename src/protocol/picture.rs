//! Pictures: base64 of a PNG, decoded in full before they are kept, since one unreadable
//! picture crashes every terminal client that sees it (protocol section 3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fdeflate::Decompressor;
use serde::{Deserialize, Serialize};

/// Bytes of base64 at most.
pub const PICTURE_BASE64_BYTES_MAX: usize = 40 * 1024;
/// Width and height in pixels at most.
pub const PICTURE_PIXELS_MAX: u32 = 1024;
/// What decoding may allocate: a row and the window, not the picture.
const DECODER_BYTES_MAX: usize = 1 << 20;
/// How far back in its output a stream of zlib may refer (RFC 1950 section 2.2).
const WINDOW_BYTES: usize = 32 * 1024;

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
    /// 1,024 pixels: a wrong checksum or a missing end too (protocol section 10), and data that
    /// inflate to more or less than the picture.
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
        let rows_bytes = decode(&png).ok_or(unreadable)?;
        let (kept, data) = kept_chunks(&png).ok_or(unreadable)?;
        inflates_to(&data, rows_bytes).ok_or(unreadable)?;
        Ok(Self(if kept.len() == png.len() { base64 } else { STANDARD.encode(kept) }))
    }
}

/// The signature, the chunks that make the picture (header, palette, transparency, data, end)
/// and such others as can do no harm; and the data by itself. `None` where one that makes the picture is not as the
/// PNG specification (section 11) has it.
fn kept_chunks(png: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (signature, mut rest) = png.split_at_checked(8)?;
    let (mut kept, mut data) = (signature.to_vec(), Vec::new());
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
        match chunk.get(4..8)? {
            b"IDAT" => data.extend_from_slice(chunk.get(8..8 + data_bytes)?),
            b"IEND" => return Some((kept, data)),
            _ => {}
        }
    }
}

/// Reads every row and the end, keeping none of it. How many bytes the rows were made of, their
/// filters included.
fn decode(png: &[u8]) -> Option<usize> {
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
    let mut rows_bytes = 0;
    while let Some(row) = reader.next_row().ok()? {
        rows_bytes += 1 + row.data().len();
    }
    reader.finish().ok()?;
    Some(rows_bytes)
}

/// Whether a stream of zlib is whole, its checksum right, nothing behind it, and so long once
/// inflated. The decoder of pictures stops reading when it has all rows; others go on.
fn inflates_to(data: &[u8], bytes: usize) -> Option<()> {
    let mut inflater = Decompressor::new();
    let mut window = vec![0; 4 * WINDOW_BYTES];
    let (mut filled, mut left) = (0, bytes);
    let (start, last) = data.split_last_chunk::<1>()?;
    for mut rest in [start, last] {
        // By itself it would pass over a few bytes behind the end: the last one must end it.
        if inflater.is_done() {
            return None;
        }
        loop {
            let (taken, made) = inflater.read(rest, &mut window, filled, false).ok()?;
            rest = rest.get(taken..)?;
            left = left.checked_sub(made)?;
            filled += made;
            if filled < window.len() {
                break;
            }
            window.copy_within(filled - WINDOW_BYTES.., 0);
            filled = WINDOW_BYTES;
        }
    }
    (inflater.is_done() && left == 0).then_some(())
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

    /// A stream of zlib that compresses nothing.
    fn zlib(pixels: &[u8]) -> Vec<u8> {
        let (low, high) = pixels.iter().fold((1_u32, 0_u32), |(low, high), byte| {
            let low = (low + u32::from(*byte)) % 65521;
            (low, (high + low) % 65521)
        });
        let length = u16::try_from(pixels.len()).unwrap();
        let block = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), pixels].concat();
        [&[0x78, 0x01][..], &block, &(high << 16 | low).to_be_bytes()].concat()
    }

    #[test]
    fn data_must_be_whole_and_no_more_than_the_picture() {
        let whole = png(3, 3);
        let of = |pieces: &[&[u8]]| {
            let data: Vec<u8> = pieces.iter().flat_map(|piece| chunk(b"IDAT", piece)).collect();
            [&whole[..33], &data, &chunk(b"IEND", b"")].concat()
        };
        let good = zlib(&[0; 12]);
        let end = good.len();
        assert!(readable(&of(&[&good])));
        assert!(readable(&of(&[&good[..1], b"", &good[1..end - 1], &good[end - 1..], b""])));
        for cut in 1..=end {
            assert!(!readable(&of(&[&good[..end - cut]])), "without its last {cut} bytes");
        }
        for more in 1..9 {
            assert!(
                !readable(&of(&[&good, &b"\0\0\0\0\0\0\0\0"[..more]])),
                "{more} bytes behind it"
            );
        }
        let mut wrong = good.clone();
        wrong[end - 1] ^= 1;
        assert!(!readable(&of(&[&wrong])), "a wrong checksum");
        for pixels in [0, 11, 13, 24, 60000] {
            assert!(!readable(&of(&[&zlib(&vec![0; pixels])])), "{pixels} bytes for 12");
        }
        assert!(!readable(&of(&[])));

        // Interlaced, 5 by 5: 25 bytes of pixels in 11 rows of 7 passes.
        let header = chunk(b"IHDR", &[0, 0, 0, 5, 0, 0, 0, 5, 8, 0, 0, 0, 1]);
        let of = |rows: usize| chunk(b"IDAT", &zlib(&vec![0; rows]));
        let interlaced = |bytes| [&whole[..8], &header, &of(bytes), &chunk(b"IEND", b"")].concat();
        assert!(readable(&interlaced(25 + 11)));
        assert!(!readable(&interlaced(25 + 5)) && !readable(&interlaced(25 + 12)));
    }

    #[test]
    fn the_bound_on_base64_is_40_kib() {
        let text = |bytes: usize| Picture::try_from("A".repeat(bytes));
        assert_eq!(text(40 * 1024), Err("not a readable PNG of at most 1024 by 1024"));
        assert_eq!(text(40 * 1024 + 4), Err("over 40 KiB of base64"));
    }
}
