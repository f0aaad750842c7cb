//! How objects are built, and the shape of the policy: what settings and a target say together.

use std::sync::Arc;

use crate::config::{BackwardPolicy, ConfigError, FillingOrder, FlowNetwork, Settings, Symmetry};
use crate::network::Layout;
use crate::process::{Extras, Flow, FreeFilling, Guided, Order, Process, SiteFilling};
use crate::targets::Target;

/// How objects are built, and the networks that look at their making.
pub struct Shape {
    /// What makes the target's objects.
    pub process: Arc<dyn Process>,
    /// Of the policy.
    pub layout: Layout,
    /// Where a network of its own says log F: the process as it sees it, with the same actions, and its layout.
    pub flow: Option<(Arc<dyn Process>, Layout)>,
}

/// The process that makes the target's objects, and the layout of a policy for it: `own` if there is one, the target's if it has one,
/// else site filling. `flow` is what has to be said of the flow through a state.
///
/// # Errors
/// If settings do not go together, or with the target or process. The message says which, and what to do.
pub fn shape(
    settings: &Settings,
    target: &dyn Target,
    own: Option<&Arc<dyn Process>>,
    flow: Flow,
) -> Result<Shape, ConfigError> {
    let learned_backward = settings.policy.backward == BackwardPolicy::Learned;
    let apart = settings.policy.flow == FlowNetwork::Own;
    let said = if apart { Flow::Unsaid } else { flow };
    let extras = Extras { learned_backward, flow: said };
    let process = match own.cloned().or_else(|| target.process(extras)) {
        Some(process) => brought(settings, process, extras)?,
        None => filling(settings, target, extras)?,
    };
    let layout =
        |process: &Arc<dyn Process>| Layout::new(process.columns(), &settings.policy.hidden, process.outputs());
    let flow = match apart {
        false => None,
        true => {
            let seen = seen_by_flow(settings, target, own, Extras { learned_backward, flow })?;
            let layout = layout(&seen);
            Some((seen, layout))
        }
    };
    Ok(Shape { layout: layout(&process), process, flow })
}

/// The process as a network sees it that says log F alone.
fn seen_by_flow(
    settings: &Settings,
    target: &dyn Target,
    own: Option<&Arc<dyn Process>>,
    extras: Extras,
) -> Result<Arc<dyn Process>, ConfigError> {
    let refused = if extras.flow != Flow::Output {
        Some(
            "the objective asks of no network what flows through a state; those on single steps do, as \"detailed_balance\"",
        )
    } else if own.is_some() {
        Some("what says log F in a process that you bring is for it to say (Process::flow)")
    } else if settings.policy.symmetry == Symmetry::Flip {
        Some("it goes with policy.symmetry = \"none\"")
    } else {
        None
    };
    match refused {
        Some(why) => Err(ConfigError::new(format!("policy.flow = \"own\": {why}"))),
        None => Ok(target
            .process(extras)
            .unwrap_or_else(|| Arc::new(FreeFilling { filling: sites(settings, target), extras }))),
    }
}

/// Filling the target's sites.
fn sites(settings: &Settings, target: &dyn Target) -> SiteFilling {
    let order = if settings.policy.order == FillingOrder::Fixed { Order::Fixed } else { Order::Uniform };
    SiteFilling { sites: target.sites(), values: target.values(), order, encoding: target.encoding() }
}

/// A process that the target or the user brings, which the keys about filling sites are not for.
fn brought(settings: &Settings, process: Arc<dyn Process>, extras: Extras) -> Result<Arc<dyn Process>, ConfigError> {
    let policy = &settings.policy;
    let keys = [
        ("policy.guided = true", policy.guided),
        ("policy.symmetry = \"flip\"", policy.symmetry == Symmetry::Flip),
        ("policy.order = \"learned\"", policy.order == FillingOrder::Learned),
        ("policy.order = \"fixed\"", policy.order == FillingOrder::Fixed),
    ];
    if let Some((key, _)) = keys.iter().find(|(_, given)| *given) {
        return Err(ConfigError::new(format!(
            "{key}: this is for site filling, and the target, or you, brought a process of its own"
        )));
    }
    if extras.learned_backward && process.backward_actions() == 0 {
        return Err(ConfigError::new("policy.backward = \"learned\": the process has no backward actions"));
    }
    if process.flow() != extras.flow && extras.flow != Flow::Unsaid {
        return Err(ConfigError::new(format!(
            "the objective needs Flow::{:?} of the policy, and the process says that there is Flow::{:?} (Process::flow)",
            extras.flow,
            process.flow()
        )));
    }
    Ok(process)
}

fn filling(settings: &Settings, target: &dyn Target, extras: Extras) -> Result<Arc<dyn Process>, ConfigError> {
    let policy = &settings.policy;
    let filling = sites(settings, target);
    let folded = policy.symmetry == Symmetry::Flip;
    if extras.flow == Flow::Stop {
        return Err(ConfigError::new(
            "objective.kind = \"modified_detailed_balance\": this is for processes that can stop in every state, as on a hypergrid",
        ));
    }
    if policy.order == FillingOrder::Learned || extras != Extras::default() {
        let needs = if extras.flow != Flow::Unsaid {
            "an objective on single steps"
        } else if extras.learned_backward {
            "policy.backward = \"learned\""
        } else {
            "policy.order = \"learned\""
        };
        let refused = match policy.order {
            FillingOrder::Uniform => {
                Some("policy.order = \"learned\" (or \"fixed\", if P_B is not learned), or policy.flow = \"own\"")
            }
            FillingOrder::Fixed if extras.learned_backward => {
                Some("policy.order = \"learned\": a fixed order has one way back")
            }
            _ if policy.guided => Some("policy.guided = false"),
            _ if folded => Some("policy.symmetry = \"none\""),
            _ => None,
        };
        return match refused {
            Some(key) => Err(ConfigError::new(format!("{needs} goes with {key}"))),
            None => Ok(Arc::new(FreeFilling { filling, extras })),
        };
    }
    if folded && !(target.is_even() && filling.values == 2) {
        let message = "policy.symmetry = \"flip\": it is not known that this target's log R stays as it is when the values \
                       of all sites are flipped (Target::is_even)";
        return Err(ConfigError::new(message));
    }
    let none = || {
        let known = "this target knows no intermediate log-reward (Target::guide)";
        ConfigError::new(format!("policy.guided = true: {known}, which a guided policy needs"))
    };
    let guide = if policy.guided { Some(target.guide().ok_or_else(none)?) } else { None };
    Ok(match (folded, guide) {
        (true, guide) => Arc::new(Guided::folded(filling, guide)),
        (false, Some(guide)) => Arc::new(Guided::new(filling, guide)),
        (false, None) => Arc::new(filling),
    })
}
