//! The energy model's share of an iteration of joint training.

use std::sync::Arc;

use super::{Acceptance, Proposal, cleared_sites};
use crate::engine::{Engine, EngineError, check_rewards};
use crate::network::{Initialisation, initialise};
use crate::optimizer::{Adam, norm};
use crate::process::{Objects, SiteFilling};
use crate::random::{Draw, Stream};
use crate::targets::energy_model::EnergyModel;

/// How an energy model is trained along with a policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The probability with which a proposal is accepted.
    pub acceptance: Acceptance,
    /// Iterations over which proposals grow from one site to all.
    pub horizon: u64,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Start from the model's parameters; otherwise they are drawn anew from the run's seed.
    pub warm_start: bool,
}

/// An energy model in training.
pub struct EnergyTraining {
    settings: Settings,
    /// With the parameters of the last step.
    pub model: Arc<EnergyModel>,
    /// The state of its optimizer.
    pub adam: Adam,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnergyStep {
    /// mean log R(fake) - mean log R(data), before the step.
    pub loss: f64,
    /// Euclidean norm of its gradient.
    pub gradient_norm: f64,
    /// Sites that each proposal cleared.
    pub cleared: usize,
    /// Fraction of the proposals that were accepted.
    pub accepted: f64,
}

impl EnergyTraining {
    /// The training of a model. Unless it is a warm start, the model gets fresh parameters.
    pub fn begin(model: Arc<EnergyModel>, settings: Settings, seed: u64) -> Self {
        if !settings.warm_start {
            let stream = Stream::EnergyInitialisation;
            model.set_parameters(&initialise(model.layout(), Initialisation::FanIn, seed, stream));
        }
        let constants = crate::optimizer::Settings::default().hyperparameters();
        Self { settings, adam: Adam::new(model.layout().parameters(), constants), model }
    }

