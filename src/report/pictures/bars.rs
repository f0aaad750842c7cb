//! Horizontal bars: one positive number a name, over orders of magnitude.

use plotters::style::text_anchor::HPos;

use super::canvas::{Area, GRID, INK, LABEL, PictureError, TICK, TITLE, UNIT, colour, fill, paint};

/// A chart of named bars whose lengths are logarithmic, from a power of ten below the smallest number on.
///
/// Numbers that are not positive and finite have no bar; their text stands all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    title: String,
    note: String,
    bars: Vec<Bar>,
}

#[derive(Clone, Debug, PartialEq)]
struct Bar {
    name: String,
    value: f64,
    text: String,
    group: usize,
}

const WIDTH: i32 = 720;
const LINE: i32 = 24;
const MARGIN: i32 = 12;

impl Bars {
    /// `note` stands below the bars.
    pub fn new(title: impl Into<String>, note: impl Into<String>) -> Self {
        Self { title: title.into(), note: note.into(), bars: Vec::new() }
    }

    /// Adds a bar with `text` at its end; bars of the same `group` have the same colour.
    pub fn bar(mut self, name: impl Into<String>, value: f64, text: impl Into<String>, group: usize) -> Self {
        self.bars.push(Bar { name: name.into(), value, text: text.into(), group });
        self
    }

    /// The chart as a PNG file, 720 page pixels wide.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        let lines = self.bars.len().max(1) as i32;
        paint(WIDTH, 2 * MARGIN + 56 + LINE * lines, |area| self.draw(area))
    }

    fn draw(&self, area: &Area) -> Result<(), PictureError> {
        let (left, right) = (MARGIN * UNIT, (WIDTH - MARGIN) * UNIT);
        let top = (MARGIN + 32) * UNIT;
        let bottom = top + LINE * UNIT * self.bars.len().max(1) as i32;
        TITLE.write(area, &self.title, (left, (MARGIN + 8) * UNIT), HPos::Left, right - left)?;
        TICK.write(area, &self.note, (left, bottom + 16 * UNIT), HPos::Left, right - left)?;
        if self.bars.is_empty() {
            return TICK.write(area, "no data", ((left + right) / 2, (top + bottom) / 2), HPos::Center, right - left);
        }
        let widest = |of: fn(&Bar) -> &String| {
            self.bars.iter().try_fold(0, |most, bar| Ok::<_, PictureError>(most.max(LABEL.width(area, of(bar))?)))
        };
        let names = widest(|bar| &bar.name)?.min((right - left) / 2);
        let texts = widest(|bar| &bar.text)?.min((right - left) / 4);
        let start = left + names + 8 * UNIT;
        let room = f64::from(right - texts - 8 * UNIT - start);
        let (low, high) = self.decades();
        let along = |value: f64| start + ((value.log10() - low) / (high - low) * room).round() as i32;
        for decade in low as i32..=high as i32 {
            let x = along(10.0_f64.powi(decade));
            fill(area, (x, top), (x + UNIT, bottom), &GRID)?;
        }
        for (row, bar) in self.bars.iter().enumerate() {
            let middle = top + (LINE * row as i32 + LINE / 2) * UNIT;
            LABEL.write(area, &bar.name, (left, middle), HPos::Left, names)?;
            let end = if drawn(bar.value) { along(bar.value) } else { start };
            fill(area, (start, middle - 7 * UNIT), (end, middle + 7 * UNIT), &colour(bar.group))?;
            LABEL.write(area, &bar.text, (end + 6 * UNIT, middle), HPos::Left, right - end)?;
        }
        fill(area, (start, top), (start + UNIT, bottom), &INK)
    }

    /// Exponents of the powers of ten that enclose all bars.
    fn decades(&self) -> (f64, f64) {
        let logs = self.bars.iter().filter(|bar| drawn(bar.value)).map(|bar| bar.value.log10());
        let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        // A bar that ends at its start would not be seen.
        if low <= high { ((low - 0.2).floor(), high.ceil().max((low - 0.2).floor() + 1.0)) } else { (0.0, 1.0) }
    }
}

fn drawn(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_numbers_make_a_picture() {
        let chart = [1.0, 1e-300, f64::MAX, 0.0, -3.0, f64::NAN, f64::INFINITY]
            .into_iter()
            .enumerate()
            .fold(Bars::new("title", "note"), |chart, (i, value)| {
                chart.bar(format!("{value}"), value, "x".repeat(i), i)
            });
        for chart in [chart, Bars::new("", ""), Bars::new("one", "").bar("a", 10.0, "10", 0)] {
            assert!(chart.png().unwrap().starts_with(b"\x89PNG"));
        }
    }

    #[test]
    fn the_scale_encloses_every_bar() {
        let chart = Bars::new("", "").bar("a", 0.02, "", 0).bar("b", 300.0, "", 0).bar("c", -1.0, "", 0);
        assert_eq!(chart.decades(), (-2.0, 3.0));
        assert_eq!(Bars::new("", "").bar("a", 100.0, "", 0).decades(), (1.0, 2.0));
        assert_eq!(Bars::new("", "").decades(), (0.0, 1.0));
    }
}
