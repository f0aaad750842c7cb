// Numbers of 53 bits where the device has only such of 24: the bits of an IEEE double, low word first, worked on as integers.
//
// What f32 would lose stays, and no compiler can take an error term away, as it may from sums of pairs of f32. Sums are rounded to
// the nearest, to even in the middle, as a host's are; numbers below 2^-1022 are 0.

#define_import_path wgflow::wide

const WIDE_INFINITY = 0x7ff00000u;

fn wide_exponent(a: vec2<u32>) -> u32 {
    return a.y >> 20u & 0x7ffu;
}

fn wide_negative(a: vec2<u32>) -> vec2<u32> {
    return vec2(a.x, a.y ^ 0x80000000u);
}

// Exactly x.
fn widened(x: f32) -> vec2<u32> {
    let bits = bitcast<u32>(x);
    let sign = bits & 0x80000000u;
    let exponent = bits >> 23u & 0xffu;
    let fraction = bits & 0x007fffffu;
    if exponent == 0u {
        return vec2(0u, sign);
    }
    let wide = select(exponent + 896u, 0x7ffu, exponent == 255u);
    return vec2(fraction << 29u, sign | wide << 20u | fraction >> 3u);
}

// The nearest f32; 0 for what is less than the least normal number.
fn narrowed(a: vec2<u32>) -> f32 {
    let sign = a.y & 0x80000000u;
    let exponent = wide_exponent(a);
    let fraction = (a.y & 0xfffffu) << 3u | a.x >> 29u;
    if exponent == 0x7ffu {
        let nan = select(0u, 0x400000u, ((a.y & 0xfffffu) | a.x) != 0u);
        return bitcast<f32>(sign | 0x7f800000u | nan);
    }
    if exponent < 897u {
        return bitcast<f32>(sign);
    }
    let rest = a.x & 0x1fffffffu;
    let up = rest > 0x10000000u || (rest == 0x10000000u && (fraction & 1u) == 1u);
    // A carry goes on into the exponent.
    let bits = ((exponent - 896u) << 23u | fraction) + select(0u, 1u, up);
    return bitcast<f32>(sign | select(bits, 0x7f800000u, exponent > 1150u));
}

// Whole numbers of 64 bits.
fn shifted_left(m: vec2<u32>, by: u32) -> vec2<u32> {
    if by == 0u {
        return m;
    }
    if by >= 32u {
        return vec2(0u, m.x << (by - 32u));
    }
    return vec2(m.x << by, m.y << by | m.x >> (32u - by));
}

// The last bit is set if any that was shifted out is.
fn shifted_right(m: vec2<u32>, by: u32) -> vec2<u32> {
    if by == 0u {
        return m;
    }
    if by >= 64u {
        return vec2(select(0u, 1u, (m.x | m.y) != 0u), 0u);
    }
    if by >= 32u {
        let more = by - 32u;
        let lost = (m.x | select(0u, m.y << (32u - more), more > 0u)) != 0u;
        return vec2(m.y >> more | select(0u, 1u, lost), 0u);
    }
    let lost = m.x << (32u - by) != 0u;
    return vec2(m.x >> by | m.y << (32u - by) | select(0u, 1u, lost), m.y >> by);
}

// The number m * 2^(exponent - 1085), rounded: of a normal number m has its first bit at place 62.
fn wide_rounded(sign: u32, exponent: i32, m: vec2<u32>) -> vec2<u32> {
    if (m.x | m.y) == 0u {
        return vec2<u32>();
    }
    let leading = select(countLeadingZeros(m.y), 32u + countLeadingZeros(m.x), m.y == 0u);
    let e = exponent + 1 - i32(leading);
    var normal = shifted_left(m, leading);
    // Eleven bits are rounded away.
    let rest = normal.x & 0x7ffu;
    normal = vec2(normal.x >> 11u | normal.y << 21u, normal.y >> 11u);
    let up = rest > 0x400u || (rest == 0x400u && (normal.x & 1u) == 1u);
    if e <= 0 {
        return vec2(0u, sign);
    }
    if e >= 0x7ff {
        return vec2(0u, sign | WIDE_INFINITY);
    }
    let low = normal.x + select(0u, 1u, up);
    let carry = select(0u, 1u, up && low == 0u);
    // Carries go on into the exponent.
    return vec2(low, sign | ((u32(e) << 20u | (normal.y & 0xfffffu)) + carry));
}

// Its fraction with the first bit at place 62.
fn wide_fraction(a: vec2<u32>) -> vec2<u32> {
    return shifted_left(vec2(a.x, (a.y & 0xfffffu) | 0x100000u), 10u);
}

// a + b. If one of them is not finite, the larger of the two in absolute value.
fn wide_sum(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let size_a = a.y & 0x7fffffffu;
    let size_b = b.y & 0x7fffffffu;
    let swap = size_a < size_b || (size_a == size_b && a.x < b.x);
    let large = select(a, b, swap);
    let small = select(b, a, swap);
    let exponent = wide_exponent(large);
    if wide_exponent(small) == 0u || exponent == 0x7ffu {
        return large;
    }
    let m = wide_fraction(large);
    let n = shifted_right(wide_fraction(small), exponent - wide_exponent(small));
    let sign = large.y & 0x80000000u;
    if sign == (small.y & 0x80000000u) {
        let low = m.x + n.x;
        return wide_rounded(sign, i32(exponent), vec2(low, m.y + n.y + select(0u, 1u, low < m.x)));
    }
    return wide_rounded(sign, i32(exponent), vec2(m.x - n.x, m.y - n.y - select(0u, 1u, m.x < n.x)));
}

fn wide_difference(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return wide_sum(a, wide_negative(b));
}

// Exactly x y, of normal numbers or 0.
fn wide_product(x: f32, y: f32) -> vec2<u32> {
    let a = bitcast<u32>(x);
    let b = bitcast<u32>(y);
    let sign = (a ^ b) & 0x80000000u;
    let exponents = vec2(a, b) >> vec2(23u) & vec2(0xffu);
    if any(exponents == vec2(0u)) {
        return vec2(0u, sign);
    }
    if any(exponents == vec2(255u)) {
        return widened(x * y);
    }
    let fractions = (vec2(a, b) & vec2(0x007fffffu)) | vec2(0x00800000u);
    // In halves of 12 bits: high * 2^24 + middle * 2^12 + low.
    let upper = fractions >> vec2(12u);
    let lower = fractions & vec2(0xfffu);
    let high = upper.x * upper.y;
    let middle = upper.x * lower.y + lower.x * upper.y;
    let first = lower.x * lower.y + (middle << 12u);
    let carried = select(0u, 1u, first < (middle << 12u));
    let low = first + (high << 24u);
    let carried_again = select(0u, 1u, low < first);
    let product = vec2(low, (high >> 8u) + (middle >> 20u) + carried + carried_again);
    // 46 bits are behind the point, and places are counted from 62.
    return wide_rounded(sign, i32(exponents.x + exponents.y) + 769, shifted_left(product, 16u));
}
