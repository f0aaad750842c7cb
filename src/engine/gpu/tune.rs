//! Sizes of kernels chosen by timing them on the adapter.
//!
//! Candidates take turns, so that what else the machine does hits all alike, and medians are compared. Sizes that a kernel set does
//! not look at stay as suggested, and so does what is less than [`GAIN`] slower than the best.

use std::time::{Duration, Instant};

use super::shape::Shapes;
use super::stages::workgroups;
use super::tiling::Tiling;
use super::{GpuEngine, KernelSet};
use crate::engine::{BLOCK, Coefficients, Differentiate, EngineError, Roll, Rollout};
use crate::random::{Draw, Stream};

/// Turns that medians are taken of, where there is time for so many.
const TURNS: usize = 5;
/// By how much the suggestion has to be beaten.
const GAIN: f64 = 1.02;
/// Seconds that a dispatch may take: systems reset a device that does not answer for two.
const DISPATCH: f64 = 0.05;
/// A budget that is not worth splitting anything for.
const LEAST_DISPATCH: f64 = 1e8;
/// Height and width of a tile in quads, and trajectories of a workgroup, that the software kernels are tried with.
const TILES: [[usize; 3]; 5] = [[2, 2, 32], [4, 2, 32], [1, 4, 32], [2, 4, 64], [2, 4, 16]];

/// How long a candidate took.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// What it did.
    pub work: String,
    /// Which it was.
    pub candidate: String,
    /// Median over turns.
    pub milliseconds: f64,
    /// Whether it is what does this work from now on.
    pub chosen: bool,
}

/// What was chosen, and why.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The sizes.
    pub tiling: Tiling,
    /// All that was timed.
    pub timings: Vec<Timing>,
}

/// Chooses the sizes of the kernels that engines which `make` makes run, on batches of 64 up to `largest` trajectories: larger ones
/// are left out once `limit` has passed. (Kernels that are being compiled are waited for.)
///
/// # Errors
/// What `make` and the engines say.
pub fn tune(
    largest: usize,
    limit: Duration,
    make: impl Fn(Option<Tiling>) -> Result<GpuEngine, EngineError>,
) -> Result<Tuned, EngineError> {
    let end = Instant::now() + limit;
    let make = |tiling: Option<Tiling>| {
        let mut engine = make(tiling)?;
        engine.set_parameters(&vec![0.01; engine.network.layout.parameters()])?;
        Ok::<_, EngineError>(engine)
    };
    let usual = make(None)?;
    match usual.network.set {
        KernelSet::Hardware => {
            let other = Tiling { small_quads: 2, large_quads: 1, gradient_tile: 64, ..usual.network.tiling };
            let third = Tiling { large_split: true, ..usual.network.tiling };
            hardware([usual, make(Some(other))?, make(Some(third))?], largest, end)
        }
        KernelSet::Software => software(usual, make, largest, end),
    }
}

/// The tiles that roll out and differentiate a small batch in the least time.
fn software(
    usual: GpuEngine,
    make: impl Fn(Option<Tiling>) -> Result<GpuEngine, EngineError>,
    largest: usize,
    end: Instant,
) -> Result<Tuned, EngineError> {
    let (count, suggested) = (largest.min(2 * BLOCK), usual.network.tiling);
    let widest = 4 * usual.network.widest();
    let mut engines = vec![usual];
    for [rows, units, trajectories] in TILES {
        engines.push(make(Some(suggested.with_tiles(rows, units, trajectories, widest)))?);
    }
    let times = turns(&mut engines, end, |engine| Ok([rollout(engine, count)? + gradient(engine, count)?]))?;
    let best = pick(&times.iter().map(|[time]| *time).collect::<Vec<_>>());
    let timings = engines.iter().zip(&times).enumerate().map(|(index, (engine, [seconds]))| {
        let Tiling { rows, units, trajectories, .. } = engine.network.tiling;
        Timing {
            work: format!("rollout and gradient of {count}"),
            candidate: format!("tiles of {rows} x {units} quads, {trajectories} trajectories a workgroup"),
            milliseconds: 1e3 * seconds,
            chosen: index == best,
        }
    });
    Ok(Tuned { timings: timings.collect(), tiling: engines[best].network.tiling })
}

