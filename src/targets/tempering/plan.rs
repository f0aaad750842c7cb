//! How long parallel tempering has to run, measured and not guessed.
//!
//! Some pilot ladders climb from inverse temperature 0, where every sweep is an exact sample, and find where the next one has to
//! be: as far away as their objects, weighted for it, are worth [`WORTH`] of their number (A. Jasra et al., "Inference for
//! Levy-driven stochastic volatility models via adaptive sequential Monte Carlo", 2011), so that a good third of the exchanges
//! pass. Then they run with exchanges, twice as long from one attempt to the next, until the second half of the run shows
//! four things: exchanges pass between all neighbours; objects that were at 0 arrive at 1, ten and more a ladder; none at 1 is
//! forbidden; and log R at 1 has an integrated autocorrelation time that the run is long compared with. If that takes more than can
//! be afforded, there is no plan, and the target has no sampler. The pilots have random numbers of their own, so that a plan
//! depends on the target alone.

use rayon::prelude::*;

use super::{HeatBath, Level, Mixing, discouragement, round};
use crate::metrics::weights;
use crate::random::{CounterRng, Draw, Stream};

/// Pilot ladders.
const PILOTS: usize = 32;

/// Sweeps of a pilot at each inverse temperature of the climb; the second half of them is measured.
const CLIMB: usize = 16;

/// Effective samples of the next rung among those of one, as a part of them. Of a Gaussian log R whose standard deviation
/// times the step is 1.2 they are exp(-1.2^2), and erfc(1.2 / 2) = 40% of the exchanges pass.
const WORTH: f64 = 0.237;

/// The least distance of an inverse temperature from 1: a forbidden term counts as e^-27 there.
const NEAREST: f64 = 1e-12;

/// Rounds of the first attempt's second half.
const SHORTEST: usize = 128;

/// Exchanges that pass, as a part of those offered, below which a ladder counts as broken.
const SMALLEST_RATE: f64 = 0.1;

/// Objects that have to come from 0 to 1 in the measured half of the run, a ladder.
const ARRIVALS: f64 = 10.0;

/// Autocorrelation times that the measured half of the run has to be long.
const RESOLUTION: f64 = 40.0;

/// Autocorrelation times from one sample to the next. What is left of an exponential's correlation is below 2%.
const APART: f64 = 4.0;

/// Samples that burn-in would have given.
const BURN_IN: usize = 10;

/// A ladder of inverse temperatures and how long to run on it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// From 0 to 1.
    pub ladder: Vec<f64>,
    /// Rounds before the first sample.
    pub burn_in: usize,
    /// Rounds from one sample to the next.
    pub rounds: usize,
    /// What the pilots saw.
    pub mixing: Mixing,
}

impl Plan {
    /// Measures a plan, or says why there is none. `most` is the work that pilots may do, in the units of [`HeatBath::work`].
    pub fn measure<B: HeatBath>(bath: &B, most: f64) -> Result<Self, String> {
        let mut pilots: Vec<Pilot> = (0..PILOTS as u32).map(|index| Pilot::new(bath, index)).collect();
        let most_sweeps = most / (PILOTS as f64 * bath.work());
        let ladder = climb(bath, &mut pilots, most_sweeps)?;
        let rungs: Vec<B::Rung> = ladder.iter().map(|&beta| bath.rung(beta)).collect();
        pilots.par_iter_mut().for_each(|pilot| pilot.start(bath, ladder.len()));
        let run = |pilots: &mut [Pilot], rounds| {
            pilots.par_iter_mut().for_each(|pilot| pilot.run(bath, &ladder, &rungs, rounds));
        };
        run(&mut pilots, SHORTEST);
        let mut length = SHORTEST;
        loop {
            run(&mut pilots, length);
            let unresolved = match judge(&pilots, &ladder, length) {
                Ok((mixing, burn_in)) => return Ok(Self { ladder, burn_in, rounds: mixing.sweeps, mixing }),
                Err(reason) => reason,
            };
            length *= 2;
            if (2 * length * ladder.len()) as f64 > most_sweeps {
                return Err(format!("after {length} rounds of {} replicas {unresolved}", ladder.len()));
            }
        }
    }
}

