//! What the host does beside training: the maximum mean discrepancy of an evaluation and the pictures of a report.
//!
//! `cargo bench --bench host` takes the jobs in turn, over and over, and prints medians: what else runs on the machine
//! meets all of them alike.

use std::hint::black_box;
use std::time::Instant;

use wgflow::data::{Coding, DataSet};
use wgflow::metrics::mmd::mmd;
use wgflow::process::Objects;
use wgflow::random::{Draw, Stream};
use wgflow::report::Chart;

const REPEATS: usize = 9;

/// Coded points of a data set, as an evaluation of the densities task compares them.
fn objects(count: usize, iteration: u32) -> Objects {
    let coding = Coding::new(DataSet::Moons, 32).expect("the paper's number of bits");
    coding.encode(&DataSet::Moons.points(&Draw::new(1, iteration, Stream::Data), count))
}

fn main() {
    let (x, y) = (objects(4000, 0), objects(4000, 1));
    let discrepancy = || {
        black_box(mmd(&x, &y, 2));
    };
    let chart = || {
        let points = (0..100_000).map(|i| (f64::from(i), f64::from(i % 97)));
        let chart = Chart::new("title", "x", "y").line("line", points);
        black_box(chart.png().expect("a picture"));
    };
    let jobs: [(&str, &dyn Fn()); 2] = [
        ("MMD of 4000 against 4000 objects of 32 bits", &discrepancy),
        ("chart of a line of 100,000 points, as PNG", &chart),
    ];
    let mut times = jobs.map(|_| Vec::new());
    for _ in 0..REPEATS {
        for ((_, job), times) in jobs.iter().zip(&mut times) {
            let start = Instant::now();
            job();
            times.push(start.elapsed().as_secs_f64());
        }
    }
    println!("milliseconds, {} threads", rayon::current_num_threads());
    for ((name, _), mut times) in jobs.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!("{name:45} {:8.1}", 1e3 * times[REPEATS / 2]);
    }
}
