//! Every kernel there is, translated for every platform.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::kernel_set::KernelSet;
use super::link::{CAPABILITIES, KERNELS, LIBRARY, Linked, find};
use super::network::{Input, Network};
use super::source::{GUIDE, RULES, Sources, TARGET, USABLE_BY_GUIDES, USABLE_BY_RULES, USABLE_BY_TARGETS, Weights};
use super::stages::{Accumulator, Deltas, Forward};
use super::tiling::Tiling;
use crate::engine::AdapterKind;
use crate::network::{Activation, Layout};
use crate::process::{
    Encoding, Extras, Filled, Flow, Guide, GuideKernel, Guided, Hypergrid, Order, Process, SiteFilling,
};

/// A kernel by its name and what holds in it.
pub type Variant = (&'static str, Vec<&'static str>);

/// Every kernel of a network, with every accumulator and kind of coefficients.
pub fn variants(network: &Network) -> Vec<Variant> {
    let named = |(name, holding): (&'static str, &[&'static str])| (name, holding.to_vec());
    let forward = |what: Forward| {
        what.variants(network).into_iter().map(|(name, holding, _)| (name, holding.to_vec())).collect::<Vec<_>>()
    };
    let all_layers = |weights| Deltas::all_layers(network, weights).map(|(name, holding, _)| (name, holding));
    let (single, stepwise) = (Weights::Trajectories.definitions(), Weights::Steps.definitions());
    let mut variants = vec![
        ("spread", vec![]),
        ("head_backward", single.to_vec()),
        named(network.set.dense_backward()),
        ("first_backward", vec![]),
        named(network.set.weight_gradient()),
        ("fold", vec![]),
    ];
    if network.keeps_z() && network.input == Input::States {
        variants.push(("activate_signals", vec![]));
    }
    variants.extend(all_layers(Weights::Trajectories));
    if let Some([_, head, first]) = network.set.slices() {
        variants.extend([head, first].map(|part| ("fold", vec![part])));
    }
    // Sums over trajectories, of the head (1) or of the first layer (2).
    let sliced = |part: usize| network.set.slices().map_or(vec![], |holding| vec![holding[0], holding[part]]);
    let head =
        |sum: Accumulator, more: &[&'static str]| ("head_gradient", [&[sum.definition()], more, &sliced(1)].concat());
    let first = |sum: Accumulator| ("first_gradient", [&[sum.definition()][..], &sliced(2)].concat());
    variants.extend([head(Accumulator::Gradient, single), first(Accumulator::Gradient)]);
    if network.input == Input::Objects {
        variants.extend(forward(Forward::Evaluate));
        return variants;
    }
    for accumulator in [Accumulator::Moments, Accumulator::LeftOut] {
        variants.extend([
            head(accumulator, single),
            ("hidden_scores", vec![accumulator.definition(), "SCORES"]),
            first(accumulator),
        ]);
    }
    variants.extend([
        ("start", vec![]),
        (network.set.finish().0, vec![]),
        ("weigh", vec![]),
        ("gradient_norm", vec![]),
        ("decide", vec![]),
        ("adam", vec![]),
        ("empty", vec![]),
        ("reward", vec![]),
        ("head_backward", stepwise.to_vec()),
        head(Accumulator::Gradient, stepwise),
    ]);
    variants.extend(all_layers(Weights::Steps));
    variants.extend(forward(Forward::Rollout));
    if network.guide.is_some() {
        variants.push(("sites", vec![]));
    }
    if network.filling.is_some() {
        let norms = [network.order().0, "head_norms", "hidden_norms", "first_norms", "sum_norms"];
        variants.extend(norms.map(|name| (name, vec![])));
    } else {
        variants.push(("walk", vec![]));
    }
    variants
}

/// A target's part of a kernel.
const LOG_REWARD: &str =
    "fn log_reward(trajectory: u32) -> f32 { return f32(value(trajectory, 0u) + SITES + VALUES) * parameter(0u); }";

/// A guide whose increments are a site's.
#[derive(Debug)]
struct Steady;

impl Guide for Steady {
    fn increments(&self, _: Filled, site: usize, increments: &mut [f64]) {
        increments.iter_mut().zip(0..).for_each(|(increment, value)| *increment = f64::from(value) * site as f64);
    }

