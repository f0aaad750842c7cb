//! What callers hand to an engine, checked before anything is done: for every engine the same, in the same words.

use super::{EngineError, Given, Moments, Rollout};
use crate::network::Layout;
use crate::process::{Objects, Order, SiteFilling};
use crate::targets::VALUES;

/// A policy that has a hidden layer and fits its process.
pub fn shape(process: &SiteFilling, layout: &Layout) -> Result<(), EngineError> {
    let widths = &layout.widths;
    let fits = widths.first() == Some(&process.columns()) && widths.last() == Some(&process.actions());
    require(fits && widths.len() >= 3 && !widths.contains(&0), || {
        let (columns, actions) = (process.columns(), process.actions());
        format!(
            "a policy of widths {widths:?} does not fit {columns} inputs and {actions} actions with at least one hidden layer"
        )
    })?;
    require(VALUES.contains(&process.values), || format!("sites have 2 to 256 values, not {}", process.values))
}

/// As many parameters as the policy has.
pub fn parameters(layout: &Layout, parameters: &[f64]) -> Result<(), EngineError> {
    let (found, expected) = (parameters.len(), layout.parameters());
    require(found == expected, || format!("{found} parameters given, the policy has {expected}"))
}

/// A request that the process can carry out: given trajectories are long enough, set every site once, and are scored and
/// sampled from steps that they have.
pub fn request(process: &SiteFilling, request: &Rollout) -> Result<(), EngineError> {
    let (steps, count) = (process.steps(), request.count);
    let Some(Given { trajectories, scored_from, sampled_from }) = request.given else { return Ok(()) };
    require(trajectories.steps() == steps && trajectories.count() >= count, || {
        let (rows, length) = (trajectories.count(), trajectories.steps());
        format!("{rows} given trajectories of {length} steps for {count} of {steps}")
    })?;
    require(scored_from <= sampled_from && sampled_from <= steps, || {
        format!(
            "steps are scored from {scored_from} and sampled from {sampled_from}: of {steps} steps, and in this order"
        )
    })?;
    // The last trajectory that set a site, counted from 1.
    let mut set = vec![0; process.sites];
    for i in 0..count {
        for (step, &action) in trajectories.row(i).iter().enumerate() {
            let (action, actions) = (action as usize, process.actions());
            require(action < actions, || format!("action {action} of given trajectory {i} is not below {actions}"))?;
            let site = action / process.values;
            let repeated = std::mem::replace(&mut set[site], i + 1) == i + 1;
            require(!repeated, || format!("given trajectory {i} sets site {site} twice"))?;
            let in_order = process.order == Order::Uniform || site == step;
            require(in_order, || format!("given trajectory {i} sets site {site} at step {step} of a fixed order"))?;
        }
    }
    Ok(())
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

/// The moments that [`super::Engine::leave_one_out_gradient`] looks at have a number a parameter.
pub fn moments(layout: &Layout, moments: &Moments) -> Result<(), EngineError> {
    let expected = layout.parameters();
    [&moments.squares, &moments.weighted_squares].into_iter().try_for_each(|list| {
        require(list.len() == expected, || format!("moments of {} parameters, where there are {expected}", list.len()))
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
