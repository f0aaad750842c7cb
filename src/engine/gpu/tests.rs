//! Shared pieces of WGSL by themselves, and every shader against the Rust it must agree with.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::sync::Arc;

use super::buffers::Buffers;
use super::context::Context;
use super::kernel::Kernel;
use super::kernel_list::{linked, sources as sources_of, variants};
use super::link::{KERNELS, LIBRARY};
use super::network::{Input, Layer, Network};
use super::recorder::Recorder;
use super::source::Sources;
use super::stages::Spread;
use super::tiling::Tiling;
use super::work::Work;
use super::{GpuEngine, GpuOptions, KernelSet};
use crate::engine::AdapterKind;
use crate::engine::{BLOCK, Differentiate, EngineError, Given, Roll, Rollout};
use crate::network::{Activation, Initialisation, Layout, initialise};
use crate::process::{Encoding, Objects, Order, Process, SiteFilling, Trajectories};
use crate::random::{Draw, Stream, pick, uniform};
use crate::targets::ising::Ising;
use crate::targets::{RewardNetwork, Target};

pub(super) fn context() -> Context {
    Context::open(None, 0).unwrap_or_else(|error| panic!("{error}: to run the GPU tests, install mesa-vulkan-drivers"))
}

pub(super) fn network(tiling: Tiling) -> Network {
    let process = SiteFilling { sites: 5, values: 3, order: Order::Uniform, encoding: Encoding::OneHot };
    let layout = Layout::new(process.columns(), &[8, 24], process.actions());
    Network::new(process, Input::States, layout, tiling).unwrap()
}

pub(super) const TILING: Tiling = Tiling {
    rows: 1,
    units: 2,
    trajectories: 16,
    group: 16,
    dispatch: 1,
    small_quads: 1,
    large_quads: 2,
    large_from: 64,
    gradient_tile: 128,
    fused_below: 128,
};

/// What the WGSL function `f(x: u32) -> u32` gives for each of `inputs`, where it may use what `imports` says.
pub(super) fn evaluate(imports: &str, f: &str, inputs: &[u32], activation: Activation) -> Vec<u32> {
    let main = format!(
        "#import wgflow::work::group_of
#import {imports}
        @group(0) @binding(100) var<storage, read> inputs: array<u32>;
        @group(0) @binding(101) var<storage, read_write> outputs: array<u32>;
        {f}
        @compute @workgroup_size(1)
        fn main(@builtin(workgroup_id) launched: vec3<u32>) {{
            let id = group_of(launched);
            outputs[id.x] = f(inputs[id.x]);
        }}"
    );
    let context = context();
    let source = Sources::new(&network(TILING), activation).link_text("main", &main);
    let mut kernel = Kernel::new(&context, "main", &source).unwrap();
    let mut buffers = Buffers::default();
    Recorder::prepare(&context, &mut buffers).unwrap();
    buffers.uniform(&context, "network", 64).unwrap();
    for name in ["inputs", "outputs"] {
        buffers.reserve(&context, name, 4 * inputs.len() as u64, "").unwrap();
    }
    buffers.write(&context, "inputs", inputs);
    let tiling = Tiling::suggested(context.adapter.kind, 1);
    let mut recorder = Recorder::new(&context, &buffers, &tiling);
    recorder.dispatch(&mut kernel, &Work::default(), [inputs.len(), 1, 1], 0.0);
    recorder.finish().unwrap();
    let [outputs] = buffers.read(&context, ["outputs"], inputs.len()).unwrap();
    assert!(!inputs.is_empty() && outputs.len() == inputs.len(), "{} of {}", outputs.len(), inputs.len());
    outputs
}

/// The same for `f(x: f32) -> f32`.
fn evaluate_real(imports: &str, f: &str, inputs: &[f32], activation: Activation) -> Vec<f32> {
    let f = format!("fn f(x: u32) -> u32 {{ return bitcast<u32>(g(bitcast<f32>(x))); }} {f}");
    let bits: Vec<u32> = inputs.iter().map(|x| x.to_bits()).collect();
    evaluate(imports, &f, &bits, activation).into_iter().map(f32::from_bits).collect()
}