    fn kernel(&self) -> Option<GuideKernel> {
        let source = "fn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32 {
            return guide_parameter(0u) * f32(value * site) + select(0.0, f32(VALUES), filled_value(filled, site) != UNFILLED);
        }";
        Some(GuideKernel::new(source, vec![1.0]))
    }
}

/// Sources without and with a target's log R.
pub fn sources(network: &Network, activation: Activation) -> [Sources; 2] {
    let sources = Sources::new(network, activation);
    let with_target = sources.supplying(TARGET, LOG_REWARD, USABLE_BY_TARGETS);
    [sources, with_target]
}

/// The source of a variant.
pub fn linked([sources, with_target]: &[Sources; 2], (name, definitions): &Variant) -> Linked {
    if *name == "reward" { with_target } else { sources }.link(name, definitions)
}

/// What kernels of the portable set may use of workgroup memory.
const WORKGROUP_MEMORY: usize = 32 << 10;

/// Networks for every encoding and order, some depths, all activations and both sets of kernels, of states and of objects, plain
/// and guided, of site filling and of another process.
pub fn networks() -> Vec<(Network, Activation)> {
    let kinds = [AdapterKind::Discrete, AdapterKind::Software];
    let new = |kind: AdapterKind, process: Arc<dyn Process>, input, layout| {
        let network = Network::new(process, input, layout, Tiling::suggested(kind, 40)).unwrap();
        network.with(KernelSet::suited(kind), WORKGROUP_MEMORY)
    };
    let encodings = [Encoding::OneHot, Encoding::Scalar { unset: -1.0, codes: vec![0.0, 0.5, 1.0] }];
    let mut networks = Vec::new();
    for (index, activation) in Activation::ALL.into_iter().enumerate() {
        let order = if index % 2 == 0 { Order::Uniform } else { Order::Fixed };
        let encoding = encodings[index % 2].clone();
        let hidden = [&[24][..], &[8, 24], &[40, 16, 8]][index % 3];
        for kind in kinds {
            let process = SiteFilling { sites: 5, values: 3, order, encoding: encoding.clone() };
            let layout = Layout::new(process.columns(), hidden, process.actions());
            networks.push((new(kind, Arc::new(process.clone()), Input::States, layout), activation));
            let guided = Guided::new(process.clone(), Arc::new(Steady));
            let layout = Layout::new(guided.columns(), hidden, guided.actions());
            networks.push((new(kind, Arc::new(guided), Input::States, layout), activation));
            let layout = Layout::new(process.columns(), hidden, 1);
            networks.push((new(kind, Arc::new(process), Input::Objects, layout), activation));
            let grid = Hypergrid::new(2, 40);
            let more = Hypergrid {
                extras: Extras { learned_backward: true, flow: [Flow::Output, Flow::Stop, Flow::Unsaid][index % 3] },
                ..grid.clone()
            };
            for grid in [grid, more] {
                let layout = Layout::new(grid.columns(), hidden, grid.outputs());
                networks.push((new(kind, Arc::new(grid), Input::States, layout), activation));
            }
        }
    }
    networks
}

/// All kernels of these networks.
pub fn every_kernel(mut look: impl FnMut(&Variant, &Linked)) {
    for (network, activation) in &networks() {
        let sources = sources(network, *activation);
        // What adds up hidden layers is compiled only where there are some.
        let of_several = ["fold", network.set.weight_gradient().0, "hidden_scores", "hidden_norms"];
        let one = network.layers.len() == 1;
        let made =
            |(name, holding): &Variant| !one || !of_several.contains(name) || holding.len() == 1 && *name == "fold";
        for variant in variants(network).into_iter().filter(made) {
            look(&variant, &linked(&sources, &variant));
        }
    }
}

/// In the languages of Vulkan, Metal, DX12 and OpenGL.
#[test]
fn every_kernel_translates_for_every_platform() {
    use naga::back::{glsl, hlsl, msl, spv};

    let mut translated = 0;
    every_kernel(|variant, linked| {
        let name = variant.0;
        let (module, info) = linked.read().unwrap_or_else(|error| panic!("{variant:?}: {error}"));
        spv::write_vec(&module, &info, &spv::Options::default(), None)
            .unwrap_or_else(|error| panic!("{name} in SPIR-V: {error}"));
        let options = msl::Options { fake_missing_bindings: true, ..msl::Options::default() };
        msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|error| panic!("{name} in MSL: {error}"));
        let (options, pipeline) = (hlsl::Options::default(), hlsl::PipelineOptions::default());
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{name} in HLSL: {error}"));
        let version = glsl::Version::Embedded { version: 310, is_webgl: false };
        let options = glsl::Options { version, ..glsl::Options::default() };
        let pipeline = glsl::PipelineOptions {
            shader_stage: naga::ShaderStage::Compute,
            entry_point: name.into(),
            multiview: None,
        };
        let mut text = String::new();
        glsl::Writer::new(&mut text, &module, &info, &options, &pipeline, naga::proc::BoundsCheckPolicies::default())
            .and_then(|mut writer| writer.write())
            .unwrap_or_else(|error| panic!("{name} in GLSL: {error}"));
        translated += 1;
    });
    assert!(translated > 200, "{translated}");
}

