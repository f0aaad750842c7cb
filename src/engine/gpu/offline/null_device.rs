//! A Vulkan device that compiles and never runs: Mesa's RADV makes one for a GPU that is not there, where `RADV_FORCE_FAMILY`
//! names its family. wgpu cannot open it, so this speaks to Vulkan itself, with the SPIR-V that wgpu would hand it.

use std::ffi::CString;

use ash::khr::pipeline_executable_properties as properties;
use ash::vk;

use crate::engine::gpu::link::Linked;
use crate::engine::gpu::work::Work;

pub struct NullDevice {
    device: ash::Device,
    properties: properties::Device,
    // What the device was made from has to stay.
    _instance: ash::Instance,
    _entry: ash::Entry,
}

/// What a driver made of a kernel.
pub struct Compiled {
    /// Statistics by the names that the driver gives them.
    pub statistics: Vec<(String, u64)>,
    /// Text of the instructions.
    pub assembly: String,
}

impl NullDevice {
    /// The first device of the drivers that `VK_DRIVER_FILES` names.
    pub fn open() -> Result<Self, String> {
        let told = |what: &'static str| move |error: vk::Result| format!("{what}: {error}");
        // SAFETY: the loader and its driver are the system's, and nothing of them is used after the process.
        unsafe {
            let entry = ash::Entry::load().map_err(|error| format!("there is no Vulkan loader: {error}"))?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let create = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&create, None).map_err(told("no instance"))?;
            let devices = instance.enumerate_physical_devices().map_err(told("no list of devices"))?;
            let physical = *devices.first().ok_or("the driver makes no device")?;
            let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
            let extensions = [properties::NAME.as_ptr()];
            let mut told_of =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let mut model = vk::PhysicalDeviceVulkanMemoryModelFeatures::default()
                .vulkan_memory_model(true)
                .vulkan_memory_model_device_scope(true);
            let mut zeroed = vk::PhysicalDeviceZeroInitializeWorkgroupMemoryFeatures::default()
                .shader_zero_initialize_workgroup_memory(true);
            let features = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
            let create = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .enabled_features(&features)
                .push_next(&mut told_of)
                .push_next(&mut model)
                .push_next(&mut zeroed);
            let device = instance.create_device(physical, &create, None).map_err(told("no device"))?;
            let properties = properties::Device::new(&instance, &device);
            Ok(Self { device, properties, _instance: instance, _entry: entry })
        }
    }

    /// Compiles the entry point `name` of a kernel.
    pub fn compile(&self, name: &str, linked: &Linked) -> Result<Compiled, String> {
        let (module, words) = spirv(name, linked)?;
        let bindings: Vec<_> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| Some((variable.binding?.binding, kind(variable))))
            .map(|(binding, kind)| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_type(kind)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let entry = CString::new(name).map_err(|error| error.to_string())?;
        // SAFETY: the SPIR-V is naga's from a module that it validated, the layout has what the module binds, and all structures
        // that are pointed to live until the calls return.
        let compile = || unsafe {
            let device = &self.device;
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device.create_descriptor_set_layout(&set, None)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&layout, None)?;
            let shader = device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&words), None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(shader)
                .name(&entry);
            let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let create = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(flags);
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            let pipeline = made.map_err(|(_, error)| error)?[0];
            let compiled = self.look(pipeline);
            device.destroy_pipeline(pipeline, None);
            device.destroy_shader_module(shader, None);
            device.destroy_pipeline_layout(layout, None);
            device.destroy_descriptor_set_layout(sets[0], None);
            compiled
        };
        compile().map_err(|error: vk::Result| format!("{name} does not compile: {error}"))
    }

    /// # Safety
    /// The pipeline is this device's, and captures what is asked for.
    unsafe fn look(&self, pipeline: vk::Pipeline) -> Result<Compiled, vk::Result> {
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
        // SAFETY: see above; text is fetched by asking for its length first, then into room for it.
        unsafe {
            let statistics = self.properties.get_pipeline_executable_statistics(&executable)?;
            let number = |statistic: &vk::PipelineExecutableStatisticKHR| match statistic.format {
                vk::PipelineExecutableStatisticFormatKHR::UINT64 => statistic.value.u64,
                _ => 0,
            };
            let name = |statistic: &vk::PipelineExecutableStatisticKHR| {
                statistic.name_as_c_str().map_or(String::new(), |name| name.to_string_lossy().into_owned())
            };
            let statistics = statistics.iter().map(|statistic| (name(statistic), number(statistic))).collect();

            let fetch = self.properties.fp().get_pipeline_executable_internal_representations_khr;
            let mut count = 0;
            fetch(self.device.handle(), &executable, &mut count, std::ptr::null_mut()).result()?;
            let mut texts = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            fetch(self.device.handle(), &executable, &mut count, texts.as_mut_ptr()).result()?;
            let mut rooms: Vec<Vec<u8>> = texts.iter().map(|text| vec![0; text.data_size]).collect();
            for (text, room) in texts.iter_mut().zip(&mut rooms) {
                text.p_data = room.as_mut_ptr().cast();
            }
            fetch(self.device.handle(), &executable, &mut count, texts.as_mut_ptr()).result()?;
            let is_assembly = |text: &vk::PipelineExecutableInternalRepresentationKHR| {
                text.name_as_c_str().is_ok_and(|name| name.to_string_lossy().contains("Assembly"))
            };
            let assembly = texts.iter().position(is_assembly).map_or(&[][..], |index| &rooms[index]);
            Ok(Compiled { statistics, assembly: String::from_utf8_lossy(assembly).into_owned() })
        }
    }
}

fn kind(variable: &naga::GlobalVariable) -> vk::DescriptorType {
    match variable.space {
        naga::AddressSpace::Uniform if variable.name.as_deref() == Some(Work::BUFFER) => {
            vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC
        }
        naga::AddressSpace::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
        _ => vk::DescriptorType::STORAGE_BUFFER,
    }
}

/// A kernel as wgpu writes it for a Vulkan 1.3 driver, with the checks that it gets there.
fn spirv(name: &str, linked: &Linked) -> Result<(naga::Module, Vec<u32>), String> {
    use naga::back::spv;
    use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};

    let (module, info) = linked.read()?;
    let checked = linked.is_checked();
    let policy = if checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies { index: policy, ..BoundsCheckPolicies::default() },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::Native,
        force_loop_bounding: checked,
        emit_int_div_checks: checked,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: name.into() };
    let words = spv::write_vec(&module, &info, &options, Some(&pipeline)).map_err(|error| error.to_string())?;
    Ok((module, words))
}
