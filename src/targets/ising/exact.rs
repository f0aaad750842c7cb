//! Exact log Z of the Ising model on the N x N torus.
//!
//! Kaufman's solution writes Z as a sum of four products over fermion momenta (B. Kaufman, "Crystal statistics II",
//! Physical Review 76, 1949). With s = sinh 2|K| and
//!
//! ```text
//! sinh(g_k / 2) = sqrt((1 - s)^2 / 2s + sin^2(pi k / 2N)),   g_0 of the sign of s - 1,
//! Z = 1/2 (2s)^(N^2/2) [C_odd + S_odd + C_even + S_even],
//! C_odd = prod_{r=0..N-1} 2 cosh(N g_{2r+1} / 2),   S_odd the same with sinh,   C_even and S_even with g_{2r}.
//! ```
//!
//! The definition of g_k is the usual cosh g_k = cosh 2K coth 2K - cos(pi k / N), rewritten so that nothing cancels
//! near the critical coupling. Even N: K and -K have the same Z, by flipping one sublattice. Odd N: going from K to -K
//! shifts every momentum by pi, which changes the sign of C_odd and of S_even. The torus is then frustrated, and below
//! the critical temperature the four terms nearly cancel; there the trace of the transfer matrix, a sum of positive
//! terms, takes over while its 2^N row states are few enough.

use std::f64::consts::{LN_2, PI};

use rayon::prelude::*;

/// Largest odd side whose transfer matrix is used. The cost grows with 4^N * N: N = 15 takes a quarter of a
/// second on two cores, N = 17 would take several.
pub const LARGEST_TRANSFER: usize = 15;

/// Four terms of Kaufman's sum that cancel to less than this part of the largest are not used. The terms have relative
/// errors of some N^2 * 2^-52, so log Z keeps an absolute error below 1e-8 even at N = 256.
const SMALLEST_REMAINDER: f64 = 1e-3;

/// Below this |K| the leading term N^2 K^2 of log Z - N^2 log 2 is lost in rounding.
const NEGLIGIBLE: f64 = 1e-9;

/// A frustrated torus is in its ground states, to double precision, beyond this |K|: excitations have a weight of
/// exp(-4|K|) each.
const FROZEN: f64 = 10.0;

/// log Z of the `side` x `side` torus at `coupling`, or why there is none.
pub fn log_z(side: usize, coupling: f64) -> Result<f64, String> {
    let strength = coupling.abs();
    if strength < NEGLIGIBLE {
        return Ok((side * side) as f64 * LN_2);
    }
    let frustrated = coupling < 0.0 && side % 2 == 1;
    if let Some(log_z) = kaufman(side, strength, frustrated) {
        return Ok(log_z);
    }
    if side > LARGEST_TRANSFER {
        return Err(format!(
            "no exact log Z for side {side} and coupling {coupling}: the terms of Kaufman's formula cancel (odd side, \
             strong negative coupling) and a transfer matrix of 2^{side} row states is too large (side at most \
             {LARGEST_TRANSFER})"
        ));
    }
    // In a ground state every row and every column has exactly one of its N bonds unsatisfied.
    let ground = (2 * side * side - 4 * side) as f64;
    Ok(transfer_matrix(side, coupling.max(-FROZEN)) + (strength - FROZEN).max(0.0) * ground)
}

