//! The two precisions of the native engine, and the vector loops that both share.
//!
//! f64 takes its functions from the standard library and is the oracle. f32 takes an exponential written here, without
//! branches, so that the compiler turns whole loops into vector code; [`vectorised`] compiles a loop for the best
//! instruction set of the machine at run time.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Sub};

use super::product::Gemm;
use super::{Activation, LEAK};

/// f32 or f64.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + MulAssign
    + Sum
{
    /// "f32" or "f64".
    const NAME: &'static str;
    /// Distance from 1 to the next larger number.
    const EPSILON: Self;
    /// Rounded to the nearest.
    fn from_f64(value: f64) -> Self;
    /// Exactly this number.
    fn to_f64(self) -> f64;

    /// Inputs of a layer's units, which are `sums` [rows, width] plus a number of `bias` for each column, and their
    /// activations.
    fn activate(activation: Activation, sums: &[Self], bias: &[Self], inputs: &mut [Self], values: &mut [Self]);

    /// Activations of `inputs`, the same bits again, and their slopes.
    fn differentiate(activation: Activation, inputs: &[Self], values: &mut [Self], slopes: &mut [Self]);

    /// The matrix product for this processor.
    fn gemm() -> Gemm<Self>;
}

impl Real for f64 {
    const NAME: &'static str = "f64";
    const EPSILON: Self = f64::EPSILON;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    fn activate(activation: Activation, sums: &[Self], bias: &[Self], inputs: &mut [Self], values: &mut [Self]) {
        activate_each(|x| activation.evaluate(x), sums, bias, inputs, values);
    }

    fn differentiate(activation: Activation, inputs: &[Self], values: &mut [Self], slopes: &mut [Self]) {
        differentiate_each(|x| activation.evaluate(x), inputs, values, slopes);
    }

    fn gemm() -> Gemm<Self> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }
}

/// Runs a loop with the function of an activation in f32. The choice stays outside, so that each loop vectorises.
macro_rules! with_function {
    ($activation:expr, $f:ident => $run:expr) => {
        with_function!($activation, $f => $run,
            [(Relu, _, relu), (LeakyRelu, _, leaky_relu),
            (Swish, true, swish::<true>), (Swish, false, swish::<false>),
            (Elu, true, elu::<true>), (Elu, false, elu::<false>),
            (Tanh, true, tanh::<true>), (Tanh, false, tanh::<false>)])
    };
    ($activation:expr, $f:ident => $run:expr, [$(($name:ident, $fuses:pat, $function:expr)),*]) => {
        match ($activation, fuses()) {
            $((Activation::$name, $fuses) => {
                let $f = $function;
                $run
            })*
        }
    };
}

impl Real for f32 {
    const NAME: &'static str = "f32";
    const EPSILON: Self = f32::EPSILON;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn activate(activation: Activation, sums: &[Self], bias: &[Self], inputs: &mut [Self], values: &mut [Self]) {
        with_function!(activation, f => activate_each(f, sums, bias, inputs, values));
    }

    fn differentiate(activation: Activation, inputs: &[Self], values: &mut [Self], slopes: &mut [Self]) {
        with_function!(activation, f => differentiate_each(f, inputs, values, slopes));
    }

    fn gemm() -> Gemm<Self> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }
}

#[inline(always)]
fn activate_each<T: Real>(f: impl Fn(T) -> (T, T), sums: &[T], bias: &[T], inputs: &mut [T], values: &mut [T]) {
    // A function of its own, as the next one is, so that the compiler knows that the lists do not overlap.
    #[inline(always)]
    fn row<T: Real>(f: impl Fn(T) -> (T, T), sums: &[T], bias: &[T], inputs: &mut [T], values: &mut [T]) {
        for (((&sum, &bias), input), value) in sums.iter().zip(bias).zip(inputs).zip(values) {
            *input = sum + bias;
            (*value, _) = f(*input);
        }
    }
    let width = bias.len();
    vectorised(
        #[inline(always)]
        || {
            let rows = inputs.chunks_exact_mut(width).zip(values.chunks_exact_mut(width));
            for (sums, (inputs, values)) in sums.chunks_exact(width).zip(rows) {
                row(&f, sums, bias, inputs, values);
            }
        },
    );
}