/// Seconds of the work of one size by each engine: a rollout by their kernel for small batches, by that for large ones, a
/// gradient that goes back through all layers at once, and one that does layer by layer.
type Row = (usize, Vec<[f64; 4]>);

/// For each kernel the best of the engines' shapes, and from where on the ways for large batches are the faster ones.
fn hardware(mut engines: [GpuEngine; 3], largest: usize, end: Instant) -> Result<Tuned, EngineError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut count = BLOCK.min(largest);
    while count <= largest && (rows.is_empty() || Instant::now() < end) {
        let times = turns(&mut engines, end, |engine| {
            // Every gradient comes after a rollout: deltas of one batch are made once.
            (engine.network.tiling.large_from, engine.network.tiling.fused_below) = (0, 0);
            if engine.network.tiling.large_split {
                // In all else it is the first one.
                return Ok([f64::INFINITY, rollout(engine, count)?, f64::INFINITY, f64::INFINITY]);
            }
            let large = [rollout(engine, count)?, gradient(engine, count)?];
            (engine.network.tiling.large_from, engine.network.tiling.fused_below) = (usize::MAX, usize::MAX);
            let small = [rollout(engine, count)?, gradient(engine, count)?];
            Ok([small[0], large[0], small[1], large[1]])
        })?;
        rows.push((count, times));
        count *= 2;
    }
    let of = |(_, times): &Row, kernel: usize| times.iter().map(|times| times[kernel]).collect::<Vec<_>>();
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    let tile = pick(&of(last, 3));
    let best = [pick(&of(first, 0)), pick(&of(last, 1)), tile, tile];
    let trajectories = |engine: &GpuEngine| {
        Shapes::of(&engine.network).map_or([engine.network.tiling.trajectories; 2], |shapes| {
            [shapes.small, shapes.large].map(|shape| shape.trajectories())
        })
    };
    let of_large = trajectories(&engines[best[1]])[1];
    // Where the ways for small batches are as fast to the end, larger ones than were timed are large.
    let large_of = |[small, large]: [usize; 2]| {
        let is_large = |(_, times): &&Row| times[best[large]][large] < times[best[small]][small];
        rows.iter().rev().take_while(is_large).last().map_or(2 * last.0, |(count, _)| *count)
    };
    let many = [large_of([0, 1]), large_of([2, 3])];
    let [small, large, _, tile] = best.map(|index| engines[index].network.tiling);
    let tiling = Tiling {
        small_quads: small.small_quads,
        large_quads: large.large_quads,
        large_split: large.large_split,
        large_from: many[0] / of_large,
        gradient_tile: tile.gradient_tile,
        fused_below: workgroups(&engines[0].network, many[1], engines[0].network.states()),
        dispatch: budget(&engines[0], &rows, best, many).unwrap_or(small.dispatch),
        ..small
    };
    let mut timings = Vec::new();
    for (count, times) in &rows {
        let timed = |&(kernel, index): &(usize, usize)| times[index][kernel].is_finite();
        for (kernel, index) in (0..4).flat_map(|kernel| [0, 1, 2].map(|index| (kernel, index))).filter(timed) {
            let (engine, large) = (&engines[index], kernel % 2);
            let tile = engine.network.tiling.gradient_tile;
            timings.push(Timing {
                work: format!("{} of {count}", ["rollout", "gradient"][kernel / 2]),
                candidate: match kernel {
                    0 | 1 => format!("{}, {} a workgroup", ["small", "large"][large], trajectories(engine)[large]),
                    _ => format!("{}, tiles of {tile} x {tile}", ["all layers at once", "layer by layer"][large]),
                },
                milliseconds: 1e3 * times[index][kernel],
                chosen: index == best[kernel] && (large == 1) == (*count >= many[kernel / 2]),
            });
        }
    }
    Ok(Tuned { tiling, timings })
}

/// Multiply-adds that a dispatch should have at the least rate that any stage ran at; none where a network has no products to
/// reckon by.
fn budget(engine: &GpuEngine, rows: &[Row], best: [usize; 4], many: [usize; 2]) -> Option<u64> {
    let network = &engine.network;
    let rates = rows.iter().flat_map(|(count, times)| {
        let products = network.products() * (network.states() * count.div_ceil(BLOCK)) as f64;
        let seconds = [0, 1].map(|work| 2 * work + usize::from(*count >= many[work])).map(|way| times[best[way]][way]);
        [products / seconds[0], 2.0 * products / seconds[1]]
    });
    let least = rates.fold(f64::INFINITY, f64::min);
    (least > 0.0).then(|| (least * DISPATCH).max(LEAST_DISPATCH) as u64)
}