/// A ladder of neighbours that exchange, found by taking the pilots from inverse temperature 0 to 1.
fn climb<B: HeatBath>(bath: &B, pilots: &mut [Pilot], most_sweeps: f64) -> Result<Vec<f64>, String> {
    let affordable = most_sweeps / (2 * SHORTEST) as f64;
    let mut ladder = vec![0.0];
    loop {
        let last = ladder[ladder.len() - 1];
        if last == 1.0 {
            return Ok(ladder);
        }
        if ladder.len() as f64 >= affordable {
            let replicas = ladder.len();
            return Err(format!(
                "{replicas} replicas, as many as can be afforded, reach inverse temperature {last:.3} only"
            ));
        }
        let rung = bath.rung(last);
        let levels: Vec<Level> = pilots.par_iter_mut().flat_map_iter(|pilot| pilot.settle(bath, &rung)).collect();
        ladder.push(next(last, &levels).ok_or("none of the pilot runs finds an object that is allowed")?);
    }
}

/// The inverse temperature, above `last`, for which objects of `last` are worth [`WORTH`] of their number; none where that is nearly
/// 1 and not all the way.
fn next(last: f64, levels: &[Level]) -> Option<f64> {
    let worth = |beta: f64| {
        let stiffer = discouragement(beta) - discouragement(last);
        let log_weight = |level: &Level| {
            let forbidden = f64::from(level.forbidden);
            (beta - last) * level.log_reward + if forbidden > 0.0 { forbidden * stiffer } else { 0.0 }
        };
        let log_weights: Vec<f64> = levels.iter().map(log_weight).collect();
        weights::effective_samples(&log_weights).fraction
    };
    if worth(1.0) >= WORTH {
        return Some(1.0);
    }
    let (mut low, mut high) = (last, 1.0);
    // To the precision of a number, however small the first step.
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if worth(middle) >= WORTH { low = middle } else { high = middle }
    }
    (high < 1.0 - NEAREST && high > last).then_some(high)
}

/// What the last `length` rounds show and rounds of burn-in, or what they left open.
fn judge(pilots: &[Pilot], ladder: &[f64], length: usize) -> Result<(Mixing, usize), String> {
    let mut worst_exchange: f64 = 1.0;
    for (pair, betas) in ladder.windows(2).enumerate() {
        let passed: usize = pilots.iter().map(|pilot| pilot.exchanged[pair]).sum();
        let rate = passed as f64 / (PILOTS * length) as f64;
        if rate < SMALLEST_RATE {
            let (percent, low, high) = (100.0 * rate, betas[0], betas[1]);
            return Err(format!("{percent:.1}% of the exchanges of inverse temperatures {low:.4} and {high:.4} pass"));
        }
        worst_exchange = worst_exchange.min(rate);
    }
    if pilots.iter().any(|pilot| pilot.forbidden) {
        return Err("some of the replicas at inverse temperature 1 have not found an object that is allowed".into());
    }
    let arrivals = pilots.iter().map(|pilot| pilot.arrivals).sum::<usize>() as f64 / PILOTS as f64;
    if arrivals < ARRIVALS {
        return Err(format!(
            "{arrivals:.1} objects a ladder came from inverse temperature 0, where {ARRIVALS} would do"
        ));
    }
    let series: Vec<&[f64]> = pilots.iter().map(|pilot| pilot.log_rewards.as_slice()).collect();
    match autocorrelation_time(&series) {
        Some(time) if time * RESOLUTION <= length as f64 => {
            let sweeps = (APART * time).ceil() as usize;
            let burn_in = (sweeps * BURN_IN).max((ARRIVALS * length as f64 / arrivals).ceil() as usize);
            Ok((Mixing { rungs: ladder.len(), worst_exchange, autocorrelation: time, sweeps }, burn_in))
        }
        Some(time) => Err(format!("log R is correlated over {time:.0} rounds, too many for the run to tell")),
        None => Err("log R is correlated over a good part of the run".into()),
    }
}

/// One ladder of the measurement.
struct Pilot {
    generator: CounterRng,
    /// One byte a site, [replicas, sites].
    values: Vec<u8>,
    /// Of each replica, whether its object has been at 0 since it was last at 1.
    fresh: Vec<bool>,
    /// What the last run saw: log R at 1 after each round, whether one of these was forbidden, exchanges a pair, objects that
    /// came from 0 to 1.
    log_rewards: Vec<f64>,
    forbidden: bool,
    exchanged: Vec<usize>,
    arrivals: usize,
}