/// Kaufman's formula for |K| = `strength` > 0; none where its terms cancel.
fn kaufman(side: usize, strength: f64, frustrated: bool) -> Option<f64> {
    let n = side as f64;
    let s = (2.0 * strength).sinh();
    // N g_k / 2, signed for k = 0.
    let argument = |k: usize| match k {
        0 => n * ((s - 1.0) / (2.0 * s).sqrt()).asinh(),
        _ => n * ((1.0 - s).powi(2) / (2.0 * s) + (PI * k as f64 / (2.0 * n)).sin().powi(2)).sqrt().asinh(),
    };
    let log_2_cosh = |x: f64| x.abs() + (-2.0 * x.abs()).exp().ln_1p();
    let log_2_sinh = |x: f64| x.abs() + (-(-2.0 * x.abs()).exp_m1()).ln();
    let odd = || (0..side).map(|r| argument(2 * r + 1));
    let even = || (0..side).map(|r| argument(2 * r));

    let flip = if frustrated { -1.0 } else { 1.0 };
    let ordered = if s < 1.0 { -1.0 } else { 1.0 };
    let terms: [(f64, f64); 4] = [
        (flip, odd().map(log_2_cosh).sum()),
        (1.0, odd().map(log_2_sinh).sum()),
        (1.0, even().map(log_2_cosh).sum()),
        (flip * ordered, even().map(log_2_sinh).sum()),
    ];
    let largest = terms.iter().map(|term| term.1).fold(f64::NEG_INFINITY, f64::max);
    let remainder: f64 = terms.iter().map(|(sign, log)| sign * (log - largest).exp()).sum();
    (remainder > SMALLEST_REMAINDER).then(|| 0.5 * n * n * (2.0 * s).ln() - LN_2 + largest + remainder.ln())
}

/// log tr T^N of the symmetric row-to-row transfer matrix T = D W D, for `side` up to [`LARGEST_TRANSFER`].
///
/// Each bond's weight is divided by exp|K|, so that none exceeds 1. With v = T^((N-1)/2) e for a basis vector e (for
/// odd N, and N/2 for even N), the trace is the sum of v'Tv (v'v) over all row states; those that a rotation, a
/// reflection or a flip of the row maps on each other contribute the same.
fn transfer_matrix(side: usize, coupling: f64) -> f64 {
    let strength = coupling.abs();
    let (same, other) = ((coupling - strength).exp(), (-coupling - strength).exp());
    let row_weight: Vec<f64> = (0..1_u32 << side)
        .map(|row| {
            let unequal = (row ^ rotated(row, side)).count_ones() as i32;
            (0.5 * (coupling * f64::from(side as i32 - 2 * unequal) - strength * side as f64)).exp()
        })
        .collect();
    let apply = |vector: &mut [f64]| {
        vector.iter_mut().zip(&row_weight).for_each(|(v, weight)| *v *= weight);
        for site in 0..side {
            for block in vector.chunks_exact_mut(2 << site) {
                let (down, up) = block.split_at_mut(1 << site);
                for (down, up) in down.iter_mut().zip(up) {
                    (*down, *up) = (same * *down + other * *up, other * *down + same * *up);
                }
            }
        }
        vector.iter_mut().zip(&row_weight).for_each(|(v, weight)| *v *= weight);
    };
    let contributions: Vec<f64> = row_classes(side)
        .into_par_iter()
        .map(|(row, count)| {
            let mut vector = vec![0.0; 1 << side];
            vector[row as usize] = 1.0;
            (0..side / 2).for_each(|_| apply(&mut vector));
            let half = vector.clone();
            if side % 2 == 1 {
                apply(&mut vector);
            }
            f64::from(count) * half.iter().zip(&vector).map(|(a, b)| a * b).sum::<f64>()
        })
        .collect();
    contributions.iter().sum::<f64>().ln() + strength * (2 * side * side) as f64
}

/// Row states up to rotation, reflection and flip: the smallest of each class, and the size of the class.
fn row_classes(side: usize) -> Vec<(u32, u32)> {
    let mask = (1_u32 << side) - 1;
    let mut sizes = vec![0; 1 << side];
    for row in 0..=mask {
        let mut smallest = row;
        let mut turned = row;
        for _ in 0..side {
            let mirrored = turned.reverse_bits() >> (32 - side);
            smallest = smallest.min(turned).min(turned ^ mask).min(mirrored).min(mirrored ^ mask);
            turned = rotated(turned, side);
        }
        sizes[smallest as usize] += 1;
    }
    (0..).zip(sizes).filter(|&(_, size)| size > 0).collect()
}