#[inline(always)]
fn differentiate_each<T: Real>(f: impl Fn(T) -> (T, T), inputs: &[T], values: &mut [T], slopes: &mut [T]) {
    #[inline(always)]
    fn all<T: Real>(f: impl Fn(T) -> (T, T), inputs: &[T], values: &mut [T], slopes: &mut [T]) {
        for ((&input, value), slope) in inputs.iter().zip(values).zip(slopes) {
            (*value, *slope) = f(input);
        }
    }
    vectorised(
        #[inline(always)]
        || all(f, inputs, values, slopes),
    );
}

/// Whether this processor multiplies and adds in one instruction. Those that do not (x86 before 2013, and small ones long after) do it
/// in software, a hundred times as slowly as one after the other.
fn fuses() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    return cfg!(target_arch = "aarch64");
}

/// a b + c, rounded once or twice.
#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

// Activation and slope at x in f32, see [`Activation::evaluate`].

#[inline(always)]
fn relu(x: f32) -> (f32, f32) {
    (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 })
}

#[inline(always)]
fn leaky_relu(x: f32) -> (f32, f32) {
    let slope = if x > 0.0 { 1.0 } else { LEAK as f32 };
    (x * slope, slope)
}

#[inline(always)]
fn swish<const FUSED: bool>(x: f32) -> (f32, f32) {
    let sigmoid = 1.0 / (1.0 + Exponential::of::<FUSED>(-x).value());
    let value = x * sigmoid;
    (value, multiply_add::<FUSED>(value, 1.0 - sigmoid, sigmoid))
}

#[inline(always)]
fn elu<const FUSED: bool>(x: f32) -> (f32, f32) {
    let below = Exponential::of::<FUSED>(x.min(0.0));
    if x > 0.0 { (x, 1.0) } else { (below.less_one(), below.value()) }
}

/// tanh |x| = (1 - e) / (1 + e) and the slope 4 e / (1 + e)^2 with e = exp(-2 |x|): nothing cancels.
#[inline(always)]
fn tanh<const FUSED: bool>(x: f32) -> (f32, f32) {
    let power = Exponential::of::<FUSED>(-2.0 * x.abs());
    let e = power.value();
    let inverse = 1.0 / (1.0 + e);
    ((power.less_one() * inverse).copysign(x), 4.0 * e * inverse * inverse)
}

/// exp(x) in f32 as 2^n + 2^n q, to within 2 units in the last place, NaN for NaN; x is clamped to where exp(x) is
/// finite.
///
/// n = round(x / ln 2) is read off the bits of a sum with 1.5 * 2^23, and q = exp(r) - 1 is the Taylor polynomial of
/// degree 7 on |r| <= ln(2) / 2.
#[derive(Clone, Copy)]
struct Exponential {
    /// 2^n.
    power: f32,
    /// 2^n q.
    rest: f32,
}

impl Exponential {
    #[inline(always)]
    fn of<const FUSED: bool>(x: f32) -> Self {
        const SHIFT: f32 = 12_582_912.0;
        // ln 2 in two parts, the first with enough trailing zeros that n * LN2_HIGH is exact.
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        // A NaN stays one: both comparisons are false for it.
        let x = if x > 88.0 { 88.0 } else { x };
        let x = if x < -87.0 { -87.0 } else { x };
        let shifted = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, SHIFT);
        let n = shifted - SHIFT;
        let r = multiply_add::<FUSED>(n, -LN2_LOW, multiply_add::<FUSED>(n, -LN2_HIGH, x));
        let factorials = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];
        let sum = factorials.into_iter().reduce(|sum, inverse| multiply_add::<FUSED>(r, sum, inverse));
        let q = r * sum.expect("there are some");
        let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
        Self { power, rest: power * q }
    }

    /// exp(x).
    #[inline(always)]
    fn value(self) -> f32 {
        self.power + self.rest
    }

    /// exp(x) - 1. Near 0, where n is 0, this is q; elsewhere the two terms are far from cancelling.
    #[inline(always)]
    fn less_one(self) -> f32 {
        self.rest + (self.power - 1.0)
    }
}

