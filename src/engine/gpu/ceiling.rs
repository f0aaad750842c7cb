//! What a device does at best: products of large square matrices, and copies (shaders/ceiling/). What an engine does is held against
//! it.

use std::time::Instant;

use super::context::Context;
use crate::engine::EngineError;

/// The rates of the best plain product and of a copy in WGSL.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// Flops a second of the product, two for a multiply-add.
    pub flops: f64,
    /// Rows of its matrices.
    pub size: usize,
    /// Rows and columns of a workgroup's tile, and how deep a slice it takes at once.
    pub tile: [usize; 3],
    /// Bytes a second that a copy reads and writes, both counted.
    pub bytes: f64,
}

/// Invocations of a workgroup across and down, each with 8 x 8 results, and the depth of a slice.
const TILES: [[usize; 3]; 5] = [[16, 16, 8], [16, 16, 16], [16, 8, 8], [8, 8, 8], [8, 8, 16]];

/// Rows of the matrices: what hardware needs to be full would take a software adapter seconds.
const ON_HARDWARE: [usize; 3] = [1024, 2048, 4096];
const IN_SOFTWARE: [usize; 2] = [256, 512];

/// Quads of a copy: more than caches hold, on hardware.
const COPIED_ON_HARDWARE: usize = 1 << 23;
const COPIED_IN_SOFTWARE: usize = 1 << 20;

/// Invocations of a workgroup of the copy.
const COPIERS: usize = 256;

/// Measures an adapter, number `index` of those that match `wanted`, each candidate for at least `seconds`.
///
/// # Errors
/// As those of an engine on it.
pub fn ceiling(wanted: Option<&str>, index: usize, seconds: f64) -> Result<Ceiling, EngineError> {
    let context = Context::open(wanted, index)?;
    let hardware = context.adapter.kind.is_hardware();
    let (sizes, copied): (&[usize], _) =
        if hardware { (&ON_HARDWARE, COPIED_ON_HARDWARE) } else { (&IN_SOFTWARE, COPIED_IN_SOFTWARE) };
    let limits = &context.limits;
    let mut best = Ceiling { flops: 0.0, size: 0, tile: [0; 3], bytes: 0.0 };
    for &size in sizes.iter().filter(|&&size| 4 * (size * size) as u64 <= context.largest_buffer()) {
        let buffers = [(); 3].map(|()| filled(&context, size * size));
        for [across, down, depth] in TILES {
            let memory = 2 * 16 * depth * 2 * (across + down);
            if memory > context.workgroup_memory()
                || across * down > limits.max_compute_invocations_per_workgroup as usize
            {
                continue;
            }
            let text = format!(
                "const SIZE = {size}u;\nconst LANES_X = {across}u;\nconst LANES_Y = {down}u;\nconst DEPTH = {depth}u;\n{}",
                include_str!("../../../shaders/ceiling/product.wgsl")
            );
            let tile = [8 * down, 8 * across, depth];
            let groups = [size / tile[1], size / tile[0]];
            let flops = 2.0 * (size as f64).powi(3) / time(&context, "product", &text, &buffers, groups, seconds)?;
            if flops > best.flops {
                best = Ceiling { flops, size, tile, ..best };
            }
        }
    }
    let copied = copied.min(context.largest_buffer() as usize / 16 / COPIERS * COPIERS);
    let buffers = [(); 2].map(|()| filled(&context, 4 * copied));
    let text = include_str!("../../../shaders/ceiling/copy.wgsl");
    let bytes = 32.0 * copied as f64 / time(&context, "copy", text, &buffers, [copied / COPIERS, 1], seconds)?;
    Ok(Ceiling { bytes, ..best })
}

/// A buffer of so many numbers that are not all alike: zeros take less power, and so less time on some GPUs.
fn filled(context: &Context, count: usize) -> wgpu::Buffer {
    let numbers: Vec<f32> =
        (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0).collect();
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let size = size_of_val(numbers.as_slice()) as u64;
    let descriptor = wgpu::BufferDescriptor { label: Some("ceiling"), size, usage, mapped_at_creation: false };
    let buffer = context.device.create_buffer(&descriptor);
    context.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&numbers));
    buffer
}

