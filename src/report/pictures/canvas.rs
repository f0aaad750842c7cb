//! The sheet that pictures are drawn on: colours, text, strokes, and the way to a PNG file.
//!
//! Everything is drawn at four times the size it has on a page, and halved on the way out. The halving smooths every
//! edge; the factor of two that remains keeps pictures crisp on dense screens.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, register_font};

/// What went wrong in drawing a picture; no data leads here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot draw the picture: {0}")]
pub struct PictureError(String);

impl PictureError {
    pub(super) fn new(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// What is drawn on, in canvas pixels from the top left corner.
pub(super) type Area<'b> = DrawingArea<BitMapBackend<'b>, Shift>;

/// Canvas pixels to a pixel of the page.
pub(super) const UNIT: i32 = 4;
/// Canvas pixels to a pixel of the file, along an axis.
const SMOOTHING: usize = 2;

pub(super) const INK: RGBColor = RGBColor(0x1c, 0x23, 0x29);
pub(super) const SOFT: RGBColor = RGBColor(0x5b, 0x66, 0x70);
pub(super) const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xea);
/// What stands for a value that is not a number.
pub(super) const NOTHING: RGBColor = RGBColor(0xb8, 0xbe, 0xc4);

/// Colours told apart with any kind of colour vision: M. Okabe and K. Ito, "Color Universal Design", 2008, without
/// black (reference lines have it) and yellow (too light for a line on white).
const PALETTE: [RGBColor; COLOURS] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// How many series have a colour of their own.
pub(super) const COLOURS: usize = 6;

/// The colour of series number `index`; they repeat.
pub(super) fn colour(index: usize) -> RGBColor {
    PALETTE[index % COLOURS]
}

/// The PNG file of a picture of `width` by `height` page pixels.
pub(super) fn paint(
    width: i32,
    height: i32,
    draw: impl FnOnce(&Area) -> Result<(), PictureError>,
) -> Result<Vec<u8>, PictureError> {
    static FONTS: OnceLock<bool> = OnceLock::new();
    let registered = *FONTS.get_or_init(|| {
        let book = include_bytes!("../font/DejaVuSans-subset.ttf");
        let bold = include_bytes!("../font/DejaVuSans-Bold-subset.ttf");
        register_font(FAMILY, FontStyle::Normal, book).is_ok() && register_font(FAMILY, FontStyle::Bold, bold).is_ok()
    });
    if !registered {
        return Err(PictureError::new("the built-in font is damaged"));
    }
    let (columns, rows) = ((width * UNIT) as usize, (height * UNIT) as usize);
    let mut pixels = vec![255; columns * rows * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (columns as u32, rows as u32)).into_drawing_area();
        draw(&area)?;
        area.present().map_err(PictureError::new)?;
    }
    encode(&halve(&pixels, columns), columns / SMOOTHING)
}

/// The mean colour of every square of [`SMOOTHING`] by [`SMOOTHING`] pixels.
fn halve(pixels: &[u8], columns: usize) -> Vec<u8> {
    let mut smooth = Vec::with_capacity(pixels.len() / (SMOOTHING * SMOOTHING));
    for rows in pixels.chunks_exact(columns * 3 * SMOOTHING) {
        for column in 0..columns / SMOOTHING {
            for channel in 0..3 {
                let sum: usize = (0..SMOOTHING * SMOOTHING)
                    .map(|i| (i / SMOOTHING * columns + column * SMOOTHING + i % SMOOTHING) * 3 + channel)
                    .map(|at| usize::from(rows[at]))
                    .sum();
                smooth.push((sum / (SMOOTHING * SMOOTHING)) as u8);
            }
        }
    }
    smooth
}

fn encode(pixels: &[u8], width: usize) -> Result<Vec<u8>, PictureError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, (pixels.len() / 3 / width) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(PictureError::new)?;
    writer.write_image_data(pixels).map_err(PictureError::new)?;
    writer.finish().map_err(PictureError::new)?;
    Ok(file)
}

const FAMILY: &str = "wgflow";

