//! A policy and a network of its own for log F, as one engine.

use super::{
    Batch, Behaviour, Coefficients, Counts, Differentiate, Engine, EngineError, Given, Roll, Rollout, StepCoefficients,
    Summand, Tree, check,
};
use crate::network::Arrangement;
use crate::process::{Objects, Trajectories};

/// Two engines that see the same trajectories: of the policy, which samples them, and of the network that says log F of their
/// states. Parameters are the policy's, and the others after them.
pub(crate) struct WithFlow {
    policy: Box<dyn Engine>,
    /// Of a process with the same actions, whose policy says log F besides. Of that policy nothing else is looked at.
    flow: Box<dyn Engine>,
    arrangement: Arrangement,
    /// Whether `flow` holds the policy's batch.
    holds_flows: bool,
}

impl WithFlow {
    pub fn new(policy: Box<dyn Engine>, flow: Box<dyn Engine>) -> Self {
        let arrangement = policy.arrangement().followed_by(flow.arrangement());
        Self { policy, flow, arrangement, holds_flows: false }
    }

    /// Numbers of the policy among all parameters in the engine's order.
    fn split(&self) -> usize {
        self.policy.arrangement().length()
    }

    /// What steps weigh in the policy's gradient, and in that of log F.
    fn divided(&self, steps: &StepCoefficients) -> Result<(Coefficients, Coefficients), EngineError> {
        if !self.holds_flows {
            let message =
                "the batch was rolled out without its single steps, which log F is of: see Rollout::with_steps";
            return Err(EngineError::NoBatch(message));
        }
        let of_policy = StepCoefficients { flow: Vec::new(), ..steps.clone() };
        let of_flow = StepCoefficients { flow: steps.flow.clone(), ..StepCoefficients::default() };
        Ok((Coefficients::Steps(of_policy), Coefficients::Steps(of_flow)))
    }
}

impl Roll for WithFlow {
    fn name(&self) -> String {
        self.policy.name()
    }

    fn adapter(&self) -> String {
        self.policy.adapter()
    }

    fn counts(&self) -> Option<Counts> {
        self.policy.counts().zip(self.flow.counts()).map(|(policy, flow)| policy + flow)
    }

    /// log F is told, and its gradient kept, where single steps are asked for.
    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        self.holds_flows = false;
        let mut batch = self.policy.rollout(request)?;
        let Some(steps) = &mut batch.steps else { return Ok(batch) };
        let trajectories = self.policy.trajectories()?;
        let scored_from = request.given.map_or(0, |given| given.scored_from);
        let given = Given { trajectories: &trajectories, scored_from, sampled_from: trajectories.max_steps() };
        let request = Rollout { given: Some(given), behaviour: Behaviour::default(), ..*request };
        steps.log_flow = self.flow.rollout(&request)?.steps.map(|flows| flows.log_flow).unwrap_or_default();
        self.holds_flows = true;
        Ok(batch)
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        self.policy.trajectories()
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        self.policy.objects()
    }

    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        self.policy.log_reward(objects)
    }

    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        self.policy.reward_gradient(objects, coefficients)
    }
}

impl Differentiate for WithFlow {
    fn arrangement(&self) -> &Arrangement {
        &self.arrangement
    }

    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError> {
        check::arranged(&self.arrangement, arranged)?;
        let (policy, flow) = arranged.split_at(self.split());
        self.policy.load(policy)?;
        self.flow.load(flow)
    }

    fn accumulate(&mut self, coefficients: &Coefficients, total: &mut [f64]) -> Result<(), EngineError> {
        check::arranged(&self.arrangement, total)?;
        let (policy, flow) = total.split_at_mut(self.split());
        let Coefficients::Steps(steps) = coefficients else { return self.policy.accumulate(coefficients, policy) };
        let (of_policy, of_flow) = self.divided(steps)?;
        self.policy.accumulate(&of_policy, policy)?;
        self.flow.accumulate(&of_flow, flow)
    }

    fn held(&self) -> usize {
        self.policy.held()
    }

    fn leaves(&self, blocks: usize) -> usize {
        self.policy.leaves(blocks)
    }

