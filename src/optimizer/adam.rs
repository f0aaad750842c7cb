//! Adam with bias correction and decoupled weight decay.

use rayon::prelude::*;

/// Constants of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperparameters {
    /// What is kept of the first moment at each step.
    pub beta1: f64,
    /// What is kept of the second moment at each step.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled, as in AdamW: a step first multiplies the parameters by 1 - learning rate * weight decay.
    pub weight_decay: f64,
}

/// Adam's state for one list of parameters. Its public fields are all that a checkpoint has to keep.
///
/// Moments are f64 and go into a checkpoint as such: kept in f32, a second moment would stop moving where a step
/// changes it by less than half a unit in its last place, and 16 bytes a parameter are little beside what a rollout
/// keeps.
///
/// Source: Kingma and Ba (ICLR 2015); Loshchilov and Hutter, "Decoupled weight decay regularization" (ICLR 2019).
#[derive(Debug, PartialEq)]
pub struct Adam {
    hyperparameters: Hyperparameters,
    /// Running mean of the gradient.
    pub first_moment: Vec<f64>,
    /// Running mean of its square.
    pub second_moment: Vec<f64>,
    /// Steps taken.
    pub steps: u64,
}

impl Adam {
    /// No steps taken yet, for `parameters` parameters.
    pub fn new(parameters: usize, hyperparameters: Hyperparameters) -> Self {
        let zeros = vec![0.0; parameters];
        Self { hyperparameters, first_moment: zeros.clone(), second_moment: zeros, steps: 0 }
    }

    /// One step down the gradient g, after which the parameters are rounded to f32:
    ///     m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2,
    ///     p = p (1 - rate * decay) - rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon).
    ///
    /// # Panics
    /// If the lengths of `parameters`, `gradient` and the moments differ.
    pub fn step(&mut self, parameters: &mut [f64], gradient: &[f64], learning_rate: f64) {
        self.advance(parameters, gradient, learning_rate, rounded);
    }

    /// The same step of parameters that only the host knows, which keep all of their f64.
    ///
    /// # Panics
    /// If the lengths of `parameters`, `gradient` and the moments differ.
    pub fn step_in_f64(&mut self, parameters: &mut [f64], gradient: &[f64], learning_rate: f64) {
        self.advance(parameters, gradient, learning_rate, |next| next);
    }

    /// Becomes what `before` is after a [`Adam::step`], and `next` what that makes of `parameters`, which stay as they are.
    /// In one pass, on all threads; the bits do not depend on their number.
    ///
    /// # Panics
    /// If the lengths of `parameters`, `next`, `gradient` and the moments differ.
    pub fn step_from(
        &mut self,
        before: &Adam,
        parameters: &[f64],
        next: &mut [f64],
        gradient: &[f64],
        learning_rate: f64,
    ) {
        self.become_next(before, parameters, next, gradient, learning_rate, rounded);
    }

    fn advance(
        &mut self,
        parameters: &mut [f64],
        gradient: &[f64],
        learning_rate: f64,
        rounded: impl Fn(f64) -> f64 + Copy + Sync,
    ) {
        let (before, present) = (self.clone(), parameters.to_vec());
        self.become_next(&before, &present, parameters, gradient, learning_rate, rounded);
    }

    fn become_next(
        &mut self,
        before: &Adam,
        parameters: &[f64],
        next: &mut [f64],
        gradient: &[f64],
        learning_rate: f64,
        rounded: impl Fn(f64) -> f64 + Copy + Sync,
    ) {
        check([before.first_moment.len(), self.first_moment.len(), parameters.len(), next.len(), gradient.len()]);
        self.hyperparameters = before.hyperparameters;
        self.steps = before.steps + 1;
        let rule = Rule::new(self.hyperparameters, self.steps, learning_rate);
        let present = parameters.par_chunks(CHUNK).zip(before.first_moment.par_chunks(CHUNK));
        let present = present.zip(before.second_moment.par_chunks(CHUNK)).zip(gradient.par_chunks(CHUNK));
        let next = next.par_chunks_mut(CHUNK).zip(self.first_moment.par_chunks_mut(CHUNK));
        let next = next.zip(self.second_moment.par_chunks_mut(CHUNK));
        present.zip(next).for_each(|((((parameters, first), second), gradient), ((next, next_first), next_second))| {
            rule.apply([parameters, first, second, gradient], [next, next_first, next_second], rounded);
        });
    }
}

