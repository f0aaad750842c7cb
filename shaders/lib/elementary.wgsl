// exp and log, good to about 1e-7 relative to max(1, |x|) for exp(x), to max(0.1, |log(x)|) for log.
//
// Drivers may be as coarse as 2^-21 near 1 (Vulkan's own bound for log), and a bias in log p adds up over the steps of
// a trajectory, so both are spelt out: x = n log(2) + r, then a polynomial in r (the coefficients are those of the
// Cephes library's expf and logf). The constant is not split in two: compilers may join the pieces again.

#define_import_path wgflow::elementary

const LOG_2 = 0.69314718056;

// exp(x) as power * (1 + q), power a power of two, with x clamped to where the result is a normal number.
struct Exponential {
    power: vec4<f32>,
    q: vec4<f32>,
}

fn exponential_parts(x: vec4<f32>) -> Exponential {
    let limited = clamp(x, vec4(-87.0), vec4(88.0));
    let n = floor(fma(limited, vec4(1.0 / LOG_2), vec4(0.5)));
    let r = fma(n, vec4(-LOG_2), limited);
    var p = vec4(1.9875691500e-4);
    p = fma(p, r, vec4(1.3981999507e-3));
    p = fma(p, r, vec4(8.3334519073e-3));
    p = fma(p, r, vec4(4.1665795894e-2));
    p = fma(p, r, vec4(1.6666665459e-1));
    p = fma(p, r, vec4(5.0000001201e-1));
    return Exponential(bitcast<vec4<f32>>((vec4<i32>(n) + 127) << vec4(23u)), fma(p * r, r, r));
}

// exp(x).
fn exponential(x: vec4<f32>) -> vec4<f32> {
    let parts = exponential_parts(x);
    return (parts.q + 1.0) * parts.power;
}

// exp(x) - 1 to its last places, near 0 as well: there power is 1 and this is q.
fn less_one(parts: Exponential) -> vec4<f32> {
    return fma(parts.power, parts.q, parts.power - 1.0);
}

// log(x) of a positive normal number.
fn logarithm(x: f32) -> f32 {
    // x = (1 + r) * 2^n with 1 + r in [sqrt(1/2), sqrt(2)).
    let bits = bitcast<u32>(x) + (0x3f800000u - 0x3f3504f3u);
    let n = f32(i32(bits >> 23u) - 127);
    let r = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    var p = 7.0376836292e-2;
    p = fma(p, r, -1.1514610310e-1);
    p = fma(p, r, 1.1676998740e-1);
    p = fma(p, r, -1.2420140846e-1);
    p = fma(p, r, 1.4249322787e-1);
    p = fma(p, r, -1.6668057665e-1);
    p = fma(p, r, 2.0000714765e-1);
    p = fma(p, r, -2.4999993993e-1);
    p = fma(p, r, 3.3333331174e-1);
    let square = r * r;
    return fma(n, LOG_2, r + fma(-0.5, square, p * r * square));
}
