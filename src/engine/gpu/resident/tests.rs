use super::kernels::{Kernels, TRAINING, constants};
use super::wide;
use crate::engine::gpu::buffers::Buffers;
use crate::engine::gpu::recorder::Recorder;
use crate::engine::gpu::source::Sources;
use crate::engine::gpu::stages::Spread;
use crate::engine::gpu::tests::{TILING, context, evaluate, network};
use crate::engine::gpu::work::Work;
use crate::engine::resident::{Formula, Plan};
use crate::network::Activation;
use crate::optimizer::{Adam, Hyperparameters};

/// What WGSL makes of pairs of numbers, as bits: `value` is an expression of `a` and `b`, of two words.
fn of_pairs(pairs: &[[f64; 2]], value: &str) -> Vec<u64> {
    let data: Vec<u32> =
        pairs.iter().flatten().flat_map(|x| [x.to_bits() as u32, (x.to_bits() >> 32) as u32]).collect();
    let count = pairs.len();
    let word = |word: &str| {
        let f = format!(
            "fn f(x: u32) -> u32 {{
                let i = 4u * (x % {count}u);
                let a = vec2(inputs[i], inputs[i + 1u]);
                let b = vec2(inputs[i + 2u], inputs[i + 3u]);
                let value = {value};
                return value.{word};
            }}"
        );
        let inputs = [&data[..], &(0..count as u32).collect::<Vec<u32>>()].concat();
        let imports = "wgflow::wide::{wide_sum, wide_product, widened, narrowed}";
        evaluate(imports, &f, &inputs, Activation::Relu).split_off(data.len())
    };
    word("x").into_iter().zip(word("y")).map(|(low, high)| u64::from(low) | u64::from(high) << 32).collect()
}

/// Numbers of every size and sign, some of which cancel or are ties of a rounding.
fn pairs() -> Vec<[f64; 2]> {
    let number = |i: u32| (1.0 + f64::from(i).sin()) * (f64::from(i * i % 121) - 60.0).exp2() * f64::from(i % 3).cos();
    let mut pairs: Vec<_> = (1..300).map(|i| [number(i), number(7 * i + 1)]).collect();
    for i in 0..60 {
        let (one, small) = (1.0 + f64::from(i) * f64::EPSILON, (-f64::from(i)).exp2());
        pairs.extend([
            [one, small],
            [one, -small],
            [-one, small * (1.0 + f64::EPSILON)],
            [one, -one],
            [one, f64::EPSILON / 2.0],
        ]);
    }
    pairs.extend([[0.0, 0.0], [0.0, -3.5], [2.5, 0.0], [1e300, 1e300], [f64::MAX, f64::MAX], [1e-30, -1e-30]]);
    pairs
}

#[test]
fn sums_of_53_bits_are_those_of_the_host_bit_for_bit() {
    let pairs = pairs();
    let found = of_pairs(&pairs, "wide_sum(a, b)");
    for ([a, b], found) in pairs.iter().zip(found) {
        assert_eq!(f64::from_bits(found), a + b, "{a:e} + {b:e}");
    }
}

#[test]
fn numbers_come_into_f32_and_back_as_on_the_host_and_products_are_exact() {
    let singles: Vec<[f64; 2]> = pairs().into_iter().filter(|[a, b]| a.abs() < 1e30 && b.abs() < 1e30).collect();
    let narrowed = of_pairs(&singles, "widened(narrowed(a))");
    let products = of_pairs(&singles, "wide_product(narrowed(a), narrowed(b))");
    let mut seen = 0;
    for (([a, b], narrowed), product) in singles.iter().zip(narrowed).zip(products) {
        let [a, b] = [*a as f32, *b as f32].map(f64::from);
        assert_eq!(f64::from_bits(narrowed), a);
        assert_eq!(f64::from_bits(product), a * b, "{a:e} {b:e}");
        seen += 1;
    }
    assert!(seen > 500);
}

/// Steps so small that f32 would not have moved at all, by running means that it would have stopped.
#[test]
fn steps_however_small_are_not_lost() {
    const STEPS: usize = 600;
    let rate = 1e-10;
    let betas = [0.9, 0.999_999];
    let plan = Plan {
        formula: Formula::LeaveOneOut,
        batch: 64,
        log_reward_floor: None,
        log_prefix: 0.0,
        learning_rates: [rate, 0.0],
        betas,
        epsilon: 1e-8,
        weight_decay: 0.0,
        average: None,
        clip_norm: None,
        patience: 10,
    };
    let (context, network) = (context(), network(TILING));
    let sources = Sources::new(&network, Activation::Relu);
    let mut buffers = Buffers::default();
    Recorder::prepare(&context, &mut buffers).unwrap();
    buffers.uniform(&context, "network", sources.uniform_bytes()).unwrap();
    buffers.write(&context, "network", &network.layers);
    Spread::new(&context, &sources, &network, &mut buffers, "").unwrap();
    let sources = sources.with_constants(TRAINING, constants(&plan, 0.0, 1.0));
    let mut kernels = Kernels::new(&context, &mut buffers, &network, &sources, 3).unwrap();
    let count = 4 * network.gradient as usize;
    buffers.reserve(&context, "gradient", 4 * count as u64, "").unwrap();
    let gradient: Vec<f32> = (0..count).map(|i| 0.1 + 0.9 * (i as f32).sin().abs()).collect();
    buffers.write(&context, "gradient", &gradient);
    let ones = vec![1.0_f64.to_bits(); count];
    buffers.write(&context, "optimizer", &[ones, vec![0; 2 * count]].concat());
    let mut recorder = Recorder::new(&context, &buffers, &network.tiling);
    let work = Work { rate_factor: 1.0, beta: 1.0, ..Work::default() };
    for _ in 0..STEPS {
        kernels.record_decision(&mut recorder, &network, &work);
        kernels.record_step(&mut recorder, &network, &work);
    }
    recorder.finish().unwrap();
    let [found] = buffers.read::<u32, 1>(&context, ["optimizer"], 6 * count).unwrap();
    let found = wide(&found);

    let constants = Hyperparameters { beta1: betas[0], beta2: betas[1], epsilon: 1e-8, weight_decay: 0.0 };
    let (mut adam, mut parameters) = (Adam::new(count, constants), vec![1.0; count]);
    let derivatives: Vec<f64> = gradient.iter().map(|&g| f64::from(g)).collect();
    (0..STEPS).for_each(|_| adam.step_in_f64(&mut parameters, &derivatives, rate));
    let moved = STEPS as f64 * rate;
    assert_eq!(1.0_f32 - rate as f32, 1.0, "f32 stays where it is");
    for i in 0..count {
        // Each increment is good to some units of f32, and all of them have the same sign.
        let distance = (found[i] - parameters[i]).abs();
        assert!(
            distance < 3e-6 * moved && (1.0 - found[i]) > 0.9 * moved,
            "{i}: {} {}",
            found[i] - 1.0,
            parameters[i] - 1.0
        );
        let relative = |found: f64, expected: f64| (found / expected - 1.0).abs();
        assert!(relative(found[count + i], adam.first_moment[i]) < 1e-6, "{i}");
        assert!(relative(found[2 * count + i], adam.second_moment[i]) < 1e-5, "{i}");
    }
}