/// Seconds of one dispatch among as many, submitted together, as take at least `seconds`; the least of three such.
fn time(
    context: &Context,
    name: &str,
    text: &str,
    buffers: &[wgpu::Buffer],
    groups: [usize; 2],
    seconds: f64,
) -> Result<f64, EngineError> {
    let device = &context.device;
    let descriptor = wgpu::ShaderModuleDescriptor { label: Some(name), source: wgpu::ShaderSource::Wgsl(text.into()) };
    // SAFETY: both kernels stay within buffers of the sizes that they are told, and their loops end.
    let module = unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(name),
        layout: None,
        module: &module,
        entry_point: Some(name),
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    let entries: Vec<_> = (0..)
        .zip(buffers)
        .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
        .collect();
    let layout = &pipeline.get_bind_group_layout(0);
    let bound = device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(name), layout, entries: &entries });
    let run = |count: u32| {
        let mut encoder = device.create_command_encoder(&Default::default());
        for _ in 0..count {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bound, &[]);
            pass.dispatch_workgroups(groups[0] as u32, groups[1] as u32, 1);
        }
        let start = Instant::now();
        context.queue.submit([encoder.finish()]);
        context.wait()?;
        Ok::<_, EngineError>(start.elapsed().as_secs_f64())
    };
    let mut count = 1;
    run(count)?;
    while run(count)? < seconds && count < 1 << 10 {
        count *= 2;
    }
    let times = [run(count)?, run(count)?, run(count)?];
    Ok(times.into_iter().fold(f64::INFINITY, f64::min) / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Column m of `left`, that is [k][m], times row n of `right`: the kernel multiplies what it says.
    #[test]
    fn the_product_is_one() {
        let context = Context::open(std::env::var("WGFLOW_ADAPTER").ok().as_deref(), 0).expect("an adapter");
        const SIZE: usize = 256;
        let number = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0;
        let mut compared = 0;
        for [across, down, depth] in
            TILES.into_iter().filter(|[x, y, d]| 64 * d * (x + y) <= context.workgroup_memory())
        {
            let buffers = [(); 2].map(|()| filled(&context, SIZE * SIZE));
            let size = 4 * (SIZE * SIZE) as u64;
            let made = |usage| {
                let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
                context.device.create_buffer(&descriptor)
            };
            let sum = made(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
            let read = made(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
            let text = format!(
                "const SIZE = {SIZE}u;\nconst LANES_X = {across}u;\nconst LANES_Y = {down}u;\nconst DEPTH = {depth}u;\n{}",
                include_str!("../../../shaders/ceiling/product.wgsl")
            );
            let [left, right] = buffers;
            let groups = [SIZE / (8 * across), SIZE / (8 * down)];
            time(&context, "product", &text, &[left, right, sum.clone()], groups, 0.0).expect("a device that works");
            let mut encoder = context.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&sum, 0, &read, 0, size);
            context.queue.submit([encoder.finish()]);
            read.slice(..).map_async(wgpu::MapMode::Read, |_| ());
            context.wait().expect("a device that works");
            let found: Vec<f32> =
                bytemuck::pod_collect_to_vec(&read.slice(..).get_mapped_range().expect("mapped just now"));
            for place in (0..SIZE * SIZE).step_by(97) {
                let (row, column) = (place / SIZE, place % SIZE);
                let term = |k: usize| f64::from(number(k * SIZE + row)) * f64::from(number(k * SIZE + column));
                let expected: f64 = (0..SIZE).map(term).sum();
                let distance = (f64::from(found[place]) - expected).abs();
                assert!(distance < 1e-3, "{row}, {column}: {} and {expected}", found[place]);
                compared += 1;
            }
        }
        assert!(compared > 1000, "{compared}");
    }
}
