//! Pictures, good and bad, in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The most base64 that a picture may have (protocol section 4, `pfp`).
const BASE64_BYTES_MAX: usize = 40 << 10;

/// What transcripts may call by name, as `"$png"` and so on.
pub fn all() -> Vec<(&'static str, String)> {
    let small = png(2, 2, 0);
    let mut wrong_checksum = small.clone();
    // The four bytes before the last chunk, which is 12 bytes long, are a checksum.
    let at = small.len() - 13;
    wrong_checksum[at] ^= 1;
    let longest = BASE64_BYTES_MAX / 4 * 3;
    let padding = longest - png(2, 2, 1).len() + 1;
    vec![
        ("png", STANDARD.encode(&small)),
        ("another_png", STANDARD.encode(png(3, 3, 0))),
        ("png_1024_by_1024", STANDARD.encode(png(1024, 1024, 0))),
        ("png_1025_wide", STANDARD.encode(png(1025, 1, 0))),
        ("png_1025_high", STANDARD.encode(png(1, 1025, 0))),
        ("png_of_40_kib", STANDARD.encode(png(2, 2, padding))),
        ("png_past_40_kib", STANDARD.encode(png(2, 2, padding + 1))),
        ("png_wrong_checksum", STANDARD.encode(&wrong_checksum)),
        ("png_cut_in_half", STANDARD.encode(&small[..small.len() / 2])),
        ("png_without_its_end", STANDARD.encode(&small[..small.len() - 12])),
        ("gif", STANDARD.encode(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;")),
    ]
}

/// A black picture, made larger by a comment of so many bytes.
pub fn png(width: u32, height: u32, comment: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    if comment > 0 {
        encoder.add_text_chunk("Comment".into(), "x".repeat(comment)).unwrap();
    }
    let rows = vec![0; width.div_ceil(8) as usize * height as usize];
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&rows).unwrap();
    writer.finish().unwrap();
    bytes
}
