//! What a bench asks an engine: what it runs on, and how long each kernel took, by the device's own clock: a time stamp before and after every dispatch, while somebody asks.

use super::context::Context;
use super::{GpuEngine, KernelSet};
use crate::engine::{AdapterDescription, EngineError};

/// Dispatches that are timed between two readings: a set of queries has no more than 4096.
const MOST: usize = 2048;

/// One dispatch, or a piece of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// The kernel's name.
    pub kernel: String,
    /// From when the first invocation could start until the last one had ended.
    pub nanoseconds: f64,
}

/// The time stamps of dispatches recorded since the last reading.
pub(super) struct Passes {
    queries: wgpu::QuerySet,
    kernels: Vec<String>,
    /// Dispatches that there was no room for.
    missed: usize,
}

impl Passes {
    fn new(context: &Context) -> Self {
        let queries = context.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("passes"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * MOST as u32,
        });
        Self { queries, kernels: Vec::new(), missed: 0 }
    }

    /// What the next pass, of this kernel, is to write.
    pub fn next(&mut self, kernel: &str) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        if self.kernels.len() == MOST {
            self.missed += 1;
            return None;
        }
        let first = 2 * self.kernels.len() as u32;
        self.kernels.push(kernel.into());
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        })
    }
}

impl GpuEngine {
    /// What it runs on.
    pub fn description(&self) -> &AdapterDescription {
        &self.context.adapter
    }

    /// Which kernels run.
    pub fn kernels(&self) -> KernelSet {
        self.network.set
    }

    /// From here on every dispatch is timed, where the adapter has a clock (TIMESTAMP_QUERY); says whether it has.
    pub fn time_passes(&mut self) -> bool {
        let has_clock = self.context.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        *self.context.passes.borrow_mut() = has_clock.then(|| Passes::new(&self.context));
        has_clock
    }

    /// The dispatches since [`GpuEngine::time_passes`], in order, all of which have then ended; no more are timed. None if there is
    /// no clock, or if there were more of them than it holds (2048).
    ///
    /// # Errors
    /// `Device` if the driver fails.
    pub fn passes(&mut self) -> Result<Option<Vec<Pass>>, EngineError> {
        let context = &self.context;
        context.pending.submit(context);
        let Some(Passes { queries, kernels, missed: 0 }) = context.passes.borrow_mut().take() else { return Ok(None) };
        if kernels.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let size = 16 * kernels.len() as u64;
        let buffer = |usage| {
            context.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let read = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = context.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&queries, 0..2 * kernels.len() as u32, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &read, 0, size);
        context.queue.submit([encoder.finish()]);
        read.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        context.wait()?;
        let fault = |error| EngineError::Device(format!("{}: cannot read back: {error}", context.adapter));
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&read.slice(..).get_mapped_range().map_err(fault)?);
        let period = f64::from(context.queue.get_timestamp_period());
        let pass = |(kernel, stamps): (String, &[u64])| Pass {
            kernel,
            nanoseconds: stamps[1].saturating_sub(stamps[0]) as f64 * period,
        };
        Ok(Some(kernels.into_iter().zip(stamps.chunks_exact(2)).map(pass).collect()))
    }
}