    fn add_leaves(&mut self, of: Summand, tree: &mut Tree) -> Result<(), EngineError> {
        let Summand::Gradient(Coefficients::Steps(steps)) = of else {
            let message = "with log F by a network of its own, sums over ranks are of single steps' gradients".into();
            return Err(EngineError::Limit(message));
        };
        let (of_policy, of_flow) = self.divided(steps)?;
        let (mut left, mut right) = (tree.fork(), tree.fork());
        self.policy.add_leaves(Summand::Gradient(&of_policy), &mut left)?;
        self.flow.add_leaves(Summand::Gradient(&of_flow), &mut right)?;
        tree.take(left, right);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::cpu::CpuEngine;
    use crate::network::{Activation, Initialisation, Layout, initialise};
    use crate::process::{Extras, Flow, FreeFilling, Order, Process, SiteFilling};
    use crate::random::{Draw, Stream};
    use crate::targets::{Target, ising::Ising};

    const COUNT: usize = 10;

    #[test]
    fn log_flows_are_told_and_differentiated_beside_the_policy() {
        let ising = Ising::new(3, 0.3).unwrap();
        let filling = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: ising.encoding() };
        let seen = FreeFilling { filling: filling.clone(), extras: Extras { flow: Flow::Output, ..Extras::default() } };
        let target: Arc<dyn Target> = Arc::new(ising);
        let engine = |process: Arc<dyn Process>, stream| {
            let layout = Layout::new(process.columns(), &[12], process.outputs());
            let parameters = initialise(&layout, Initialisation::FanIn, 3, stream);
            let engine = CpuEngine::<f64>::new(process, layout, Activation::Swish, target.clone(), u64::MAX).unwrap();
            (Box::new(engine) as Box<dyn Engine>, parameters)
        };
        let (policy, mut parameters) = engine(Arc::new(filling), Stream::Initialisation);
        let (flow, of_flow) = engine(Arc::new(seen), Stream::FlowInitialisation);
        let apart = parameters.len();
        parameters.extend(of_flow);
        let mut engine = WithFlow::new(policy, flow);
        engine.set_parameters(&parameters).unwrap();

        let draw = Draw::new(4, 0, Stream::Training);
        let batch = engine.rollout(&Rollout::sample(draw, COUNT).kept().with_steps(true)).unwrap();
        let steps = batch.steps.unwrap();
        assert_eq!(steps.log_flow.len(), COUNT * 9);
        let weights = |shift: f64| (0..COUNT * 9).map(|i| (i as f64 + shift).sin()).collect::<Vec<_>>();
        let (forward, flow) = (weights(0.0), weights(0.5));
        let sum = |weights: &[f64], logs: &[f64]| weights.iter().zip(logs).map(|(w, log)| w * log).sum::<f64>();
        let mut total = vec![0.0; engine.arrangement().length()];
        let coefficients = StepCoefficients { forward: forward.clone(), backward: Vec::new(), flow: flow.clone() };
        engine.accumulate(&Coefficients::Steps(coefficients.clone()), &mut total).unwrap();
        let gradient = engine.arrangement().restore(&total);

        let trajectories = engine.trajectories().unwrap();
        let mut value = |index: usize, shift: f64| {
            let mut shifted = parameters.clone();
            shifted[index] += shift;
            engine.set_parameters(&shifted).unwrap();
            let steps = engine.rollout(&Rollout::replay(draw, &trajectories).with_steps(true)).unwrap().steps.unwrap();
            sum(&forward, &steps.log_forward) + sum(&flow, &steps.log_flow)
        };
        let (mut of_policy, mut of_flow) = (0, 0);
        for index in (0..parameters.len()).step_by(5) {
            let difference = (value(index, 1e-5) - value(index, -1e-5)) / 2e-5;
            // A third derivative times 1e-10, and rounding of a sum of some tens.
            assert!((gradient[index] - difference).abs() < 1e-7, "{index}: {} {difference}", gradient[index]);
            let nonzero = usize::from(difference.abs() > 1e-6);
            if index < apart { of_policy += nonzero } else { of_flow += nonzero }
        }
        assert!(of_policy > 20 && of_flow > 20, "{of_policy} {of_flow}");

        // Without single steps there are no flows to differentiate.
        engine.rollout(&Rollout::sample(draw, COUNT).kept()).unwrap();
        let refused = engine.accumulate(&Coefficients::Steps(coefficients), &mut total);
        assert!(matches!(refused, Err(EngineError::NoBatch(_))), "{refused:?}");
    }
}
