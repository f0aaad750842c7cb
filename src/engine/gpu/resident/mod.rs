//! Training on the device (see [`crate::engine::resident`]).
//!
//! An iteration is the rollout and the gradient that there are, with `weigh` between them, which makes coefficients of log-weights,
//! and after them `gradient_norm`, `decide`, `adam` and `empty`, and `spread` as ever. What the host is told of it is copied into a
//! slot of its flight's buffer; flights take turns with the buffers of a ring.

pub(super) mod kernels;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::kernels::{COUNTERS, Kernels, LOG_Z, TRAINING, VERDICT, constants};
use super::GpuEngine;
use super::context::Context;
use super::recorder::Recorder;
use super::stages::{Accumulator, Quantity};
use super::work::Work;
use crate::engine::resident::{Landed, Launch, Plan, Resident, State};
use crate::engine::{BLOCK, Batch, EngineError, Rollout};

/// Iterations of a flight, if what the host is told of so many fits [`LARGEST_FLIGHT`].
const FLIGHT: u64 = 8;
/// Bytes that a flight's buffer may have.
const LARGEST_FLIGHT: u64 = 1 << 26;

/// A training that is on the device.
pub(super) struct Training {
    plan: Plan,
    kernels: Kernels,
    flights: VecDeque<Flight>,
    /// Buffers of flights that have landed.
    ring: Vec<wgpu::Buffer>,
}

/// Some iterations on their way.
struct Flight {
    iterations: usize,
    told: wgpu::Buffer,
    submission: Option<wgpu::SubmissionIndex>,
}

impl Training {
    /// Words of what is told of one iteration.
    fn slot(&self) -> usize {
        LOG_Z + VERDICT + COUNTERS + 2 * self.plan.batch
    }

    fn longest_flight(&self) -> usize {
        (LARGEST_FLIGHT / (4 * self.slot() as u64)).clamp(1, FLIGHT) as usize
    }

    /// A buffer for a flight.
    fn buffer(&mut self, context: &Context) -> Result<wgpu::Buffer, EngineError> {
        if let Some(buffer) = self.ring.pop() {
            return Ok(buffer);
        }
        let buffer = context.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("flight"),
            size: (4 * self.slot() * self.longest_flight()) as u64,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        context.check()?;
        Ok(buffer)
    }
}

impl GpuEngine {
    fn training(&mut self) -> &mut Training {
        self.training.as_mut().expect("settled before")
    }

    /// One iteration; what is told of it goes into `told` from byte `slot` on.
    fn record_iteration(&mut self, launch: &Launch, told: &wgpu::Buffer, slot: u64) -> Result<(), EngineError> {
        let count = self.training().plan.batch;
        self.record_rollout(&Rollout::sample(launch.draw, count).kept())?;
        let work = Work {
            rate_factor: launch.rate_factor as f32,
            beta: launch.beta as f32,
            count: count as u32,
            blocks: count.div_ceil(BLOCK) as u32,
            ..Work::default()
        };
        let words = |words: usize| 4 * words as u64;
        let Self { context, network, buffers, training, .. } = self;
        let Some(Training { kernels, .. }) = training.as_deref_mut() else { unreachable!("settled before") };
        let mut recorder = Recorder::new(context, buffers, &network.tiling);
        kernels.record_coefficients(&mut recorder, &work);
        recorder.copy_to(buffers.get("log_z"), told, slot, words(LOG_Z));
        recorder.finish()?;

        self.sweep(Quantity::Sums(Accumulator::Gradient))?;
        let Self { context, network, buffers, training, spread, .. } = self;
        let Some(Training { kernels, .. }) = training.as_deref_mut() else { unreachable!("settled before") };
        let mut recorder = Recorder::new(context, buffers, &network.tiling);
        kernels.record_decision(&mut recorder, network, &work);
        kernels.record_step(&mut recorder, network, &work);
        spread.record(&mut recorder, network);
        let mut place = slot + words(LOG_Z);
        for (name, count) in
            [("verdict", VERDICT), ("counters", COUNTERS), ("log_forward", count), ("log_rewards", count)]
        {
            recorder.copy_to(buffers.get(name), told, place, words(count));
            place += words(count);
        }
        self.held = self.held.outdated();
        recorder.finish()
    }

    /// What a slot says.
    fn landed(&mut self, words: &[u32]) -> Result<Landed, EngineError> {
        let (log_z, rest) = words.split_at(LOG_Z);
        let (verdict, rest) = rest.split_at(VERDICT);
        let (counters, rest) = rest.split_at(COUNTERS);
        let numbers = |words: &[u32]| words.iter().map(|&word| f32::from_bits(word)).collect::<Vec<f32>>();
        let (log_forward, log_rewards) = rest.split_at(rest.len() / 2);
        let verdict = numbers(verdict);
        let [_, known, _, applied, scale, root, ..] = verdict[..] else { unreachable!("as many as there are") };
        let log_forward = numbers(log_forward).into_iter().map(f64::from).collect();
        let log_reward = self.reward.told(&numbers(log_rewards));
        let mut batch = Batch { log_forward, log_reward, ..Batch::default() };
        self.complete(0, false, &mut batch)?;
        Ok(Landed {
            batch,
            log_z: (known > 0.0).then(|| wide(log_z)[0]),
            gradient_norm: f64::from(scale) * f64::from(root),
            applied: applied > 0.0,
            halted: counters[4] > 0,
        })
    }
}

