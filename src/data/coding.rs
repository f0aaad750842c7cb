//! Points of the plane as objects of bits.

use super::{DataSet, gray};
use crate::out_of_range::OutOfRange;
use crate::process::{Encoding, Objects};

/// Fewest and most bits of a coded point; an axis has half.
pub const BITS: std::ops::RangeInclusive<usize> = 8..=32;

/// How the points of a data set become bits and come back.
///
/// A coordinate is scaled, truncated towards zero, and written as a sign and a Gray-coded magnitude; x comes before y.
/// With 32 bits the scale is [`DataSet::int_scale`]; each bit less on an axis halves it, so that the range stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coding {
    scale: f64,
    /// Bits of an axis.
    width: u32,
}

impl Coding {
    /// The coding with `bits` bits in all. Refuses odd numbers and what lies outside [`BITS`].
    pub fn new(data_set: DataSet, bits: usize) -> Result<Self, OutOfRange> {
        if !BITS.contains(&bits) {
            return Err(OutOfRange::new(format!(
                "target.bits = {bits}: a point takes {} to {} bits",
                BITS.start(),
                BITS.end()
            )));
        }
        if !bits.is_multiple_of(2) {
            return Err(OutOfRange::new(format!(
                "target.bits = {bits} is odd: each of the two axes takes half of the bits"
            )));
        }
        let width = (bits / 2) as u32;
        Ok(Self { scale: data_set.int_scale() * f64::from(width as i32 - 16).exp2(), width })
    }

    /// Bits of a coded point: the sites of its object.
    pub fn bits(&self) -> usize {
        2 * self.width as usize
    }

    /// How networks see such objects: 0 and 1 as they are, -1 for a site that is unset.
    pub fn encoding() -> Encoding {
        Encoding::Scalar { unset: -1.0, codes: vec![0.0, 1.0] }
    }

    /// The largest absolute coordinate that has a code of its own; larger ones are written as this one.
    pub fn limit(&self) -> f64 {
        self.coordinate((1 << (self.width - 1)) - 1)
    }

    /// Points as objects of [`Coding::bits`] sites with values 0 and 1. Coordinates beyond [`Coding::limit`] saturate.
    pub fn encode(&self, points: &[[f64; 2]]) -> Objects {
        let mut values = Vec::with_capacity(points.len() * self.bits());
        for coordinate in points.iter().flatten() {
            // The cast truncates towards zero and saturates.
            let code = gray::encode((coordinate * self.scale) as i64, self.width);
            values.extend((0..self.width).rev().map(|bit| (code >> bit & 1) as u8));
        }
        Objects::new(self.bits(), values)
    }

    /// The points of objects of [`Coding::bits`] sites with values 0 and 1: of all points with that code the one nearest
    /// to the axes. A decoded point encodes to the same object, but for the unused code of minus zero.
    pub fn decode(&self, objects: &Objects) -> Vec<[f64; 2]> {
        assert_eq!(objects.sites(), self.bits(), "objects of another number of bits");
        let axis = |bits: &[u8]| {
            let code = bits.iter().fold(0, |code, &bit| code << 1 | u32::from(bit));
            self.coordinate(gray::decode(code, self.width))
        };
        objects.rows().map(|row| row.split_at(self.width as usize)).map(|(x, y)| [axis(x), axis(y)]).collect()
    }

    /// The smallest coordinate (in absolute value) that is truncated to `number`.
    fn coordinate(&self, number: i64) -> f64 {
        let coordinate = number as f64 / self.scale;
        // Rounding the quotient can lose the last step towards `number`.
        let reached = (coordinate * self.scale).abs() >= number.abs() as f64;
        if reached { coordinate } else { coordinate * (1.0 + f64::EPSILON) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codings() -> Vec<Coding> {
        let of = |set| BITS.step_by(2).map(move |bits| Coding::new(set, bits).expect("an allowed number of bits"));
        let codings: Vec<Coding> = DataSet::ALL.into_iter().flat_map(of).collect();
        assert_eq!(codings.len(), 7 * 13, "seven sets, 8, 10, ..., 32 bits");
        codings
    }

    #[test]
    fn every_coordinate_code_of_every_width_decodes_and_encodes_back() {
        for coding in codings() {
            let end = (1_i64 << (coding.width - 1)) - 1;
            // Each number on the x axis with another on the y axis.
            let numbers = (-end..=end).map(|number| [number, end - number.abs()]);
            let expected: Vec<u8> = numbers
                .clone()
                .flatten()
                .flat_map(|number| {
                    let code = gray::encode(number, coding.width);
                    (0..coding.width).rev().map(move |bit| (code >> bit & 1) as u8)
                })
                .collect();
            let objects = Objects::new(coding.bits(), expected);
            assert_eq!(coding.encode(&coding.decode(&objects)), objects);
            // Truncation is towards zero: anything before the next number has the same code.
            let inside = |number: i64| (number as f64 + 0.999 * (number as f64).signum()) / coding.scale;
            let points: Vec<_> = numbers.map(|numbers| numbers.map(inside)).collect();
            assert_eq!(coding.encode(&points), objects);
        }
    }

    #[test]
    fn bits_are_sign_then_magnitude_most_significant_first_x_before_y() {
        let coding = Coding { scale: 1.0, width: 4 };
        let objects = coding.encode(&[[-5.0, 2.9], [0.0, -1.0]]);
        assert_eq!(objects.values(), [1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1]);
        assert_eq!(coding.decode(&objects), [[-5.0, 2.0], [0.0, -1.0]]);
    }

    #[test]
    fn every_zero_has_the_sign_bit_clear() {
        for coding in codings() {
            let less_than_a_step = -0.5 / coding.scale;
            let objects = coding.encode(&[[-0.0, less_than_a_step], [0.0, f64::NAN]]);
            assert_eq!(objects.values(), vec![0; 2 * coding.bits()]);
            let mut minus_zero = vec![0; coding.bits()];
            minus_zero[0] = 1;
            assert_eq!(coding.decode(&Objects::new(coding.bits(), minus_zero)), [[0.0, 0.0]]);
        }
    }

    #[test]
    fn coordinates_out_of_range_saturate() {
        for coding in codings() {
            let limit = coding.limit();
            let objects = coding.encode(&[[limit + 1.0, -1e300], [f64::INFINITY, f64::NEG_INFINITY]]);
            assert_eq!(coding.decode(&objects), [[limit, -limit]; 2]);
        }
    }

    #[test]
    fn numbers_of_bits_that_make_no_sense_are_refused() {
        for (bits, reason) in
            [(0, "8 to 32"), (6, "8 to 32"), (9, "odd"), (31, "odd"), (33, "8 to 32"), (34, "8 to 32")]
        {
            let message = Coding::new(DataSet::Moons, bits).expect_err("refused").to_string();
            assert!(message.contains("target.bits") && message.contains(reason), "{message}");
        }
    }
}
