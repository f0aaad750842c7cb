//! Intervals that axes span, and the numbers written along them.

/// An interval fit for an axis: finite, and wide enough that its ticks differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Larger numbers are drawn as this one, so that no difference of two overflows.
const LARGEST: f64 = 1e100;
/// Differences below this one are none.
const SMALLEST: f64 = 1e-100;

impl Range {
    /// From `low` to `high`, made finite and widened if there is nothing between them.
    pub(super) fn new(low: f64, high: f64) -> Self {
        let (low, high) = (low.clamp(-LARGEST, LARGEST), high.clamp(-LARGEST, LARGEST));
        let largest = low.abs().max(high.abs());
        if high - low > (1e-9 * largest).max(SMALLEST) {
            Self { low, high }
        } else {
            let half = if largest <= SMALLEST { 0.5 } else { largest * 0.05 };
            Self { low: low - half, high: high + half }
        }
    }

    /// The range of the finite ones of `values`; 0 to 1 if there are none.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low <= high { Self::new(low, high) } else { Self { low: 0.0, high: 1.0 } }
    }

    /// With this fraction of its width added at both ends.
    pub(super) fn padded(self, fraction: f64) -> Self {
        let margin = self.width() * fraction;
        Self { low: self.low - margin, high: self.high + margin }
    }

    pub(super) fn width(self) -> f64 {
        self.high - self.low
    }

    /// Where `value` stands: 0 at the low end, 1 at the high one.
    pub(super) fn fraction(self, value: f64) -> f64 {
        (value.clamp(-LARGEST, LARGEST) - self.low) / self.width()
    }

    pub(super) fn clamp(self, value: f64) -> f64 {
        value.clamp(self.low, self.high)
    }

    /// Multiples of 1, 2 or 5 times a power of ten inside the range: about `count` of them, at most twice as many.
    pub(super) fn ticks(self, count: usize) -> Vec<f64> {
        let least = self.width() / (count + 1) as f64;
        let power = 10.0_f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= least);
        let step = step.unwrap_or(10.0 * power);
        let first = (self.low / step).ceil();
        let ticks = (0..=2 * count).map(|number| (first + number as f64) * step);
        ticks.take_while(|tick| *tick <= self.high).collect()
    }

    /// The number as it stands beside a tick: as many digits as neighbouring ticks need to differ.
    pub(super) fn label(self, value: f64) -> String {
        if value.abs() < self.width() * 1e-6 {
            return "0".into();
        }
        let step = self.width() / 10.0;
        let largest = self.low.abs().max(self.high.abs());
        let decimals = (-step.log10()).ceil().max(0.0);
        let text = if largest >= 1e7 || decimals > 6.0 {
            let digits = (largest / step).log10().ceil().clamp(0.0, 9.0) as usize;
            let text = format!("{value:.digits$e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{exponent}", shortest(digits))
        } else {
            group(shortest(&format!("{value:.*}", decimals as usize)))
        };
        text.replace('-', "−")
    }
}

/// Without zeros at the end of a decimal fraction.
fn shortest(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// With commas between thousands, from five digits on.
fn group(number: &str) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    if digits.len() < 5 {
        return number.into();
    }
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// The quantile `q` (0 to 1) of sorted numbers, without interpolation; none if there are none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[(q * last as f64).round() as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_finite_and_not_empty() {
        let cases: [&[f64]; 8] = [
            &[],
            &[f64::NAN, f64::INFINITY],
            &[0.0],
            &[-3.0, -3.0],
            &[1e15, 1e15 + 0.5],
            &[f64::MIN, f64::MAX],
            &[5e-324],
            &[f64::MAX],
        ];
        for values in cases {
            let range = Range::of(values.iter().copied());
            assert!(range.low.is_finite() && range.high.is_finite(), "{values:?}: {range:?}");
            // Ten ticks must differ, with some digits to spare.
            assert!(range.low + range.width() / 1e4 > range.low, "{values:?}: {range:?}");
            assert!(range.high - range.width() / 1e4 < range.high, "{values:?}: {range:?}");
        }
        assert_eq!(Range::of([2.0, f64::NAN, -1.0].into_iter()), Range { low: -1.0, high: 2.0 });
    }

    #[test]
    fn labels_have_the_digits_that_tell_ticks_apart() {
        let label = |low, high, value| Range::new(low, high).label(value);
        assert_eq!(label(0.0, 1.0, 0.2), "0.2");
        assert_eq!(label(0.0, 1.0, 1e-17), "0");
        assert_eq!(label(-40.0, 0.0, -20.0), "−20");
        assert_eq!(label(0.0, 50_000.0, 20_000.0), "20,000");
        assert_eq!(label(0.0, 5_000.0, 2_000.0), "2000");
        assert_eq!(label(0.0, 1_500_000.0, -1_234_000.0), "−1,234,000");
        assert_eq!(label(12.01, 12.03, 12.015), "12.015");
        assert_eq!(label(0.0, 3e9, 1.5e9), "1.5e9");
        assert_eq!(label(0.0, 2e-8, -5e-9), "−5e−9");
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Range::new(-20.3, 3.1).ticks(5), [-20.0, -15.0, -10.0, -5.0, 0.0]);
        assert_eq!(Range::new(0.0, 1.0).ticks(5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        for (low, high) in [(0.0, 0.0), (1e15, 1e15 + 1.0), (f64::MIN, f64::MAX), (-1e-120, 1e-110), (0.1, 0.11)] {
            let range = Range::new(low, high);
            let ticks = range.ticks(5);
            assert!((2..=11).contains(&ticks.len()), "{range:?}: {ticks:?}");
            assert!(ticks.iter().all(|tick| range.clamp(*tick) == *tick), "{range:?}: {ticks:?}");
        }
    }

    #[test]
    fn quantiles_are_among_the_values() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), Some(2.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 1.0), Some(5.0));
    }
}
