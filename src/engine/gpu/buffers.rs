//! The device's buffers by the names that shaders give them, and the way back to the host.

use std::cell::Cell;
use std::collections::BTreeMap;

use bytemuck::Pod;

use super::context::Context;
use super::work::Work;
use crate::engine::EngineError;

/// Buffers that grow when more is needed. Those of parts of a batch that stay come in banks.
#[derive(Default)]
pub(super) struct Buffers {
    named: BTreeMap<&'static str, Vec<wgpu::Buffer>>,
    /// The bank that names stand for.
    bank: Cell<usize>,
    staging: Option<wgpu::Buffer>,
    generation: u64,
    /// The number of the submission that commands on them were last recorded for, from 1, and the bytes of [`Work`] that they use.
    recorded: Cell<(u64, usize)>,
}

impl Buffers {
    /// Goes up whenever a buffer is replaced.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Lets names stand for the buffers of this bank from now on, or for the only ones that there are of a name.
    pub fn select(&self, bank: usize) {
        self.bank.set(bank);
    }

    pub fn bank(&self) -> usize {
        self.bank.get()
    }

    /// # Panics
    /// If the engine never reserved a buffer of that name, a mistake in a shader.
    pub fn get(&self, name: &str) -> &wgpu::Buffer {
        let banks = self.named.get(name).map_or(&[][..], Vec::as_slice);
        let buffer = banks.get(self.bank.get()).or(banks.first());
        buffer.unwrap_or_else(|| panic!("no buffer is named `{name}`"))
    }

    /// Makes `banks` storage buffers of that name, no more and no fewer, each at least `bytes` long. Contents of those that have to
    /// grow are lost.
    ///
    /// # Errors
    /// `Limit` if the adapter allows no such buffer; `what` says what to make smaller.
    pub fn reserve_banks(
        &mut self,
        context: &Context,
        name: &'static str,
        banks: usize,
        bytes: u64,
        what: &str,
    ) -> Result<(), EngineError> {
        if let Some(buffers) = self.named.get_mut(name).filter(|buffers| buffers.len() > banks) {
            buffers.truncate(banks);
            self.generation += 1;
        }
        (0..banks).try_for_each(|bank| self.reserve_in(context, name, bank, bytes, what))
    }

    /// Makes the storage buffer `name`, or that of its first bank, at least `bytes` long. Its contents are lost if it has to grow.
    ///
    /// # Errors
    /// `Limit` if the adapter allows no such buffer; `what` says what to make smaller.
    pub fn reserve(
        &mut self,
        context: &Context,
        name: &'static str,
        bytes: u64,
        what: &str,
    ) -> Result<(), EngineError> {
        self.reserve_in(context, name, 0, bytes, what)
    }

