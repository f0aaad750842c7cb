//! Every kernel there is, translated for every platform.

use std::sync::Arc;

use super::network::{Network, Sight};
use super::source::{
    ACTIVATION, COLUMN, ELEMENTARY, LATER, LAYERS, LEFT_OUT, MOMENTS, MULTIPLY, PHILOX, SINGLE, SUM, Sources, TILE,
    Weights, shader,
};
use super::tiling::Tiling;
use crate::engine::AdapterKind;
use crate::grid::Grid;
use crate::network::{Activation, Layout};
use crate::process::{Encoding, Order, Process, SiteFilling};

/// Every kernel of a network, with every tally and kind of coefficients, by name and parts.
pub fn shaders(sources: &Sources) -> Vec<(&'static str, Vec<&str>)> {
    let reward = "fn log_reward(trajectory: u32) -> f32 { return f32(value(trajectory, 0u)); }";
    let [column, steps] = sources.steps();
    let [walk, columns] = sources.columns();
    let rules = sources.rules();
    let [whole, choice] = sources.outputs(Weights::Trajectories);
    let [stepwise, _] = sources.outputs(Weights::Steps);
    let choose = sources.choose();
    let rollout =
        [&[PHILOX, ELEMENTARY, ACTIVATION, TILE, LAYERS, column, steps][..], &choose, &[shader!("rollout.wgsl")]];
    let mut shaders = vec![
        ("spread", vec![shader!("spread.wgsl")]),
        ("start", vec![column, steps, shader!("start.wgsl")]),
        ("rollout", rollout.concat()),
        ("finish", [&rules[..], &[sources.object(), shader!("finish.wgsl")]].concat()),
        ("reward", vec![shader!("reward.wgsl"), reward]),
        ("head_backward", vec![whole, choice, shader!("head_backward.wgsl")]),
        ("head_backward", vec![stepwise, choice, shader!("head_backward.wgsl")]),
        ("dense_backward", vec![TILE, shader!("dense_backward.wgsl")]),
        ("weight_gradient", vec![TILE, shader!("weight_gradient.wgsl")]),
        ("fold", vec![shader!("fold.wgsl")]),
        ("first_backward", vec![shader!("first_backward.wgsl")]),
        ("head_gradient", vec![stepwise, choice, SUM, shader!("head_gradient.wgsl")]),
    ];
    for tally in [SUM, MOMENTS, LEFT_OUT] {
        shaders.extend([
            ("head_gradient", vec![whole, choice, tally, shader!("head_gradient.wgsl")]),
            ("hidden_scores", vec![MULTIPLY, tally, shader!("hidden_scores.wgsl")]),
            ("first_gradient", vec![LATER, walk, columns, tally, shader!("first_gradient.wgsl")]),
        ]);
    }
    if rules == [""; 3] {
        shaders.extend([
            ("order", vec![PHILOX, shader!("order.wgsl")]),
            ("head_norms", vec![whole, choice, shader!("head_norms.wgsl")]),
            ("hidden_norms", vec![MULTIPLY, shader!("hidden_norms.wgsl")]),
            ("first_norms", vec![shader!("first_norms.wgsl")]),
            ("sum_norms", vec![shader!("sum_norms.wgsl")]),
            // Of a network of finished objects.
            ("evaluate", vec![ELEMENTARY, ACTIVATION, COLUMN, TILE, LAYERS, shader!("evaluate.wgsl")]),
            ("head_backward", vec![SINGLE, shader!("head_backward.wgsl")]),
            ("head_gradient", vec![SINGLE, SUM, shader!("head_gradient.wgsl")]),
        ]);
    } else {
        shaders.push(("walk", [&rules[..], &[shader!("walk.wgsl")]].concat()));
    }
    shaders
}

/// Every kernel, for every encoding and order, some depths, all activations and both kinds of tiles, in the languages of
/// Vulkan, Metal, DX12 and OpenGL.
#[test]
fn every_kernel_translates_for_every_platform() {
    use naga::back::{glsl, hlsl, msl, spv};
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    let tilings = [AdapterKind::Discrete, AdapterKind::Software].map(|kind| Tiling::suggested(kind, 40));
    let encodings = [Encoding::OneHot, Encoding::Scalar { unset: -1.0, codes: vec![0.0, 0.5, 1.0] }];
    let mut variants = Vec::new();
    for (index, activation) in Activation::ALL.into_iter().enumerate() {
        let order = if index % 2 == 0 { Order::Uniform } else { Order::Fixed };
        let encoding = encodings[index % 2].clone();
        let hidden = [&[24][..], &[8, 24], &[40, 16, 8]][index % 3];
        for tiling in tilings {
            let process = SiteFilling { sites: 5, values: 3, order, encoding: encoding.clone() };
            let layout = Layout::new(process.columns(), hidden, process.actions());
            variants.push((Network::new(process, Sight::Steps, layout, tiling).unwrap(), activation));
            let grid = Grid { sites: 2, side: 40 };
            let layout = Layout::new(grid.columns(), hidden, grid.actions());
            let process: Arc<dyn Process> = Arc::new(grid);
            variants.push((Network::new(process, Sight::Steps, layout, tiling).unwrap(), activation));
        }
    }
    let mut translated = 0;
    for (network, activation) in &variants {
        let sources = Sources::new(network, *activation);
        // What adds up hidden layers is compiled only where there are some.
        let of_several = ["fold", "weight_gradient", "hidden_scores", "hidden_norms"];
        let one = network.layers.len() == 1;
        for (name, parts) in shaders(&sources).into_iter().filter(|(name, _)| !one || !of_several.contains(name)) {
            let module = naga::front::wgsl::parse_str(&sources.assemble(&parts)).unwrap();
            let mut validator = Validator::new(ValidationFlags::all(), Capabilities::default());
            let info = validator.validate(&module).unwrap_or_else(|error| panic!("{name}: {error:?}"));
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
            glsl::Writer::new(
                &mut text,
                &module,
                &info,
                &options,
                &pipeline,
                naga::proc::BoundsCheckPolicies::default(),
            )
            .and_then(|mut writer| writer.write())
            .unwrap_or_else(|error| panic!("{name} in GLSL: {error}"));
            translated += 1;
        }
    }
    assert!(translated > 200, "{translated}");
}
