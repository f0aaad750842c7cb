//! How many objects have which distances to the modes.
//!
//! Objects grow bit by bit, and those that have the same distances to all modes so far are one state with a count. Bits at which the
//! modes agree (or are opposite) in the same way do not make more states than there are numbers of flipped ones among them, so
//! words repeated in all modes cost little, and a few modes cost little at any length.

use crate::logs::log_sum_exp;

/// Distances, summed over states, that are held at once: 60 modes' of 600,000 states.
const MOST: usize = 36_000_000;

/// log sum_x exp(-scale min_m d(x, m)); why not, where there are too many states. Rows of bits are modes.
pub fn log_z(modes: &[Vec<u8>], scale: f64) -> Result<f64, String> {
    let (length, count) = (modes[0].len(), modes.len());
    // One row of distances a state, in lexicographic order, and the logs of counts, which may be up to 2^4096.
    let (mut rows, mut log_counts) = (vec![0_u16; count], vec![0.0]);
    for bit in 0..length {
        if 2 * rows.len() > MOST {
            return Err(format!(
                "{length} bits and {count} modes have too many sets of distances to count their objects (all are added up to 20 \
                 bits, and counted beyond where modes are few or alike)"
            ));
        }
        (rows, log_counts) = grown(modes, bit, &rows, &log_counts);
    }
    let logs = rows.chunks_exact(count).zip(&log_counts).map(|(row, log_count)| {
        let nearest = row.iter().min().copied().unwrap_or_default();
        log_count - scale * f64::from(nearest)
    });
    Ok(log_sum_exp(&logs.collect::<Vec<_>>()))
}

/// The states with one more bit. Adding one row to all keeps their order, so the two lists, with a bit of 0 and of 1, are merged.
fn grown(modes: &[Vec<u8>], bit: usize, rows: &[u16], log_counts: &[f64]) -> (Vec<u16>, Vec<f64>) {
    let count = modes.len();
    let with = |value: u8| {
        let added: Vec<u16> = modes.iter().map(|mode| u16::from(mode[bit] != value)).collect();
        let mut with = rows.to_vec();
        with.chunks_exact_mut(count).for_each(|row| row.iter_mut().zip(&added).for_each(|(sum, one)| *sum += one));
        with
    };
    let (zeros, ones) = (with(0), with(1));
    let (mut merged, mut merged_counts) =
        (Vec::with_capacity(2 * rows.len()), Vec::with_capacity(2 * log_counts.len()));
    let (mut zero, mut one) = (0, 0);
    let states = log_counts.len();
    while zero < states || one < states {
        let (first, second) = (zeros[zero * count..].get(..count), ones[one * count..].get(..count));
        let order = match (first, second) {
            (Some(first), Some(second)) => first.cmp(second),
            (Some(_), None) => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        };
        let mut log_count = Vec::new();
        if order.is_ge() {
            log_count.push(log_counts[one]);
            one += 1;
        }
        if order.is_le() {
            log_count.push(log_counts[zero]);
            zero += 1;
        }
        merged.extend_from_slice(if order.is_le() { first } else { second }.unwrap_or_default());
        merged_counts.push(log_sum_exp(&log_count));
    }
    (merged, merged_counts)
}
