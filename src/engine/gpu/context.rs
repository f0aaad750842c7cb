//! The adapter and its device: what there is, which one is taken, and how its failures are reported.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use wgpu::{Adapter, Backend, Backends, DeviceType};

use super::passes::Passes;
use super::pending::Pending;
use crate::engine::{AdapterDescription, AdapterKind, EngineError};

/// What an adapter of this type runs on.
fn kind_of(kind: DeviceType) -> AdapterKind {
    match kind {
        DeviceType::DiscreteGpu => AdapterKind::Discrete,
        DeviceType::IntegratedGpu => AdapterKind::Integrated,
        DeviceType::VirtualGpu => AdapterKind::Virtual,
        DeviceType::Other => AdapterKind::Other,
        DeviceType::Cpu => AdapterKind::Software,
    }
}

/// The adapter as people see it.
fn describe(adapter: &Adapter) -> AdapterDescription {
    let info = adapter.get_info();
    let backend = match info.backend {
        Backend::Vulkan => "Vulkan",
        Backend::Metal => "Metal",
        Backend::Dx12 => "DX12",
        Backend::Gl => "OpenGL",
        _ => "other",
    };
    let driver = format!("{} {}", info.driver, info.driver_info).trim().to_string();
    AdapterDescription { name: info.name, backend, kind: kind_of(info.device_type), driver }
}

/// The adapters of this machine, best first: Vulkan, Metal and DX12 ones, or with `include_gl` those of OpenGL too (its
/// start-up can write to standard error).
pub fn adapters(include_gl: bool) -> Vec<AdapterDescription> {
    let mut backends = PRIMARY;
    backends.set(Backends::GL, include_gl);
    enumerate(backends).iter().map(describe).collect()
}

/// The adapter that an engine would open, if there is one: see [`super::GpuOptions::adapter`].
pub fn description(wanted: Option<&str>, index: usize) -> Option<AdapterDescription> {
    find(wanted.unwrap_or_default(), index).ok().map(|adapter| describe(&adapter))
}

/// What that adapter runs on.
pub fn kind(wanted: Option<&str>, index: usize) -> Option<AdapterKind> {
    description(wanted, index).map(|adapter| adapter.kind)
}

/// How many of the adapters that match are of the kind and backend of the first: indices below this are as good as 0.
pub fn alike(wanted: Option<&str>) -> usize {
    let matching: Vec<_> = matching(wanted.unwrap_or_default()).0.iter().map(describe).collect();
    let first = |other: &&AdapterDescription| (other.kind, other.backend) == (matching[0].kind, matching[0].backend);
    matching.iter().take_while(first).count()
}

/// Whether there is an adapter that is more than a CPU.
pub fn has_hardware_adapter() -> bool {
    adapters(false).iter().any(|adapter| adapter.kind.is_hardware())
}

const PRIMARY: Backends = Backends::VULKAN.union(Backends::METAL).union(Backends::DX12);

fn enumerate(backends: Backends) -> Vec<Adapter> {
    let parts = [backends & Backends::VULKAN, backends - Backends::VULKAN];
    let mut adapters: Vec<_> = parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .filter_map(|part| Some((part, instance(part)?)))
        .flat_map(|(part, instance)| pollster::block_on(instance.enumerate_adapters(part)))
        .collect();
    adapters.sort_by_key(|adapter| kind_of(adapter.get_info().device_type));
    adapters
}

/// The way to the drivers of these backends, if there is one: opened once a process. NVIDIA's driver finds no adapter any more
/// after some dozens of them.
fn instance(backends: Backends) -> Option<wgpu::Instance> {
    static OPENED: Mutex<Vec<(Backends, Option<wgpu::Instance>)>> = Mutex::new(Vec::new());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, instance)) = opened.iter().find(|(of, _)| *of == backends) {
        return instance.clone();
    }
    #[cfg(target_os = "linux")]
    let made = if backends == Backends::VULKAN { windowless_vulkan() } else { Some(usual(backends)) };
    #[cfg(not(target_os = "linux"))]
    let made = Some(usual(backends));
    opened.push((backends, made.clone()));
    made
}

fn usual(backends: Backends) -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    wgpu::Instance::new(descriptor)
}

/// Vulkan without the extensions that draw on a window system's windows, if there is a Vulkan at all.
///
/// Mesa's layer that puts the desktop's GPU first asks the Wayland server of whoever enables `VK_KHR_wayland_surface`, as
/// wgpu always does, and libwayland complains on standard error where there is no server. Nothing is drawn here. (The
/// layer can be switched off by the environment variable NODEVICE_SELECT, but a library must not change the environment:
/// other threads may be reading it.)
#[cfg(target_os = "linux")]
fn windowless_vulkan() -> Option<wgpu::Instance> {
    use wgpu::hal;

    let descriptor = hal::InstanceDescriptor {
        name: "wgflow",
        flags: wgpu::InstanceFlags::default(),
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds::default(),
        backend_options: wgpu::BackendOptions::default(),
        telemetry: None,
        display: None,
    };
    let windows = [c"VK_KHR_wayland_surface", c"VK_KHR_xcb_surface", c"VK_KHR_xlib_surface"];
    // SAFETY: wgpu-hal asks that no feature be taken away that it then relies on. These three it enables only where the
    // loader offers them, and looks them up in the list that is left when it is asked for a surface on such a window
    // system, which never happens here. To it this is a loader without them. Nothing is added.
    let instance = unsafe {
        hal::vulkan::Instance::init_with_callback(
            &descriptor,
            Some(Box::new(move |arguments| arguments.extensions.retain(|extension| !windows.contains(extension)))),
        )
    };
    // SAFETY: the instance was made by wgpu-hal just now, and nobody else has it.
    instance.ok().map(|instance| unsafe { wgpu::Instance::from_hal::<hal::api::Vulkan>(instance) })
}

