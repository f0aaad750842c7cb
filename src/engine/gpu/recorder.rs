//! Dispatches written down, in pieces that no watchdog minds.
//!
//! Every dispatch passes through here, and this is the one place that knows how much an adapter takes at once: what has more
//! workgroups than a dimension may have, or more work than a dispatch should, is launched in pieces. Workgroups ask
//! shaders/lib/work.wgsl for their place in the whole, so a piece computes the bits that it would have as a part of it.

use super::buffers::Buffers;
use super::context::Context;
use super::kernel::Kernel;
use super::tiling::Tiling;
use super::work::Work;
use crate::engine::EngineError;

/// Distance of dynamic offsets that every adapter takes.
const STRIDE: usize = 256;
/// Dispatches in one submission.
const MOST: usize = 512;
/// Multiply-adds of one submission, in those of one dispatch.
const DISPATCHES: f64 = 8.0;

/// Loop iterations of one invocation: Mesa's software drivers leave all loops of a shader after 65535 in total.
pub(super) const ITERATIONS: usize = 65_000;

/// What a loop iteration of a guide or of a target's log R costs, in multiply-adds: some look-ups that wait for each
/// other.
pub(super) const LOOPED: f64 = 40.0;

/// Records dispatches on buffers: see pending.rs for when they are submitted.
pub(super) struct Recorder<'a> {
    context: &'a Context,
    buffers: &'a Buffers,
    /// What those in the next submission are told, beside what is there from before.
    works: Vec<u8>,
    /// Multiply-adds that one dispatch may have.
    most: f64,
    /// The first dispatch that cannot be.
    fault: Option<EngineError>,
}

impl<'a> Recorder<'a> {
    /// Makes the uniform buffer of [`Work`] that recorders fill.
    pub fn prepare(context: &Context, buffers: &mut Buffers) -> Result<(), EngineError> {
        buffers.uniform(context, Work::BUFFER, (STRIDE * MOST) as u64)
    }

    pub fn new(context: &'a Context, buffers: &'a Buffers, tiling: &Tiling) -> Self {
        Self { context, buffers, works: Vec::new(), most: tiling.dispatch as f64, fault: None }
    }

    /// How many of `count` things of `cost` multiply-adds each are enough for one dispatch: at least one. For what one
    /// workgroup does one after the other; workgroups are told apart by [`Recorder::dispatch`].
    pub fn share(&self, count: usize, cost: f64) -> usize {
        ((self.most / cost.max(1.0)) as usize).clamp(1, count.max(1))
    }

    /// Sets a buffer to zero.
    pub fn clear(&mut self, name: &str) {
        let buffer = self.buffers.get(name);
        self.context.pending.record(self.context, 0, 0.0, |encoder| encoder.clear_buffer(buffer, 0, None));
    }

    /// Copies the first `bytes` of a buffer to another one.
    pub fn copy(&mut self, from: &wgpu::Buffer, to: &wgpu::Buffer, bytes: u64) {
        self.copy_to(from, to, 0, bytes);
    }

    /// Copies the first `bytes` of a buffer to another one, from its byte `place` on.
    pub fn copy_to(&mut self, from: &wgpu::Buffer, to: &wgpu::Buffer, place: u64, bytes: u64) {
        let copy = |encoder: &mut wgpu::CommandEncoder| encoder.copy_buffer_to_buffer(from, 0, to, place, bytes);
        self.context.pending.record(self.context, 0, 0.0, copy);
    }

    /// Runs `kernel` on `work` in `groups` workgroups, which must not depend on each other; `cost` is the number of
    /// multiply-adds of all of them. No groups are nothing to do.
    pub fn dispatch(&mut self, kernel: &mut Kernel, work: &Work, groups: [usize; 3], cost: f64) {
        if self.fault.is_some() || groups.contains(&0) {
            return;
        }
        let invocations = groups.iter().zip(kernel.group()).map(|(groups, size)| groups.saturating_mul(size as usize));
        if let Some(most) = invocations.max().filter(|&most| most > u32::MAX as usize) {
            self.fault = Some(EngineError::Limit(format!(
                "the kernel `{}` would need {groups:?} workgroups, {most} invocations in a row, and kernels count up to {} \
                 on {}: make the batch smaller, or hidden layers narrower",
                kernel.name(),
                u32::MAX,
                self.context.adapter.name
            )));
            return;
        }
        #[cfg(test)]
        let watched = super::twins::is_watching().then(|| {
            self.submit();
            super::twins::Dispatch::before(self.context, self.buffers, kernel, work, groups)
        });
        let each = cost / groups.iter().product::<usize>() as f64;
        let most = if each > 0.0 { (self.most / each) as usize } else { usize::MAX };
        let limit = self.context.limits.max_compute_workgroups_per_dimension as usize;
        for (first, count) in pieces(groups, limit, most) {
            let [first_x, first_y, first_z] = first.map(|group| group as u32);
            let piece = Work { first_x, first_y, first_z, ..*work };
            self.launch(kernel, &piece, count, each * count.iter().product::<usize>() as f64);
        }
        #[cfg(test)]
        if let Some(watched) = watched {
            self.submit();
            watched.after(self.context, self.buffers, kernel);
        }
    }