#[test]
fn philox_gives_the_random123_known_answers() {
    let f = "fn f(i: u32) -> u32 {
        switch i / 4u {
            case 0u: { return philox(vec4<u32>(), vec2<u32>())[i % 4u]; }
            case 1u: { return philox(vec4(0xffffffffu), vec2(0xffffffffu))[i % 4u]; }
            default: {
                let counter = vec4(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u);
                return philox(counter, vec2(0xa4093822u, 0x299f31d0u))[i % 4u];
            }
        }
    }";
    let inputs: Vec<u32> = (0..12).collect();
    let answers = [
        [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
    ];
    assert_eq!(evaluate("wgflow::philox::{philox, pick, uniform_of}", f, &inputs, Activation::Relu), answers.concat());
}

#[test]
fn picks_and_uniforms_are_those_of_the_host() {
    let words = [0, 255, 256, 0x7fff_ffff, 0x8000_0000, 0xffff_feff, u32::MAX];
    for n in [1, 3, 225, 1 << 20] {
        let picks = evaluate(
            "wgflow::philox::{philox, pick, uniform_of}",
            &format!("fn f(x: u32) -> u32 {{ return pick(x, {n}u); }}"),
            &words,
            Activation::Relu,
        );
        assert_eq!(picks, words.map(|word| pick(word, n)));
    }
    let f = "fn f(x: u32) -> u32 { return bitcast<u32>(uniform_of(x)); }";
    let uniforms = evaluate("wgflow::philox::{philox, pick, uniform_of}", f, &words, Activation::Relu);
    assert_eq!(uniforms, words.map(|word| (uniform(word) as f32).to_bits()));
}

/// Numbers from -100 to 100, dense around 0.
fn numbers() -> Vec<f32> {
    (-1000..=1000).map(|i| (i as f32 / 1000.0).powi(3) * 100.0).collect()
}

#[test]
fn exp_and_log_are_good_to_some_units_in_the_last_place() {
    let inputs: Vec<f32> = numbers().into_iter().filter(|x| (-86.0..=87.0).contains(x)).collect();
    let f = "fn g(x: f32) -> f32 { return exponential(vec4(x)).y; }";
    for (x, y) in
        inputs.iter().zip(evaluate_real("wgflow::elementary::{exponential, logarithm}", f, &inputs, Activation::Relu))
    {
        let expected = f64::from(*x).exp();
        // A rounding of x at its own size, and some of the polynomial.
        let tolerance = 1e-7 * f64::from(x.abs()).max(1.5) * expected;
        assert!((f64::from(y) - expected).abs() <= tolerance, "exp({x}) is {expected}, not {y}");
    }
    let inputs: Vec<f32> = numbers().into_iter().map(|x| x.exp()).filter(|x| x.is_normal()).collect();
    let f = "fn g(x: f32) -> f32 { return logarithm(x); }";
    for (x, y) in
        inputs.iter().zip(evaluate_real("wgflow::elementary::{exponential, logarithm}", f, &inputs, Activation::Relu))
    {
        let expected = f64::from(*x).ln();
        assert!((f64::from(y) - expected).abs() <= 1.5e-7 * expected.abs().max(0.1), "log({x}) is {expected}, not {y}");
    }
}

#[test]
fn activations_and_slopes_are_those_of_the_host() {
    let inputs = numbers();
    for activation in Activation::ALL {
        for (part, field) in ["value", "slope"].iter().enumerate() {
            let f = format!("fn g(x: f32) -> f32 {{ return activate(vec4(x)).{field}.z; }}");
            for (x, y) in inputs.iter().zip(evaluate_real("wgflow::activation::activate", &f, &inputs, activation)) {
                let both = activation.evaluate(f64::from(*x));
                let expected = if part == 0 { both.0 } else { both.1 };
                // Some roundings of numbers up to 1, or of x itself.
                let tolerance = 3e-7 * expected.abs().max(1.0);
                assert!(
                    (f64::from(y) - expected).abs() <= tolerance,
                    "{activation:?} {field} at {x}: {expected}, not {y}"
                );
            }
        }
    }
}

