//! What the host does beside the engine: its share of an iteration with 209,000 parameters, the maximum mean discrepancy of an
//! evaluation and the pictures of a report.
//!
//! `cargo bench --bench host` takes the jobs in turn, over and over, and prints medians: what else runs on the machine
//! meets all of them alike.

use std::hint::black_box;
use std::time::Instant;

use wgflow::data::{Coding, DataSet};
use wgflow::engine::{Batch, Coefficients, Differentiate, EngineError, Roll, Rollout};
use wgflow::metrics::mmd::mmd;
use wgflow::network::{Arrangement, Layout};
use wgflow::optimizer::{self, HostLearner, Learn};
use wgflow::process::{Objects, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::report::Chart;
use wgflow::schedule::Progress;

const REPEATS: usize = 9;

/// Coded points of a data set, as an evaluation of the densities task compares them.
fn objects(count: usize, iteration: u32) -> Objects {
    let coding = Coding::new(DataSet::Moons, 32).expect("the paper's number of bits");
    coding.encode(&DataSet::Moons.points(&Draw::new(1, iteration, Stream::Data), count))
}

/// An engine that takes no time: its gradient is there, in f32, and parameters go into a list of f32.
struct Ready {
    arrangement: Arrangement,
    gradient: Vec<f32>,
    weights: Vec<f32>,
}

impl Ready {
    /// For the policy of a torus of 10 x 10 and three layers of 256, in its own order.
    fn new() -> Self {
        let parameters = Layout::new(100, &[256; 3], 200).parameters() as u32;
        let gradient = (0..parameters).map(|i| (0.37 * i as f32).sin()).collect();
        let arrangement = Arrangement::new((0..parameters).collect(), parameters as usize);
        Self { arrangement, gradient, weights: Vec::new() }
    }
}

impl Roll for Ready {
    fn name(&self) -> String {
        "ready".into()
    }

    fn adapter(&self) -> String {
        "none".into()
    }

    fn rollout(&mut self, _: &Rollout) -> Result<Batch, EngineError> {
        Ok(Batch::default())
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        Ok(Trajectories::new(1, Vec::new()))
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        Ok(Objects::new(1, Vec::new()))
    }

    fn log_reward(&mut self, _: &Objects) -> Result<Vec<f64>, EngineError> {
        Ok(Vec::new())
    }

    fn reward_gradient(&mut self, _: &Objects, _: &[f64]) -> Result<Vec<f64>, EngineError> {
        Ok(Vec::new())
    }
}

impl Differentiate for Ready {
    fn arrangement(&self) -> &Arrangement {
        &self.arrangement
    }

    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError> {
        self.weights.clear();
        self.weights.extend(arranged.iter().map(|&value| value as f32));
        Ok(())
    }

    fn held(&self) -> usize {
        0
    }

    fn accumulate(&mut self, _: &Coefficients, total: &mut [f64]) -> Result<(), EngineError> {
        total.iter_mut().zip(&self.gradient).for_each(|(total, &part)| *total += f64::from(part));
        Ok(())
    }
}

fn main() {
    let mut engine = Ready::new();
    let start = vec![0.0; engine.arrangement.parameters()];
    let mut learner = HostLearner::new(optimizer::Settings::default(), &engine.arrangement, &start);
    let mut learn = || {
        for _ in 0..100 {
            learner.begin();
            learner.accumulate(&mut engine, &Coefficients::Trajectories(Vec::new()), None).expect("a gradient");
            black_box(learner.gradient_norm());
            learner.propose(&mut engine, Progress { iteration: 0, total: 1 }).expect("parameters");
            learner.accept();
        }
    };
    let (x, y) = (objects(4000, 0), objects(4000, 1));
    let mut discrepancy = || {
        black_box(mmd(&x, &y, 2));
    };
    let mut chart = || {
        let points = (0..100_000).map(|i| (f64::from(i), f64::from(i % 97)));
        let chart = Chart::new("title", "x", "y").line("line", points);
        black_box(chart.png().expect("a picture"));
    };
    let jobs: [(&str, &mut dyn FnMut()); 3] = [
        ("100 times gradient, norm, Adam, weights of 208,840", &mut learn),
        ("MMD of 4000 against 4000 objects of 32 bits", &mut discrepancy),
        ("chart of a line of 100,000 points, as PNG", &mut chart),
    ];
    let mut times = [const { Vec::new() }; 3];
    let mut jobs = jobs;
    for _ in 0..REPEATS {
        for ((_, job), times) in jobs.iter_mut().zip(&mut times) {
            let start = Instant::now();
            job();
            times.push(start.elapsed().as_secs_f64());
        }
    }
    println!("milliseconds, {} threads", rayon::current_num_threads());
    for ((name, _), mut times) in jobs.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!("{name:52} {:8.2}", 1e3 * times[REPEATS / 2]);
    }
}
