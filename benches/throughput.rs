//! The native engine against the machine's own matrix-product rate, measured in the same run: machines are noisy, shares
//! are not. `cargo bench --bench throughput`; `wgflow bench` times any engine by itself.

use std::time::Instant;

use rayon::prelude::*;
use wgflow::config::{EngineConfig, EngineKind};
use wgflow::throughput::{Problem, measure};

/// GFLOP/s of f32 products of 512 rows with a square weight, one product a thread.
fn product_rate(width: usize) -> f64 {
    let (rows, repeats) = (512, 200);
    let run = || {
        let (a, b) = (vec![0.5_f32; rows * width], vec![0.25_f32; width * width]);
        let mut out = vec![0.0_f32; rows * width];
        let (w, parallelism) = (width as isize, gemm::Parallelism::None);
        for _ in 0..repeats {
            let (out, a, b) = (out.as_mut_ptr(), a.as_ptr(), b.as_ptr());
            // SAFETY: row-major matrices of the sizes given.
            unsafe {
                gemm::gemm(
                    rows,
                    width,
                    width,
                    out,
                    1,
                    w,
                    true,
                    a,
                    1,
                    w,
                    b,
                    1,
                    w,
                    1.0,
                    1e-6,
                    false,
                    false,
                    false,
                    parallelism,
                );
            }
        }
        std::hint::black_box(&out);
        2.0 * (repeats * rows * width * width) as f64
    };
    let start = Instant::now();
    let flops: f64 = (0..rayon::current_num_threads()).into_par_iter().map(|_| run()).sum();
    flops / start.elapsed().as_secs_f64() / 1e9
}

fn main() {
    let config = EngineConfig { kind: EngineKind::Cpu, ..EngineConfig::default() };
    println!("{} threads", rayon::current_num_threads());
    println!("sites hidden   batch  rollout ms  gradient ms  GFLOP/s  ceiling  share");
    for problem in Problem::USUAL.into_iter().filter(|problem| problem.batch <= 4096) {
        let found = measure(&config, problem, 1.0).expect("the native engine takes any problem");
        let ceiling = product_rate(problem.width);
        println!(
            "{:5} {:4}x{} {:7} {:11.2} {:12.2} {:8.1} {ceiling:8.1} {:5.0}%",
            found.sites,
            found.width,
            found.layers,
            found.batch,
            found.rollout_ms,
            found.gradient_ms,
            found.gflops,
            100.0 * found.gflops / ceiling
        );
    }
}
