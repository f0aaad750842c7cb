//! What the processor does at best.

use std::sync::Barrier;
use std::time::Instant;

use rayon::prelude::*;

use crate::network::product::{Matrix, multiply};

/// Rows of a product: enough to be full, few enough to stay in the caches as those of an engine do.
const ROWS: usize = 512;

/// Flops a second of f32 products of 512 rows with a square weight, the engine's own, over and over in all threads at once: the
/// most of ten rounds, after one that warms up.
pub fn product_rate(width: usize) -> f64 {
    const ROUNDS: usize = 11;
    let flops = (2 * ROWS * width * width) as f64;
    // A round is long beside the time in which threads wake up.
    let repeats = (1e9 / flops).ceil();
    let together = Barrier::new(rayon::current_num_threads());
    let rounds = || {
        let (a, b) = (vec![0.5_f32; ROWS * width], vec![0.25_f32; width * width]);
        let mut out = vec![0.0_f32; ROWS * width];
        let round = |_| {
            together.wait();
            let start = Instant::now();
            for _ in 0..repeats as usize {
                multiply(&mut out, false, Matrix::new(&a, ROWS, width), Matrix::new(&b, width, width));
                std::hint::black_box(&out);
            }
            together.wait();
            start.elapsed().as_secs_f64()
        };
        (0..ROUNDS).map(round).collect::<Vec<f64>>()
    };
    let found = rayon::broadcast(|_| rounds());
    // All threads leave a round together; the first one to begin it has the longest time.
    let longest = |round: usize| found.iter().map(|seconds| seconds[round]).fold(0.0, f64::max);
    let seconds = (1..ROUNDS).map(longest).fold(f64::INFINITY, f64::min);
    found.len() as f64 * repeats * flops / seconds
}

/// Bytes a second that a copy by all threads reads and writes, both counted: the most of five.
pub fn copy_rate() -> f64 {
    const NUMBERS: usize = 1 << 24;
    let source = vec![1.0_f32; NUMBERS];
    let mut copied = vec![0.0_f32; NUMBERS];
    let piece = NUMBERS / rayon::current_num_threads();
    let mut copy = || {
        let start = Instant::now();
        copied.par_chunks_mut(piece).zip(source.par_chunks(piece)).for_each(|(to, from)| to.copy_from_slice(from));
        std::hint::black_box(&copied);
        8.0 * NUMBERS as f64 / start.elapsed().as_secs_f64()
    };
    (0..5).map(|_| copy()).fold(0.0, f64::max)
}