/// A row state shifted by one site around the row.
fn rotated(row: u32, side: usize) -> u32 {
    (row >> 1) | (row & 1) << (side - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::enumeration::log_z as exact_log_z;
    use crate::targets::ising::Ising;

    #[test]
    fn brute_force_agrees_on_3x3_and_4x4() {
        for (side, coupling, expected) in [(3, 0.2, 6.669744604314), (4, 1.0, 32.698721401879)] {
            // The references have 12 digits after the point.
            assert!((log_z(side, coupling).unwrap() - expected).abs() < 1e-11);
        }
        for side in [3, 4] {
            for coupling in [0.0, 1e-320, 2e-9, 0.1, 0.2, 0.44, 0.440_686_793_509_771_6, 0.7, 1.0, 3.0, 20.0, 100.0] {
                for coupling in [coupling, -coupling] {
                    let brute = exact_log_z(&Ising::new(side, coupling).unwrap()).unwrap();
                    let found = log_z(side, coupling).unwrap();
                    // Rounding of a logarithm of some tens, relative for the strongest couplings.
                    assert!((found - brute).abs() < 1e-12 * brute.max(10.0), "{side} {coupling}: {found} {brute}");
                }
            }
        }
    }

    #[test]
    fn the_transfer_matrix_agrees_with_kaufman() {
        for side in 3..=10 {
            for coupling in [0.05, 0.2, 0.4, 0.44, 0.6, 1.0, 2.0] {
                let kaufman = kaufman(side, coupling, false).unwrap();
                let transfer = transfer_matrix(side, coupling);
                assert!((kaufman - transfer).abs() < 1e-11 * transfer, "{side} {coupling}: {kaufman} {transfer}");
            }
        }
    }

    #[test]
    fn the_transfer_matrix_agrees_with_brute_force_where_the_torus_is_frustrated() {
        for coupling in [-0.01, -0.3, -0.8, -1.7, -10.0] {
            let brute = exact_log_z(&Ising::new(3, coupling).unwrap()).unwrap();
            let transfer = transfer_matrix(3, coupling);
            assert!((brute - transfer).abs() < 1e-12 * brute.abs(), "{coupling}: {brute} {transfer}");
        }
    }

    #[test]
    fn kaufman_with_two_signs_changed_solves_the_frustrated_torus() {
        for side in [3, 5, 7, 9, 11] {
            for coupling in [-0.05, -0.2, -0.4, -0.44, -0.5] {
                let Some(kaufman) = kaufman(side, -coupling, true) else {
                    assert!(coupling < -0.44, "no cancellation is to be feared at side {side}, coupling {coupling}");
                    continue;
                };
                let transfer = transfer_matrix(side, coupling);
                // Up to a thousandfold cancellation of terms with relative errors near 1e-14.
                assert!((kaufman - transfer).abs() < 1e-10, "{side} {coupling}: {kaufman} {transfer}");
            }
        }
    }

    #[test]
    fn log_z_is_finite_far_out() {
        for coupling in [-100.0, -1.0, 1e-8, 1.0, 100.0] {
            for side in [64, 256] {
                let log_z = log_z(side, coupling).unwrap();
                // The two ground states below, and all states in the ground state above.
                let ground = coupling.abs() * (2 * side * side) as f64 + LN_2;
                let all = coupling.abs() * (2 * side * side) as f64 + (side * side) as f64 * LN_2;
                assert!(log_z >= ground * (1.0 - 1e-14) && log_z <= all * (1.0 + 1e-14), "{side} {coupling}: {log_z}");
            }
        }
        assert!(log_z(255, -0.4).unwrap() > 65_025.0 * LN_2);
    }

    #[test]
    fn a_frustrated_torus_too_wide_for_the_transfer_matrix_says_so() {
        let error = log_z(17, -1.0).unwrap_err();
        assert!(error.contains("side 17") && error.contains("at most 15"), "{error}");
    }

    #[test]
    fn the_widest_frustrated_torus_freezes_without_underflow() {
        // Excitations weigh exp(-24) each at K = -6, some hundred times the 225 sites of them.
        let (cool, cold) = (log_z(15, -6.0).unwrap(), log_z(15, -100.0).unwrap());
        assert!((cold - cool - 94.0 * 390.0).abs() < 1e-6, "{cool} {cold}");
    }
}