    /// One step down the contrastive gradient from `data`, whose fakes come from the policy that the engine holds.
    ///
    /// A gradient that is not finite leaves the model as it is, and so does an error.
    ///
    /// # Errors
    /// `Reward` if log R of the data or of a proposal is NaN or plus infinity; what the engine says.
    pub fn step(
        &mut self,
        engine: &mut dyn Engine,
        process: &SiteFilling,
        data: &Objects,
        draw: Draw,
    ) -> Result<EnergyStep, EngineError> {
        let cleared = cleared_sites(draw.iteration.into(), process.sites, self.settings.horizon);
        let proposal = Proposal::new(process, data, cleared, &draw);
        let old = engine.rollout(&proposal.clearing())?;
        check_rewards(&old.log_reward, || Ok(data.clone()))?;
        let new = engine.rollout(&proposal.refilling())?;
        let proposed = engine.objects()?;
        check_rewards(&new.log_reward, || Ok(proposed.clone()))?;
        let fake = proposal.settle(self.settings.acceptance, (&old, data), (&new, &proposed));

        let gradient = contrastive_gradient(engine, data, &fake.objects)?;
        let gradient_norm = norm(&gradient);
        if gradient_norm.is_finite() {
            let mut parameters = self.model.parameters().to_vec();
            self.adam.step(&mut parameters, &gradient, self.settings.learning_rate);
            self.model.set_parameters(&parameters);
        }
        let mean = |log_reward: &[f64]| log_reward.iter().sum::<f64>() / log_reward.len() as f64;
        let loss = mean(&fake.log_reward) - mean(&old.log_reward);
        let accepted = fake.accepted as f64 / data.count() as f64;
        Ok(EnergyStep { loss, gradient_norm, cleared, accepted })
    }
}

/// Gradient of -(mean log R(data) - mean log R(fake)) with respect to the parameters of the network that is log R.
fn contrastive_gradient(engine: &mut dyn Engine, data: &Objects, fake: &Objects) -> Result<Vec<f64>, EngineError> {
    let mut objects = data.clone();
    objects.extend(fake);
    let mut coefficients = vec![-1.0 / data.count() as f64; data.count()];
    coefficients.resize(objects.count(), 1.0 / fake.count() as f64);
    engine.reward_gradient(&objects, &coefficients)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::CpuEngine;
    use crate::engine::{Differentiate, Roll};
    use crate::network::{Activation, Layout};
    use crate::process::Order;
    use crate::targets::{Target, energy_model};

    /// An energy model on 6 bits, and an engine that has it as its target.
    fn setting() -> (Arc<EnergyModel>, SiteFilling, CpuEngine<f64>) {
        let layout = energy_model::layout(6, &[8, 8]);
        let parameters = initialise(&layout, Initialisation::FanIn, 4, Stream::EnergyInitialisation);
        let model = Arc::new(EnergyModel::new(layout, &parameters));
        let process = SiteFilling { sites: 6, values: 2, order: Order::Uniform, encoding: model.encoding() };
        let policy = Layout::new(6, &[8], 12);
        let mut engine =
            CpuEngine::new(process.clone(), policy.clone(), Activation::Tanh, model.clone(), u64::MAX).unwrap();
        let weights = initialise(&policy, Initialisation::FanIn, 4, Stream::Initialisation);
        engine.set_parameters(&weights).unwrap();
        (model, process, engine)
    }

    fn contrast(engine: &mut dyn Engine, data: &Objects, fake: &Objects) -> f64 {
        let mut mean =
            |objects: &Objects| engine.log_reward(objects).unwrap().iter().sum::<f64>() / objects.count() as f64;
        mean(fake) - mean(data)
    }

    #[test]
    fn the_contrastive_gradient_raises_data_above_fakes() {
        let (model, _, mut engine) = setting();
        let (data, fake) = (Objects::numbered(6, 2, 5..8), Objects::numbered(6, 2, 30..35));
        let gradient = contrastive_gradient(&mut engine, &data, &fake).unwrap();
        let parameters = model.parameters();
        for index in (0..parameters.len()).step_by(7) {
            let mut value_at = |shift: f64| {
                let mut shifted = parameters.to_vec();
                shifted[index] += shift;
                model.set_parameters(&shifted);
                contrast(&mut engine, &data, &fake)
            };
            let difference = (value_at(1e-5) - value_at(-1e-5)) / 2e-5;
            // Third derivative times 1e-10, rounding 1e-15 / 1e-5.
            assert!((gradient[index] - difference).abs() < 1e-9, "{index}: {} {difference}", gradient[index]);
        }
    }

    #[test]
    fn a_step_moves_the_model_and_reports_what_it_did() {
        let (model, process, mut engine) = setting();
        let settings =
            Settings { acceptance: Acceptance::Metropolis, horizon: 1, learning_rate: 1e-2, warm_start: true };
        let mut training = EnergyTraining::begin(model.clone(), settings, 0);
        let (data, before) = (Objects::new(6, [[0; 6], [1; 6]].concat().repeat(40)), model.parameters());
        let rewards = |engine: &mut CpuEngine<f64>| engine.log_reward(&data).unwrap().iter().sum::<f64>();
        let at_first = rewards(&mut engine);
        for iteration in 0..20 {
            let draw = Draw::new(1, iteration, Stream::Proposal);
            let step = training.step(&mut engine, &process, &data, draw).unwrap();
            assert_eq!(step.cleared, 6);
            assert!(step.accepted > 0.2 && step.gradient_norm > 0.0);
        }
        assert_ne!(model.parameters(), before);
        assert_eq!(training.adam.steps, 20);
        assert!(rewards(&mut engine) > at_first + 1.0, "data did not gain");
    }

    #[test]
    fn only_a_cold_start_draws_parameters() {
        let (model, ..) = setting();
        let before = model.parameters();
        let begin = |warm_start| {
            let settings = Settings { acceptance: Acceptance::Barker, horizon: 1, learning_rate: 1e-3, warm_start };
            EnergyTraining::begin(model.clone(), settings, 9);
            model.parameters()
        };
        assert_eq!(begin(true), before);
        assert_ne!(begin(false), before);
    }
}
