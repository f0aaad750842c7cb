//! What the processor does at best.

use std::time::Instant;

use gemm_common::Parallelism;
use rayon::prelude::*;

use crate::network::Real;

/// Rows of a product: enough to be full, few enough to stay in the caches as those of an engine do.
const ROWS: usize = 512;

/// Flops a second of f32 products of 512 rows with a square weight, one product a thread, by the engine's own crate.
pub fn product_rate(width: usize) -> f64 {
    const REPEATS: usize = 200;
    let run = || {
        let (a, b) = (vec![0.5_f32; ROWS * width], vec![0.25_f32; width * width]);
        let mut out = vec![0.0_f32; ROWS * width];
        let (gemm, w, none) = (f32::gemm(), width as isize, Parallelism::None);
        for _ in 0..REPEATS {
            let (out, a, b) = (out.as_mut_ptr(), a.as_ptr(), b.as_ptr());
            // SAFETY: row-major matrices of the sizes given.
            unsafe {
                gemm(ROWS, width, width, out, 1, w, true, a, 1, w, b, 1, w, 1.0, 1e-6, false, false, false, none)
            };
        }
        std::hint::black_box(&out);
        2.0 * (REPEATS * ROWS * width * width) as f64
    };
    let start = Instant::now();
    let flops: f64 = (0..rayon::current_num_threads()).into_par_iter().map(|_| run()).sum();
    flops / start.elapsed().as_secs_f64()
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
