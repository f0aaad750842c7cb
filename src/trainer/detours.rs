//! The parents of a trajectory's states that it did not come through, for flow matching: trajectories that come through them.

use crate::engine::{Coefficients, Engine, EngineError, Given, Rollout, StepCoefficients};
use crate::logs::log_sum_exp;
use crate::optimizer::Learn;
use crate::process::{Process, Trajectories};
use crate::random::Draw;

/// Detours to the states of a batch, in groups that reach them by the same step.
#[derive(Clone, Debug)]
pub(super) struct Detours {
    max_steps: usize,
    groups: Vec<Group>,
}

/// Trajectories that differ from some of the batch's in the parent that step `at` starts from.
#[derive(Clone, Debug)]
struct Group {
    at: usize,
    trajectories: Trajectories,
    /// Which trajectory of the batch each belongs to.
    rows: Vec<usize>,
    /// log F + log P_F of step `at` of each, once known.
    log_flows: Vec<f64>,
}

impl Detours {
    /// To every state but the first of these trajectories, by all of its other parents, which the process has to know.
    pub fn to(process: &dyn Process, trajectories: &Trajectories) -> Self {
        let max_steps = process.max_steps();
        let mut found = vec![(Vec::new(), Vec::new()); max_steps];
        for row in 0..trajectories.count() {
            let mut state = vec![0; process.state_words()];
            for (at, &action) in trajectories.row(row).iter().enumerate() {
                let before = state.clone();
                let ends = process.advance(&mut state, action).ends;
                // Who stops comes from the state itself.
                let stops = process.stop() == Some(action);
                let parents = if stops { Vec::new() } else { process.parents(&state).unwrap_or_default() };
                for (parent, action) in parents.into_iter().filter(|(parent, _)| *parent != before) {
                    let mut actions = way_to(process, parent);
                    actions.push(action);
                    if !ends {
                        go_on(process, state.clone(), &mut actions);
                    }
                    found[at].0.push(actions);
                    found[at].1.push(row);
                }
            }
        }
        let groups =
            found.into_iter().enumerate().filter(|(_, (_, rows))| !rows.is_empty()).map(|(at, (actions, rows))| {
                let trajectories = Trajectories::from_rows(max_steps, actions);
                Group { at, trajectories, rows, log_flows: Vec::new() }
            });
        Self { max_steps, groups: groups.collect() }
    }

    /// log of what flows into the state after each step of `count` trajectories from other parents, [count, max_steps]; minus infinity
    /// where there are none. The engine's batch is another one then.
    pub fn log_inflow(&mut self, engine: &mut dyn Engine, draw: Draw, count: usize) -> Result<Vec<f64>, EngineError> {
        let mut log_inflow = vec![f64::NEG_INFINITY; count * self.max_steps];
        for group in &mut self.groups {
            let steps = engine.rollout(&group.request(draw))?.steps.expect("asked for");
            let step = |detour: usize| detour * self.max_steps + group.at;
            group.log_flows =
                (0..group.rows.len()).map(|i| steps.log_flow[step(i)] + steps.log_forward[step(i)]).collect();
            for (&row, &log_flow) in group.rows.iter().zip(&group.log_flows) {
                let total = &mut log_inflow[row * self.max_steps + group.at];
                *total = log_sum_exp(&[*total, log_flow]);
            }
        }
        Ok(log_inflow)
    }

    /// Adds the gradient of what flows in from other parents, `log_inflow`, each weighed by `coefficients`, [count, max_steps] both.
    pub fn accumulate(
        &self,
        engine: &mut dyn Engine,
        learner: &mut dyn Learn,
        draw: Draw,
        log_inflow: &[f64],
        coefficients: &[f64],
    ) -> Result<(), EngineError> {
        for group in &self.groups {
            engine.rollout(&group.request(draw).kept())?;
            let mut weights = vec![0.0; group.rows.len() * self.max_steps];
            for (detour, (&row, &log_flow)) in group.rows.iter().zip(&group.log_flows).enumerate() {
                let at = row * self.max_steps + group.at;
                weights[detour * self.max_steps + group.at] = coefficients[at] * (log_flow - log_inflow[at]).exp();
            }
            let steps = StepCoefficients { forward: weights.clone(), backward: Vec::new(), flow: weights };
            learner.accumulate(engine, &Coefficients::Steps(steps), None)?;
        }
        Ok(())
    }
}

impl Group {
    fn request(&self, draw: Draw) -> Rollout<'_> {
        let max_steps = self.trajectories.max_steps();
        let given = Given { trajectories: &self.trajectories, scored_from: self.at, sampled_from: max_steps };
        Rollout { given: Some(given), ..Rollout::sample(draw, self.rows.len()) }.with_steps(true)
    }
}

