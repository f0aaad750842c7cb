//! Estimates against what they are of: points, and the diagonal where both are equal.

use plotters::prelude::*;

use super::canvas::{INK, PictureError, UNIT, colour, paint, stroke};
use super::frame::{Frame, Key};
use super::range::Range;

/// Named sets of points over axes of one range, with their diagonal.
///
/// Points that are not finite are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    title: String,
    x_label: String,
    y_label: String,
    sets: Vec<(String, Vec<(f64, f64)>)>,
}

impl Scatter {
    pub fn new(title: impl Into<String>, x_label: impl Into<String>, y_label: impl Into<String>) -> Self {
        Self { title: title.into(), x_label: x_label.into(), y_label: y_label.into(), sets: Vec::new() }
    }

    /// Adds a set of points (x, y), drawn over those before.
    pub fn points(mut self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
        self.sets.push((name.into(), points.into_iter().filter(finite).collect()));
        self
    }

    /// The picture as a PNG file, 420 by 440 page pixels.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        let all = || self.sets.iter().flat_map(|(_, points)| points);
        let range = Range::of(all().flat_map(|point| [point.0, point.1])).padded(0.03);
        let sets = self.sets.iter().enumerate().map(|(index, (name, _))| (name.as_str(), Key::Line(colour(index))));
        let frame = Frame {
            title: &self.title,
            x_label: &self.x_label,
            y_label: &self.y_label,
            x: range,
            y: range,
            legend: sets.chain([("equal", Key::Dashes(INK))]).collect(),
            note: None,
            beside: 0,
        };
        paint(420, 440, |area| {
            let plot = frame.draw(area)?;
            const DASHES: u32 = 40;
            let along = |part: f64| plot.at((range.low + part * range.width(), range.low + part * range.width()));
            for dash in 0..DASHES {
                let part = f64::from(dash) / f64::from(DASHES);
                stroke(area, along(part), along(part + 0.5 / f64::from(DASHES)), f64::from(UNIT), INK)?;
            }
            for (index, (_, points)) in self.sets.iter().enumerate() {
                // Where there are many, small and pale.
                let (size, strength) = if points.len() > 500 { (2 * UNIT, 0.35) } else { (3 * UNIT, 0.6) };
                for &point in points {
                    let (x, y) = plot.at(point);
                    let style = colour(index).mix(strength).filled();
                    area.draw(&Circle::new((x as i32, y as i32), size, style)).map_err(PictureError::new)?;
                }
            }
            if all().next().is_none() { plot.say_empty(area) } else { Ok(()) }
        })
    }
}
