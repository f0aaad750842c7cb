// exp and log good to about 1e-7, relative to max(1, |result|) for log.
//
// Drivers may be as coarse as 2^-21 near 1 (Vulkan's own bound for log), and a bias in log p adds up over the steps of
// a trajectory, so both are spelt out: range reduction to |r| <= log(2)/2, then a polynomial (the coefficients are
// those of the Cephes library's expf and logf).

// exp(x), with x clamped to where the result is a normal number.
fn exponential(x: vec4<f32>) -> vec4<f32> {
    let limited = clamp(x, vec4(-87.0), vec4(88.0));
    let n = floor(fma(limited, vec4(1.44269504), vec4(0.5)));
    let r = fma(n, vec4(2.12194440e-4), fma(n, vec4(-0.693359375), limited));
    var p = vec4(1.9875691500e-4);
    p = fma(p, r, vec4(1.3981999507e-3));
    p = fma(p, r, vec4(8.3334519073e-3));
    p = fma(p, r, vec4(4.1665795894e-2));
    p = fma(p, r, vec4(1.6666665459e-1));
    p = fma(p, r, vec4(5.0000001201e-1));
    p = fma(p * r, r, r) + 1.0;
    return p * bitcast<vec4<f32>>((vec4<i32>(n) + 127) << vec4(23u));
}

// log(x) of a positive normal number.
fn logarithm(x: f32) -> f32 {
    // x = m * 2^n with m in [sqrt(1/2), sqrt(2)).
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
    let tail = fma(n, -2.12194440e-4, fma(-0.5, square, p * r * square));
    return fma(n, 0.693359375, r + tail);
}
