//! Panels side by side: heat maps, point clouds, and tiles of small images.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Area, NOTHING, PictureError, SOFT, TICK, TITLE, UNIT, colour, fill, paint};
use super::frame::{Frame, Plot};
use super::range::Range;

/// What a panel shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Small images in a square arrangement. Each is row-major from its top row, `width` pixels wide, 0 pale to 1 dark.
    Tiles { width: usize, images: Vec<Vec<f64>> },
    /// A function of two coordinates: its values row-major from the lowest y, `columns` a row, over the ranges `x` and
    /// `y`. Colours span `limits`, or all values if there are none.
    HeatMap { columns: usize, values: Vec<f64>, x: (f64, f64), y: (f64, f64), limits: Option<(f64, f64)> },
    /// Points of the plane; those outside the ranges `x` and `y` are counted, not drawn.
    Points { points: Vec<(f64, f64)>, x: (f64, f64), y: (f64, f64) },
}

/// A titled picture that stands beside others.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub title: String,
    pub content: Content,
}

impl Panel {
    pub fn new(title: impl Into<String>, content: Content) -> Self {
        Self { title: title.into(), content }
    }
}

/// Width and height of a panel in page pixels.
const PANEL: (i32, i32) = (310, 336);
/// What a panel is wider by if there is a heat map in the picture, whose scale needs the room.
const SCALE: i32 = 68;
/// Panels in a row; more go below.
const MOST_COLUMNS: usize = 3;

/// The panels as one PNG file, up to three in a row, 310 by 336 page pixels each, or 378 by 336 if one is a heat map.
pub fn panels(panels: &[Panel]) -> Result<Vec<u8>, PictureError> {
    let columns = panels.len().clamp(1, MOST_COLUMNS);
    let rows = panels.len().div_ceil(columns).max(1);
    let scaled = panels.iter().any(|panel| matches!(panel.content, Content::HeatMap { .. }));
    let beside = if scaled { SCALE } else { 0 };
    paint((PANEL.0 + beside) * columns as i32, PANEL.1 * rows as i32, |area| {
        let cells = area.split_evenly((rows, columns));
        panels.iter().zip(&cells).try_for_each(|(panel, cell)| panel.draw(cell, beside * UNIT))?;
        if panels.is_empty() { say_empty(area) } else { Ok(()) }
    })
}

fn say_empty(area: &Area) -> Result<(), PictureError> {
    let (width, height) = (PANEL.0 * UNIT, PANEL.1 * UNIT);
    TICK.write(area, "no data", (width / 2, height / 2), HPos::Center, width)
}

impl Panel {
    /// Draws the panel into its cell; plots leave the room `beside` them to a scale.
    fn draw(&self, area: &Area, beside: i32) -> Result<(), PictureError> {
        match &self.content {
            Content::Tiles { width, images } => draw_tiles(area, &self.title, *width, images),
            Content::HeatMap { columns, values, x, y, limits } => {
                let limits = match limits {
                    Some((low, high)) => Range::of([*low, *high].into_iter()),
                    None => Range::of(values.iter().copied()),
                };
                let plot = self.frame(*x, *y, String::new(), beside).draw(area)?;
                draw_heat(area, &plot, *columns, values, limits)?;
                draw_scale(area, &plot, limits)
            }
            Content::Points { points, x, y } => {
                let frame = self.frame(*x, *y, String::new(), beside);
                let inside = |p: &&(f64, f64)| frame.x.clamp(p.0) == p.0 && frame.y.clamp(p.1) == p.1;
                let outside = points.len() - points.iter().filter(inside).count();
                let note = format!("{outside} of {} points lie outside", points.len());
                let note = if outside > 0 { note } else { String::new() };
                let plot = self.frame(*x, *y, note, beside).draw(area)?;
                for point in points.iter().filter(inside) {
                    let (x, y) = plot.at(*point);
                    let style = colour(0).mix(0.4).filled();
                    area.draw(&Circle::new((x as i32, y as i32), 5, style)).map_err(PictureError::new)?;
                }
                if points.is_empty() { plot.say_empty(area) } else { Ok(()) }
            }
        }
    }

    fn frame(&self, x: (f64, f64), y: (f64, f64), note: String, beside: i32) -> Frame<'_> {
        let range = |(low, high): (f64, f64)| Range::of([low, high].into_iter());
        Frame {
            title: &self.title,
            x_label: "",
            y_label: "",
            x: range(x),
            y: range(y),
            legend: Vec::new(),
            note: Some(note),
            beside,
        }
    }
}

