//! What an engine is given that does not fit: the same errors on the native engine and on the GPU, and nothing lost by them.

mod common;

use std::sync::Arc;

use common::compare::{largest, relative_difference};
use common::{Setting, coefficients, moments_of};
use wgflow::engine::cpu::CpuEngine;
use wgflow::engine::gpu::{GpuEngine, GpuOptions};
use wgflow::engine::{Coefficients, Differentiate, Engine, EngineError, Given, Moments, Roll, Rollout};
use wgflow::network::{Activation, Initialisation, Layout, initialise};
use wgflow::process::{Encoding, Objects, Order, Trajectories};
use wgflow::random::{Draw, Stream};
use wgflow::targets::{RewardKernel, RewardNetwork, Target};

const DRAW: Draw = Draw { seed: 11, iteration: 3, stream: Stream::Training, first_trajectory: 0 };
const COUNT: usize = 70;

fn gpu(setting: &Setting) -> Result<GpuEngine, EngineError> {
    let options = GpuOptions { adapter: std::env::var("WGFLOW_ADAPTER").ok(), ..GpuOptions::default() };
    let (process, layout) = (setting.process.clone(), setting.layout.clone());
    GpuEngine::new(process, layout, setting.activation, setting.target.clone(), options)
}

/// Both engines, with parameters.
fn engines(setting: &Setting) -> [Box<dyn Engine>; 2] {
    let mut gpu = gpu(setting).unwrap_or_else(|error| panic!("{error}: is mesa-vulkan-drivers installed?"));
    gpu.set_parameters(&setting.parameters()).unwrap();
    [Box::new(setting.native::<f32>()), Box::new(gpu)]
}

/// The one error that both engines give, as their own variant and text.
fn fault<T>(engines: &mut [Box<dyn Engine>; 2], call: impl Fn(&mut dyn Engine) -> Result<T, EngineError>) -> String {
    let [native, gpu] = engines.each_mut().map(|engine| match call(engine.as_mut()) {
        Ok(_) => panic!("{} took it", engine.name()),
        Err(error) => format!("{error:?}"),
    });
    assert_eq!(native, gpu);
    native
}

/// Trajectories that fill sites 0 to 3 in this order, but for one of them.
fn trajectories_with(number: usize, actions: [u32; 4]) -> Trajectories {
    let mut all = [0, 2, 4, 6].repeat(COUNT);
    all[4 * number..4 * (number + 1)].copy_from_slice(&actions);
    Trajectories::new(4, all)
}

