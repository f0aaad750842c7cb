//! What a dispatch is told.

use std::num::NonZeroU64;

use bytemuck::{Pod, Zeroable};

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
    pub chains: u32,
    pub layer: u32,
    pub first_slice: u32,
    pub slices: u32,
    pub blocks: u32,
    pub count: u32,
    pub activated: u32,
    pub lists: u32,
    pub first_x: u32,
    pub first_y: u32,
    pub first_z: u32,
    pub epsilon: f32,
    pub sharpness: f32,
    pub rate_factor: f32,
    pub beta: f32,
    /// WGSL rounds a size up to the alignment of the key.
    pub unused: u32,
}

impl Work {
    /// The uniform buffer's name in WGSL.
    pub const BUFFER: &str = "work";
    pub const SIZE: NonZeroU64 = NonZeroU64::new(size_of::<Self>() as u64).expect("not empty");
}