impl Pilot {
    fn new<B: HeatBath>(bath: &B, index: u32) -> Self {
        // No sampler of a user's seed begins its iterations here.
        let mut generator = Draw::new(0, u32::MAX - 2, Stream::TargetSampler).generator(index);
        let values = bath.start(&mut generator);
        let (fresh, log_rewards, exchanged) = (Vec::new(), Vec::new(), Vec::new());
        Self { generator, values, fresh, log_rewards, forbidden: false, exchanged, arrivals: 0 }
    }

    /// Sweeps the one object there is during the climb; the second half of what it goes through.
    fn settle<B: HeatBath>(&mut self, bath: &B, rung: &B::Rung) -> Vec<Level> {
        let sweep = |_| {
            bath.sweep(rung, &mut self.values, &mut self.generator);
            bath.level(&self.values)
        };
        (0..CLIMB).map(sweep).skip(CLIMB / 2).collect()
    }

    /// Begins with every replica where the sampler begins.
    fn start<B: HeatBath>(&mut self, bath: &B, replicas: usize) {
        self.values = (0..replicas).flat_map(|_| bath.start(&mut self.generator)).collect();
        self.fresh = vec![false; replicas];
    }

    /// `rounds` rounds, and what they show.
    fn run<B: HeatBath>(&mut self, bath: &B, ladder: &[f64], rungs: &[B::Rung], rounds: usize) {
        let last = ladder.len() - 1;
        self.exchanged = vec![0; last];
        (self.arrivals, self.log_rewards, self.forbidden) = (0, Vec::with_capacity(rounds), false);
        for _ in 0..rounds {
            self.fresh[0] = true;
            let levels = round(bath, ladder, rungs, &mut self.values, &mut self.generator, |pair| {
                self.fresh.swap(pair, pair + 1);
                self.exchanged[pair] += 1;
            });
            self.arrivals += usize::from(std::mem::take(&mut self.fresh[last]));
            self.log_rewards.push(levels[last].log_reward);
            self.forbidden |= levels[last].forbidden > 0;
        }
    }
}