/// Numbers in the precision `T`.
pub fn cast<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::from_f64(value)).collect()
}

/// Runs `body` compiled for the widest vector instructions this machine has.
#[inline(always)]
pub fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// sum_j a_j b_j, in sixteen interleaved partial sums so that it vectorises the same way everywhere.
#[inline(always)]
pub fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    const LANES: usize = 16;
    let mut sums = [T::default(); LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: T = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&x, &y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.into_iter().sum::<T>() + rest
}

/// `target += factor * source`.
#[inline(always)]
pub fn add_scaled<T: Real>(target: &mut [T], factor: T, source: &[T]) {
    for (t, &s) in target.iter_mut().zip(source) {
        *t += factor * s;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_f32_exponential_is_within_two_units_in_the_last_place() {
        for i in -870_000..880_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).exp();
            for found in [Exponential::of::<true>(x), Exponential::of::<false>(x)] {
                assert!((f64::from(found.value()) / exact - 1.0).abs() < 2.4e-7, "exp({x})");
            }
        }
        for exp in [Exponential::of::<true>, Exponential::of::<false>] {
            assert!(exp(f32::NAN).value().is_nan());
            assert!(exp(f32::INFINITY).value().is_finite() && exp(f32::NEG_INFINITY).value() >= 0.0);
        }
    }

    /// On whatever processor this runs.
    #[test]
    fn multiply_adds_that_round_twice_do_as_well() {
        type Functions = [(Activation, fn(f32) -> (f32, f32)); 6];
        let functions: Functions = [
            (Activation::Swish, swish::<true>),
            (Activation::Swish, swish::<false>),
            (Activation::Elu, elu::<true>),
            (Activation::Elu, elu::<false>),
            (Activation::Tanh, tanh::<true>),
            (Activation::Tanh, tanh::<false>),
        ];
        for (activation, f) in functions {
            for x in (-4000..4000).map(|i| i as f32 * 0.005) {
                let ((value, slope), (v, s)) = (f(x), activation.evaluate(f64::from(x)));
                // As below.
                let tolerance = 5e-7 * f64::from(x).abs().max(1.0);
                assert!((f64::from(value) - v).abs() < tolerance, "{activation:?}({x}) = {value}, not {v}");
                assert!((f64::from(slope) - s).abs() < tolerance, "{activation:?}'({x}) = {slope}, not {s}");
            }
        }
    }

    #[test]
    fn f32_activations_follow_the_f64_ones() {
        for activation in Activation::ALL {
            let inputs: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.005).collect();
            let (mut values, mut slopes) = (vec![0.0; inputs.len()], vec![0.0; inputs.len()]);
            // A sum and a bias that are the input together, to within the rounding allowed below.
            let sums: Vec<f32> = inputs.iter().map(|input| input - 0.25).collect();
            let mut arrived = inputs.clone();
            f32::activate(activation, &sums, &[0.25; 100], &mut arrived, &mut values);
            let activated = values.clone();
            f32::differentiate(activation, &arrived, &mut values, &mut slopes);
            assert!(activated == values, "{activation:?}");
            for ((&x, &value), &slope) in inputs.iter().zip(&values).zip(&slopes) {
                let (v, s) = activation.evaluate(f64::from(x));
                // A few roundings at the size of the largest intermediate, which is max(1, |x|).
                let tolerance = 5e-7 * f64::from(x).abs().max(1.0);
                assert!((f64::from(value) - v).abs() < tolerance, "{activation:?}({x}) = {value}, not {v}");
                assert!((f64::from(slope) - s).abs() < tolerance, "{activation:?}'({x}) = {slope}, not {s}");
            }
        }
    }
}