const COHERENT: wgpu::Features = wgpu::Features::MEMORY_DECORATION_COHERENT;

/// What is taken where an adapter has it.
const WELCOME: wgpu::Features = COHERENT.union(wgpu::Features::TIMESTAMP_QUERY);

/// A device, its queue, and the first thing that went wrong on it.
pub(super) struct Context {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub adapter: AdapterDescription,
    pub limits: wgpu::Limits,
    /// Whether buffers can be coherent among the invocations of a workgroup.
    pub coherent: bool,
    pub pending: Pending,
    /// The time stamps of dispatches, while somebody asks for them.
    pub passes: RefCell<Option<Passes>>,
    fault: Arc<Mutex<Option<String>>>,
}

impl Context {
    /// Opens number `index` of the adapters that match `wanted`, best first ("gl" or "opengl" asks for OpenGL).
    ///
    /// # Errors
    /// `NoAdapter` if there is none, `Device` if the driver refuses.
    pub fn open(wanted: Option<&str>, index: usize) -> Result<Self, EngineError> {
        let adapter = find(wanted.unwrap_or_default(), index)?;
        let description = describe(&adapter);

        // Larger buffers and workgroups where the adapter has them, the defaults of WebGPU for all else.
        let own = adapter.limits();
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: own.max_storage_buffer_binding_size,
            max_buffer_size: own.max_buffer_size,
            max_compute_invocations_per_workgroup: own.max_compute_invocations_per_workgroup,
            max_compute_workgroup_size_x: own.max_compute_workgroup_size_x,
            max_compute_workgroup_storage_size: own.max_compute_workgroup_storage_size,
            ..wgpu::Limits::default().or_worse_values_from(&own)
        };
        let request = wgpu::DeviceDescriptor {
            label: Some("wgflow"),
            required_limits: limits.clone(),
            required_features: adapter.features() & WELCOME,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&request))
            .map_err(|error| EngineError::Device(format!("{description} cannot be opened: {error}")))?;

        let fault = Arc::new(Mutex::new(None));
        let note = |fault: &Arc<Mutex<Option<String>>>| {
            let fault = fault.clone();
            move |what: String| {
                fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
            }
        };
        let report = note(&fault);
        device.on_uncaptured_error(Arc::new(move |error| report(error.to_string())));
        let report = note(&fault);
        device.set_device_lost_callback(move |_, message| report(format!("the device was lost: {message}")));
        let coherent = device.features().contains(COHERENT);
        let (pending, passes) = (Pending::default(), RefCell::default());
        Ok(Self { device, queue, adapter: description, limits, coherent, pending, passes, fault })
    }

    /// Bytes of the largest buffer that kernels may bind. (Beyond 2^31 - 1, drivers differ in what they say and do.)
    pub fn largest_buffer(&self) -> u64 {
        let limits = &self.limits;
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(i32::MAX as u64) / 16 * 16
    }

    /// Bytes of workgroup memory that a kernel may use.
    pub fn workgroup_memory(&self) -> usize {
        self.limits.max_compute_workgroup_storage_size as usize
    }

    /// The first failure of the device since it was opened, if any. It stays: a device that failed is not used again.
    pub fn check(&self) -> Result<(), EngineError> {
        match &*self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => Err(EngineError::Device(format!("{}: {fault}", self.adapter))),
            None => Ok(()),
        }
    }

    /// Waits until all submitted work is done.
    pub fn wait(&self) -> Result<(), EngineError> {
        self.wait_for(None)
    }

    /// Waits until a submission is done, or all of them.
    pub fn wait_for(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), EngineError> {
        let start = Instant::now();
        let polled = self.device.poll(wgpu::PollType::Wait { submission_index, timeout: None });
        self.pending.waited(start.elapsed());
        self.check()?;
        polled.map_err(|error| EngineError::Device(format!("{}: {error}", self.adapter)))?;
        Ok(())
    }
}

/// Number `index` of the adapters that match `wanted`.
fn find(wanted: &str, index: usize) -> Result<Adapter, EngineError> {
    let (mut matching, others) = matching(wanted);
    if index < matching.len() {
        return Ok(matching.swap_remove(index));
    }
    let names = |adapters: &[Adapter]| adapters.iter().map(|a| describe(a).to_string()).collect::<Vec<_>>().join(", ");
    Err(EngineError::NoAdapter(match (wanted, matching.is_empty(), others.is_empty()) {
        ("", true, _) => "no GPU adapter was found (a software one comes with the package mesa-vulkan-drivers)".into(),
        (_, true, true) => format!("no GPU adapter matches \"{wanted}\": none was found at all"),
        (_, true, false) => format!("no GPU adapter matches \"{wanted}\"; there are: {}", names(&others)),
        _ => {
            let (last, names) = (matching.len() - 1, names(&matching));
            let what = if wanted.is_empty() { String::new() } else { format!(" that match \"{wanted}\"") };
            format!("engine.adapter_index = {index}: the adapters{what} have the indices 0 to {last}: {names}")
        }
    }))
}

/// The adapters that match `wanted`, best first, and those that do not.
fn matching(wanted: &str) -> (Vec<Adapter>, Vec<Adapter>) {
    let gl = wanted.to_lowercase().split_whitespace().any(|word| word == "gl" || word == "opengl");
    let adapters = enumerate(if gl { Backends::GL } else { PRIMARY });
    adapters.into_iter().partition(|adapter| describe(adapter).matches(wanted))
}
