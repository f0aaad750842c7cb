//! What a gradient costs with each kind of control variate, as a ratio to the plain gradient of the same batch, and the
//! memory that the kinds need.
//!
//! `cargo bench --bench control_variates` takes the kinds in turn, over and over, and prints medians: what else runs on
//! the machine meets all of them alike. The rollout is not part of the times, but each gradient follows one, as in training:
//! an engine keeps what it knows of a batch, and the second gradient of the same one could cost less. With `-- gpu` the
//! times are those of a GPU, or of a software adapter if that is all there is; memory is the native engine's.

use std::sync::Arc;
use std::time::Instant;

use wgflow::config::{EngineConfig, EngineKind};
use wgflow::engine::{Coefficients, Engine, Rollout};
use wgflow::network::{Activation, Initialisation, Layout, initialise};
use wgflow::objective::ControlVariate;
use wgflow::optimizer::estimate;
use wgflow::process::{Order, Process, SiteFilling};
use wgflow::random::{Draw, Stream};
use wgflow::targets::Target;
use wgflow::targets::ising::Ising;
use wgflow::trainer::select::select;

const KINDS: [(&str, ControlVariate); 5] = [
    ("none", ControlVariate::None),
    ("optimal", ControlVariate::Optimal),
    ("optimal per parameter", ControlVariate::OptimalPerParameter),
    ("optimal, leave-one-out", ControlVariate::OptimalLeaveOneOut),
    ("optimal per parameter, leave-one-out", ControlVariate::OptimalPerParameterLeaveOneOut),
];
const REPEATS: usize = 15;
/// The least of the batches below.
const BATCH: usize = 256;

/// An engine for the paper's network on a torus, and what it is.
fn prepare(kind: EngineKind, side: usize, memory_mib: u64) -> (Box<dyn Engine>, String) {
    let target = Arc::new(Ising::new(side, 0.2).expect("a torus within the range"));
    let process = SiteFilling { sites: side * side, values: 2, order: Order::Uniform, encoding: target.encoding() };
    let layout = Layout::new(process.columns(), &[256; 3], process.actions());
    let config = EngineConfig { kind, memory_mib: Some(memory_mib), ..EngineConfig::default() };
    let (mut engine, which) =
        select(&config, (0, 1), process.into(), &layout, Activation::Swish, target, BATCH).expect("an engine");
    let parameters = initialise(&layout, Initialisation::FanIn, 1, Stream::Initialisation);
    engine.set_parameters(&parameters).expect("parameters of the right number");
    (engine, which)
}

/// The time of a gradient right after the rollout of its batch.
fn seconds(engine: &mut dyn Engine, coefficients: &Coefficients, kind: ControlVariate) -> f64 {
    let count = coefficients.of_trajectories().expect("of trajectories").len();
    let request = Rollout::sample(Draw::new(1, 0, Stream::Training), count).kept();
    engine.rollout(&request).expect("a rollout");
    let mut total = vec![0.0; engine.arrangement().length()];
    let start = Instant::now();
    estimate(engine, coefficients, kind.optimal(), &mut total).expect("a gradient");
    start.elapsed().as_secs_f64()
}

fn times(kind: EngineKind) {
    println!("milliseconds a gradient, hidden 256x3, batch 256");
    for side in [6, 10] {
        let (mut engine, which) = prepare(kind, side, 1 << 14);
        println!("{which}");
        let coefficients = Coefficients::Trajectories((0..256).map(|i| f64::from(i).sin()).collect());
        let mut times = KINDS.map(|_| Vec::new());
        // The first round, which makes buffers and shaders, is left out.
        for round in 0..=REPEATS {
            for ((_, kind), times) in KINDS.into_iter().zip(&mut times) {
                times.extend(Some(seconds(engine.as_mut(), &coefficients, kind)).filter(|_| round > 0));
            }
        }
        let medians = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[REPEATS / 2]
        });
        for ((name, _), median) in KINDS.into_iter().zip(medians) {
            println!("N = {side:2}  {name:38} {:8.2}  {:.2}", 1e3 * median, median / medians[0]);
        }
    }
}

/// The most memory that this process has held, in MiB: Linux only.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// A process of its own for every figure: what an earlier one left with the allocator would count for a later one.
fn memory() {
    println!("peak memory of a process in MiB, N = 10, activations of at most 256 MiB kept (the rest is replayed)");
    let program = std::env::current_exe().expect("a running program has a path");
    for batch in ["256", "4096"] {
        for (index, (name, _)) in KINDS.into_iter().enumerate() {
            let output = std::process::Command::new(&program).args([MEMORY, batch, &index.to_string()]).output();
            let peak = output.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
            println!("batch {batch:>4}  {name:38} {:>8}", peak.trim());
        }
    }
}

/// First argument of a process that measures its own memory; batch and number of the kind follow.
const MEMORY: &str = "--memory-of";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |word: &str| arguments.iter().any(|argument| argument == word);
    match arguments.iter().position(|argument| argument == MEMORY) {
        Some(at) => {
            let number = |index: usize| arguments[at + index].parse::<usize>().expect("a number");
            let (mut engine, _) = prepare(EngineKind::Cpu, 10, 256);
            seconds(engine.as_mut(), &Coefficients::Trajectories(vec![1.0; number(1)]), KINDS[number(2)].1);
            println!("{}", peak_memory().map_or("needs Linux's /proc".into(), |peak| format!("{peak:.1}")));
        }
        None if given("gpu") => times(EngineKind::Gpu),
        None => {
            times(EngineKind::Cpu);
            memory();
        }
    }
}