/// Median seconds of each part of `work`, engine by engine, over turns that follow one that warms up.
fn turns<const PARTS: usize>(
    engines: &mut [GpuEngine],
    end: Instant,
    work: impl Fn(&mut GpuEngine) -> Result<[f64; PARTS], EngineError>,
) -> Result<Vec<[f64; PARTS]>, EngineError> {
    let mut times = vec![Vec::new(); engines.len()];
    for turn in 0..=TURNS {
        if turn > 1 && Instant::now() >= end {
            break;
        }
        for (engine, times) in engines.iter_mut().zip(&mut times) {
            let taken = work(engine)?;
            if turn > 0 {
                times.push(taken);
            }
        }
    }
    let medians = |times: &Vec<[f64; PARTS]>| std::array::from_fn(|part| median(times.iter().map(|time| time[part])));
    Ok(times.iter().map(medians).collect())
}

fn median(times: impl Iterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The place of the least time, the first one being the suggestion's.
fn pick(times: &[f64]) -> usize {
    let best = (0..times.len()).min_by(|&a, &b| times[a].total_cmp(&times[b])).unwrap_or(0);
    if times[best] * GAIN < times[0] { best } else { 0 }
}

/// Seconds of a rollout that keeps what its gradient needs.
fn rollout(engine: &mut GpuEngine, count: usize) -> Result<f64, EngineError> {
    let request = Rollout::sample(Draw::new(0, 0, Stream::Training), count).kept();
    let start = Instant::now();
    engine.rollout(&request)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of the gradient of the batch held.
fn gradient(engine: &mut GpuEngine, count: usize) -> Result<f64, EngineError> {
    let mut total = vec![0.0; engine.arrangement().length()];
    let coefficients = Coefficients::Trajectories(vec![1.0; count]);
    let start = Instant::now();
    engine.accumulate(&coefficients, &mut total)?;
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::gpu::GpuOptions;
    use crate::network::{Activation, Layout};
    use crate::process::{Order, Process, SiteFilling};
    use crate::targets::Target;
    use crate::targets::ising::Ising;

    fn tuned(kernels: KernelSet, largest: usize, limit: Duration) -> Tuned {
        let ising = Arc::new(Ising::new(3, 0.4).unwrap());
        let process = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: ising.encoding() };
        let layout = Layout::new(process.columns(), &[24, 16], process.outputs());
        tune(largest, limit, |tiling| {
            let options = GpuOptions { tiling, kernels: Some(kernels), ..GpuOptions::default() };
            GpuEngine::new(process.clone(), layout.clone(), Activation::Swish, ising.clone(), options)
        })
        .unwrap()
    }

    #[test]
    fn one_candidate_is_chosen_for_each_kind_of_work() {
        for (kernels, candidates) in [(KernelSet::Software, vec![6]), (KernelSet::Hardware, vec![5, 4, 5, 4])] {
            let Tuned { tiling, timings } = tuned(kernels, 128, Duration::from_secs(60));
            assert_eq!(tiling.fault(), None);
            let works = timings.chunk_by(|a, b| a.work == b.work);
            assert_eq!(works.clone().map(<[Timing]>::len).collect::<Vec<_>>(), candidates, "{timings:?}");
            assert!(works.clone().all(|work| work.iter().filter(|timing| timing.chosen).count() == 1), "{timings:?}");
            assert!(timings.iter().all(|timing| timing.milliseconds > 0.0), "{timings:?}");
        }
    }

    #[test]
    fn what_there_is_no_time_for_is_left_out() {
        let Tuned { tiling, timings } = tuned(KernelSet::Hardware, 1 << 20, Duration::ZERO);
        assert_eq!(timings.len(), 9, "{timings:?}");
        assert_eq!(tiling.fault(), None);
    }

    #[test]
    fn a_suggestion_stays_unless_it_is_beaten_clearly() {
        assert_eq!(pick(&[1.0, 0.99, 1.2]), 0);
        assert_eq!(pick(&[1.0, 0.9, 0.8]), 2);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    }
}