impl Resident for GpuEngine {
    fn settle(&mut self, plan: &Plan) -> Result<(), EngineError> {
        let refused = |what: &str| {
            Err(EngineError::Limit(format!(
                "optimizer.location = \"device\": {what}: take optimizer.location = \"host\""
            )))
        };
        let Some(filling) = &self.network.filling else {
            return refused(
                "it is for processes that fill sites in an order that is not learned, whose log P_B is a constant",
            );
        };
        if self.reward.is_on_host() {
            return refused(
                "the target's log R is told on the host, for want of WGSL (Target::kernel) that this adapter takes",
            );
        }
        let log_constant = filling.log_backward(0) - filling.log_order(0) - plan.log_prefix;
        let text = constants(plan, log_constant, self.reward.scale());
        let sources = self.stages.sources().with_constants(TRAINING, text);
        let lists = if plan.average.is_some() { 4 } else { 3 };
        let kernels = Kernels::new(&self.context, &mut self.buffers, &self.network, &sources, lists)?;
        let (plan, flights, ring) = (plan.clone(), VecDeque::new(), Vec::new());
        self.training = Some(Box::new(Training { plan, kernels, flights, ring }));
        Ok(())
    }

    fn put(&mut self, state: &State) -> Result<(), EngineError> {
        let parameters: Vec<f32> = state.parameters.iter().map(|&value| value as f32).collect();
        let [first, second] = &state.moments;
        let optimizer: Vec<u64> = [&state.parameters, first, second]
            .into_iter()
            .chain(&state.average)
            .flatten()
            .map(|value| value.to_bits())
            .collect();
        let counters =
            [state.steps as u32, state.log_z_steps as u32, u32::from(state.log_z_started), state.skipped_in_a_row, 0];
        let Self { context, network, buffers, training, spread, .. } = self;
        let Some(Training { kernels, .. }) = training.as_deref_mut() else { unreachable!("settled before") };
        buffers.write(context, "optimizer", &optimizer);
        buffers.write(context, "parameters", &parameters);
        buffers.write(context, "log_z", &state.log_z.map(f64::to_bits));
        buffers.write(context, "counters", &counters);
        let mut recorder = Recorder::new(context, buffers, &network.tiling);
        kernels.record_start(&mut recorder, network);
        spread.record(&mut recorder, network);
        self.held = self.held.outdated();
        recorder.finish()
    }

    fn get(&mut self) -> Result<State, EngineError> {
        let (length, averages) = (4 * self.network.gradient as usize, self.training().plan.average.is_some());
        let lists = if averages { 4 } else { 3 };
        let parts = [("optimizer", 2 * lists * length), ("log_z", LOG_Z), ("counters", COUNTERS)];
        let [optimizer, log_z, counters] = self.buffers.read_parts::<u32, 3>(&self.context, parts)?;
        let optimizer = wide(&optimizer);
        let list = |index: usize| optimizer[index * length..][..length].to_vec();
        Ok(State {
            parameters: list(0),
            moments: [list(1), list(2)],
            average: averages.then(|| list(3)),
            steps: counters[0].into(),
            log_z: wide(&log_z).try_into().expect("three numbers"),
            log_z_steps: counters[1].into(),
            log_z_started: counters[2] > 0,
            skipped_in_a_row: counters[3],
        })
    }

    fn longest_flight(&self) -> usize {
        self.training.as_ref().expect("settled before").longest_flight()
    }

    fn launch(&mut self, iterations: &[Launch]) -> Result<(), EngineError> {
        let Self { training, context, .. } = self;
        let training = training.as_mut().expect("settled before");
        let (told, slot) = (training.buffer(context)?, 4 * training.slot() as u64);
        for (launch, index) in iterations.iter().zip(0..) {
            self.record_iteration(launch, &told, index * slot)?;
        }
        self.context.pending.submit(&self.context);
        told.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        let submission = self.context.pending.last();
        self.training().flights.push_back(Flight { iterations: iterations.len(), told, submission });
        self.context.check()
    }

    fn land(&mut self) -> Result<Vec<Landed>, EngineError> {
        let Some(Flight { iterations, told, submission }) = self.training().flights.pop_front() else {
            return Ok(Vec::new());
        };
        self.context.wait_for(submission)?;
        let fault = |error| EngineError::Device(format!("{}: cannot read back: {error}", self.context.adapter));
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&told.slice(..).get_mapped_range().map_err(fault)?);
        told.unmap();
        let slot = self.training().slot();
        self.training().ring.push(told);
        words.chunks_exact(slot).take(iterations).map(|words| self.landed(words)).collect()
    }
}

/// Numbers of two words, the low one first.
pub(super) fn wide(words: &[u32]) -> Vec<f64> {
    let number = |pair: &[u32]| f64::from_bits(u64::from(pair[0]) | u64::from(pair[1]) << 32);
    words.chunks_exact(2).map(number).collect()
}
