//! What AMD's compiler makes of every kernel, without AMD's hardware: registers, spills, workgroup memory, waves that a SIMD holds,
//! and what its instructions are. `cargo test --release --lib offline -- --nocapture` prints the table.
//!
//! A kernel that is to keep many waves at once says so in its file, in a line `// Waves on gfx1100: at least 12`: with the workgroup
//! memory that every adapter has.

mod null_device;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use self::null_device::{Compiled, NullDevice};
use super::kernel_list::{Variant, linked, sources, variants};
use super::kernel_set::KernelSet;
use super::link::{KERNELS, find};
use super::network::{Input, Network};
use super::tiling::Tiling;
use crate::engine::AdapterKind;
use crate::network::{Activation, Layout};
use crate::process::{Guided, Hypergrid, Order, Process, SiteFilling};
use crate::targets::Target;
use crate::targets::ising::Ising;

/// Families of GPUs by Mesa's names: RDNA 3, RDNA 2 and GCN 5.
const FAMILIES: [&str; 3] = ["gfx1100", "navi21", "vega10"];
/// Bytes of workgroup memory that every adapter with DX12 or Metal has.
const PORTABLE: u64 = 32 << 10;
/// What NVIDIA's and AMD's have.
const LARGE: u64 = 48 << 10;

/// A line of the table.
struct Row {
    kernel: String,
    registers: u64,
    spills: u64,
    workgroup_memory: u64,
    waves: u64,
    mix: Mix,
}

/// Instructions by what they do.
#[derive(Default)]
struct Mix {
    all: usize,
    multiply_adds: usize,
    /// From and to buffers.
    memory: usize,
    /// From and to workgroup memory.
    local: usize,
}

impl Mix {
    fn of(assembly: &str) -> Self {
        let mut mix = Self::default();
        for line in assembly.lines() {
            let instruction = line.split(';').next().unwrap_or_default().trim();
            if instruction.is_empty() || instruction.ends_with(':') || instruction.starts_with("//") {
                continue;
            }
            let is = |kinds: &[&str]| kinds.iter().any(|kind| instruction.starts_with(kind));
            mix.all += 1;
            mix.multiply_adds += usize::from(is(&["v_fma", "v_dual_fma", "v_pk_fma", "v_mac", "v_mad_f"]));
            mix.memory += usize::from(is(&["buffer_", "global_"]));
            mix.local += usize::from(is(&["ds_"]));
        }
        mix
    }
}

impl Row {
    fn of((name, definitions): &Variant, found: &Compiled) -> Self {
        let statistic = |name: &str| {
            let found = found.statistics.iter().find(|(statistic, _)| statistic == name);
            found.unwrap_or_else(|| panic!("the driver tells nothing of \"{name}\"")).1
        };
        Self {
            kernel: [&[*name], definitions.as_slice()].concat().join(" "),
            registers: statistic("VGPRs"),
            spills: statistic("Spilled VGPRs") + statistic("Spilled SGPRs"),
            workgroup_memory: statistic("LDS size"),
            waves: statistic("Subgroups per SIMD"),
            mix: Mix::of(&found.assembly),
        }
    }
}

/// What a table is of: a network, and the workgroup memory that its kernels may have.
struct Subject {
    title: &'static str,
    network: Network,
    workgroup_memory: u64,
}