/// The integrated autocorrelation time 1/2 + sum_t rho(t) of series of one length and one mean; none if the sum does not
/// settle within half of that length.
///
/// The sum ends at the first lag of six times its value (A. Sokal, "Monte Carlo methods in statistical mechanics",
/// 1989): beyond, an exponential has e^-6 left, and the rest is noise. What never changes has the time of independence.
fn autocorrelation_time(series: &[&[f64]]) -> Option<f64> {
    const WINDOW: f64 = 6.0;
    let (mean, variance) = moments(series.iter().flat_map(|series| series.iter().copied()));
    // What is left of numbers that are all the same is the rounding of their mean.
    if variance <= (1e-12 * mean).powi(2) {
        return Some(0.5);
    }
    let mut time: f64 = 0.5;
    for lag in 1..series[0].len() / 2 {
        let (mut sum, mut count) = (0.0, 0);
        for series in series {
            sum += series.iter().zip(&series[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
            count += series.len() - lag;
        }
        time += sum / count as f64 / variance;
        if lag as f64 >= WINDOW * time {
            return Some(time.max(0.5));
        }
    }
    None
}

/// Mean and variance.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn autocorrelation_times_of_autoregressive_series() {
        for correlation in [0.0, 0.5, 0.9] {
            let series: Vec<Vec<f64>> = (0..32)
                .map(|index| {
                    let mut generator = Draw::new(3, 0, Stream::TargetSampler).generator(index);
                    let mut value: f64 = generator.sample(StandardNormal);
                    let mut next = || {
                        let noise: f64 = generator.sample(StandardNormal);
                        value = correlation * value + (1.0 - correlation * correlation).sqrt() * noise;
                        100.0 + value
                    };
                    (0..1000).map(|_| next()).collect()
                })
                .collect();
            let series: Vec<&[f64]> = series.iter().map(Vec::as_slice).collect();
            let expected = 0.5 * (1.0 + correlation) / (1.0 - correlation);
            let found = autocorrelation_time(&series).expect("1000 steps are many");
            // Relative variance 2 (2 W + 1) / n for a window of W = 6 times, n = 32,000 numbers: 9% for the longest.
            assert!((found / expected - 1.0).abs() < 0.3, "{correlation}: {found}, expected {expected}");
        }
        let drift: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(autocorrelation_time(&[&drift, &drift]), None);
        assert_eq!(autocorrelation_time(&[&[2.0; 100]]), Some(0.5));
        assert_eq!(autocorrelation_time(&[&[0.1; 100], &[0.1; 100]]), Some(0.5));
    }

    /// `sites` bits, each an e^`field` times as likely 1 as 0, and forbidden to be 1 before the site `closed`.
    struct Bits {
        sites: usize,
        field: f64,
        closed: usize,
    }

    impl HeatBath for Bits {
        type Rung = f64;

        fn sites(&self) -> usize {
            self.sites
        }

        fn work(&self) -> f64 {
            self.sites as f64
        }

        fn rung(&self, beta: f64) -> f64 {
            beta
        }

        fn sweep(&self, beta: &f64, object: &mut [u8], generator: &mut CounterRng) {
            for (site, value) in object.iter_mut().enumerate() {
                let closed = if site < self.closed { 1.0 - beta } else { 1.0 };
                let weight = (beta * self.field).exp() * closed;
                *value = u8::from(generator.random::<f64>() * (1.0 + weight) < weight);
            }
        }

        fn level(&self, object: &[u8]) -> Level {
            let ones = |values: &[u8]| values.iter().map(|&value| u32::from(value)).sum::<u32>();
            let forbidden = ones(&object[..self.closed]);
            Level { log_reward: self.field * f64::from(ones(object)), forbidden }
        }

        fn start(&self, _: &mut CounterRng) -> Vec<u8> {
            vec![1; self.sites]
        }

        fn turn(&self, _: &mut [u8], _: &mut CounterRng) {}

        fn has(&self, _: usize, value: u8) -> bool {
            value < 2
        }
    }

    #[test]
    fn ladders_grow_with_what_is_to_be_tempered_and_their_neighbours_exchange() {
        let mut replicas = 0;
        for (sites, field, closed) in [(10, 0.5, 0), (100, 0.5, 0), (100, 2.0, 0), (100, 2.0, 40)] {
            let Plan { ladder, rounds, burn_in, mixing } =
                Plan::measure(&Bits { sites, field, closed }, 1e9).expect("independent bits mix at once");
            assert!(ladder.len() > replicas, "{ladder:?}");
            replicas = ladder.len();
            assert_eq!((ladder[0], ladder[replicas - 1]), (0.0, 1.0));
            assert!(ladder.windows(2).all(|pair| pair[0] < pair[1]), "{ladder:?}");
            assert!(rounds >= 2 && burn_in >= 10 * rounds);
            assert_eq!((mixing.rungs, mixing.sweeps), (replicas, rounds));
            assert!(mixing.worst_exchange > SMALLEST_RATE && mixing.autocorrelation < 2.0, "{mixing:?}");
        }
    }

    #[test]
    fn what_cannot_be_afforded_is_refused_with_its_reason() {
        let error = Plan::measure(&Bits { sites: 1000, field: 9.0, closed: 0 }, 1e7).unwrap_err();
        assert!(error.contains("as many as can be afforded"), "{error}");
    }

    #[test]
    fn what_is_not_equilibrated_is_told_apart() {
        let judged = |bath: &Bits, ladder: &[f64], rounds: usize| {
            let rungs: Vec<f64> = ladder.to_vec();
            let mut pilots: Vec<Pilot> = (0..PILOTS as u32).map(|index| Pilot::new(bath, index)).collect();
            pilots.iter_mut().for_each(|pilot| {
                pilot.start(bath, ladder.len());
                pilot.run(bath, ladder, &rungs, rounds);
            });
            judge(&pilots, ladder, rounds)
        };
        // Neighbours so far apart that hardly any exchange passes.
        let bath = Bits { sites: 100, field: 2.0, closed: 0 };
        let error = judged(&bath, &[0.0, 1.0], 200).unwrap_err();
        assert!(error.contains("of the exchanges of inverse temperatures 0.0000 and 1.0000 pass"), "{error}");
        // A whole ladder, run for too short a time.
        let ladder = Plan::measure(&bath, 1e9).unwrap().ladder;
        let error = judged(&bath, &ladder, 4).unwrap_err();
        assert!(error.contains("came from inverse temperature 0"), "{error}");
        assert!(judged(&bath, &ladder, 400).is_ok());
    }

    #[test]
    fn where_nothing_that_is_allowed_is_found_the_climb_ends() {
        let level = |forbidden| Level { log_reward: 1.0, forbidden };
        assert_eq!(next(0.0, &[level(0); 8]), Some(1.0), "where nothing changes one step is enough");
        assert_eq!(next(0.0, &[level(1); 8]), None);
        let beta = next(0.5, &[&[level(3); 30][..], &[level(0); 2]].concat()).unwrap();
        assert!(beta > 0.5 && beta < 1.0, "{beta}");
    }
}
