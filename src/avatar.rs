//! Made profile pictures: one for each member, from nothing but the uuid. Pure.
//!
//! Five by five cells on a coloured ground, mirrored left to right: that reads as a figure,
//! and it cannot come out as a hooked cross, which only turns. Cells are round where nothing
//! touches them; a circle drawn about the picture cuts off next to nothing.
//!
//! *Invariant:* the same uuid gives the same pixels for ever, as members know each other by
//! them. Every number in this file is part of that; only the compression may change.

use ring::digest;

use crate::error::Refusal;
use crate::id::MemberId;
use crate::protocol::Picture;

/// Grounds, as 0xRRGGBB, around the circle of hues and about equally bright: each stands out from
/// white, from the dark of clients (0x1e1f22), from `LIGHT` and all `ACCENTS`, by 3:1 or more.
const GROUNDS: [u32; 12] = [
    0xbf3e4c, 0xbc4601, 0x9a5f03, 0x487902, 0x067d39, 0x047b62, 0x047881, 0x0674a1, 0x2e69cc,
    0x6a5ccb, 0x8f50b8, 0xb24188,
];
/// Tints, each of about the hue of the ground at the same place.
const ACCENTS: [u32; 12] = [
    0xffb4b3, 0xffb790, 0xfbbd43, 0xcccd4b, 0x8bda7a, 0x33e0b2, 0x01dde5, 0x74d3fe, 0xa7c9ff,
    0xc8c0fe, 0xf0b1fe, 0xffb0d4,
];
/// The tint that every picture has.
const LIGHT: u32 = 0xfbf9f4;
/// Width and height of a picture, of a cell, and of the ground around the cells.
const PICTURE_PIXELS: usize = 64;
const CELL_PIXELS: usize = 10;
const MARGIN_PIXELS: usize = 7;
/// Rows of cells, and columns; and those columns, from the left, whose mirror is the rest.
const ROWS: usize = 5;
const LOT_COLUMNS: usize = 3;
/// What a cell may be filled with: places in the palette.
const GROUND_FILL: u8 = 0;
const LIGHT_FILL: u8 = 3;
const ACCENT_FILL: u8 = 6;

/// The picture of a member who has set none: 64 by 64 pixels, opaque, at most 400 bytes of PNG.
/// Fails only if a library does.
pub(crate) fn draw(member: MemberId) -> Result<Picture, Refusal> {
    let (palette, pixels) = paint(member)?;
    let png = encode_png(&palette, &pixels).map_err(Refusal::internal)?;
    Picture::from_png(&png).map_err(Refusal::internal)
}

/// The palette, and the pixels row by row, two in a byte.
fn paint(member: MemberId) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    // Uuids grow with time; the hash makes neighbours as unlike as any two.
    let hash = digest::digest(&digest::SHA256, &member.raw().to_be_bytes());
    let hash: [u8; 32] = hash.as_ref().try_into().map_err(Refusal::internal)?;
    let [ground, accent, light_cells, accent_cells, lots @ ..] = hash.map(usize::from);
    // Three places or more from the ground either way: a hue that is plainly another.
    let accent = ground % GROUNDS.len() + 3 + accent % 7;
    let fills = fills(&lots, 4 + light_cells % 3, 2 + accent_cells % 3);
    let two_pixels = |at| {
        let (x, y) = (at % PICTURE_PIXELS, at / PICTURE_PIXELS);
        shade_at(&fills, x, y) << 4 | shade_at(&fills, x + 1, y)
    };
    let pixels = (0..PICTURE_PIXELS * PICTURE_PIXELS).step_by(2).map(two_pixels).collect();
    let pick = |colours: [u32; 12], place| colours.into_iter().cycle().nth(place).unwrap_or(LIGHT);
    Ok((palette(pick(GROUNDS, ground), pick(ACCENTS, accent)), pixels))
}

