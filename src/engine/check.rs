//! What callers hand to an engine, checked before anything is done: for every engine the same, in the same words.

use super::{Behaviour, Coefficients, EngineError, Given, Moments, Rollout};
use crate::network::{Arrangement, Layout};
use crate::process::{Flow, Head, Objects, Order, Process, SiteFilling};
use crate::targets::VALUES;

/// A policy that has a hidden layer and fits its process.
pub fn shape(process: &dyn Process, layout: &Layout) -> Result<(), EngineError> {
    let widths = &layout.widths;
    let fits = widths.first() == Some(&process.columns()) && widths.last() == Some(&process.outputs());
    require(fits && widths.len() >= 3 && !widths.contains(&0), || {
        let (columns, outputs) = (process.columns(), process.outputs());
        format!(
            "a policy of widths {widths:?} does not fit {columns} inputs and {outputs} outputs with at least one hidden layer"
        )
    })?;
    require(VALUES.contains(&process.values()), || format!("sites have 2 to 256 values, not {}", process.values()))?;
    require(process.head() == Head::Masked || process.outputs() == process.actions(), || {
        "a policy says P_B or flows only where its choices are among all actions that a state allows (Head::Masked)"
            .into()
    })?;
    require(process.flow() != Flow::Stop || process.stop().is_some(), || {
        "a policy says how likely stopping is (Flow::Stop) only where an action stops in any state".into()
    })?;
    require(process.max_steps() > 0, || "the process's longest trajectory has no steps".into())?;
    let inputs = process.initial_input();
    require(inputs.len() == process.columns() && inputs.iter().all(|input| input.is_finite()), || {
        format!("{} initial inputs, where {} finite ones are needed", inputs.len(), process.columns())
    })
}

/// As many parameters as the policy has.
pub fn parameters(arrangement: &Arrangement, parameters: &[f64]) -> Result<(), EngineError> {
    let (found, expected) = (parameters.len(), arrangement.parameters());
    require(found == expected, || format!("{found} parameters given, the policy has {expected}"))
}

/// A list of a number a parameter, in the engine's order.
pub fn arranged(arrangement: &Arrangement, list: &[f64]) -> Result<(), EngineError> {
    let (found, expected) = (list.len(), arrangement.length());
    require(found == expected, || {
        format!("a list of {found} numbers, where the engine has {expected} for its parameters")
    })
}

/// A request that the process can carry out: given trajectories are long enough, take actions that their states allow, to
/// the end, and are scored and sampled from steps that they have.
pub fn request(process: &dyn Process, request: &Rollout) -> Result<(), EngineError> {
    let (steps, count) = (process.max_steps(), request.count);
    let Behaviour { epsilon, temperature } = request.behaviour;
    require((0.0..=1.0).contains(&epsilon) && (1e-6..=1e6).contains(&temperature), || {
        format!("epsilon = {epsilon} and temperature = {temperature}: 0 to 1 and 1e-6 to 1e6 are allowed")
    })?;
    let Some(Given { trajectories, scored_from, sampled_from }) = request.given else { return Ok(()) };
    require(trajectories.max_steps() == steps && trajectories.count() >= count, || {
        let (rows, length) = (trajectories.count(), trajectories.max_steps());
        format!("{rows} given trajectories of {length} steps for {count} of {steps}")
    })?;
    require(scored_from <= sampled_from && sampled_from <= steps, || {
        format!(
            "steps are scored from {scored_from} and sampled from {sampled_from}: of {steps} steps, and in this order"
        )
    })?;
    match process.as_site_filling() {
        Some(process) => (0..count).try_for_each(|i| filling(process, i, trajectories.row(i))),
        None => (0..count).try_for_each(|i| walk(process, i, trajectories.row(i), sampled_from)),
    }
}

/// Sites are set once each, in the order that the process has.
fn filling(process: &SiteFilling, i: usize, actions: &[u32]) -> Result<(), EngineError> {
    let mut set = vec![false; process.sites];
    require(actions.len() == process.sites, || {
        format!("given trajectory {i} has {} steps, and objects have {} sites", actions.len(), process.sites)
    })?;
    for (step, &action) in actions.iter().enumerate() {
        let (action, count) = (action as usize, process.actions());
        require(action < count, || format!("action {action} of given trajectory {i} is not below {count}"))?;
        let site = action / process.values;
        let repeated = std::mem::replace(&mut set[site], true);
        require(!repeated, || format!("given trajectory {i} sets site {site} twice"))?;
        let in_order = process.order == Order::Uniform || site == step;
        require(in_order, || format!("given trajectory {i} sets site {site} at step {step} of a fixed order"))?;
    }
    Ok(())
}