#[test]
fn lengths_and_actions_that_do_not_fit_are_the_same_errors() {
    let setting = Setting::wave(4, 2, Order::Uniform, &[16, 8], Activation::Swish);
    let mut engines = engines(&setting);
    let request = Rollout::sample(DRAW, COUNT).kept();
    let before = engines.each_mut().map(|engine| {
        let batch = engine.rollout(&request).unwrap();
        (batch, engine.gradient(&coefficients(COUNT)).unwrap())
    });
    let mut refuse = |words: &[&str], call: &dyn Fn(&mut dyn Engine) -> Result<(), EngineError>| {
        let message = fault(&mut engines, call);
        assert!(message.starts_with("Limit("), "{message}");
        words.iter().for_each(|word| assert!(message.contains(word), "{message:?} does not say {word:?}"));
    };
    let parameters = setting.layout.parameters();
    for wrong in [0, parameters - 1, parameters + 1] {
        refuse(&[&wrong.to_string(), &parameters.to_string()], &|engine| engine.set_parameters(&vec![0.1; wrong]));
    }
    let moments = |engine: &mut dyn Engine| engine.moments(&coefficients(COUNT)).unwrap();
    for wrong in [0, COUNT - 1, COUNT + 1] {
        let words = [wrong.to_string(), COUNT.to_string()];
        let words = words.each_ref().map(String::as_str);
        refuse(&words, &|engine| engine.gradient(&coefficients(wrong)).map(drop));
        refuse(&words, &|engine| engine.moments(&coefficients(wrong)).map(drop));
        refuse(&words, &|engine| {
            let moments = moments(engine);
            engine.leave_one_out_gradient(&coefficients(wrong), &moments).map(drop)
        });
    }

    let replay = |trajectories: &Trajectories, scored_from, sampled_from, count| {
        let trajectories = trajectories.clone();
        move |engine: &mut dyn Engine| {
            let given = Given { trajectories: &trajectories, scored_from, sampled_from };
            engine
                .rollout(&Rollout {
                    draw: DRAW,
                    count,
                    given: Some(given),
                    keep: false,
                    stepwise: false,
                    behaviour: Default::default(),
                })
                .map(drop)
        }
    };
    let good = trajectories_with(0, [7, 0, 3, 4]);
    refuse(&["70", "71"], &replay(&good, 0, 4, COUNT + 1));
    refuse(&["3", "4"], &replay(&Trajectories::new(3, vec![0; 3 * COUNT]), 0, 3, COUNT));
    refuse(&["scored from 3", "sampled from 2"], &replay(&good, 3, 2, COUNT));
    refuse(&["scored from 0", "sampled from 5"], &replay(&good, 0, 5, COUNT));
    refuse(&["scored from 5", "sampled from 5"], &replay(&good, 5, 5, COUNT));
    refuse(&["action 8", "trajectory 69"], &replay(&trajectories_with(69, [0, 2, 8, 4]), 0, 4, COUNT));
    refuse(&["trajectory 5", "site 1 twice"], &replay(&trajectories_with(5, [0, 2, 3, 4]), 0, 4, COUNT));

    for wrong in [Objects::numbered(3, 2, 0..4), Objects::new(4, vec![2; 8])] {
        refuse(&["sites", "4 sites of 2 values"], &|engine| engine.log_reward(&wrong).map(drop));
        refuse(&["sites", "4 sites of 2 values"], &|engine| engine.reward_gradient(&wrong, &[1.0; 2]).map(drop));
    }
    refuse(&["3 coefficients", "4 objects"], &|engine| {
        engine.reward_gradient(&Objects::numbered(4, 2, 0..4), &[1.0; 3]).map(drop)
    });
    // Lists in an engine's own order have its own length.
    for engine in &mut engines {
        let length = engine.arrangement().length();
        assert!(length >= parameters);
        let words = [(length - 1).to_string(), length.to_string()];
        let refused = |outcome: Result<(), EngineError>| {
            let Err(EngineError::Limit(message)) = outcome else { panic!("{outcome:?}") };
            words.iter().for_each(|word| assert!(message.contains(word), "{message:?} does not say {word:?}"));
        };
        refused(engine.load(&vec![0.1; length - 1]));
        let ones = Coefficients::Trajectories(coefficients(COUNT));
        refused(engine.accumulate(&ones, &mut vec![0.0; length - 1]));
        for squares in [true, false] {
            let mut moments = moments(engine.as_mut());
            let list = if squares { &mut moments.squares } else { &mut moments.weighted_squares };
            list.pop();
            refused(engine.leave_one_out_gradient(&coefficients(COUNT), &moments).map(drop));
        }
    }
    // The batch held is still the one before.
    for (engine, (batch, gradient)) in engines.iter_mut().zip(before) {
        assert_eq!(engine.gradient(&coefficients(COUNT)).unwrap(), gradient);
        assert_eq!(engine.rollout(&request).unwrap(), batch);
        replay(&good, 4, 4, COUNT)(engine.as_mut()).unwrap();
    }
}

#[test]
fn sites_out_of_a_fixed_order_are_refused() {
    let setting = Setting::wave(4, 2, Order::Fixed, &[8], Activation::Relu);
    let mut engines = engines(&setting);
    let wrong = trajectories_with(9, [1, 4, 2, 6]);
    let message = fault(&mut engines, |engine| engine.rollout(&Rollout::replay(DRAW, &wrong)));
    assert!(message.contains("trajectory 9 sets site 2 at step 1"), "{message}");
    let good = trajectories_with(9, [1, 3, 4, 7]);
    engines.iter_mut().for_each(|engine| drop(engine.rollout(&Rollout::replay(DRAW, &good)).unwrap()));
}

