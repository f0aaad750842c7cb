//! One compute pipeline, bound to buffers by the names its WGSL gives them.

use naga::AddressSpace;

use super::buffers::Buffers;
use super::context::Context;
use super::link::Linked;
use super::work::Work;
use crate::engine::EngineError;

/// A compute pipeline and what it binds.
pub(super) struct Kernel {
    name: String,
    /// What holds in it (see link.rs).
    #[cfg(test)]
    definitions: Vec<String>,
    /// Invocations of a workgroup.
    group: [u32; 3],
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    /// Binding number and buffer name of each of the module's resources.
    resources: Vec<(u32, String)>,
    /// The bind group of each bank of buffers, all of this generation.
    bound: Vec<Option<wgpu::BindGroup>>,
    generation: u64,
}

impl Kernel {
    /// Compiles the entry point `name` of a source.
    ///
    /// # Errors
    /// `Kernel` with the compiler's message, and the file and line of it, if the source is at fault.
    pub fn new(context: &Context, name: &str, linked: &Linked) -> Result<Self, EngineError> {
        let fault = |message: String| {
            let which =
                if linked.definitions().is_empty() { "" } else { &format!(" ({})", linked.definitions().join(", ")) };
            EngineError::Kernel(format!("the kernel `{name}`{which} does not compile: {message}"))
        };
        let (module, info) = linked.read().map_err(fault)?;

        let index = module.entry_points.iter().position(|entry| entry.name == name);
        let index = index.ok_or_else(|| fault("it has no such entry point".into()))?;
        let (group, used) = (module.entry_points[index].workgroup_size, info.get_entry_point(index));

        let mut entries = Vec::new();
        let mut resources = Vec::new();
        // A file declares more than every kernel that imports it reads.
        for (_, variable) in module.global_variables.iter().filter(|(handle, _)| !used[*handle].is_empty()) {
            let Some(place) = variable.binding.filter(|place| place.group == 0) else { continue };
            let variable_name = variable.name.clone().unwrap_or_default();
            let dynamic = variable_name == Work::BUFFER;
            let kind = match variable.space {
                AddressSpace::Uniform => wgpu::BufferBindingType::Uniform,
                AddressSpace::Storage { access } => {
                    wgpu::BufferBindingType::Storage { read_only: !access.contains(naga::StorageAccess::STORE) }
                }
                _ => return Err(fault(format!("`{variable_name}` is not a buffer"))),
            };
            entries.push(wgpu::BindGroupLayoutEntry {
                binding: place.binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty: kind, has_dynamic_offset: dynamic, min_binding_size: None },
                count: None,
            });
            resources.push((place.binding, variable_name));
        }

        let device = &context.device;
        let scopes = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation].map(|f| device.push_error_scope(f));
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(linked.text_for(context).into()),
        };
        let shader = if linked.is_checked() {
            device.create_shader_module(descriptor)
        } else {
            // SAFETY: our kernels stay within their buffers and arrays and their loops end; every size they go by is the
            // host's. Checks would keep compilers from unrolling the loops over a register tile.
            unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipeline_layout),
            module: &shader,
            entry_point: Some(name),
            // Kernels write workgroup memory before they read it.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        // Scopes are a stack: the last one pushed is popped first.
        let errors = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop()));
        match errors.last() {
            Some(error) => Err(fault(error.to_string())),
            None => Ok(Self {
                name: name.into(),
                #[cfg(test)]
                definitions: linked.definitions().to_vec(),
                group,
                pipeline,
                layout,
                resources,
                bound: Vec::new(),
                generation: 0,
            }),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Invocations of a workgroup, in each dimension.
    pub fn group(&self) -> [u32; 3] {
        self.group
    }

    /// Whether a definition holds in it.
    #[cfg(test)]
    pub fn holds(&self, definition: &str) -> bool {
        self.definitions.iter().any(|name| name == definition)
    }

    /// Names of the storage buffers that it binds.
    #[cfg(test)]
    pub fn storage(&self) -> impl Iterator<Item = &str> {
        let uniform = [Work::BUFFER, "network"];
        self.resources.iter().map(|(_, name)| name.as_str()).filter(move |name| !uniform.contains(name))
    }

    /// Adds one dispatch to `pass`; `offset` is the place of its [`Work`] in the uniform buffer.
    pub fn dispatch(
        &mut self,
        context: &Context,
        buffers: &Buffers,
        pass: &mut wgpu::ComputePass,
        offset: u32,
        groups: [u32; 3],
    ) {
        let bank = buffers.bank();
        if self.generation != buffers.generation() {
            self.bound.clear();
            self.generation = buffers.generation();
        }
        if self.bound.len() <= bank {
            self.bound.resize(bank + 1, None);
        }
        let bound = self.bound[bank].get_or_insert_with(|| {
            let entries: Vec<_> = self
                .resources
                .iter()
                .map(|(binding, name)| {
                    let buffer = buffers.get(name);
                    let size = (name == Work::BUFFER).then_some(Work::SIZE);
                    let binding_of = wgpu::BufferBinding { buffer, offset: 0, size };
                    wgpu::BindGroupEntry { binding: *binding, resource: wgpu::BindingResource::Buffer(binding_of) }
                })
                .collect();
            let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &self.layout, entries: &entries };
            context.device.create_bind_group(&descriptor)
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &*bound, &[offset]);
        pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
    }
}
