//! log sum of exponentials: of a few numbers, and of many lists side by side in vector instructions.

use crate::network::real::vectorised;

/// log sum of exponentials, and the largest of the logarithms, which is taken out of the sum.
#[inline]
pub(super) fn log_sum(logs: &[f64]) -> (f64, f64) {
    let most = logs.iter().fold(f64::NEG_INFINITY, |most, &log| most.max(log));
    if most == f64::NEG_INFINITY {
        return (most, most);
    }
    (most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln(), most)
}

/// The same for each place of rows that lie one after the other, each as long as `out`: the sum is over the rows.
pub(super) fn log_sums(rows: &[f64], scratch: &mut [f64], out: &mut [f64]) {
    let width = out.len();
    vectorised(
        #[inline(always)]
        || {
            let rows = || rows.chunks_exact(width);
            let sums = &mut scratch[..width];
            sums.fill(0.0);
            out.fill(f64::NEG_INFINITY);
            for row in rows() {
                for (most, &log) in out.iter_mut().zip(row) {
                    *most = if log > *most { log } else { *most };
                }
            }
            for row in rows() {
                for ((sum, &most), &log) in sums.iter_mut().zip(&*out).zip(row) {
                    // Where all are minus infinity, so are the differences from zero.
                    let most = if most == f64::NEG_INFINITY { 0.0 } else { most };
                    *sum += exp(log - most);
                }
            }
            for (most, &sum) in out.iter_mut().zip(&*sums) {
                // There is a 1 in the sum, or nothing, whose logarithm is lost in minus infinity.
                *most += ln(if sum < 1.0 { 1.0 } else { sum });
            }
        },
    );
}

// ln 2 in two parts, the first with enough trailing zeros that a whole number below 2^20 times it is exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// exp(x) for x <= 0, 0 below -708: 2^n exp(r), n = round(x / ln 2) read off the bits of a sum with 1.5 * 2^52, and exp(r) the Taylor
/// polynomial of degree 13 on |r| <= ln(2) / 2, where the next term is below 5e-18.
#[inline(always)]
fn exp(x: f64) -> f64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    /// 1 / k!, from 13 down to 2.
    const TERMS: [f64; 12] = [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ];
    let clamped = if x < -708.0 { -708.0 } else { x };
    let shifted = clamped * std::f64::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let mut tail = 0.0;
    for term in TERMS {
        tail = term + r * tail;
    }
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    let value = power + power * (r + r * r * tail);
    if x < -708.0 { 0.0 } else { value }
}

/// ln(s) for finite s >= 1: n ln 2 + ln(m) with m between the roots of 1/2 and of 2, ln(m) = 2 artanh(t) of t = (m - 1) / (m + 1), whose
/// series to t^23 leaves less than 1e-19.
#[inline(always)]
fn ln(s: f64) -> f64 {
    /// The bits of the root of 1/2.
    const ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    // The exponent stands in the lowest bits of a number of 2^52 and more.
    const SHIFT: f64 = 4_503_599_627_370_496.0;
    let bits = s.to_bits().wrapping_sub(ROOT);
    let n = f64::from_bits(SHIFT.to_bits() | (bits >> 52)) - SHIFT;
    let m = f64::from_bits((bits & ((1 << 52) - 1)).wrapping_add(ROOT));
    let t = (m - 1.0) / (m + 1.0);
    let square = t * t;
    let mut series = 0.0;
    for odd in [23.0, 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        series = 1.0 / odd + square * series;
    }
    let tail = 2.0 * t * square * series;
    n * LN2_HIGH + (2.0 * t + (tail + n * LN2_LOW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::assert_close;

    #[test]
    fn exponential_and_logarithm_are_within_a_few_roundings() {
        for step in 0..200_000 {
            let x = -f64::from(step) * 0.003_541;
            let exact = x.exp();
            let allowed = if x < -707.0 { 1e-300 } else { 4.0 * f64::EPSILON * exact };
            assert!((exp(x) - exact).abs() <= allowed, "exp({x}): {} {exact}", exp(x));
            let s = 1.0 + f64::from(step) * 0.001_37;
            assert!((ln(s) - s.ln()).abs() <= 4.0 * f64::EPSILON * s.ln(), "ln({s}): {} {}", ln(s), s.ln());
        }
        assert_eq!((exp(0.0), exp(f64::NEG_INFINITY), ln(1.0)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn many_sums_are_those_of_each_place() {
        let (width, height) = (37, 5);
        let entry = |index: usize| match index % 11 {
            0 => f64::NEG_INFINITY,
            _ => (index as f64 * 0.7).sin() * 10.0_f64.powi((index % 4) as i32),
        };
        let mut rows: Vec<f64> = (0..width * height).map(entry).collect();
        (0..height).for_each(|row| rows[row * width + 3] = f64::NEG_INFINITY);
        let (mut scratch, mut found) = (vec![7.0; 64], vec![0.0; width]);
        log_sums(&rows, &mut scratch, &mut found);
        for (place, &sum) in found.iter().enumerate() {
            let column: Vec<f64> = (0..height).map(|row| rows[row * width + place]).collect();
            match log_sum(&column).0 {
                f64::NEG_INFINITY => assert_eq!((place, sum), (3, f64::NEG_INFINITY)),
                expected => assert_close(&[sum], &[expected], 1e-14, "a log sum"),
            }
        }
    }
}