    /// What fits a dispatch, in a submission that has room for it.
    fn launch(&mut self, kernel: &mut Kernel, work: &Work, groups: [usize; 3], cost: f64) {
        let (context, buffers) = (self.context, self.buffers);
        let pending = context.pending.cost();
        let full = buffers.recorded(context) + self.works.len() == STRIDE * MOST;
        if full || (pending > 0.0 && pending + cost > DISPATCHES * self.most) {
            self.submit();
        }
        let own = self.works.len();
        let offset = (buffers.recorded(context) + own) as u32;
        self.works.extend_from_slice(bytemuck::bytes_of(work));
        self.works.resize(own + STRIDE, 0);
        context.pending.record(context, 1, cost, |encoder| {
            let mut passes = context.passes.borrow_mut();
            let timestamp_writes = passes.as_mut().and_then(|passes| passes.next(kernel.name()));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            kernel.dispatch(context, buffers, &mut pass, offset, groups.map(|count| count as u32));
        });
    }

    /// Submits what was recorded.
    fn submit(&mut self) {
        self.note();
        self.context.pending.submit(self.context);
    }

    /// Writes down what the dispatches recorded are told.
    fn note(&mut self) {
        if !self.works.is_empty() {
            self.buffers.write_works(self.context, &self.works);
            self.works.clear();
        }
    }

    /// Leaves what was recorded to the next submission.
    ///
    /// # Errors
    /// `Limit` if a dispatch could not be recorded, `Device` if the driver failed.
    pub fn finish(mut self) -> Result<(), EngineError> {
        self.note();
        match self.fault {
            Some(fault) => Err(fault),
            None => self.context.check(),
        }
    }
}

/// The first group and the number of groups of each piece of a dispatch, where a piece has at most `limit` groups in a
/// dimension and `most` in all, but at least one.
fn pieces(groups: [usize; 3], limit: usize, most: usize) -> impl Iterator<Item = ([usize; 3], [usize; 3])> {
    let mut left = most.max(1);
    let size = groups.map(|count| {
        let size = count.min(limit).min(left).max(1);
        left = (left / size).max(1);
        size
    });
    let count = move |first: [usize; 3]| std::array::from_fn(|axis| size[axis].min(groups[axis] - first[axis]));
    let columns =
        (0..groups[2]).step_by(size[2]).flat_map(move |z| (0..groups[1]).step_by(size[1]).map(move |y| [y, z]));
    columns.flat_map(move |[y, z]| (0..groups[0]).step_by(size[0]).map(move |x| ([x, y, z], count([x, y, z]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_group_once_and_keep_to_the_limits() {
        for groups in [[1, 1, 1], [7, 5, 3], [65_600, 1, 1], [3, 70_000, 2]] {
            for (limit, most) in [(65_535, usize::MAX), (65_535, 6), (65_535, 0), (4, 10), (2, usize::MAX), (1, 1)] {
                let mut covered = vec![false; groups.iter().product()];
                for (first, count) in pieces(groups, limit, most) {
                    assert!(count.iter().all(|&count| (1..=limit).contains(&count)));
                    assert!(count.iter().product::<usize>() <= most.max(1));
                    for z in first[2]..first[2] + count[2] {
                        for y in first[1]..first[1] + count[1] {
                            for x in first[0]..first[0] + count[0] {
                                let place = &mut covered[(z * groups[1] + y) * groups[0] + x];
                                assert!(!std::mem::replace(place, true), "twice");
                            }
                        }
                    }
                }
                assert!(covered.into_iter().all(|covered| covered), "{groups:?} within {limit}, {most}");
            }
        }
        assert_eq!(pieces([65_600, 4096, 1], 65_535, usize::MAX).count(), 2, "no more pieces than needed");
    }
}