#[test]
fn policies_that_do_not_fit_are_the_same_errors() {
    for widths in [vec![4, 8], vec![4, 8, 0, 8], vec![4, 8, 9], vec![5, 8, 8], vec![]] {
        let mut setting = Setting::wave(4, 2, Order::Uniform, &[8], Activation::Relu);
        setting.layout.widths = widths;
        let (process, layout) = (setting.process.clone(), setting.layout.clone());
        let native = CpuEngine::<f64>::new(process, layout, setting.activation, setting.target.clone(), 0);
        let (Err(native), Err(gpu)) = (native, gpu(&setting)) else { panic!("{:?} fits", setting.layout.widths) };
        assert_eq!(format!("{native:?}"), format!("{gpu:?}"));
        assert!(matches!(native, EngineError::Limit(_)));
    }
}

#[test]
fn what_cannot_be_differentiated_is_the_same_error() {
    let setting = Setting::wave(4, 2, Order::Uniform, &[16, 8], Activation::Swish);
    let mut engines = engines(&setting);
    let c = coefficients(COUNT);
    let known = engines.each_mut().map(|engine| {
        engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        (engine.gradient(&c).unwrap(), engine.moments(&c).unwrap())
    });
    let mut all_refuse = |word: &str, prepare: &dyn Fn(&mut dyn Engine)| {
        engines.iter_mut().for_each(|engine| prepare(engine.as_mut()));
        for message in [
            fault(&mut engines, |engine| engine.gradient(&c)),
            fault(&mut engines, |engine| engine.moments(&c)),
            fault(&mut engines, |engine| engine.square_norms()),
            fault(&mut engines, |engine| {
                let zeros = vec![0.0; engine.arrangement().length()];
                let moments = Moments { squares: zeros.clone(), weighted_squares: zeros, ..Moments::default() };
                engine.leave_one_out_gradient(&c, &moments)
            }),
        ] {
            assert!(message.starts_with("NoBatch(") && message.contains(word), "{message}");
        }
    };
    all_refuse("keeping", &|engine| drop(engine.rollout(&Rollout::sample(DRAW, COUNT)).unwrap()));
    let set = |engine: &mut dyn Engine| engine.set_parameters(&setting.parameters()).unwrap();
    all_refuse("set after", &|engine| {
        engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        set(engine);
        assert_eq!((engine.trajectories().unwrap().count(), engine.objects().unwrap().count()), (COUNT, COUNT));
    });
    for (engine, (gradient, _)) in engines.iter_mut().zip(&known) {
        engine.rollout(&Rollout::sample(DRAW, COUNT).kept()).unwrap();
        assert_eq!(engine.gradient(&c).unwrap(), *gradient, "the same batch again");
    }
    let mut fresh = self::engines(&setting);
    let message = fault(&mut fresh, |engine| engine.gradient(&[]));
    assert!(message.contains("nothing was rolled out"), "{message}");
    for engine in &mut fresh {
        engine.rollout(&Rollout::sample(DRAW, 0).kept()).unwrap();
        assert!(engine.gradient(&[]).unwrap().iter().all(|&g| g == 0.0), "a sum over no trajectory");
        assert!(engine.square_norms().unwrap().is_empty());
    }
}

/// A target whose log R is a network, for the lengths of its gradient.
struct Dense(Layout, Arc<[f64]>);

impl Target for Dense {
    fn sites(&self) -> usize {
        4
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Encoding::Scalar { unset: -1.0, codes: vec![0.0, 1.0] }
    }

    fn log_reward(&self, _: &Objects, _: &mut [f64]) {
        panic!("engines evaluate the network by themselves");
    }

    fn network(&self) -> Option<RewardNetwork> {
        let (layout, parameters) = (self.0.clone(), self.1.clone());
        Some(RewardNetwork { layout, activation: Activation::Elu, parameters, version: 1 })
    }
}