/// The ground; a third, two thirds and all of `LIGHT` over it; and as much of the accent.
fn palette(ground: u32, accent: u32) -> Vec<u8> {
    let tints = [(LIGHT, 1), (LIGHT, 2), (LIGHT, 3), (accent, 1), (accent, 2), (accent, 3)];
    let mix = |(tint, thirds)| {
        [16, 8, 0].map(|shift| {
            let [under, over] = [ground, tint].map(|colour: u32| colour >> shift & 0xff);
            ((under * (3 - thirds) + over * thirds) / 3) as u8
        })
    };
    [(ground, 3)].into_iter().chain(tints).flat_map(mix).collect()
}

/// The fills of the cells drawn by lot, row by row. The lowest lots are light, the next have the
/// accent: that way every picture has both, and ground as well.
fn fills(lots: &[usize], light_cells: usize, accent_cells: usize) -> Vec<u8> {
    let lots: Vec<_> = lots.iter().zip(0..ROWS * LOT_COLUMNS).collect();
    let fill = |own| match lots.iter().filter(|lot| *lot < own).count() {
        rank if rank < light_cells => LIGHT_FILL,
        rank if rank < light_cells + accent_cells => ACCENT_FILL,
        _ => GROUND_FILL,
    };
    lots.iter().map(fill).collect()
}

/// The fill at a pixel that is counted from one cell's width outside the cells.
fn fill_at(fills: &[u8], x: usize, y: usize) -> u8 {
    let (column, row) = (x / CELL_PIXELS, y / CELL_PIXELS);
    let column = column.min((ROWS + 1).saturating_sub(column));
    let place = (row * LOT_COLUMNS + column).checked_sub(LOT_COLUMNS + 1);
    let fill = place.filter(|_| column > 0).and_then(|place| fills.get(place));
    fill.copied().unwrap_or(GROUND_FILL)
}

/// The place in the palette of a pixel of the picture.
fn shade_at(fills: &[u8], x: usize, y: usize) -> u8 {
    const HALF: usize = CELL_PIXELS / 2;
    let [x, y] = [x, y].map(|at| at + CELL_PIXELS - MARGIN_PIXELS);
    let fill = fill_at(fills, x, y);
    // Half a cell off, one way is still this cell, the other the neighbour at this corner.
    if fill == GROUND_FILL
        || fill_at(fills, x - HALF, y).min(fill_at(fills, x + HALF, y)) != GROUND_FILL
        || fill_at(fills, x, y - HALF).min(fill_at(fills, x, y + HALF)) != GROUND_FILL
    {
        return fill;
    }
    // From the middle of the cell to that of the pixel, in half pixels, squared.
    let square = |at: usize| (2 * (at % CELL_PIXELS) + 1).abs_diff(CELL_PIXELS).pow(2);
    match square(x) + square(y) {
        0..=87 => fill,
        88..=100 => fill - 1,
        101..=113 => fill - 2,
        _ => GROUND_FILL,
    }
}

