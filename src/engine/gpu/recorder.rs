//! Dispatches written down, then submitted in pieces that no watchdog minds.

use std::num::NonZeroU64;

use bytemuck::{Pod, Zeroable};

use super::buffers::Buffers;
use super::context::Context;
use super::kernel::Kernel;
use super::tiling::Tiling;
use crate::engine::EngineError;

/// What one dispatch works on: the twin of `Work` in shaders/lib/work.wgsl.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub(super) struct Work {
    pub key: [u32; 2],
    pub iteration: u32,
    pub first_trajectory: u32,
    pub stream: u32,
    pub block: u32,
    pub room: u32,
    pub scored_from: u32,
    pub sampled_from: u32,
    pub first_step: u32,
    pub last_step: u32,
    pub group_steps: u32,
    pub layer: u32,
    pub first_slice: u32,
    pub slices: u32,
    pub blocks: u32,
    pub count: u32,
    pub lists: u32,
}

impl Work {
    /// The uniform buffer's name in WGSL.
    pub const BUFFER: &str = "work";
    pub const SIZE: NonZeroU64 = NonZeroU64::new(size_of::<Self>() as u64).expect("not empty");
    /// Distance of dynamic offsets that every adapter takes.
    const STRIDE: usize = 256;
    /// Dispatches in one submission.
    const MOST: usize = 128;
}

/// Loop iterations of one invocation: Mesa's software drivers leave all loops of a shader after 65535 in total.
pub(super) const ITERATIONS: usize = 65_000;

/// Records dispatches and submits them.
pub(super) struct Recorder<'a> {
    context: &'a Context,
    buffers: &'a Buffers,
    works: Vec<u8>,
    encoder: wgpu::CommandEncoder,
    /// Multiply-adds recorded, and how many may be submitted at once.
    cost: f64,
    most: f64,
}

impl<'a> Recorder<'a> {
    /// Makes the uniform buffer of [`Work`] that recorders fill.
    pub fn prepare(context: &Context, buffers: &mut Buffers) -> Result<(), EngineError> {
        buffers.uniform(context, Work::BUFFER, (Work::STRIDE * Work::MOST) as u64)
    }

    pub fn new(context: &'a Context, buffers: &'a Buffers, tiling: &Tiling) -> Self {
        let encoder = context.device.create_command_encoder(&Default::default());
        Self { context, buffers, works: Vec::new(), encoder, cost: 0.0, most: tiling.dispatch as f64 }
    }

    /// How many of `count` things of `cost` multiply-adds each may go into one dispatch: at least one.
    pub fn share(&self, count: usize, cost: f64) -> usize {
        ((self.most / cost.max(1.0)) as usize).clamp(1, count.max(1))
    }

    /// Sets a buffer to zero.
    pub fn clear(&mut self, name: &str) {
        self.encoder.clear_buffer(self.buffers.get(name), 0, None);
    }

    /// Copies the first `bytes` of a buffer to another one.
    pub fn copy(&mut self, from: &wgpu::Buffer, to: &wgpu::Buffer, bytes: u64) {
        self.encoder.copy_buffer_to_buffer(from, 0, to, 0, bytes);
    }

    /// Runs `kernel` on `work` in `groups` workgroups; `cost` is its number of multiply-adds.
    pub fn dispatch(&mut self, kernel: &mut Kernel, work: &Work, groups: [usize; 3], cost: f64) {
        let full = self.works.len() == Work::STRIDE * Work::MOST;
        if full || (self.cost > 0.0 && self.cost + cost > self.most) {
            self.submit();
        }
        let offset = self.works.len();
        self.works.extend_from_slice(bytemuck::bytes_of(work));
        self.works.resize(offset + Work::STRIDE, 0);
        self.cost += cost;
        let mut pass = self.encoder.begin_compute_pass(&Default::default());
        kernel.dispatch(self.context, self.buffers, &mut pass, offset as u32, groups.map(|count| count as u32));
    }

    /// Submits what was recorded.
    pub fn submit(&mut self) {
        let next = self.context.device.create_command_encoder(&Default::default());
        let encoder = std::mem::replace(&mut self.encoder, next);
        self.buffers.write(self.context, Work::BUFFER, &self.works);
        self.context.queue.submit([encoder.finish()]);
        self.works.clear();
        self.cost = 0.0;
    }
}
