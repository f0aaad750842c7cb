//! The comparisons that the other tests rely on: each is given what it must not let through.

mod common;

use std::fmt::Debug;
use std::panic::{UnwindSafe, catch_unwind};

use common::compare::{
    absolute_sum, assert_close, assert_finite, assert_layers_close, distance, largest, layer_scales,
    relative_difference,
};
use common::{Setting, coefficients, term_sizes};
use wgflow::engine::{Differentiate, Roll, Rollout};
use wgflow::network::{Activation, Layout};
use wgflow::process::Order;
use wgflow::random::{Draw, Stream};

/// What a comparison that must fail says.
fn refusal<T: Debug>(comparison: impl FnOnce() -> T + UnwindSafe) -> String {
    let payload = catch_unwind(comparison).expect_err("it must fail");
    *payload.downcast::<String>().expect("a message")
}

#[test]
fn what_is_no_number_is_found_on_either_side() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let (good, bad) = ([1.0, 2.0, 3.0], [1.0, 2.0, bad]);
        for (found, expected, side) in [(bad, good, "found"), (good, bad, "expected"), (bad, bad, "expected")] {
            for message in [
                refusal(move || assert_close(&found, &expected, f64::MAX, "x")),
                refusal(move || distance(&found, &expected)),
                refusal(move || relative_difference(&found, &expected)),
            ] {
                assert!(message.contains(side) && message.contains("number 2 of 3"), "{message}");
            }
        }
        assert!(refusal(move || largest(&bad)).contains("number 2 of 3"));
        assert!(refusal(move || assert_finite(&bad, "weights")).contains("weights: number 2 of 3"));
        assert!(refusal(move || absolute_sum([bad.to_vec()])).contains("number 2 of 3"));
    }
}

#[test]
fn nothing_and_lists_of_unequal_length_are_not_close() {
    for (found, expected) in [(&[1.0][..], &[1.0, 2.0][..]), (&[1.0, 2.0], &[1.0]), (&[], &[1.0]), (&[1.0], &[])] {
        assert!(refusal(|| assert_close(found, expected, 1.0, "x")).contains("number of entries"));
        assert!(refusal(|| distance(found, expected)).contains("number of entries"));
    }
    assert!(refusal(|| assert_close(&[], &[], 1.0, "x")).contains("no numbers"));
    assert!(refusal(|| relative_difference(&[], &[])).contains("no numbers"));
    assert!(refusal(|| largest(&[])).contains("no numbers"));
}

#[test]
fn differences_are_what_they_are() {
    let (found, expected) = ([1.0, -2.5, 0.0], [1.0, -2.0, 0.125]);
    assert_eq!(distance(&found, &expected), 0.5);
    assert_eq!(relative_difference(&found, &expected), 0.25);
    assert_eq!(relative_difference(&[0.0], &[0.0]), 0.0);
    assert_eq!(relative_difference(&[1e-300], &[0.0]), f64::INFINITY);
    assert_eq!((largest(&found), largest(&[0.0])), (2.5, 0.0));
    assert_eq!(absolute_sum([vec![1.0, -2.0], vec![-3.0, 4.0]]), [4.0, 6.0]);
    assert_close(&found, &expected, 0.5, "x");
    let message = refusal(move || assert_close(&found, &expected, 0.4999, "log P_F"));
    assert!(message.starts_with("log P_F: entry 1 is -2.5e0, not -2e0"), "{message}");
}

#[test]
fn an_entry_has_the_smaller_scale_of_its_row_and_its_column() {
    // Two inputs, two outputs: [[w00, w01], [w10, w11]], then two biases, the third column.
    let layout = Layout::new(2, &[], 2);
    let terms = [8.0, -0.5, 0.25, 0.125, 2.0, 1.0];
    // Rows have 8 and 1, columns 8, 0.5 and 2.
    assert_eq!(layer_scales(&layout, &terms), [8.0, 0.5, 1.0, 0.5, 2.0, 1.0]);
    let exact = [1.0, 0.1, 0.1, 0.1, 0.0, 0.3];
    let off = |index: usize, by: f64| {
        let mut found = exact;
        found[index] += by;
        assert_layers_close(&Layout::new(2, &[], 2), &found, &exact, &terms, 0.01, "gradient");
    };
    for (index, scale) in layer_scales(&layout, &terms).into_iter().enumerate() {
        off(index, 0.0099 * scale);
        assert!(refusal(move || off(index, 0.0101 * scale)).contains(&format!("gradient: entry {index} is")));
    }
    // Nothing may differ where no term is.
    assert_layers_close(&layout, &exact, &exact, &[0.0; 6], 0.01, "gradient");
    refusal(move || assert_layers_close(&Layout::new(2, &[], 2), &[1e-300; 6], &[0.0; 6], &[0.0; 6], 1e9, "gradient"));
    refusal(move || assert_layers_close(&Layout::new(2, &[], 2), &exact, &exact, &[1.0; 5], 1.0, "gradient"));
}

/// The gradient of a real policy, made as if the third site were coded by numbers a million times smaller than the others.
#[test]
fn a_small_column_or_row_that_is_wrong_does_not_hide() {
    let setting = Setting::wave(6, 2, Order::Uniform, &[24, 16], Activation::Swish);
    let draw = Draw::new(11, 3, Stream::Training);
    let mut engine = setting.native::<f64>();
    engine.rollout(&Rollout::sample(draw, 200).kept()).unwrap();
    let coefficients = coefficients(200);
    let (mut exact, mut terms) = (engine.gradient(&coefficients).unwrap(), term_sizes(&mut engine, &coefficients));
    let first = setting.layout.layers()[0].clone();
    let column = |number: usize| (0..first.outputs).map(move |row| first.weight.start + row * first.inputs + number);
    for at in column(2) {
        (exact[at], terms[at]) = (1e-6 * exact[at], 1e-6 * terms[at]);
    }
    let mut wrong = exact.clone();
    column(2).for_each(|at| wrong[at] = -wrong[at]);
    let tolerance = 2e-5;
    assert!(relative_difference(&wrong, &exact) < tolerance, "relative to the largest entry it is not seen");
    let layout = setting.layout.clone();
    let message = refusal(move || assert_layers_close(&layout, &wrong, &exact, &terms, tolerance, "gradient"));
    assert!(message.contains("gradient: entry"), "{message}");
}
