//! Whole numbers as sign and reflected Gray code: numbers next to each other differ in one bit of the magnitude.

/// A number as `width` bits: the sign (0 for >= 0), then the Gray code of the magnitude (m xor m >> 1), most significant
/// bit first. The first bit of the list is the highest of the `width` low bits of the result.
///
/// Magnitudes beyond 2^(width - 1) - 1 saturate there. `width` is 2 to 32.
pub fn encode(number: i64, width: u32) -> u32 {
    let sign = u32::from(number < 0);
    let magnitude = number.unsigned_abs().min(largest(width).into()) as u32;
    sign << (width - 1) | magnitude ^ magnitude >> 1
}

/// The number of a code of `width` bits. Both codes of zero, with and without the sign bit, give 0.
pub fn decode(code: u32, width: u32) -> i64 {
    let mut magnitude = code & largest(width);
    // Each bit is the parity of the code's bits from it upwards.
    for shift in [1, 2, 4, 8, 16] {
        magnitude ^= magnitude >> shift;
    }
    if code >> (width - 1) & 1 == 1 { -i64::from(magnitude) } else { i64::from(magnitude) }
}

/// The largest magnitude that fits a sign and `width - 1` bits.
fn largest(width: u32) -> u32 {
    (1 << (width - 1)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_every_width_up_to_16_decodes_and_encodes_back() {
        for width in 2..=16 {
            for code in 0..1_u32 << width {
                let number = decode(code, width);
                assert!(number.abs() < 1 << (width - 1));
                // A negative zero is never written: it comes back as zero.
                let expected = if code == 1 << (width - 1) { 0 } else { code };
                assert_eq!(encode(number, width), expected, "code {code:b}");
            }
        }
    }

    #[test]
    fn neighbours_differ_in_one_bit() {
        for number in 0..i64::from(largest(16)) {
            assert_eq!((encode(number, 16) ^ encode(number + 1, 16)).count_ones(), 1, "after {number}");
            assert_eq!(encode(-number - 1, 16), encode(number + 1, 16) | 1 << 15, "the sign is one bit");
        }
    }

    #[test]
    fn known_codes() {
        let words: Vec<u32> = (0..8).map(|number| encode(number, 4)).collect();
        assert_eq!(words, [0b0000, 0b0001, 0b0011, 0b0010, 0b0110, 0b0111, 0b0101, 0b0100]);
        assert_eq!(encode(-5, 4), 0b1111);
    }

    #[test]
    fn numbers_out_of_range_saturate() {
        for width in 2..=16 {
            let end = i64::from(largest(width));
            for beyond in [end + 1, end + 12345, i64::MAX] {
                assert_eq!(decode(encode(beyond, width), width), end);
                assert_eq!(decode(encode(-beyond, width), width), -end);
            }
            assert_eq!(decode(encode(i64::MIN, width), width), -end);
        }
    }
}
