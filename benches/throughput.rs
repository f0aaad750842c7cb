//! The native engine against the machine's own matrix-product rate, measured in the same run: machines are noisy, shares
//! are not. `cargo bench --bench throughput`; `wgflow bench` times any engine by itself.

use wgflow::config::{EngineConfig, EngineKind};
use wgflow::throughput::{Asked, Problem, ceiling, measure};

fn main() {
    let config = EngineConfig { kind: EngineKind::Cpu, ..EngineConfig::default() };
    let asked = Asked { config, ..Asked::default() };
    println!("{} threads", rayon::current_num_threads());
    println!("sites hidden   batch  rollout ms  gradient ms  GFLOP/s  ceiling  share");
    for problem in Problem::USUAL.into_iter().filter(|problem| problem.batch <= 4096) {
        let ceiling = ceiling(&asked, problem.width, 1.0).expect("a processor");
        let found = measure(&asked, &problem, &ceiling, 1.0).expect("the native engine takes any problem");
        let ceiling = ceiling.flops / 1e9;
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
