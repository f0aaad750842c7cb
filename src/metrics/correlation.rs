//! How two lists of numbers go together.

/// Pearson's correlation of the pairs; none for fewer than two, for a list that is constant, and where a number is not finite.
///
/// # Panics
/// If the lists are not equally long.
pub fn pearson(one: &[f64], other: &[f64]) -> Option<f64> {
    assert_eq!(one.len(), other.len(), "numbers of the two lists");
    let centred = |list: &[f64]| {
        let mean = list.iter().sum::<f64>() / list.len() as f64;
        list.iter().map(|number| number - mean).collect::<Vec<_>>()
    };
    let (one, other) = (centred(one), centred(other));
    let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
    let spread = product(&one, &one).sqrt() * product(&other, &other).sqrt();
    // A NaN is not above 0, and no lists of finite numbers have an infinite sum of squares that would mean anything.
    if spread > 0.0 && spread.is_finite() { Some((product(&one, &other) / spread).clamp(-1.0, 1.0)) } else { None }
}

/// Spearman's correlation, Pearson's of the ranks, where equal numbers share the mean of theirs; none as for [`pearson`].
///
/// # Panics
/// If the lists are not equally long.
pub fn spearman(one: &[f64], other: &[f64]) -> Option<f64> {
    let finite = |list: &[f64]| list.iter().all(|number| number.is_finite());
    if finite(one) && finite(other) { pearson(&ranks(one), &ranks(other)) } else { None }
}

/// The rank of each number, from 0; the mean rank for those that are equal.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_unstable_by(|&one, &other| numbers[one].total_cmp(&numbers[other]));
    let mut ranks = vec![0.0; numbers.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&one, &other| numbers[one] == numbers[other]) {
        let mean = first as f64 + (tied.len() - 1) as f64 / 2.0;
        tied.iter().for_each(|&index| ranks[index] = mean);
        first += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::assert_close;

    #[test]
    fn correlations_by_hand() {
        let found = [
            pearson(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]),
            pearson(&[1.0, 2.0, 4.0], &[-2.0, -4.0, -8.0]),
            // Covariance 7, variances 2 and 69 - 121 / 3.
            pearson(&[1.0, 2.0, 3.0], &[1.0, 2.0, 8.0]),
            spearman(&[1.0, 2.0, 3.0], &[1.0, 2.0, 800.0]),
            // Ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3: covariance 4.5, variances 4.5 and 5.
            spearman(&[1.0, 7.0, 7.0, 9.0], &[1.0, 2.0, 3.0, 4.0]),
        ];
        let found = found.map(|found| found.expect("it is defined"));
        let expected = [0.5, -1.0, 7.0 / (2.0 * (69.0 - 121.0 / 3.0_f64)).sqrt(), 1.0, (4.5_f64 / 5.0).sqrt()];
        assert_close(&found, &expected, 1e-15, "correlations");
    }

    #[test]
    fn ties_share_the_mean_of_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -0.0, 0.0, 3.0]), [4.0, 2.0, 4.0, 0.5, 0.5, 4.0]);
    }

    #[test]
    fn where_nothing_can_be_said_there_is_none() {
        for (one, other) in [
            (&[][..], &[][..]),
            (&[1.0], &[2.0]),
            (&[1.0, 1.0], &[1.0, 2.0]),
            (&[1.0, f64::NAN], &[1.0, 2.0]),
            (&[1.0, 3.0], &[f64::NEG_INFINITY, 2.0]),
            (&[1.0, 3.0], &[2.0, f64::INFINITY]),
        ] {
            assert_eq!((pearson(one, other), spearman(one, other)), (None, None), "{one:?} {other:?}");
        }
    }
}