fn draw_tiles(area: &Area, title: &str, width: usize, images: &[Vec<f64>]) -> Result<(), PictureError> {
    let margin = 12 * UNIT;
    let side = PANEL.0 * UNIT - 2 * margin;
    TITLE.write(area, title, (margin, margin + 8 * UNIT), HPos::Left, side)?;
    let across = images.len().isqrt() + usize::from(images.len().isqrt().pow(2) < images.len());
    let height = images.iter().map(|image| image.len().div_ceil(width.max(1))).max().unwrap_or(0);
    if width == 0 || height == 0 {
        return say_empty(area);
    }
    let (across, gap) = (across as i32, 5 * UNIT);
    let tile = (side - (across - 1) * gap).max(across) / across;
    for (index, image) in images.iter().enumerate() {
        let (column, row) = (index as i32 % across, index as i32 / across);
        let (left, top) = (margin + column * (tile + gap), margin + 24 * UNIT + row * (tile + gap));
        let edge = |part: usize| part as i32 * tile / width.max(height) as i32;
        for (pixel, &value) in image.iter().enumerate() {
            let (x, y) = (pixel % width, pixel / width);
            fill(area, (left + edge(x), top + edge(y)), (left + edge(x + 1), top + edge(y + 1)), &shade(value))?;
        }
    }
    Ok(())
}

fn draw_heat(area: &Area, plot: &Plot, columns: usize, values: &[f64], limits: Range) -> Result<(), PictureError> {
    if columns == 0 || values.is_empty() {
        return plot.say_empty(area);
    }
    let rows = values.len().div_ceil(columns);
    let edge = |(from, to): (i32, i32), part: usize, parts: usize| {
        (f64::from(from) + f64::from(to - from) * part as f64 / parts as f64).round() as i32
    };
    for (index, &value) in values.iter().enumerate() {
        let (column, row) = (index % columns, rows - 1 - index / columns);
        let from = (edge(plot.columns, column, columns), edge(plot.rows, row, rows));
        let to = (edge(plot.columns, column + 1, columns), edge(plot.rows, row + 1, rows));
        fill(area, from, to, &heat(limits.fraction(value)))?;
    }
    Ok(())
}

/// Draws the bar that says which colour means which value.
fn draw_scale(area: &Area, plot: &Plot, limits: Range) -> Result<(), PictureError> {
    let (top, bottom) = plot.rows;
    let left = plot.columns.1 + 8 * UNIT;
    for row in top..bottom {
        let fraction = f64::from(bottom - row) / f64::from(bottom - top);
        fill(area, (left, row), (left + 10 * UNIT, row + 1), &heat(fraction))?;
    }
    for value in limits.ticks(5) {
        let row = bottom - (f64::from(bottom - top) * limits.fraction(value)).round() as i32;
        fill(area, (left + 10 * UNIT, row - UNIT / 2), (left + 13 * UNIT, row + UNIT / 2), &SOFT)?;
        TICK.write(area, &limits.label(value), (left + 15 * UNIT, row), HPos::Left, 54 * UNIT)?;
    }
    Ok(())
}

/// From pale to dark blue.
fn shade(fraction: f64) -> RGBColor {
    gradient(fraction, &[RGBColor(0xf3, 0xee, 0xe2), RGBColor(0x12, 0x3b, 0x66)])
}

/// The colour map viridis of S. van der Walt and N. Smith (in the public domain), from nine of its colours.
fn heat(fraction: f64) -> RGBColor {
    const VIRIDIS: [RGBColor; 9] = [
        RGBColor(0x44, 0x01, 0x54),
        RGBColor(0x47, 0x2d, 0x7b),
        RGBColor(0x3b, 0x52, 0x8b),
        RGBColor(0x2c, 0x72, 0x8e),
        RGBColor(0x21, 0x91, 0x8c),
        RGBColor(0x28, 0xae, 0x80),
        RGBColor(0x5e, 0xc9, 0x62),
        RGBColor(0xad, 0xdc, 0x30),
        RGBColor(0xfd, 0xe7, 0x25),
    ];
    gradient(fraction, &VIRIDIS)
}

/// The colour at `fraction` of the way through `colours`; grey if it is not a number.
fn gradient(fraction: f64, colours: &[RGBColor]) -> RGBColor {
    if fraction.is_nan() {
        return NOTHING;
    }
    let place = fraction.clamp(0.0, 1.0) * (colours.len() - 1) as f64;
    let below = (place as usize).min(colours.len() - 2);
    let share = place - below as f64;
    let (from, to) = (colours[below], colours[below + 1]);
    let mix = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_from_end_to_end() {
        assert_eq!(heat(0.0), RGBColor(0x44, 0x01, 0x54));
        assert_eq!(heat(0.5), RGBColor(0x21, 0x91, 0x8c));
        assert_eq!(heat(7.0), heat(1.0));
        assert_eq!(heat(f64::NEG_INFINITY), heat(0.0));
        assert_eq!(heat(f64::NAN), NOTHING);
        let brightness = |c: RGBColor| 0.2126 * f64::from(c.0) + 0.7152 * f64::from(c.1) + 0.0722 * f64::from(c.2);
        let steps: Vec<f64> = (0..=100).map(|i| brightness(heat(f64::from(i) / 100.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] <= pair[1]), "a larger value is never darker");
    }
}