/// Actions that lead to a state, in whatever order.
fn way_to(process: &dyn Process, mut state: Vec<u32>) -> Vec<u32> {
    let mut actions = Vec::new();
    while let Some((parent, action)) = process.parents(&state).and_then(|parents| parents.into_iter().next()) {
        actions.push(action);
        state = parent;
    }
    actions.reverse();
    actions
}

/// From a state to an end, whichever.
fn go_on(process: &dyn Process, mut state: Vec<u32>, actions: &mut Vec<u32>) {
    let last_first = |state: &[u32]| (0..process.actions() as u32).rev().find(|&action| process.allows(state, action));
    while let Some(action) = last_first(&state) {
        actions.push(action);
        if process.advance(&mut state, action).ends {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::cpu::CpuEngine;
    use crate::engine::{Differentiate, Roll};
    use crate::grid::Hills;
    use crate::network::{Activation, Initialisation, Layout, initialise};
    use crate::objective::{Estimator, FlowMatching, Loss, Source, Term};
    use crate::optimizer::{HostLearner, Settings};
    use crate::process::{Extras, Flow, FreeFilling, Hypergrid, Order, SiteFilling};
    use crate::random::Stream;
    use crate::targets::{Target, ising::Ising};

    const DRAW: Draw = Draw { seed: 4, iteration: 0, stream: Stream::Training, first_trajectory: 0 };
    const COUNT: usize = 24;

    fn cases() -> Vec<(Arc<dyn Process>, Arc<dyn Target>)> {
        let extras = Extras { flow: Flow::Output, ..Extras::default() };
        let grid = Hypergrid { extras, ..Hypergrid::new(2, 4) };
        let ising = Ising::new(3, 0.3).unwrap();
        let filling = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: ising.encoding() };
        let fixed = SiteFilling { order: Order::Fixed, ..filling.clone() };
        let ising: Arc<dyn Target> = Arc::new(ising);
        vec![
            (Arc::new(grid.clone()), Arc::new(Hills(grid))),
            (Arc::new(FreeFilling { filling, extras }), ising.clone()),
            (Arc::new(FreeFilling { filling: fixed, extras }), ising),
        ]
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        for (process, target) in cases() {
            let layout = Layout::new(process.columns(), &[12], process.outputs());
            let parameters = initialise(&layout, Initialisation::FanIn, 3, Stream::Initialisation);
            let mut engine =
                CpuEngine::<f64>::new(process.clone(), layout.clone(), Activation::Swish, target, u64::MAX).unwrap();
            engine.set_parameters(&parameters).unwrap();
            engine.rollout(&Rollout::sample(DRAW, COUNT)).unwrap();
            let trajectories = engine.trajectories().unwrap();
            let mut detours = Detours::to(process.as_ref(), &trajectories);
            let matching = FlowMatching { loss: Loss::Squared };
            let term = Term { source: Source::Forward, weight: 0.7, estimator: Estimator::FlowMatching(matching) };
            let request = Rollout::replay(DRAW, &trajectories).kept().with_steps(true);
            let batch = |engine: &mut CpuEngine<f64>, detours: &mut Detours| {
                let log_inflow = detours.log_inflow(engine, DRAW, COUNT).unwrap();
                let mut batch = engine.rollout(&request).unwrap();
                batch.steps.as_mut().unwrap().log_inflow = log_inflow;
                batch
            };

            let mut learner = HostLearner::new(Settings::default(), engine.arrangement(), &parameters);
            let found = batch(&mut engine, &mut detours);
            learner.begin();
            learner.accumulate(&mut engine, &term.contribution(&found, 0.0).policy, None).unwrap();
            let inflow = found.steps.as_ref().unwrap().log_inflow.clone();
            let parted = inflow.iter().any(|log| log.is_finite());
            assert_eq!(parted, process.states() != cases()[2].0.states(), "whether states have other parents");
            let coefficients = matching.by_inflow(0.7, &found);
            detours.accumulate(&mut engine, &mut learner, DRAW, &inflow, &coefficients).unwrap();
            let gradient = engine.arrangement().restore(learner.gradient());

            let mut loss = |parameters: &[f64]| {
                engine.set_parameters(parameters).unwrap();
                term.contribution(&batch(&mut engine, &mut detours), 0.0).loss
            };
            let mut checked = 0;
            for index in (0..layout.parameters()).step_by(3) {
                let mut at = |shift: f64| {
                    let mut shifted = parameters.clone();
                    shifted[index] += shift;
                    loss(&shifted)
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                // A third derivative times 1e-10, and rounding of a loss of some tens.
                let found = gradient[index];
                assert!((found - difference).abs() < 1e-7, "{process:?} {index}: {found} {difference}");
                checked += 1;
            }
            assert!(checked > 40);
        }
    }
}
