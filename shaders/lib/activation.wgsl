// The nonlinearity and its slope, the twin of src/network/activation.rs. Every one of them is 0 at 0.

#define_import_path wgflow::activation
#import wgflow::constants::{ACTIVATION, RELU, LEAKY_RELU, SWISH, ELU, LEAK}
#import wgflow::elementary::{exponential, exponential_parts, less_one}

struct Activated {
    value: vec4<f32>,
    slope: vec4<f32>,
}

fn activate(x: vec4<f32>) -> Activated {
    let above = x > vec4(0.0);
    switch ACTIVATION {
        case RELU: {
            return Activated(max(x, vec4(0.0)), select(vec4(0.0), vec4(1.0), above));
        }
        case LEAKY_RELU: {
            return Activated(select(LEAK * x, x, above), select(vec4(LEAK), vec4(1.0), above));
        }
        case SWISH: {
            let e = exponential(-x);
            let sigmoid = 1.0 / (1.0 + e);
            let value = x * sigmoid;
            // e * sigmoid is 1 - sigmoid, without the cancellation.
            return Activated(value, fma(value, e * sigmoid, sigmoid));
        }
        case ELU: {
            let parts = exponential_parts(min(x, vec4(0.0)));
            let slope = (parts.q + 1.0) * parts.power;
            return Activated(select(less_one(parts), x, above), select(slope, vec4(1.0), above));
        }
        default: {
            // TANH: tanh|x| = (1 - e) / (1 + e) and the slope 4 e / (1 + e)^2 with e = exp(-2|x|). Nothing overflows,
            // and nothing cancels.
            let parts = exponential_parts(-2.0 * abs(x));
            let e = (parts.q + 1.0) * parts.power;
            let inverse = 1.0 / (1.0 + e);
            return Activated(-sign(x) * less_one(parts) * inverse, 4.0 * e * inverse * inverse);
        }
    }
}