/// A style of text: size in page pixels, weight, colour.
#[derive(Clone, Copy)]
pub(super) struct Type {
    size: i32,
    weight: FontStyle,
    colour: RGBColor,
}

pub(super) const TITLE: Type = Type { size: 18, weight: FontStyle::Bold, colour: INK };
pub(super) const LABEL: Type = Type { size: 16, weight: FontStyle::Normal, colour: INK };
pub(super) const TICK: Type = Type { size: 15, weight: FontStyle::Normal, colour: SOFT };

impl Type {
    pub(super) fn style(self) -> TextStyle<'static> {
        (FAMILY, self.size * UNIT, self.weight).into_font().color(&self.colour)
    }

    /// How far below its middle a text has to be put so that the middle of its capitals is there, in canvas pixels:
    /// the library centres a box whose upper part is empty.
    pub(super) fn drop(self) -> i32 {
        self.size * UNIT / 5
    }

    pub(super) fn width(self, area: &Area, words: &str) -> Result<i32, PictureError> {
        let (width, _) = area.estimate_text_size(words, &self.style()).map_err(PictureError::new)?;
        Ok(width as i32)
    }

    /// The words, shortened with an ellipsis to what `width` has room for.
    fn fitted(self, area: &Area, words: &str, width: i32) -> Result<String, PictureError> {
        let mut kept = words.replace(['\n', '\r', '\t'], " ");
        if self.width(area, &kept)? <= width {
            return Ok(kept);
        }
        while kept.pop().is_some() && self.width(area, &format!("{kept}…"))? > width {}
        Ok(format!("{}…", kept.trim_end()))
    }

    /// Writes the words around `at`, which `align` says is their left end, middle or right end, at mid-height.
    pub(super) fn write(
        self,
        area: &Area,
        words: &str,
        at: (i32, i32),
        align: HPos,
        width: i32,
    ) -> Result<(), PictureError> {
        let words = self.fitted(area, words, width)?;
        let style = self.style().pos(Pos::new(align, VPos::Center));
        area.draw_text(&words, &style, (at.0, at.1 + self.drop())).map_err(PictureError::new)
    }

    /// Writes the words upwards, their middle at `at`.
    pub(super) fn write_upwards(
        self,
        area: &Area,
        words: &str,
        at: (i32, i32),
        height: i32,
    ) -> Result<(), PictureError> {
        let words = self.fitted(area, words, height)?;
        let style = self.style().pos(Pos::new(HPos::Center, VPos::Center)).transform(FontTransform::Rotate270);
        area.draw_text(&words, &style, (at.0 + self.drop(), at.1)).map_err(PictureError::new)
    }
}

/// Fills a rectangle given by two opposite corners, the second one excluded.
pub(super) fn fill(
    area: &Area,
    from: (i32, i32),
    to: (i32, i32),
    colour: &impl plotters::style::Color,
) -> Result<(), PictureError> {
    // The backend leaves out the last column and row itself, and draws nothing if that leaves nothing.
    area.draw(&Rectangle::new([from, to], colour.filled())).map_err(PictureError::new)
}

/// A straight stroke with round ends; `width` in canvas pixels.
pub(super) fn stroke(
    area: &Area,
    from: (f64, f64),
    to: (f64, f64),
    width: f64,
    colour: RGBColor,
) -> Result<(), PictureError> {
    let round = |(x, y): (f64, f64)| (x.round() as i32, y.round() as i32);
    let style = colour.filled();
    for end in [from, to] {
        area.draw(&Circle::new(round(end), (width / 2.0).round() as i32, style)).map_err(PictureError::new)?;
    }
    let length = (to.0 - from.0).hypot(to.1 - from.1);
    if length < 1.0 {
        return Ok(());
    }
    // Half the width, at a right angle to the stroke.
    let (x, y) = ((from.1 - to.1) / length * width / 2.0, (to.0 - from.0) / length * width / 2.0);
    let corners = [(from.0 + x, from.1 + y), (to.0 + x, to.1 + y), (to.0 - x, to.1 - y), (from.0 - x, from.1 - y)];
    area.draw(&Polygon::new(corners.map(round).to_vec(), style)).map_err(PictureError::new)
}