/// The paper's Ising task, plain, guided, with the workgroup memory that some GPUs have more of, and by the kernels for software adapters,
/// which GPUs run where layers are too wide for the others; and a hypergrid.
fn subjects() -> [Subject; 5] {
    let tiling = Tiling::suggested(AdapterKind::Discrete, 256);
    let ising = Ising::new(10, 0.2).unwrap();
    let filling = SiteFilling { sites: 100, values: 2, order: Order::Uniform, encoding: ising.encoding() };
    let guided: Arc<dyn Process> = Arc::new(Guided::new(filling.clone(), ising.guide().unwrap()));
    let subject = |title, process: Arc<dyn Process>, workgroup_memory, set| {
        let layout = Layout::new(process.columns(), &[256; 3], process.outputs());
        let network = Network::new(process, Input::States, layout, tiling).unwrap();
        let network = network.with(set, workgroup_memory as usize);
        Subject { title, network, workgroup_memory }
    };
    [
        subject("10 x 10", Arc::new(filling.clone()), PORTABLE, KernelSet::Hardware),
        subject("10 x 10, guided", guided, PORTABLE, KernelSet::Hardware),
        subject("10 x 10, 48 KB", Arc::new(filling.clone()), LARGE, KernelSet::Hardware),
        subject("10 x 10, for software", Arc::new(filling), PORTABLE, KernelSet::Software),
        subject("8^4", Arc::new(Hypergrid::new(4, 8)), PORTABLE, KernelSet::Hardware),
    ]
}

/// The file by which the loader finds AMD's driver, of Debian's and others' mesa-vulkan-drivers.
fn driver() -> PathBuf {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("radeon_icd"));
    files.map(|file| file.path()).find(named).unwrap_or_else(|| {
        panic!("Mesa's driver for AMD is not there (radeon_icd*.json in {folders:?}): install mesa-vulkan-drivers")
    })
}

/// The number of waves that a kernel's file promises.
fn promised(kernel: &str) -> Option<u64> {
    let text = find(&KERNELS.concat(), kernel)?;
    let line = text.lines().find_map(|line| line.strip_prefix("// Waves on gfx1100: at least "))?;
    Some(line.trim().parse().unwrap_or_else(|_| panic!("{kernel}: \"{line}\" is not a number of waves")))
}

/// Compiling for a family takes a process of its own: its driver is chosen by the environment.
#[test]
fn kernels_fit_the_registers_and_the_workgroup_memory_of_gpus_that_are_not_here() {
    let driver = driver();
    for family in FAMILIES {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "engine::gpu::offline::compile_for_a_family", "--ignored", "--nocapture"]);
        command.env("VK_DRIVER_FILES", &driver).env("RADV_FORCE_FAMILY", family);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{}", text.lines().filter(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{family}: {text}{said}");
    }
}

#[test]
#[ignore = "run by the test above, with a driver that is not this machine's"]
fn compile_for_a_family() {
    let family = std::env::var("RADV_FORCE_FAMILY").expect("the name of a family");
    let device = NullDevice::open().unwrap();
    let mut faults = Vec::new();
    let mut compiled = 0;
    for Subject { title, network, workgroup_memory: most } in &subjects() {
        println!(
            "| {family}, {title} | VGPRs | spills | workgroup bytes | waves a SIMD | instructions | multiply-adds | buffers | workgroup memory |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        let sources = sources(network, Activation::Swish);
        for variant in variants(network) {
            let name = variant.0;
            let found = device.compile(name, &linked(&sources, &variant)).unwrap();
            let row = Row::of(&variant, &found);
            let Row { kernel, registers, spills, workgroup_memory, waves, mix } = &row;
            let Mix { all, multiply_adds, memory, local } = mix;
            println!(
                "| {kernel} | {registers} | {spills} | {workgroup_memory} | {waves} | {all} | {multiply_adds} | {memory} | {local} |"
            );
            if *spills > 0 {
                faults.push(format!("{kernel} spills {spills} registers"));
            }
            if workgroup_memory > most {
                faults.push(format!("{kernel} has {workgroup_memory} bytes of workgroup memory, above {most}"));
            }
            if let Some(least) =
                promised(name).filter(|least| family == "gfx1100" && *most == PORTABLE && waves < least)
            {
                faults.push(format!("{kernel} leaves {waves} waves a SIMD, and promises {least}"));
            }
            compiled += 1;
        }
    }
    assert!(compiled > 30, "{compiled} kernels");
    assert!(faults.is_empty(), "{family}: {}", faults.join("; "));
}