/// Name and offset of each member.
type Members = Vec<(&'static str, usize)>;

macro_rules! members {
    ($type:ty: $($field:ident),+) => {
        vec![$((stringify!($field), offset_of!($type, $field))),+]
    };
}

#[test]
fn uniforms_lie_in_wgsl_as_they_lie_in_rust() {
    let work: Members = members!(Work: key, iteration, first_trajectory, stream, block, room, scored_from, sampled_from,
        first_step, last_step, group_steps, chains, layer, first_slice, slices, blocks, count, activated, lists, first_x,
        first_y, first_z, epsilon, sharpness, rate_factor, beta, unused);
    let layer: Members = members!(Layer: inputs, outputs, forward, backward, bias, offset, gradient, gradient_bias);
    let network = network(TILING);
    let sources = sources_of(&network, Activation::Elu);
    for variant in variants(&network) {
        let name = variant.0;
        let (module, _) = linked(&sources, &variant).read().unwrap();
        let mut uniforms = 0;
        for (_, variable) in module.global_variables.iter() {
            if variable.space != naga::AddressSpace::Uniform {
                continue;
            }
            uniforms += 1;
            let (members, size) = match variable.name.as_deref() {
                Some("work") => (&work, size_of::<Work>()),
                Some("network") => (&layer, size_of::<Layer>()),
                other => panic!("{name} has a uniform {other:?} that this test does not know"),
            };
            let mut inner = &module.types[variable.ty].inner;
            if let naga::TypeInner::Array { base, stride, .. } = inner {
                assert_eq!(*stride as usize, size, "distance of array elements in {name}");
                inner = &module.types[*base].inner;
            }
            let naga::TypeInner::Struct { members: found, span } = inner else { panic!("a uniform is a struct") };
            assert_eq!(*span as usize, size);
            let found: Vec<_> = found.iter().map(|m| (m.name.clone().unwrap(), m.offset as usize)).collect();
            let expected: Vec<_> = members.iter().map(|(name, offset)| (name.to_string(), *offset)).collect();
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(uniforms, 2, "{name}");
    }
}

#[test]
fn shaders_keep_to_the_limits_that_every_adapter_has() {
    let defaults = wgpu::Limits::default();
    let network = network(TILING);
    let sources = sources_of(&network, Activation::Elu);
    for variant in variants(&network) {
        let name = variant.0;
        let (module, info) = linked(&sources, &variant).read().unwrap();
        let storage = |variable: &naga::GlobalVariable| matches!(variable.space, naga::AddressSpace::Storage { .. });
        let used = info.get_entry_point(0);
        let bound = |(handle, variable): &(naga::Handle<naga::GlobalVariable>, &naga::GlobalVariable)| {
            storage(variable) && !used[*handle].is_empty()
        };
        let count = module.global_variables.iter().filter(bound).count();
        assert!(count <= defaults.max_storage_buffers_per_shader_stage as usize, "{name} binds {count} buffers");
        let entry = &module.entry_points[0];
        assert_eq!(entry.name, name);
        assert!(entry.workgroup_size[0] <= defaults.max_compute_workgroup_size_x);
    }
}

/// A buffer has one binding number wherever it is bound, and no other has it: so files can be put together in any way.
#[test]
fn buffers_have_one_binding_number_each() {
    let declared = KERNELS
        .concat()
        .into_iter()
        .chain(LIBRARY.iter().copied())
        .flat_map(|(path, text)| text.lines().map(move |line| (path, line)));
    let mut numbers = BTreeMap::new();
    for (path, line) in declared {
        let Some((number, rest)) = line.strip_prefix("@group(0) @binding(").and_then(|line| line.split_once(')'))
        else {
            assert!(!line.contains("@binding"), "{path}: {line}");
            continue;
        };
        let name = rest.split(['>', ':']).nth(1).unwrap().trim();
        let (one, other) = numbers.entry(number).or_insert((name, path));
        assert_eq!(*one, name, "{number} in {path} and {other}");
    }
    let names: BTreeSet<_> = numbers.values().map(|(name, _)| name).collect();
    assert!(names.len() == numbers.len() && names.len() > 20, "{numbers:?}");
}

#[test]
fn packing_pads_with_zeros_and_unpacking_takes_the_padding_away() {
    let network = network(Tiling { rows: 2, units: 4, ..TILING });
    let count = network.layout.parameters();
    let parameters: Vec<f64> = (1..=count).map(|i| i as f64).collect();
    let context = context();
    let sources = Sources::new(&network, Activation::Relu);
    let mut buffers = Buffers::default();
    Recorder::prepare(&context, &mut buffers).unwrap();
    buffers.uniform(&context, "network", sources.uniform_bytes()).unwrap();
    buffers.write(&context, "network", &network.layers);
    let mut spread = Spread::new(&context, &sources, &network, &mut buffers, "").unwrap();
    spread.upload(&context, &buffers, &network, &network.arrangement.arrange(&parameters)).unwrap();
    let [weights] = buffers.read::<f32, 1>(&context, ["weights"], 4 * network.weights as usize).unwrap();
    // 15 columns and a bias of 8; the second layer's 8 x 24 in both directions and its bias; head and its bias; changes.
    let nonzero = weights.iter().filter(|&&weight| weight != 0.0).count();
    assert_eq!(nonzero, 16 * 8 + 2 * 8 * 24 + 24 + 15 * 24 + 15 + 3);
    // Where every number is: layouts are [output][input], the first layer and `forward` [input][output].
    let tensors = network.layout.layers();
    let at = |quad: u32, number: usize| f64::from(weights[4 * quad as usize + number]);
    let mut seen = 0;
    for (layer, tensor) in network.layers.iter().zip(&tensors) {
        let (width, inputs) = (4 * layer.outputs as usize, 4 * layer.inputs as usize);
        for output in 0..tensor.outputs {
            for input in 0..tensor.inputs {
                let expected = parameters[tensor.weight.start + output * tensor.inputs + input];
                assert_eq!(at(layer.forward, input * width + output), expected);
                if layer.inputs > 0 {
                    assert_eq!(at(layer.backward, output * inputs + input), expected);
                }
                seen += 1;
            }
            assert_eq!(at(layer.bias, output), parameters[tensor.bias.start + output]);
        }
    }
    let (head, last) = (&tensors[2], 4 * network.layers[1].outputs as usize);
    for output in 0..head.outputs {
        for input in 0..head.inputs {
            let expected = parameters[head.weight.start + output * head.inputs + input];
            assert_eq!(at(network.head, output * last + input), expected);
            seen += 1;
        }
        assert_eq!(at(network.head_bias, output), parameters[head.bias.start + output]);
    }
    assert_eq!(seen, 15 * 8 + 8 * 24 + 24 * 15);
    let gradient: Vec<f32> = (0..4 * network.gradient).map(|i| i as f32).collect();
    let mut found: Vec<f32> = network.arrangement.restore(&gradient);
    found.sort_by(f32::total_cmp);
    found.dedup();
    assert_eq!(found.len(), count, "every parameter has a place of its own");
}

#[test]
fn a_lost_device_is_one_clear_error() {
    let target = Arc::new(Ising::new(3, 0.4).unwrap());
    let process = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: target.encoding() };
    let layout = Layout::new(9, &[8, 8], 18);
    let mut engine = GpuEngine::new(process, layout.clone(), Activation::Relu, target, GpuOptions::default()).unwrap();
    engine.set_parameters(&vec![0.1; layout.parameters()]).unwrap();
    let request = Rollout::sample(Draw::new(1, 0, Stream::Training), 10).kept();
    engine.rollout(&request).unwrap();
    let objects = engine.objects().unwrap();
    engine.context.device.destroy();
    let results = [
        engine.rollout(&request).map(drop),
        engine.gradient(&[1.0; 10]).map(drop),
        engine.objects().map(drop),
        engine.log_reward(&objects).map(drop),
        engine.set_parameters(&vec![0.1; layout.parameters()]),
    ];
    for result in results {
        let Err(EngineError::Device(message)) = result else { panic!("{result:?}") };
        assert!(message.contains("lost") && message.contains(&engine.adapter()), "{message}");
    }
}

/// Five sites of three values whose log R is the output of a network.
pub(super) struct Dense(pub Layout, pub Arc<[f64]>);

impl Target for Dense {
    fn sites(&self) -> usize {
        5
    }

    fn values(&self) -> usize {
        3
    }

    fn log_reward(&self, _: &Objects, _: &mut [f64]) {
        panic!("engines evaluate the network by themselves");
    }

    fn network(&self) -> Option<RewardNetwork> {
        let parameters = self.1.clone();
        Some(RewardNetwork { layout: self.0.clone(), activation: Activation::Elu, parameters, version: 1 })
    }
}

/// All that an engine computes, in one list.
pub(super) fn everything(engine: &mut GpuEngine, count: usize) -> Vec<f64> {
    let coefficients: Vec<f64> = (0..count).map(|i| (1.7 * i as f64 + 0.3).sin()).collect();
    let sampled = engine.rollout(&Rollout::sample(Draw::new(1, 0, Stream::Training), count)).unwrap();
    let trajectories = engine.trajectories().unwrap();
    let objects = engine.objects().unwrap();
    let given = Given { trajectories: &trajectories, scored_from: 1, sampled_from: 3 };
    let request = Rollout {
        draw: Draw::new(2, 0, Stream::Training),
        count,
        given: Some(given),
        keep: true,
        stepwise: false,
        behaviour: Default::default(),
    };
    let kept = engine.rollout(&request).unwrap();
    let actions = [&trajectories, &engine.trajectories().unwrap()].map(Trajectories::actions).concat();
    let moments = engine.moments(&coefficients).unwrap();
    let network = engine.reward_gradient(&objects, &coefficients);
    [
        [sampled, kept].map(|batch| [batch.log_forward, batch.log_reward].concat()).concat(),
        actions.into_iter().map(f64::from).collect(),
        engine.gradient(&coefficients).unwrap(),
        engine.square_norms().unwrap(),
        engine.leave_one_out_gradient(&coefficients, &moments).unwrap(),
        [moments.sum, moments.weighted_sum, moments.squares, moments.weighted_squares].concat(),
        engine.log_reward(&objects).unwrap(),
        network.unwrap_or_default(),
    ]
    .concat()
}

#[test]
fn launching_dispatches_in_pieces_changes_no_bit() {
    let layout = Layout::new(15, &[16, 24, 8], 1);
    let parameters = initialise(&layout, Initialisation::FanIn, 5, Stream::EnergyInitialisation);
    let targets: [Arc<dyn Target>; 2] =
        [Arc::new(Dense(layout, parameters.into())), Arc::new(Ising::new(3, 0.4).unwrap())];
    let sets = [KernelSet::Software, KernelSet::Hardware];
    for (target, set) in targets.iter().flat_map(|target| sets.map(|set| (target, set))) {
        let (sites, values) = (target.sites(), target.values());
        let process = SiteFilling { sites, values, order: Order::Uniform, encoding: target.encoding() };
        let layout = Layout::new(process.columns(), &[24, 40, 16], process.actions());
        let parameters = initialise(&layout, Initialisation::FanIn, 7, Stream::Initialisation);
        // Every group a piece of its own, and three of them, in each dimension; then as many as make some work, where
        // blocks do not fit at once.
        let cases =
            [(None, u64::MAX, 1 << 30), (Some(1), u64::MAX, 1 << 30), (Some(3), u64::MAX, 0), (None, 50_000, 0)];
        let found = cases.map(|(limit, dispatch, memory_budget)| {
            let tiling = Some(Tiling { dispatch, ..Tiling::suggested(AdapterKind::Software, 40) });
            let options = GpuOptions { memory_budget, tiling, kernels: Some(set), ..GpuOptions::default() };
            let mut engine =
                GpuEngine::new(process.clone(), layout.clone(), Activation::Swish, target.clone(), options).unwrap();
            if let Some(limit) = limit {
                engine.context.limits.max_compute_workgroups_per_dimension = limit;
            }
            engine.set_parameters(&parameters).unwrap();
            everything(&mut engine, BLOCK + 6)
        });
        let [whole, pieces @ ..] = &found;
        assert!(whole.iter().all(|number| number.is_finite()) && whole.iter().any(|&number| number != 0.0));
        for (found, case) in pieces.iter().zip(&cases[1..]) {
            assert!(found == whole, "other bits in pieces of {case:?} with {set:?}");
        }
    }
}

#[test]
fn dispatches_beyond_what_kernels_count_are_refused_by_name() {
    let context = context();
    let mut kernel = Sources::new(&network(TILING), Activation::Relu).kernel(&context, "order", &[]).unwrap();
    let mut buffers = Buffers::default();
    Recorder::prepare(&context, &mut buffers).unwrap();
    let tiling = Tiling::suggested(context.adapter.kind, 1);
    let mut recorder = Recorder::new(&context, &buffers, &tiling);
    recorder.dispatch(&mut kernel, &Work::default(), [0, 1, 1], 0.0);
    recorder.dispatch(&mut kernel, &Work::default(), [1 << 26, 1, 1], 0.0);
    let Err(EngineError::Limit(message)) = recorder.finish() else { panic!("2^32 invocations in a row") };
    for word in ["`order`", "67108864", "4294967295", &context.adapter.name] {
        assert!(message.contains(word), "{message}");
    }
}
