//! What surrounds the data of a chart: title, legend, axes with their labels, and a note below.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Area, GRID, LABEL, PictureError, SOFT, TICK, TITLE, Type, UNIT, fill, stroke};
use super::range::Range;

/// How an entry of the legend looks.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Line(RGBColor),
    Dashes(RGBColor),
}

impl Key {
    pub(super) fn colour(self) -> RGBColor {
        match self {
            Key::Line(colour) | Key::Dashes(colour) => colour,
        }
    }
}

/// The surroundings of a chart.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) x_label: &'a str,
    pub(super) y_label: &'a str,
    pub(super) x: Range,
    pub(super) y: Range,
    pub(super) legend: Vec<(&'a str, Key)>,
    /// What stands below the axes; an empty note keeps its room, so that plots side by side are of one size.
    pub(super) note: Option<String>,
    /// Room to leave to the right of the plot, in canvas pixels.
    pub(super) beside: i32,
}

/// The rectangle in which data is drawn.
pub(super) struct Plot {
    pub(super) x: Range,
    pub(super) y: Range,
    /// Left and right edge, in canvas pixels of the area that the frame was drawn into.
    pub(super) columns: (i32, i32),
    /// Upper and lower edge.
    pub(super) rows: (i32, i32),
}

impl Plot {
    /// The canvas pixel of a point of the data.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (left, right) = (f64::from(self.columns.0), f64::from(self.columns.1));
        let (top, bottom) = (f64::from(self.rows.0), f64::from(self.rows.1));
        (left + self.x.fraction(x) * (right - left), bottom - self.y.fraction(y) * (bottom - top))
    }

    /// Says in the middle of the plot that it is empty.
    pub(super) fn say_empty(&self, area: &Area) -> Result<(), PictureError> {
        let middle = ((self.columns.0 + self.columns.1) / 2, (self.rows.0 + self.rows.1) / 2);
        TICK.write(area, "no data", middle, HPos::Center, self.columns.1 - self.columns.0)
    }
}

impl Frame<'_> {
    /// Draws the frame into the whole area.
    pub(super) fn draw(&self, area: &Area) -> Result<Plot, PictureError> {
        let (width, height) = area.dim_in_pixel();
        let (width, height) = (width as i32, height as i32);
        let margin = 12 * UNIT;
        let mut top = margin;
        if !self.title.is_empty() {
            TITLE.write(area, self.title, (margin, top + 8 * UNIT), HPos::Left, width - 2 * margin)?;
            top += 24 * UNIT;
        }
        top = self.draw_legend(area, (margin, width - margin), top)?;
        let mut bottom = height - 6 * UNIT;
        if let Some(note) = &self.note {
            bottom -= 18 * UNIT;
            TICK.write(area, note, (margin, bottom + 6 * UNIT), HPos::Left, width - 2 * margin)?;
        }

        let mut label_width = 0;
        for end in [self.y.low, self.y.high] {
            label_width = label_width.max(TICK.width(area, &self.y.label(end))?);
        }
        let heading = |label: &str| if label.is_empty() { 0 } else { 20 * UNIT };
        let left = margin + heading(self.y_label);
        let ticks = |range: Range| move |value: &f64| range.label(*value);
        let (x_ticks, y_ticks) = (ticks(self.x), ticks(self.y));
        let mut chart = ChartBuilder::on(area)
            .margin_top(top + 8 * UNIT)
            .margin_right(margin + 8 * UNIT + self.beside)
            .margin_left(left)
            .margin_bottom(height - bottom + heading(self.x_label))
            .x_label_area_size(24 * UNIT)
            .y_label_area_size(label_width + 10 * UNIT)
            .build_cartesian_2d(self.x.low..self.x.high, self.y.low..self.y.high)
            .map_err(PictureError::new)?;
        let (columns, rows) = chart.plotting_area().get_pixel_range();
        let (x, y) = area.get_base_pixel();
        let plot = Plot {
            x: self.x,
            y: self.y,
            columns: (columns.start - x, columns.end - x),
            rows: (rows.start - y, rows.end - y),
        };
        // Labels beside each other keep a distance of their width, and ticks one of 45 page pixels at least.
        let mut tick_width = 0;
        for end in [self.x.low, self.x.high] {
            tick_width = tick_width.max(2 * TICK.width(area, &self.x.label(end))?);
        }
        let count = |pixels: i32, each: i32| (pixels / each.max(45 * UNIT)).max(2) as usize;
        chart
            .configure_mesh()
            .x_labels(count(plot.columns.1 - plot.columns.0, tick_width))
            .y_labels(count(plot.rows.1 - plot.rows.0, 0))
            .x_label_formatter(&x_ticks)
            .y_label_formatter(&y_ticks)
            .label_style(TICK.style())
            .y_label_offset(TICK.drop())
            .bold_line_style(GRID.stroke_width(UNIT as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(SOFT.stroke_width(UNIT as u32))
            .set_all_tick_mark_size(4 * UNIT)
            .draw()
            .map_err(PictureError::new)?;

        let middle = |(from, to): (i32, i32)| (from + to) / 2;
        let length = |(from, to): (i32, i32)| to - from;
        let below = (middle(plot.columns), bottom - 12 * UNIT);
        LABEL.write(area, self.x_label, below, HPos::Center, length(plot.columns))?;
        let beside = (margin + 8 * UNIT, middle(plot.rows));
        LABEL.write_upwards(area, self.y_label, beside, length(plot.rows) + 40 * UNIT)?;
        Ok(plot)
    }

    /// Draws the legend's entries in as many lines as they need, and returns where they end.
    fn draw_legend(&self, area: &Area, (left, right): (i32, i32), top: i32) -> Result<i32, PictureError> {
        const SAMPLE: i32 = 22 * UNIT;
        const LINE: i32 = 20 * UNIT;
        let style: Type = LABEL;
        let (mut x, mut y) = (left, top + LINE / 2);
        for (name, key) in &self.legend {
            let width = SAMPLE + 6 * UNIT + style.width(area, name)?;
            if x > left && x + width > right {
                (x, y) = (left, y + LINE);
            }
            let ends = |from: i32, to: i32| ((f64::from(x + from), f64::from(y)), (f64::from(x + to), f64::from(y)));
            let thick = f64::from(3 * UNIT);
            match *key {
                Key::Line(colour) => {
                    let (from, to) = ends(2 * UNIT, SAMPLE - 2 * UNIT);
                    stroke(area, from, to, thick, colour)?;
                }
                Key::Dashes(colour) => {
                    for dash in 0..3 {
                        let at = (dash * 8 + 1) * UNIT;
                        fill(area, (x + at, y - UNIT), (x + at + 5 * UNIT, y + UNIT), &colour)?;
                    }
                }
            }
            style.write(area, name, (x + SAMPLE + 6 * UNIT, y), HPos::Left, right - x - SAMPLE - 6 * UNIT)?;
            x += width + 18 * UNIT;
        }
        Ok(if self.legend.is_empty() { top } else { y + LINE / 2 })
    }
}
