//! Comparisons that nothing slips through: lists of unequal length, empty lists and numbers that are not finite fail, and
//! the failure says which entry it was. (A fold with `f64::max` drops NaN, a `zip` drops what is left over, and a loop
//! over nothing asserts nothing.)
//!
//! Integration tests and the unit tests in src share this file, which is why it calls the crate by its name.

#![allow(dead_code)] // every test file compiles this one by itself and uses a part of it

use wgflow::network::Layout;

/// Demands some numbers, all of them finite.
#[track_caller]
pub fn assert_finite(values: &[f64], what: &str) {
    assert!(!values.is_empty(), "{what}: there are no numbers");
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        panic!("{what}: number {index} of {} is {}", values.len(), values[index]);
    }
}

/// The largest absolute value of some finite numbers.
#[track_caller]
pub fn largest(values: &[f64]) -> f64 {
    assert_finite(values, "the list");
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

/// Absolute differences, entry by entry.
#[track_caller]
fn differences(found: &[f64], expected: &[f64], what: &str) -> Vec<f64> {
    assert_eq!(found.len(), expected.len(), "{what}: the number of entries");
    assert_finite(expected, &format!("{what}, expected"));
    assert_finite(found, &format!("{what}, found"));
    found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).collect()
}

/// The largest absolute difference of two entries.
#[track_caller]
pub fn distance(found: &[f64], expected: &[f64]) -> f64 {
    largest(&differences(found, expected, "the lists"))
}

/// The largest absolute difference of two entries, relative to the largest absolute value expected. A wrong entry that is
/// small beside that one goes unseen: gradients are for [`assert_layers_close`].
#[track_caller]
pub fn relative_difference(found: &[f64], expected: &[f64]) -> f64 {
    let difference = distance(found, expected);
    if difference == 0.0 { 0.0 } else { difference / largest(expected) }
}

/// Demands that entries differ by `tolerance` at most.
#[track_caller]
pub fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_close_at_scale(found, expected, &vec![1.0; expected.len()], tolerance, what);
}

/// Demands that each entry differs by `tolerance` times its own scale at most. (A scale of 0 allows no difference.)
#[track_caller]
pub fn assert_close_at_scale(found: &[f64], expected: &[f64], scales: &[f64], tolerance: f64, what: &str) {
    let differences = differences(found, expected, what);
    assert_eq!(scales.len(), found.len(), "{what}: the number of scales");
    assert_finite(scales, &format!("{what}, scales"));
    for (index, (difference, scale)) in differences.iter().zip(scales).enumerate() {
        let (found, expected) = (found[index], expected[index]);
        assert!(
            *difference <= tolerance * scale,
            "{what}: entry {index} is {found:e}, not {expected:e}: off by {:e} of its scale, {scale:e}",
            difference / scale
        );
    }
}

/// Scales for sums over the parameters of a network, such as gradients, so that no row and no column of any layer hides
/// behind a larger one.
///
/// `terms` has the size of the terms that each entry is a sum of: what its rounding is relative to, also where the sum
/// nearly cancels. The row of a layer is what leads to one output, its bias included; the column is what leads from one
/// input, and biases are a column too. A row has the largest size of its entries, and so has a column; an entry has the
/// smaller of the two. (Its own size would not do: an entry is made of products of a delta and an input, which are rounded
/// at the size that they have in all of the row and in all of the column.)
#[track_caller]
pub fn layer_scales(layout: &Layout, terms: &[f64]) -> Vec<f64> {
    assert_eq!(terms.len(), layout.parameters(), "the number of parameters");
    assert_finite(terms, "sizes of terms");
    let mut scales = vec![0.0; terms.len()];
    for layer in layout.layers() {
        let place = |row: usize, column: usize| {
            if column < layer.inputs {
                layer.weight.start + row * layer.inputs + column
            } else {
                layer.bias.start + row
            }
        };
        let (rows, columns) = (0..layer.outputs, 0..=layer.inputs);
        let size = |row, column| terms[place(row, column)].abs();
        let of_row = |row| columns.clone().map(|column| size(row, column)).fold(0.0, f64::max);
        let of_column = |column| rows.clone().map(|row| size(row, column)).fold(0.0, f64::max);
        let of_rows: Vec<f64> = rows.clone().map(of_row).collect();
        let of_columns: Vec<f64> = columns.clone().map(of_column).collect();
        for row in rows.clone() {
            columns.clone().for_each(|column| scales[place(row, column)] = of_rows[row].min(of_columns[column]));
        }
    }
    scales
}

/// Demands that each entry differs by `tolerance` times what [`layer_scales`] makes of `terms` at most.
#[track_caller]
pub fn assert_layers_close(
    layout: &Layout,
    found: &[f64],
    expected: &[f64],
    terms: &[f64],
    tolerance: f64,
    what: &str,
) {
    assert_close_at_scale(found, expected, &layer_scales(layout, terms), tolerance, what);
}

/// Sums of the absolute values of some lists, entry by entry: the sizes of the terms of their sum.
#[track_caller]
pub fn absolute_sum(lists: impl IntoIterator<Item = Vec<f64>>) -> Vec<f64> {
    let mut lists = lists.into_iter();
    let mut sum: Vec<f64> = lists.next().expect("some lists").into_iter().map(f64::abs).collect();
    for list in lists {
        assert_eq!(list.len(), sum.len(), "lists of one length");
        sum.iter_mut().zip(list).for_each(|(sum, value)| *sum += value.abs());
    }
    assert_finite(&sum, "absolute values");
    sum
}
