//! Line charts: learning curves, and anything else with an x and a y.

use plotters::prelude::*;

use super::canvas::{Area, COLOURS, INK, PictureError, UNIT, colour, fill, paint, stroke};
use super::frame::{Frame, Key, Plot};
use super::range::{Range, quantile};

/// A line chart of named series.
///
/// Points that are not finite leave a gap. A series of more than 600 points is drawn as the means of neighbouring
/// finite points, with a shade from the smallest to the largest of them unless it has a band of its own. The vertical
/// axis spans everything, unless that would flatten what the last three quarters of the series show; then what lies
/// far off is cut off, and a note says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    title: String,
    x_label: String,
    y_label: String,
    series: Vec<Series>,
    references: Vec<(String, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    /// (x, low, high)
    band: Vec<(f64, f64, f64)>,
}

const WIDTH: i32 = 620;
const HEIGHT: i32 = 400;
/// Series of more points than this are averaged down to half as many.
const MOST_POINTS: usize = 600;

impl Chart {
    pub fn new(title: impl Into<String>, x_label: impl Into<String>, y_label: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            series: Vec::new(),
            references: Vec::new(),
        }
    }

    /// Adds a series of points (x, y), joined in the order given.
    pub fn line(mut self, name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().collect();
        self.series.push(Series { name: name.into(), points, band: Vec::new() });
        self
    }

    /// Shades the space from low to high around the series added last, given as (x, low, high) with growing x.
    pub fn band(mut self, edges: impl IntoIterator<Item = (f64, f64, f64)>) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.band = edges.into_iter().collect();
        }
        self
    }

    /// Adds a dashed horizontal line, which the vertical axis always includes; not if `value` is not finite.
    pub fn reference(mut self, name: impl Into<String>, value: f64) -> Self {
        if value.is_finite() {
            self.references.push((name.into(), value));
        }
        self
    }

    /// The chart as a PNG file, 620 by 400 page pixels.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        let thinned: Vec<Series> = self.series.iter().map(Series::thinned).collect();
        let xs = self.series.iter().flat_map(|series| series.points.iter().filter(|p| finite(p)).map(|p| p.0));
        let (y, mut note) = self.vertical();
        if self.series.iter().any(|series| series.points.len() > MOST_POINTS) {
            let separator = if note.is_empty() { "" } else { " " };
            note = format!("{note}{separator}Lines are means of neighbouring points, shades their range.");
        }
        let lines = self.series.iter().enumerate().map(|(i, series)| (series.name.as_str(), key(i)));
        let references = self.references.iter().map(|(name, _)| (name.as_str(), Key::Dashes(INK)));
        let frame = Frame {
            title: &self.title,
            x_label: &self.x_label,
            y_label: &self.y_label,
            x: Range::of(xs),
            y,
            legend: lines.chain(references).collect(),
            note: (!note.is_empty()).then_some(note),
            beside: 0,
        };
        paint(WIDTH, HEIGHT, |area| {
            let plot = frame.draw(area)?;
            for (index, series) in thinned.iter().enumerate() {
                draw_band(area, &plot, &series.band, colour(index))?;
            }
            for (_, value) in &self.references {
                draw_dashes(area, &plot, *value)?;
            }
            for (index, series) in thinned.iter().enumerate() {
                draw_line(area, &plot, &series.points, key(index))?;
            }
            if self.series.iter().all(|series| !series.points.iter().any(finite)) {
                plot.say_empty(area)
            } else {
                Ok(())
            }
        })
    }

    /// The range of the vertical axis, and what has to be said about it.
    fn vertical(&self) -> (Range, String) {
        let references = || self.references.iter().map(|(_, value)| *value);
        let values = || {
            let points = self.series.iter().flat_map(|series| series.points.iter().filter(|p| finite(p)).map(|p| p.1));
            let bands = self.series.iter().flat_map(|series| series.band.iter().flat_map(|edge| [edge.1, edge.2]));
            points.chain(bands)
        };
        let full = Range::of(values().chain(references()));
        let ends = self.series.iter().flat_map(|series| {
            let mut late: Vec<f64> = series.points[series.points.len() / 4..].iter().map(|p| p.1).collect();
            late.retain(|y| y.is_finite());
            late.sort_by(f64::total_cmp);
            [quantile(&late, 0.02), quantile(&late, 0.98)].into_iter().flatten()
        });
        let late = Range::of(ends.chain(references()));
        // What reaches beyond the late range by less than twice its width is worth showing in full.
        let low = if full.low < late.low - 2.0 * late.width() { late.low - 0.5 * late.width() } else { full.low };
        let high = if full.high > late.high + 2.0 * late.width() { late.high + 0.5 * late.width() } else { full.high };
        let range = Range::new(low, high).padded(0.04);
        let cut = |what: &str, value: f64| format!("{what} {}", full.label(value));
        let beyond = match (full.low < low, full.high > high) {
            (false, false) => return (range, String::new()),
            (true, false) => cut("down to", full.low),
            (false, true) => cut("up to", full.high),
            (true, true) => format!("{} and {}", cut("down to", full.low), cut("up to", full.high)),
        };
        (range, format!("Axis cut off: values reach {beyond}."))
    }
}