#[test]
fn objects_and_coefficients_of_a_networks_log_r_are_checked_alike() {
    let layout = Layout::new(4, &[8], 1);
    let parameters = initialise(&layout, Initialisation::FanIn, 3, Stream::EnergyInitialisation);
    let target = Arc::new(Dense(layout, parameters.into()));
    let setting = Setting::new(target, Order::Uniform, &[8], Activation::Relu);
    let mut engines = engines(&setting);
    let objects = Objects::numbered(4, 2, 0..4);
    let wrong = Objects::new(4, vec![2; 16]);
    assert!(fault(&mut engines, |engine| engine.reward_gradient(&objects, &[1.0; 5])).contains("5 coefficients"));
    assert!(fault(&mut engines, |engine| engine.reward_gradient(&wrong, &[1.0; 4])).contains("2 values"));
    assert!(fault(&mut engines, |engine| engine.log_reward(&wrong)).contains("2 values"));
    engines.iter_mut().for_each(|engine| assert_eq!(engine.log_reward(&objects).unwrap().len(), 4));
}

/// A target with WGSL of its own.
struct Supplied(&'static str);

impl Target for Supplied {
    fn sites(&self) -> usize {
        4
    }

    fn values(&self) -> usize {
        2
    }

    fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
        log_reward.fill(0.0);
    }

    fn kernel(&self) -> Option<RewardKernel> {
        Some(RewardKernel { source: self.0.into(), parameters: vec![1.0], ..RewardKernel::default() })
    }
}

#[test]
fn a_targets_wgsl_is_refused_in_its_own_lines() {
    let cases = [
        ("\n\nfn log_reward(trajectory: u32) -> f32 {\n    return undefined_name;\n}", "line 4: ", "undefined_name"),
        (
            "@group(0) @binding(2) var<storage, read> mine: array<u32>;\n\
             fn log_reward(trajectory: u32) -> f32 { return 0.0; }",
            "line 1: ",
            "`mine`",
        ),
        ("fn log_reward(trajectory: u32) -> f32 { return 0.0; }\nfn group_of() {}", "line 2: ", "`group_of`"),
        ("\nfn reward_of(trajectory: u32) -> f32 { return 0.0; }", "does not define", "log_reward"),
        ("\nfn log_reward(trajectory: f32) -> f32 { return 0.0; }", "line 2: ", "log_reward"),
    ];
    for (source, line, word) in cases {
        let setting = Setting::new(Arc::new(Supplied(source)), Order::Uniform, &[8], Activation::Relu);
        let Err(EngineError::Kernel(message)) = gpu(&setting) else { panic!("{source} was accepted") };
        assert!(message.contains(line) && message.contains(word) && message.contains("`reward`"), "{message}");
    }
    // A dollar sign is for our own register tiles, not for a comment of others.
    let source = "// $R $U\nfn log_reward(trajectory: u32) -> f32 { /* $R */ return parameter(0u); }";
    let setting = Setting::new(Arc::new(Supplied(source)), Order::Uniform, &[8], Activation::Relu);
    let mut engine = gpu(&setting).unwrap();
    assert_eq!(engine.log_reward(&Objects::numbered(4, 2, 0..3)).unwrap(), [1.0; 3]);
}

#[test]
fn moments_of_five_wide_layers_take_more_workgroups_than_a_row_has() {
    // Four lists of four million numbers are folded by 65,600 workgroups.
    let setting = Setting::wave(3, 2, Order::Uniform, &[1024; 5], Activation::Relu);
    let [mut native, mut gpu] = engines(&setting);
    let trajectories = Trajectories::new(3, vec![3, 0, 4, 1, 5, 2]);
    let [expected, found] = [&mut native, &mut gpu].map(|engine| {
        engine.rollout(&Rollout::replay(DRAW, &trajectories).kept()).unwrap();
        moments_of(engine.as_mut(), &[0.7, -0.4])
    });
    for (found, expected) in [
        (&found.sum, &expected.sum),
        (&found.weighted_sum, &expected.weighted_sum),
        (&found.squares, &expected.squares),
        (&found.weighted_squares, &expected.weighted_squares),
    ] {
        assert!(largest(expected) > 0.0);
        // Six states' terms, through five layers of sums of a thousand f32 terms.
        assert!(relative_difference(found, expected) <= 1e-4);
    }
}