/// Numbers that a thread takes at a time: those of five lists fit a core's cache.
const CHUNK: usize = 1 << 13;

fn check<const N: usize>(lengths: [usize; N]) {
    assert!(lengths.iter().all(|length| *length == lengths[0]), "lists of parameters of the lengths {lengths:?}");
}

/// What every engine knows of a parameter.
fn rounded(value: f64) -> f64 {
    f64::from(value as f32)
}

/// One step, number by number.
struct Rule {
    hyperparameters: Hyperparameters,
    rate: f64,
    correction: f64,
    kept: f64,
}

impl Rule {
    fn new(hyperparameters: Hyperparameters, steps: u64, learning_rate: f64) -> Self {
        let Hyperparameters { beta1, beta2, weight_decay, .. } = hyperparameters;
        let steps = steps as f64;
        Self {
            hyperparameters,
            rate: learning_rate / (1.0 - beta1.powf(steps)),
            correction: 1.0 / (1.0 - beta2.powf(steps)).sqrt(),
            kept: 1.0 - learning_rate * weight_decay,
        }
    }

    /// From parameters, their two moments and a gradient to the next parameters and moments.
    fn apply(&self, present: [&[f64]; 4], next: [&mut [f64]; 3], rounded: impl Fn(f64) -> f64) {
        let Self { hyperparameters: Hyperparameters { beta1, beta2, epsilon, .. }, rate, correction, kept } = *self;
        // Compiled for several instruction sets and chosen at run time; all of them round alike.
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let [parameters, first, second, gradient] = present;
                let present = parameters.iter().zip(first).zip(second.iter().zip(gradient));
                let [next, next_first, next_second] = next;
                let next = next.iter_mut().zip(next_first.iter_mut().zip(next_second.iter_mut()));
                for (((parameter, first), (second, derivative)), (next, (next_first, next_second))) in present.zip(next)
                {
                    let first = beta1 * first + (1.0 - beta1) * derivative;
                    let second = beta2 * second + (1.0 - beta2) * derivative * derivative;
                    (*next_first, *next_second) = (first, second);
                    *next = rounded(kept * parameter - rate * first / (second.sqrt() * correction + epsilon));
                }
            },
        );
    }
}

impl Clone for Adam {
    fn clone(&self) -> Self {
        let (first_moment, second_moment) = (self.first_moment.clone(), self.second_moment.clone());
        Self { hyperparameters: self.hyperparameters, first_moment, second_moment, steps: self.steps }
    }

