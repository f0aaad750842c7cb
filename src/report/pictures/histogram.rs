//! Histograms of several sample sets over the same bins.

use super::canvas::{Area, PictureError, UNIT, colour, fill, paint, stroke};
use super::frame::{Frame, Key, Plot};
use super::range::Range;

/// Overlaid histograms of named sample sets, each as shares of its finite samples.
///
/// All sets share their bins. Where every sample lies on a lattice (integers, energies in steps of 4, counts divided
/// by a number of sites), bins are centred on lattice points and hold the same number of them each.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    title: String,
    x_label: String,
    sets: Vec<(String, Vec<f64>)>,
}

/// More bins than this say less rather than more.
const MOST_BINS: f64 = 60.0;

impl Histogram {
    pub fn new(title: impl Into<String>, x_label: impl Into<String>) -> Self {
        Self { title: title.into(), x_label: x_label.into(), sets: Vec::new() }
    }

    /// Adds a sample set.
    pub fn samples(mut self, name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        self.sets.push((name.into(), values.into_iter().collect()));
        self
    }

    /// The histogram as a PNG file, 620 by 360 page pixels.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        let bins = Bins::of(self.sets.iter().flat_map(|(_, values)| values.iter().copied()));
        let shares: Vec<Vec<f64>> = self.sets.iter().map(|(_, values)| bins.shares(values)).collect();
        let highest = shares.iter().flatten().fold(0.0_f64, |highest, &share| highest.max(share));
        let left_out = self.sets.iter().flat_map(|(_, values)| values).filter(|value| !value.is_finite()).count();
        let frame = Frame {
            title: &self.title,
            x_label: &self.x_label,
            y_label: "share of samples",
            x: Range::new(bins.start, bins.edge(bins.count)).padded(0.02),
            y: Range { low: 0.0, high: if highest > 0.0 { highest * 1.06 } else { 1.0 } },
            legend: self.sets.iter().enumerate().map(|(i, (name, _))| (name.as_str(), Key::Line(colour(i)))).collect(),
            note: (left_out > 0).then(|| format!("Left out: {left_out} values that are not finite.")),
            beside: 0,
        };
        paint(620, 360, |area| {
            let plot = frame.draw(area)?;
            for (set, shares) in shares.iter().enumerate() {
                draw_bars(area, &plot, &bins, shares, set)?;
            }
            for (set, shares) in shares.iter().enumerate() {
                draw_outline(area, &plot, &bins, shares, set)?;
            }
            if highest > 0.0 { Ok(()) } else { plot.say_empty(area) }
        })
    }
}

fn draw_bars(area: &Area, plot: &Plot, bins: &Bins, shares: &[f64], set: usize) -> Result<(), PictureError> {
    let shade = plotters::style::Color::mix(&colour(set), 0.22);
    for (bin, &share) in shares.iter().enumerate() {
        let (left, top) = plot.at((bins.edge(bin), share));
        let (right, bottom) = plot.at((bins.edge(bin + 1), 0.0));
        let corner = |x: f64, y: f64| (x.round() as i32, y.round() as i32);
        fill(area, corner(left, top), corner(right, bottom), &shade)?;
    }
    Ok(())
}

/// Draws the line along the tops of the bars, down to zero at both ends.
fn draw_outline(area: &Area, plot: &Plot, bins: &Bins, shares: &[f64], set: usize) -> Result<(), PictureError> {
    let mut at = plot.at((bins.start, 0.0));
    let ends = (0..=shares.len()).flat_map(|bin| {
        let height = shares.get(bin).copied().unwrap_or(0.0);
        let right = shares.get(bin).map(|_| (bins.edge(bin + 1), height));
        [Some((bins.edge(bin), height)), right]
    });
    for end in ends.flatten() {
        let to = plot.at(end);
        stroke(area, at, to, 1.75 * f64::from(UNIT), colour(set))?;
        at = to;
    }
    Ok(())
}

/// `count` bins of width `width`, the first one from `start`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bins {
    start: f64,
    width: f64,
    count: usize,
}