/// A PNG of what `paint` gives.
fn encode_png(palette: &[u8], pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let side = PICTURE_PIXELS as u32;
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Four);
    encoder.set_palette(palette);
    // Rows are few and repeated: filtered, they come out a sixth longer.
    encoder.set_filter(png::Filter::NoFilter);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const WHITE: u32 = 0xffffff;
    const DARK: u32 = 0x1e1f22;

    fn member(uuid: u64) -> MemberId {
        MemberId::try_from(uuid).unwrap()
    }

    /// Two thousand members who came in a row.
    fn members() -> impl Iterator<Item = MemberId> {
        const FIRST: u64 = 0x6a01_2345_6000;
        (FIRST..FIRST + 2_000).map(member)
    }

    fn png(member: MemberId) -> Vec<u8> {
        STANDARD.decode(draw(member).unwrap().into_base64()).unwrap()
    }

    /// Red, green and blue of every pixel, row by row.
    fn decoded(png: &[u8]) -> Vec<u8> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), (64, 64));
        assert_eq!(frame.color_type, png::ColorType::Rgb, "opaque");
        pixels
    }

    /// As 32 by 32 pixels: the mean of every two by two.
    fn halved(palette: &[u8], pixels: &[u8]) -> Vec<u8> {
        let mut halved = Vec::with_capacity(32 * 32 * 3);
        for (upper, lower) in pixels.chunks(64).flat_map(|rows| rows[..32].iter().zip(&rows[32..]))
        {
            let four =
                [upper >> 4, upper & 15, lower >> 4, lower & 15].map(|at| usize::from(at) * 3);
            for channel in 0..3 {
                let sum: u16 = four.iter().map(|at| u16::from(palette[at + channel])).sum();
                halved.push((sum / 4) as u8);
            }
        }
        halved
    }

    /// Of two colours, as 0xRRGGBB: 1 to 21, as WCAG 2 defines it.
    fn contrast(one: u32, other: u32) -> f64 {
        let linear = |channel: u32| match f64::from(channel & 0xff) / 255.0 {
            dark if dark <= 0.04045 => dark / 12.92,
            light => ((light + 0.055) / 1.055).powf(2.4),
        };
        let luminance = |colour: u32| {
            let [red, green, blue] = [colour >> 16, colour >> 8, colour].map(linear);
            0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05
        };
        let ratio = luminance(one) / luminance(other);
        ratio.max(1.0 / ratio)
    }

    #[test]
    fn a_members_picture_is_the_same_for_ever() {
        // All grounds and accents are among these.
        let mut hash = digest::Context::new(&digest::SHA256);
        (1..=200).for_each(|uuid| hash.update(&decoded(&png(member(uuid)))));
        let mut hex = String::new();
        hash.finish().as_ref().iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
        assert_eq!(
            hex, "18ab59351e01abbc72696fe73ecf151942d11bbb6b4b41d8e6da21e5b654f397",
            "members would not know each other any more"
        );
    }

    #[test]
    fn two_thousand_pictures_are_readable_and_at_most_400_bytes() {
        let longest = members().map(|member| png(member).len()).max();
        assert!(longest <= Some(400), "{longest:?}");
    }

    /// Of ten thousand, two do look the same: there are some 260 million pictures.
    #[test]
    fn two_thousand_pictures_all_differ_at_32_pixels() {
        let pictures = members().map(|member| paint(member).unwrap());
        let distinct: HashSet<_> =
            pictures.map(|(palette, pixels)| halved(&palette, &pixels)).collect();
        assert_eq!(distinct.len(), 2_000);
    }

    #[test]
    fn every_picture_has_ground_both_tints_and_a_margin_and_is_mirrored() {
        for (_, pixels) in members().take(500).map(|member| paint(member).unwrap()) {
            let pixels: Vec<u8> = pixels.iter().flat_map(|two| [two >> 4, two & 15]).collect();
            for fill in [GROUND_FILL, LIGHT_FILL, ACCENT_FILL] {
                let count = pixels.iter().filter(|pixel| **pixel == fill).count();
                assert!(count > 64, "{count} pixels of it");
            }
            assert!(pixels[..7 * 64].iter().chain(&pixels[57 * 64..]).all(|pixel| *pixel == 0));
            for row in pixels.chunks(64) {
                assert!(row[..7].iter().all(|pixel| *pixel == 0));
                assert!(row.iter().eq(row.iter().rev()));
            }
        }
    }

    #[test]
    fn every_ground_stands_out_from_clients_and_every_tint_from_every_ground() {
        for ground in GROUNDS {
            for other in ACCENTS.into_iter().chain([LIGHT, WHITE, DARK]) {
                let ratio = contrast(ground, other);
                assert!(ratio >= 3.0, "{ground:06x} and {other:06x}: {ratio:.2}");
            }
        }
        let whole_range = contrast(WHITE, 0);
        assert!((20.99..21.01).contains(&whole_range), "as WCAG has it: {whole_range}");
    }
}