    /// Into the memory that is there already: every iteration of a training copies its optimizer.
    fn clone_from(&mut self, source: &Self) {
        self.hyperparameters = source.hyperparameters;
        self.first_moment.clone_from(&source.first_moment);
        self.second_moment.clone_from(&source.second_moment);
        self.steps = source.steps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Hyperparameters = Hyperparameters { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };

    /// torch.optim.AdamW, written as its documentation has it, one parameter and no rounding.
    fn reference(start: f64, gradients: &[f64], rate: f64, constants: Hyperparameters) -> f64 {
        let Hyperparameters { beta1, beta2, epsilon, weight_decay } = constants;
        let (mut p, mut m, mut v) = (start, 0.0, 0.0);
        for (t, g) in (1..).zip(gradients) {
            p -= rate * weight_decay * p;
            m = beta1 * m + (1.0 - beta1) * g;
            v = beta2 * v + (1.0 - beta2) * g * g;
            let unbiased = (m / (1.0 - beta1.powi(t)), v / (1.0 - beta2.powi(t)));
            p -= rate * unbiased.0 / (unbiased.1.sqrt() + epsilon);
        }
        p
    }

    #[test]
    fn the_first_steps_are_those_worked_out_by_hand() {
        // Step 1: m/(1-b1) = 2, v/(1-b2) = 4: p = 1 - 0.5 * 2/2 = 0.5.
        // Step 2, g = -1: m = 0.9*0.2 - 0.1 = 0.08, /0.19; v = 0.999*0.004 + 0.001 = 0.004996, /0.001999.
        let mut adam = Adam::new(1, PLAIN);
        let mut parameters = [1.0];
        adam.step(&mut parameters, &[2.0], 0.5);
        assert!((parameters[0] - 0.5).abs() < 1e-7, "{parameters:?}");
        adam.step(&mut parameters, &[-1.0], 0.5);
        assert!((adam.first_moment[0] - 0.08).abs() < 1e-16 && (adam.second_moment[0] - 0.004996).abs() < 1e-17);
        let expected = 0.5 - 0.5 * (0.08 / 0.19) / (0.004996f64 / 0.001999).sqrt();
        assert!((parameters[0] - expected).abs() < 1e-7, "{parameters:?} is not {expected}");
        assert_eq!(adam.steps, 2);
    }

    #[test]
    fn many_steps_follow_the_definition_and_stay_exact_in_f32() {
        let constants = Hyperparameters { beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weight_decay: 0.3 };
        for constants in [PLAIN, constants] {
            let gradients: Vec<[f64; 3]> = (0..50).map(|t| [0, 1, 2].map(|d| f64::from(7 * t + 3 * d).sin())).collect();
            let start = [0.5, -1.25, 0.0];
            let (mut adam, mut parameters) = (Adam::new(3, constants), start);
            for gradient in &gradients {
                adam.step(&mut parameters, gradient, 0.01);
                assert!(parameters.iter().all(|p| f64::from(*p as f32) == *p));
            }
            for d in 0..3 {
                let column: Vec<f64> = gradients.iter().map(|gradient| gradient[d]).collect();
                let expected = reference(start[d], &column, 0.01, constants);
                // Each of 50 steps rounds to f32, by up to 6e-8 of a parameter of about 1.
                assert!((parameters[d] - expected).abs() < 50.0 * 6e-8, "{} is not {expected}", parameters[d]);
            }
        }
    }

    #[test]
    fn steps_in_f64_are_the_formula_s_own_however_large_the_parameter() {
        // Near 238 an f32 has steps of 1.5e-5: a learning rate below that would not move it at all.
        let gradients = [[0.3], [-0.2], [0.7], [0.1]];
        for rate in [1.0, 1e-6] {
            let (mut adam, mut parameters) = (Adam::new(1, PLAIN), [238.389_123_456_789]);
            gradients.iter().for_each(|gradient| adam.step_in_f64(&mut parameters, gradient, rate));
            let expected = reference(238.389_123_456_789, &gradients.map(|[g]| g), rate, PLAIN);
            // Four steps of f64 roundings of 238, 3e-14 each.
            assert!((parameters[0] - expected).abs() < 2e-13, "{} is not {expected}", parameters[0]);
            assert_ne!(f64::from(parameters[0] as f32), parameters[0]);
        }
    }

    #[test]
    fn a_step_beside_the_present_state_is_the_step_in_its_place() {
        // Some chunks, the last one not full.
        let count = 2 * CHUNK + 77;
        let list = |pace: f64| (0..count).map(|i| rounded((pace * i as f64).sin())).collect::<Vec<f64>>();
        let (mut adam, mut parameters) = (Adam::new(count, PLAIN), list(0.7));
        let mut next = (list(0.1), Adam::new(count, Hyperparameters { beta1: 0.1, ..PLAIN }));
        for step in 0..3 {
            let gradient = list(1.1 + f64::from(step));
            next.1.step_from(&adam, &parameters, &mut next.0, &gradient, 0.01);
            adam.step(&mut parameters, &gradient, 0.01);
            assert_eq!((&next.0, &next.1), (&parameters, &adam));
        }
    }

    #[test]
    fn a_restored_state_goes_on_bit_for_bit() {
        let gradients: Vec<Vec<f64>> = (0..6).map(|t| (0..37).map(|d| f64::from(5 * t + d).cos()).collect()).collect();
        let (mut adam, mut parameters) = (Adam::new(37, PLAIN), vec![0.25; 37]);
        gradients[..3].iter().for_each(|gradient| adam.step(&mut parameters, gradient, 1e-3));
        let mut restored = Adam::new(37, PLAIN);
        restored.first_moment.clone_from(&adam.first_moment);
        restored.second_moment.clone_from(&adam.second_moment);
        restored.steps = adam.steps;
        // The parameters pass through an f32 checkpoint.
        let checkpoint: Vec<f32> = parameters.iter().map(|parameter| *parameter as f32).collect();
        let mut resumed: Vec<f64> = checkpoint.into_iter().map(f64::from).collect();
        for gradient in &gradients[3..] {
            adam.step(&mut parameters, gradient, 1e-3);
            restored.step(&mut resumed, gradient, 1e-3);
        }
        assert_eq!(parameters, resumed);
        assert_eq!(adam, restored);
    }
}
