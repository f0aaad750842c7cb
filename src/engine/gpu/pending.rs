//! Commands on their way to the device.
//!
//! Stages record one after the other into the same list, which is submitted when somebody waits for a result, when as much is
//! gathered as a submission should have, or when a buffer is written that recorded commands may read: what the host writes
//! comes before all that is submitted with it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::context::Context;
use crate::engine::Counts;

/// What has been recorded and not submitted, and what has been done so far.
#[derive(Default)]
pub(super) struct Pending {
    encoder: RefCell<Option<wgpu::CommandEncoder>>,
    /// Multiply-adds in it.
    cost: Cell<f64>,
    counts: Cell<Counts>,
    /// The last submission.
    last: RefCell<Option<wgpu::SubmissionIndex>>,
}

impl Pending {
    /// Records by `record`, which launches `dispatches` kernels of `cost` multiply-adds in all.
    pub fn record(
        &self,
        context: &Context,
        dispatches: u64,
        cost: f64,
        record: impl FnOnce(&mut wgpu::CommandEncoder),
    ) {
        let mut encoder = self.encoder.borrow_mut();
        record(encoder.get_or_insert_with(|| context.device.create_command_encoder(&Default::default())));
        self.cost.set(self.cost.get() + cost);
        let counts = self.counts.get();
        self.counts.set(Counts { dispatches: counts.dispatches + dispatches, ..counts });
    }

    /// Multiply-adds recorded.
    pub fn cost(&self) -> f64 {
        self.cost.get()
    }

    /// Submits what was recorded, if anything.
    pub fn submit(&self, context: &Context) {
        let Some(encoder) = self.encoder.borrow_mut().take() else { return };
        *self.last.borrow_mut() = Some(context.queue.submit([encoder.finish()]));
        self.cost.set(0.0);
        let counts = self.counts.get();
        self.counts.set(Counts { submits: counts.submits + 1, ..counts });
    }

    /// The last submission, if there was one.
    pub fn last(&self) -> Option<wgpu::SubmissionIndex> {
        self.last.borrow().clone()
    }

    /// Notes that the host has waited for so long.
    pub fn waited(&self, time: Duration) {
        let counts = self.counts.get();
        self.counts.set(Counts { waits: counts.waits + 1, waited: counts.waited + time, ..counts });
    }

    pub fn counts(&self) -> Counts {
        self.counts.get()
    }
}
