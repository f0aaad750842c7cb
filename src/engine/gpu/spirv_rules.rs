//! Rules that no compiler checks and no software adapter shows, held against the SPIR-V of every kernel.
//!
//! - Invocations exchange data through workgroup memory, or through buffers that are coherent: after a storage barrier others may
//!   else find what was there before (Vulkan's memory model; on AMD the waves of a workgroup may have caches of their own).
//! - Hardware kernels know workgroup memory only: what they write to a buffer, no other invocation of theirs reads.
//! - No number is what was lost in rounding, (a + b) - a: compilers may take sums for associative, and fold it away.

use std::collections::{BTreeMap, BTreeSet};

use super::kernel_list::every_kernel;

/// Buffers in which each invocation goes on from what it wrote itself, or from what was there before the kernel.
const OWN: [(&str, &[&str]); 5] = [
    ("rollout", &["state"]),
    // What is known of a trajectory is for the invocation that chooses for it; the order of actions was there before.
    ("hardware_rollout", &["state", "actions", "walks"]),
    // Rules that are there to change it are part of the source, and not called.
    ("hardware_finish", &["walks"]),
    // Nor is what reads deltas back from where they are written.
    ("hardware_backward", &["deltas", "walks"]),
    // A layer's deltas are made of those of the next layer, which stay.
    ("hardware_dense_backward", &["deltas"]),
];

/// Numbers of SPIR-V's instructions and their words.
mod word {
    pub const NAME: u32 = 5;
    pub const CONSTANT: u32 = 43;
    pub const VARIABLE: u32 = 59;
    pub const LOAD: u32 = 61;
    pub const STORE: u32 = 62;
    pub const ACCESS_CHAIN: u32 = 65;
    pub const DECORATE: u32 = 71;
    pub const ADD: u32 = 129;
    pub const SUBTRACT: u32 = 131;
    pub const CONTROL_BARRIER: u32 = 224;
    pub const COHERENT: u32 = 23;
    pub const STORAGE_BUFFER: u32 = 12;
    /// Memory that a barrier is for.
    pub const UNIFORM_MEMORY: u32 = 0x40;
}

/// What of a module the rules speak of.
#[derive(Default)]
struct Spirv {
    names: BTreeMap<u32, String>,
    constants: BTreeMap<u32, u32>,
    buffers: BTreeSet<u32>,
    coherent: BTreeSet<u32>,
    /// A pointer and what it points into.
    chains: BTreeMap<u32, u32>,
    loads: Vec<u32>,
    stores: Vec<u32>,
    /// Semantics of barriers.
    barriers: Vec<u32>,
    /// What a value was loaded from; values stored are not followed.
    loaded: BTreeMap<u32, u32>,
    /// Sums and differences: instruction, result, operands.
    sums: Vec<(u32, u32, [u32; 2])>,
    /// What a variable was last given, in the order of the text.
    given: BTreeMap<u32, u32>,
}

impl Spirv {
    fn read(words: &[u32]) -> Self {
        let mut module = Self::default();
        let mut rest = &words[5..];
        while let Some(&first) = rest.first() {
            let (instruction, length) = (first & 0xffff, (first >> 16) as usize);
            let (operands, after) = (&rest[1..length], &rest[length..]);
            match instruction {
                word::NAME => {
                    let bytes: Vec<u8> = operands[1..].iter().flat_map(|word| word.to_le_bytes()).collect();
                    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                    module.names.insert(operands[0], String::from_utf8_lossy(&bytes[..end]).into());
                }
                word::CONSTANT => drop(module.constants.insert(operands[1], operands[2])),
                word::VARIABLE if operands[2] == word::STORAGE_BUFFER => drop(module.buffers.insert(operands[1])),
                word::DECORATE if operands[1] == word::COHERENT => drop(module.coherent.insert(operands[0])),
                word::ACCESS_CHAIN => drop(module.chains.insert(operands[1], operands[2])),
                word::LOAD => {
                    module.loads.push(operands[2]);
                    module.loaded.insert(operands[1], operands[2]);
                }
                word::STORE => {
                    module.stores.push(operands[0]);
                    module.given.insert(operands[0], operands[1]);
                }
                word::ADD | word::SUBTRACT => module.sums.push((instruction, operands[1], [operands[2], operands[3]])),
                word::CONTROL_BARRIER => module.barriers.push(operands[2]),
                _ => (),
            }
            rest = after;
        }
        module
    }

    fn base(&self, mut pointer: u32) -> u32 {
        while let Some(&into) = self.chains.get(&pointer) {
            pointer = into;
        }
        pointer
    }

