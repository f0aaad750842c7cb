//! Twins of the kernels of a training on the device.

use super::{Host, Watch};
use crate::engine::gpu::resident::kernels::NORM_PIECE;
use crate::engine::gpu::work::Work;
use crate::engine::resident::Plan;
use crate::engine::{Batch, Coefficients};
use crate::objective::{Estimator, first_zeta};

/// Places in `verdict` and in `counters`.
const FAULT: usize = 0;
const KNOWN: usize = 1;
const DERIVATIVE: usize = 2;
const APPLIED: usize = 3;
const SCALE: usize = 4;
const ROOT: usize = 5;
const CLIPPING: usize = 6;
const RATE: usize = 7;
const CORRECTION: usize = 8;
const STEPS: usize = 0;
const LOG_Z_STEPS: usize = 1;
const STARTED: usize = 2;
const SKIPPED: usize = 3;

fn training<'a>(watch: &Watch<'a>) -> &'a (Plan, Estimator) {
    watch.training.expect("only where a training is watched")
}

pub fn weigh(watch: &Watch, work: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let (plan, estimator) = training(watch);
    let filling = watch.network.filling.as_ref().expect("only where sites are filled");
    let count = work.count as usize;
    let scale = watch.target.kernel().map_or(1.0, |kernel| kernel.scale);
    let floored = |told: f64| (scale * told).max(plan.log_reward_floor.unwrap_or(f64::NEG_INFINITY));
    let log_reward: Vec<f64> =
        host.numbers("log_rewards")[..count].iter().map(|&told| f64::from(work.beta) * floored(told)).collect();
    let log_forward = host.numbers("log_forward")[..count].iter().map(|log| log + filling.log_order(0)).collect();
    let batch = Batch { log_forward, log_backward: vec![filling.log_backward(0); count], log_reward, steps: None };
    let started = host.words("counters")[STARTED] > 0;
    let log_z = if started {
        host.numbers("log_z")[0]
    } else {
        first_zeta(&batch.log_weights(), &batch.log_reward, plan.log_reward_floor).expect("finite log-weights")
    };
    let contribution = estimator.contribution(1.0, &batch, log_z);
    let Coefficients::Trajectories(coefficients) = contribution.policy else { panic!("a coefficient a trajectory") };
    host.numbers_mut("coefficients").fill(0.0);
    host.numbers_mut("coefficients")[..count].copy_from_slice(&coefficients);
    if estimator.learns_zeta() {
        host.numbers_mut("log_z")[0] = log_z;
    }
    let verdict = host.numbers_mut("verdict");
    verdict[FAULT] = 0.0;
    verdict[KNOWN] = f64::from(u8::from(estimator.learns_zeta()));
    verdict[DERIVATIVE] = contribution.zeta.unwrap_or(0.0);
}

pub fn gradient_norm(_: &Watch, _: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let gradient = host.numbers("gradient").to_vec();
    for (piece, numbers) in gradient.chunks(4 * NORM_PIECE).enumerate().take(groups[0]) {
        let largest = numbers.iter().fold(0.0_f64, |most, number| most.max(number.abs()));
        let scale = largest.log2().floor().exp2().max(f64::from(f32::MIN_POSITIVE));
        let pieces = host.numbers_mut("norm_pieces");
        pieces[2 * piece] = scale;
        pieces[2 * piece + 1] = numbers.iter().map(|number| (number / scale).powi(2)).sum();
    }
}

pub fn decide(watch: &Watch, work: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let (plan, _) = training(watch);
    let pieces = host.numbers("norm_pieces").to_vec();
    let scale = pieces.chunks_exact(2).fold(0.0_f64, |most, piece| most.max(piece[0]));
    let root = pieces.chunks_exact(2).map(|piece| piece[1] * (piece[0] / scale).powi(2)).sum::<f64>().sqrt();
    let counters = host.words_mut("counters");
    counters[SKIPPED] = 0;
    counters[STEPS] += 1;
    let steps = counters[STEPS];
    let learns = host.numbers("verdict")[KNOWN] > 0.0;
    if learns {
        let counters = host.words_mut("counters");
        (counters[STARTED], counters[LOG_Z_STEPS]) = (1, counters[LOG_Z_STEPS] + 1);
    }
    let [rate, correction] = corrected(plan, plan.learning_rates[0] * f64::from(work.rate_factor), steps);
    let verdict = host.numbers_mut("verdict");
    let clipping = plan.clip_norm.map_or(1.0, |bound| (bound / (scale * root)).min(1.0));
    let found =
        [(APPLIED, 1.0), (SCALE, scale), (ROOT, root), (CLIPPING, clipping), (RATE, rate), (CORRECTION, correction)];
    found.into_iter().for_each(|(place, number)| verdict[place] = number);
    if learns {
        let derivative = host.numbers("verdict")[DERIVATIVE];
        let steps = host.words("counters")[LOG_Z_STEPS];
        let [rate, correction] = corrected(plan, plan.learning_rates[1] * f64::from(work.rate_factor), steps);
        let log_z = host.numbers_mut("log_z");
        let next = moved(plan, [log_z[0], log_z[1], log_z[2]], derivative, [rate, correction, 0.0]);
        log_z[..3].copy_from_slice(&next);
    }
}

pub fn adam(watch: &Watch, work: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let (plan, _) = training(watch);
    let count = 4 * watch.network.gradient as usize;
    let verdict = host.numbers("verdict").to_vec();
    let steps = host.words("counters")[STEPS];
    let shrinking = f64::from(work.rate_factor) * plan.learning_rates[0] * plan.weight_decay;
    for i in 0..count {
        let derivative = verdict[CLIPPING] * host.numbers("gradient")[i];
        let list = host.numbers_mut("optimizer");
        let before = [list[i], list[count + i], list[2 * count + i]];
        let next = moved(plan, before, derivative, [verdict[RATE], verdict[CORRECTION], shrinking]);
        (0..3).for_each(|number| list[number * count + i] = next[number]);
        if let Some(decay) = plan.average {
            let keep = decay.min((1.0 + f64::from(steps)) / (10.0 + f64::from(steps)));
            list[3 * count + i] += (1.0 - keep) * (next[0] - list[3 * count + i]);
        }
        host.numbers_mut("parameters")[i] = next[0];
    }
}

pub fn empty(watch: &Watch, _: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let count = 4 * watch.network.gradient as usize;
    let start = watch.network.start(&host.numbers("parameters")[..count]);
    host.numbers_mut("start").iter_mut().zip(start).for_each(|(to, number)| *to = f64::from(number));
}

/// The learning rate and the root of the second moment, corrected.
fn corrected(plan: &Plan, rate: f64, steps: u32) -> [f64; 2] {
    let [first, second] = plan.betas.map(|beta| 1.0 - beta.powi(steps as i32));
    [rate / first, second.sqrt().recip()]
}

/// A number and its moments after a step.
fn moved(plan: &Plan, before: [f64; 3], derivative: f64, [rate, correction, shrinking]: [f64; 3]) -> [f64; 3] {
    let [beta1, beta2] = plan.betas;
    let first = beta1 * before[1] + (1.0 - beta1) * derivative;
    let second = beta2 * before[2] + (1.0 - beta2) * derivative * derivative;
    let change = rate * first / (second.sqrt() * correction + plan.epsilon);
    [before[0] * (1.0 - shrinking) - change, first, second]
}