impl Bins {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let range = Range::of(values.iter().copied());
        let least_bins = ((values.len() as f64).cbrt() * 2.0).ceil().clamp(10.0, MOST_BINS);
        values.dedup();
        match lattice(&values, range) {
            // One value: a bar of its own in the middle.
            Some(step) if values.len() == 1 => Bins { start: values[0] - 2.5 * step, width: step, count: 5 },
            Some(step) => {
                let points = (range.width() / step).round() + 1.0;
                let width = step * (points / MOST_BINS).ceil();
                Bins { start: range.low - step / 2.0, width, count: (points * step / width).ceil() as usize }
            }
            None => Bins { start: range.low, width: range.width() / least_bins, count: least_bins as usize },
        }
    }

    fn edge(&self, bin: usize) -> f64 {
        self.start + bin as f64 * self.width
    }

    /// The share of the finite ones of `values` in each bin.
    fn shares(&self, values: &[f64]) -> Vec<f64> {
        let mut shares = vec![0.0; self.count];
        let finite = || values.iter().filter(|value| value.is_finite());
        let each = 1.0 / finite().count() as f64;
        for value in finite() {
            let bin = ((value - self.start) / self.width) as usize;
            shares[bin.min(self.count - 1)] += each;
        }
        shares
    }
}

/// The largest step that leads from each of the distinct sorted values to the next, if there are at most 2000 of them
/// from end to end.
///
/// Found by Euclid's algorithm on the gaps, with a thousandth of the smallest gap as zero: samples that lie anywhere
/// have no common step of that size.
fn lattice(values: &[f64], range: Range) -> Option<f64> {
    if values.len() == 1 {
        return Some(range.width() / 5.0);
    }
    let gaps = || values.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 1e-9 * range.width());
    let zero = gaps().fold(f64::INFINITY, f64::min) * 1e-3;
    let step = gaps().reduce(|mut a, mut b| {
        while b > zero {
            let rest = a - b * (a / b).floor();
            // A rest that is a whole divisor but for rounding is none.
            (a, b) = (b, if b - rest <= zero { 0.0 } else { rest });
        }
        a
    })?;
    (step > 5.0 * zero && range.width() / step <= 2000.0).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(values: &[f64]) -> Bins {
        Bins::of(values.iter().copied())
    }

    #[test]
    fn values_on_a_lattice_have_bins_centred_on_its_points() {
        assert_eq!(bins(&[-8.0, 4.0, 0.0, 4.0]), Bins { start: -10.0, width: 4.0, count: 4 });
        assert_eq!(bins(&[0.0, 10.0, 4.0]), Bins { start: -1.0, width: 2.0, count: 6 });
        // Magnetisations of 36 sites: multiples of 1/18, not exact in binary.
        let fractions: Vec<f64> = (0..=18).map(|k| f64::from(2 * k) / 36.0).collect();
        let lattice = bins(&fractions);
        assert_eq!(lattice.count, 19);
        // Two roundings of numbers below 1.
        assert!((lattice.width - 1.0 / 18.0).abs() < 1e-12 && (lattice.start + 1.0 / 36.0).abs() < 1e-12);
        assert!(lattice.shares(&fractions).iter().all(|share| (share - 1.0 / 19.0).abs() < 1e-12));
    }

    #[test]
    fn many_lattice_points_share_bins_evenly() {
        let wide = bins(&(0..200).map(f64::from).collect::<Vec<_>>());
        assert_eq!(wide, Bins { start: -0.5, width: 4.0, count: 50 });
    }

    #[test]
    fn values_that_lie_anywhere_have_plain_bins() {
        let values: Vec<f64> = (0..1000).map(|i| (f64::from(i) * 0.618_033_988_749_894_9).fract()).collect();
        let plain = bins(&values);
        assert_eq!(plain.count, 20);
        let shares = plain.shares(&values);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // An additive recurrence by the golden ratio fills the unit interval evenly.
        assert!(shares.iter().all(|share| (share - 0.05).abs() < 0.005), "{shares:?}");
    }

    #[test]
    fn what_is_not_finite_is_left_out_and_nothing_breaks() {
        assert_eq!(bins(&[f64::NAN, 2.0, f64::INFINITY, 4.0]), bins(&[2.0, 4.0]));
        let none = bins(&[f64::NAN]);
        assert_eq!(none.shares(&[f64::NAN]), vec![0.0; none.count]);
        for values in [&[3.0][..], &[0.0, 0.0], &[f64::MIN, f64::MAX], &[1e300], &[5e-324, 0.0], &[1e15, 1e15 + 1.0]] {
            let bins = bins(values);
            assert!(
                bins.count <= MOST_BINS as usize && bins.width > 0.0 && bins.width.is_finite(),
                "{values:?}: {bins:?}"
            );
            assert!((bins.shares(values).iter().sum::<f64>() - 1.0).abs() < 1e-12, "{values:?}");
        }
    }
}