    /// Buffers that the kernel `name` writes and reads, with a storage barrier or, if it is a hardware kernel, any barrier; and that
    /// are neither coherent nor known to be each invocation's own.
    fn incoherent(&self, name: &str) -> Vec<&str> {
        let of_storage = |semantics: &u32| self.constants[semantics] & word::UNIFORM_MEMORY != 0;
        if !self.barriers.iter().any(|barrier| name.starts_with("hardware_") || of_storage(barrier)) {
            return Vec::new();
        }
        let own = OWN.iter().find(|(kernel, _)| *kernel == name).map_or(&[][..], |(_, own)| *own);
        let bases = |pointers: &[u32]| pointers.iter().map(|&pointer| self.base(pointer)).collect::<BTreeSet<_>>();
        let (read, written) = (bases(&self.loads), bases(&self.stores));
        let exchanged = self.buffers.iter().filter(|buffer| read.contains(buffer) && written.contains(buffer));
        let names =
            exchanged.filter(|buffer| !self.coherent.contains(buffer)).map(|buffer| self.names[buffer].as_str());
        names.filter(|name| !own.contains(name)).collect()
    }

    /// Differences of a sum and one of its own terms, the sum perhaps a difference itself.
    fn compensations(&self) -> usize {
        // A value, or the variable that it was read from or given to.
        let same = |a: u32, b: u32| {
            let place = |value: u32| self.loaded.get(&value).copied();
            a == b || (place(a).is_some() && place(a) == place(b))
        };
        let made = |value: u32| {
            let value = self.loaded.get(&value).and_then(|place| self.given.get(place)).copied().unwrap_or(value);
            self.sums.iter().find(|(_, result, _)| *result == value)
        };
        let differences = self.sums.iter().filter(|(instruction, ..)| *instruction == word::SUBTRACT);
        differences
            .filter(|(_, _, [whole, part])| {
                made(*whole).is_some_and(|(_, _, terms)| terms.iter().any(|&term| same(term, *part)))
            })
            .count()
    }
}

fn spirv(module: &naga::Module, info: &naga::valid::ModuleInfo) -> Spirv {
    let options =
        naga::back::spv::Options { flags: naga::back::spv::WriterFlags::DEBUG, ..naga::back::spv::Options::default() };
    Spirv::read(&naga::back::spv::write_vec(module, info, &options, None).unwrap())
}

#[test]
fn kernels_exchange_data_through_what_is_coherent_and_compensate_nothing() {
    let (mut looked, mut barriers) = (0, 0);
    every_kernel(|variant, linked| {
        let (module, info) = linked.read().unwrap();
        let found = spirv(&module, &info);
        let exchanged = found.incoherent(variant.0);
        assert!(exchanged.is_empty(), "{variant:?}: {exchanged:?}");
        if variant.0.starts_with("hardware_") {
            assert!(found.coherent.is_empty() && !found.barriers.is_empty(), "{variant:?}");
        }
        assert_eq!(found.compensations(), 0, "{variant:?}");
        looked += 1;
        barriers += usize::from(!found.barriers.is_empty());
    });
    assert!(looked > 200 && barriers >= 20, "{looked} kernels, {barriers} with barriers");
}

#[test]
fn the_rules_find_what_they_are_for() {
    let found = |body: &str| {
        let text = format!(
            "@group(0) @binding(0) var<storage, read_write> numbers: array<f32>;
            @compute @workgroup_size(64)
            fn f(@builtin(local_invocation_index) lane: u32) {{ {body} }}"
        );
        let module = naga::front::wgsl::parse_str(&text).unwrap();
        let flags = naga::valid::ValidationFlags::all();
        let info = naga::valid::Validator::new(flags, Default::default()).validate(&module).unwrap();
        spirv(&module, &info)
    };
    let exchange = found("numbers[lane] = 1.0; storageBarrier(); numbers[lane + 64u] = numbers[63u - lane];");
    assert_eq!(exchange.incoherent("f"), ["numbers"]);
    let alone = found("numbers[lane] = 1.0; workgroupBarrier(); numbers[lane + 64u] = numbers[63u - lane];");
    assert!(alone.incoherent("f").is_empty(), "no storage barrier");
    assert_eq!(alone.incoherent("hardware_f"), ["numbers"], "which hardware kernels do not know");
    let kahan = "var sum = 0.0; var lost = 0.0;
        for (var i = 0u; i < 9u; i++) { let term = numbers[i] - lost; let next = sum + term; lost = (next - sum) - term; sum = next; }
        numbers[lane] = sum;";
    assert!(found(kahan).compensations() > 0);
    let two_sum = "let a = numbers[0]; let b = numbers[1]; let s = a + b; numbers[2] = b - (s - a);";
    assert!(found(two_sum).compensations() > 0);
    let plain = "var sum = 0.0; for (var i = 0u; i < 9u; i++) { sum += numbers[i]; } numbers[lane] = sum - numbers[0];";
    assert_eq!(found(plain).compensations(), 0);
}