    /// Banks before this one are there.
    fn reserve_in(
        &mut self,
        context: &Context,
        name: &'static str,
        bank: usize,
        bytes: u64,
        what: &str,
    ) -> Result<(), EngineError> {
        let bytes = bytes.max(16).next_multiple_of(16);
        let present = self.named.get(name).and_then(|banks| banks.get(bank));
        if present.is_some_and(|buffer| buffer.size() >= bytes) {
            return Ok(());
        }
        let most = context.largest_buffer();
        if bytes > most {
            return Err(EngineError::Limit(format!(
                "`{name}` needs {bytes} bytes, and a storage buffer of {} has at most {most} \
                 (max_storage_buffer_binding_size, max_buffer_size): {what}",
                context.adapter.name
            )));
        }
        // What is replaced goes first, to make room.
        if let Some(present) = self.named.get_mut(name).filter(|banks| banks.len() > bank) {
            present.remove(bank);
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.create(context, name, bank, bytes, usage)
    }

    /// Makes a uniform buffer.
    pub fn uniform(&mut self, context: &Context, name: &'static str, bytes: u64) -> Result<(), EngineError> {
        self.named.remove(name);
        self.create(context, name, 0, bytes, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)
    }

    fn create(
        &mut self,
        context: &Context,
        name: &'static str,
        bank: usize,
        size: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<(), EngineError> {
        let descriptor = wgpu::BufferDescriptor { label: Some(name), size, usage, mapped_at_creation: false };
        self.named.entry(name).or_default().insert(bank, context.device.create_buffer(&descriptor));
        self.generation += 1;
        context.check()
    }

    /// Writes the start of a buffer.
    pub fn write<T: Pod>(&self, context: &Context, name: &str, data: &[T]) {
        self.write_at(context, name, 0, data);
    }

    /// Writes a part of a buffer, from byte `offset` on, after all that was recorded on these buffers.
    pub fn write_at<T: Pod>(&self, context: &Context, name: &str, offset: u64, data: &[T]) {
        if self.recorded(context) > 0 {
            context.pending.submit(context);
        }
        context.queue.write_buffer(self.get(name), offset, bytemuck::cast_slice(data));
    }

    /// Bytes of [`Work`] that commands recorded on these buffers and not submitted use.
    pub fn recorded(&self, context: &Context) -> usize {
        let (submission, bytes) = self.recorded.get();
        if submission == context.pending.counts().submits + 1 { bytes } else { 0 }
    }

    /// Writes what commands recorded for the next submission are told, beside what is there.
    pub fn write_works(&self, context: &Context, works: &[u8]) {
        let before = self.recorded(context);
        context.queue.write_buffer(self.get(Work::BUFFER), before as u64, works);
        self.recorded.set((context.pending.counts().submits + 1, before + works.len()));
    }

    /// All words of a storage buffer.
    #[cfg(test)]
    pub fn words(&self, context: &Context, name: &str) -> Vec<u32> {
        context.pending.submit(context);
        let bytes = self.get(name).size();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false };
        let copy = context.device.create_buffer(&descriptor);
        let mut encoder = context.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(self.get(name), 0, &copy, 0, bytes);
        context.queue.submit([encoder.finish()]);
        copy.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        context.wait().expect("a device that works");
        bytemuck::pod_collect_to_vec(&copy.slice(..).get_mapped_range().expect("mapped just now"))
    }

    /// Submits what is pending, waits for the device, and reads the first `count` numbers of each of `names`.
    pub fn read<T: Pod, const N: usize>(
        &mut self,
        context: &Context,
        names: [&str; N],
        count: usize,
    ) -> Result<[Vec<T>; N], EngineError> {
        self.read_parts(context, names.map(|name| (name, count)))
    }

    /// The same of as many numbers as each name comes with.
    pub fn read_parts<T: Pod, const N: usize>(
        &mut self,
        context: &Context,
        parts: [(&str, usize); N],
    ) -> Result<[Vec<T>; N], EngineError> {
        let size = |count: usize| (count * size_of::<T>()) as u64;
        let first = |part: usize| parts[..part].iter().map(|(_, count)| size(*count)).sum::<u64>();
        let total = first(N);
        if self.staging.as_ref().is_none_or(|staging| staging.size() < total) {
            self.staging = Some(context.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size: total,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }));
            context.check()?;
        }
        let Some(staging) = &self.staging else { unreachable!("staging was just made") };
        context.pending.record(context, 0, 0.0, |encoder| {
            for (part, (name, count)) in parts.into_iter().enumerate() {
                encoder.copy_buffer_to_buffer(self.get(name), 0, staging, first(part), size(count));
            }
        });
        context.pending.submit(context);
        let slice = staging.slice(..total);
        slice.map_async(wgpu::MapMode::Read, |_| ());
        context.wait()?;
        let view = slice
            .get_mapped_range()
            .map_err(|error| EngineError::Device(format!("{}: cannot read back: {error}", context.adapter)))?;
        let read = std::array::from_fn(|part| {
            let bytes = first(part) as usize..first(part + 1) as usize;
            bytemuck::pod_collect_to_vec(&view[bytes])
        });
        drop(view);
        staging.unmap();
        Ok(read)
    }
}