/// Actions are allowed, and end the trajectory unless the rest of it is sampled.
fn walk(process: &dyn Process, i: usize, actions: &[u32], sampled_from: usize) -> Result<(), EngineError> {
    let mut state = vec![0; process.state_words()];
    let mut ended = false;
    for (step, &action) in actions.iter().enumerate().take(sampled_from) {
        let count = process.actions();
        require((action as usize) < count, || format!("action {action} of given trajectory {i} is not below {count}"))?;
        require(!ended, || format!("given trajectory {i} goes on at step {step}, after its end"))?;
        require(process.allows(&state, action), || {
            format!("action {action} of given trajectory {i} is not allowed at step {step}")
        })?;
        ended = process.advance(&mut state, action).ends;
    }
    require(ended || sampled_from < process.max_steps(), || {
        format!("given trajectory {i} does not end with its {} steps", actions.len())
    })
}

/// Objects that a target of `sites` sites with `values` values has.
pub fn objects(sites: usize, values: usize, objects: &Objects) -> Result<(), EngineError> {
    let fits = objects.sites() == sites && objects.values().iter().all(|&value| usize::from(value) < values);
    require(fits, || {
        let has = objects.sites();
        format!("objects of {has} sites, where log R is of {sites} sites of {values} values")
    })
}

/// One coefficient for each of `count` things, `what` in the plural.
pub fn coefficients(coefficients: &[f64], count: usize, what: &str) -> Result<(), EngineError> {
    require(coefficients.len() == count, || format!("{} coefficients for {count} {what}", coefficients.len()))
}

/// A coefficient for each of `count` trajectories, or for each of their `max_steps` steps.
pub fn weights(coefficients: &Coefficients, count: usize, max_steps: usize) -> Result<(), EngineError> {
    match coefficients {
        Coefficients::Trajectories(numbers) => self::coefficients(numbers, count, "trajectories"),
        Coefficients::Steps(steps) => {
            let mut given = steps.lists().into_iter().filter(|list| !list.is_empty());
            given.try_for_each(|list| self::coefficients(list, count * max_steps, "steps"))
        }
    }
}

/// The moments that [`super::Differentiate::leave_one_out_gradient`] looks at have a number a parameter.
pub fn moments(arrangement: &Arrangement, moments: &Moments) -> Result<(), EngineError> {
    let expected = arrangement.length();
    [&moments.squares, &moments.weighted_squares].into_iter().try_for_each(|list| {
        require(list.len() == expected, || {
            format!("moments of {} numbers, where the engine has {expected} for its parameters", list.len())
        })
    })
}

/// What an engine can still tell of the batch it rolled out last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Held {
    /// There is none.
    #[default]
    Nothing,
    /// Trajectories and objects.
    Loose,
    /// Gradients as well.
    Kept,
    /// Trajectories and objects: the parameters were replaced since.
    Outdated,
}

impl Held {
    /// After a rollout.
    pub fn after(request: &Rollout) -> Self {
        if request.keep { Self::Kept } else { Self::Loose }
    }

    /// After other parameters were set.
    pub fn outdated(self) -> Self {
        if self == Self::Nothing { self } else { Self::Outdated }
    }

    /// Whether it can be differentiated.
    pub fn differentiable(self) -> Result<(), EngineError> {
        Err(EngineError::NoBatch(match self {
            Self::Kept => return Ok(()),
            Self::Nothing => "nothing was rolled out yet: there is no batch to differentiate",
            Self::Loose => "the batch was rolled out without keeping what its gradient needs: see Rollout::kept",
            Self::Outdated => {
                "parameters were set after the batch was rolled out: roll it out again to differentiate it"
            }
        }))
    }
}

fn require(condition: bool, message: impl FnOnce() -> String) -> Result<(), EngineError> {
    if condition { Ok(()) } else { Err(EngineError::Limit(message())) }
}
