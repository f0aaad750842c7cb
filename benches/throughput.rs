//! Throughput of both stages of the native engine, against the machine's own matrix-product rate measured in the same run.
//!
//! `cargo bench` prints, for each problem, milliseconds an iteration and the share of the ceiling: the floor of a whole
//! iteration is 3 products of 2 * states * sum of hidden weights flops (one forward, two backward).

use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::{Engine, Rollout};
use wgflow::policy::{Activation, Initialisation, Layout, initialise};
use wgflow::process::{Encoding, Objects, Order, SiteFilling};
use wgflow::random::{Draw, Stream};
use wgflow::target::Target;

/// Nothing but a size: the reward's cost is left out.
struct Flat(usize);

impl Target for Flat {
    fn sites(&self) -> usize {
        self.0
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Encoding::Scalar { unset: 0.0, codes: vec![-1.0, 1.0] }
    }

    fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
        log_reward.fill(0.0);
    }
}

/// GFLOP/s of f32 products of 512 rows with a square weight, one product a thread.
fn product_rate(width: usize) -> f64 {
    let rows = 512;
    let run = || {
        let (a, b) = (vec![0.5_f32; rows * width], vec![0.25_f32; width * width]);
        let mut out = vec![0.0_f32; rows * width];
        let repeats = 200;
        for _ in 0..repeats {
            // SAFETY: row-major matrices of the sizes given.
            unsafe {
                let (w, one) = (width as isize, 1);
                gemm::gemm(
                    rows,
                    width,
                    width,
                    out.as_mut_ptr(),
                    one,
                    w,
                    true,
                    a.as_ptr(),
                    one,
                    w,
                    b.as_ptr(),
                    one,
                    w,
                    1.0,
                    1e-6,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
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

fn milliseconds(mut body: impl FnMut()) -> f64 {
    body();
    let start = Instant::now();
    let mut repeats = 0;
    while start.elapsed().as_secs_f64() < 1.5 {
        body();
        repeats += 1;
    }
    start.elapsed().as_secs_f64() * 1e3 / f64::from(repeats)
}

fn main() {
    println!("{} threads", rayon::current_num_threads());
    println!("sites hidden   batch  rollout ms  gradient ms  iterations/s  GFLOP/s  ceiling  share");
    for (side, width, depth, batch) in [(6, 128, 3, 256), (10, 256, 3, 256), (10, 256, 3, 2048), (15, 256, 3, 256)] {
        let sites = side * side;
        let process = SiteFilling { sites, values: 2, order: Order::Uniform, encoding: Flat(sites).encoding() };
        let layout = Layout::new(sites, &vec![width; depth], process.actions());
        let parameters = initialise(&layout, Initialisation::FanIn, 1, Stream::Initialisation);
        let mut engine = CpuEngine::<f32>::new(process, layout, Activation::Swish, Arc::new(Flat(sites)), u64::MAX);
        engine.set_parameters(&parameters).expect("the native engine takes any parameters");
        let request = Rollout::sample(Draw::new(1, 0, Stream::Training), batch).kept();
        let rollout = milliseconds(|| drop(engine.rollout(&request)));
        let coefficients = vec![1.0; batch];
        let gradient = milliseconds(|| drop(engine.gradient(&coefficients)));
        let flops = 3.0 * 2.0 * (batch * sites * (depth - 1) * width * width) as f64;
        let rate = flops / (rollout + gradient) / 1e6;
        let ceiling = product_rate(width);
        println!(
            "{sites:5} {width:4}x{depth} {batch:7} {rollout:11.2} {gradient:12.2} {:13.2} {rate:8.1} {ceiling:8.1} {:5.0}%",
            1e3 / (rollout + gradient),
            100.0 * rate / ceiling
        );
    }
}