/// Every file is what it is to naga_oil, whose language they are in: it declares what others import from it, and imports all that
/// it uses.
#[test]
fn every_file_imports_what_it_uses() {
    use naga_oil::compose::{ComposableModuleDescriptor, Composer, NagaModuleDescriptor, ShaderDefValue};

    let grid = Hypergrid { extras: Extras { learned_backward: true, flow: Flow::Output }, ..Hypergrid::new(2, 4) };
    let filling = SiteFilling { sites: 5, values: 3, order: Order::Uniform, encoding: Encoding::OneHot };
    let guided = Guided::new(filling.clone(), Arc::new(Steady));
    let foreign = [
        format!("#define_import_path {GUIDE}\n{USABLE_BY_GUIDES}\n{}", Steady.kernel().unwrap().source),
        format!("#define_import_path {RULES}\n{USABLE_BY_RULES}\n{}", grid.kernel().unwrap().source),
        format!("#define_import_path {TARGET}\n{USABLE_BY_TARGETS}\n{LOG_REWARD}"),
    ];
    let mut composer = Composer::default().with_capabilities(CAPABILITIES);
    let files = LIBRARY.iter().map(|(path, text)| (*path, *text));
    let mut waiting: Vec<_> =
        files.chain([GUIDE, RULES, TARGET].into_iter().zip(foreign.iter().map(String::as_str))).collect();
    // What imports nothing comes first, what imports only that next.
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|(file_path, source)| {
            let module = ComposableModuleDescriptor { source, file_path, ..Default::default() };
            composer.add_composable_module(module).is_err()
        });
        let left: Vec<_> = waiting.iter().map(|(path, _)| path).collect();
        assert!(left.len() < before, "imports of {left:?} are not there, or go round in a circle");
    }

    let cases: [(Arc<dyn Process>, Input); 4] = [
        (Arc::new(guided), Input::States),
        (Arc::new(filling.clone()), Input::States),
        (Arc::new(grid), Input::States),
        (Arc::new(filling), Input::Objects),
    ];
    let kinds = [AdapterKind::Software, AdapterKind::Discrete];
    let mut used = BTreeSet::new();
    for ((process, input), kind) in cases.iter().flat_map(|case| kinds.map(|kind| (case, kind))) {
        let (process, input) = (process.clone(), *input);
        let outputs = if input == Input::Objects { 1 } else { process.outputs() };
        let layout = Layout::new(process.columns(), &[8, 24], outputs);
        let network = Network::new(process, input, layout, Tiling::suggested(kind, 40)).unwrap();
        let network = network.with(KernelSet::suited(kind), WORKGROUP_MEMORY);
        let sources = sources(&network, Activation::Swish);
        for variant in variants(&network) {
            let name = variant.0;
            let holds = |name: &&str| (name.to_string(), ShaderDefValue::Bool(true));
            let descriptor = NagaModuleDescriptor {
                source: find(&KERNELS.concat(), name).unwrap(),
                file_path: name,
                shader_defs: sources[0].definitions(&variant.1).iter().map(holds).collect(),
                ..Default::default()
            };
            let made = composer.make_naga_module(descriptor).map_err(|error| error.emit_to_string(&composer));
            let module = made.unwrap_or_else(|error| panic!("{variant:?}: {error}"));
            assert!(module.entry_points.iter().any(|entry| entry.name == name), "{variant:?}");
            used.extend(linked(&sources, &variant).files().map(str::to_owned));
        }
    }
    let unused: Vec<_> =
        KERNELS.concat().into_iter().chain(LIBRARY.iter().copied()).filter(|(path, _)| !used.contains(*path)).collect();
    assert!(unused.is_empty(), "no kernel has {unused:?}");
}