impl Series {
    /// With neighbouring points averaged if there are too many.
    fn thinned(&self) -> Series {
        if self.points.len() <= MOST_POINTS {
            return self.clone();
        }
        let finite: Vec<_> = self.points.iter().copied().filter(finite).collect();
        let size = self.points.len().div_ceil(MOST_POINTS / 2);
        let groups = finite.chunks(size).map(|group| {
            let count = group.len() as f64;
            // Divided before they are added, so that the sum of large numbers stays finite.
            let mean = group.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / count, sum.1 + p.1 / count));
            let least = group.iter().fold(f64::INFINITY, |least, p| least.min(p.1));
            let most = group.iter().fold(f64::NEG_INFINITY, |most, p| most.max(p.1));
            (mean, (mean.0, least, most))
        });
        let (points, spread) = groups.unzip();
        let band = if self.band.is_empty() { spread } else { self.band.clone() };
        Series { name: self.name.clone(), points, band }
    }
}

fn finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

/// Series beyond the colours of the palette use them again, dashed.
fn key(series: usize) -> Key {
    if series < COLOURS { Key::Line(colour(series)) } else { Key::Dashes(colour(series)) }
}

fn draw_line(area: &Area, plot: &Plot, points: &[(f64, f64)], key: Key) -> Result<(), PictureError> {
    let width = 2.0 * f64::from(UNIT);
    let mut travelled = 0.0;
    for (index, &point) in points.iter().enumerate().filter(|(_, point)| finite(point)) {
        let next = points.get(index + 1).filter(|next| finite(next));
        let lonely = next.is_none() && (index == 0 || !finite(&points[index - 1]));
        if lonely && plot.y.clamp(point.1) == point.1 {
            stroke(area, plot.at(point), plot.at(point), 3.0 * width, key.colour())?;
        }
        let Some((from, to)) = next.and_then(|&next| clip(point, next, plot.y)) else { continue };
        let (from, to) = (plot.at(from), plot.at(to));
        match key {
            Key::Line(colour) => stroke(area, from, to, width, colour)?,
            Key::Dashes(colour) => travelled = dash(area, from, to, travelled, width, colour)?,
        }
    }
    Ok(())
}

/// Strokes a segment of a dashed line that is `travelled` canvas pixels long so far; returns its length after it.
fn dash(
    area: &Area,
    from: (f64, f64),
    to: (f64, f64),
    travelled: f64,
    width: f64,
    colour: RGBColor,
) -> Result<f64, PictureError> {
    let period = 4.5 * width;
    let length = (to.0 - from.0).hypot(to.1 - from.1);
    let along = |distance: f64| {
        let share = ((distance - travelled) / length).clamp(0.0, 1.0);
        (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1))
    };
    let first = (travelled / period).floor() as usize;
    for number in first..=((travelled + length) / period) as usize {
        let start = number as f64 * period;
        let end = start + 0.5 * period;
        if length > 0.0 && end > travelled {
            stroke(area, along(start), along(end), width, colour)?;
        }
    }
    Ok(travelled + length)
}

/// The part of a segment whose y lies in the range.
fn clip(from: (f64, f64), to: (f64, f64), y: Range) -> Option<((f64, f64), (f64, f64))> {
    if from.1.max(to.1) < y.low || from.1.min(to.1) > y.high {
        return None;
    }
    let cut = |end: (f64, f64), other: (f64, f64)| {
        let inside = y.clamp(end.1);
        if inside == end.1 {
            return end;
        }
        // In halves, so that the difference of large numbers stays finite.
        let share = (inside / 2.0 - end.1 / 2.0) / (other.1 / 2.0 - end.1 / 2.0);
        (end.0 + share * (other.0 - end.0), inside)
    };
    Some((cut(from, to), cut(to, from)))
}

/// Shades a band column by column, so that no pixel is shaded twice.
fn draw_band(area: &Area, plot: &Plot, band: &[(f64, f64, f64)], colour: RGBColor) -> Result<(), PictureError> {
    let shade = colour.mix(0.2);
    let finite = |edge: &&(f64, f64, f64)| edge.0.is_finite() && edge.1.is_finite() && edge.2.is_finite();
    for (a, b) in band.iter().zip(band.iter().skip(1)).filter(|(a, b)| finite(a) && finite(b)) {
        let column = |x: f64| (plot.at((x, plot.y.low)).0.round() as i32).clamp(plot.columns.0, plot.columns.1);
        let (from, to) = (column(a.0), column(b.0));
        let row = |y: f64| plot.at((plot.x.low, plot.y.clamp(y))).1;
        for x in from..to {
            let share = f64::from(x - from) / f64::from(to - from);
            let mix = |a: f64, b: f64| (row(a) + share * (row(b) - row(a))).round() as i32;
            let (top, bottom) = (mix(a.2, b.2), mix(a.1, b.1));
            fill(area, (x, top), (x + 1, bottom), &shade)?;
        }
    }
    Ok(())
}

fn draw_dashes(area: &Area, plot: &Plot, value: f64) -> Result<(), PictureError> {
    let row = plot.at((plot.x.low, value)).1.round() as i32;
    for from in (plot.columns.0..plot.columns.1).step_by(9 * UNIT as usize) {
        let to = (from + 5 * UNIT).min(plot.columns.1);
        fill(area, (from, row - UNIT * 3 / 4), (to, row + UNIT * 3 / 4), &INK)?;
    }
    Ok(())
}
