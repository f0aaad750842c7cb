//! An evaluation for people.

use std::fmt;

use super::{Best, Evaluation, Marginals, ModesFound, TestSet, Top};
use crate::metrics::exact;

impl fmt::Display for Evaluation {
    /// Lines for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&lines(self))
    }
}

fn lines(evaluation: &Evaluation) -> String {
    let gap = |value: f64| evaluation.log_z_exact.map_or(String::new(), |exact| format!("   ({:+.4})", value - exact));
    let exact = match (&evaluation.log_z_exact, &evaluation.log_z_exact_missing) {
        (Some(exact), _) => format!("{exact:.4}"),
        (None, missing) => format!("unknown: {}", missing.as_deref().unwrap_or("no reason given")),
    };
    let within = |error: f64| if error.is_nan() { "(error unknown)".into() } else { format!("+- {error:.4}") };
    let known = |estimate: f64, error: f64| match estimate {
        f64::NEG_INFINITY => "minus infinity, by samples with R = 0".into(),
        estimate if estimate.is_nan() => "unknown".into(),
        estimate => format!("{estimate:.4} {}{}", within(error), gap(estimate)),
    };
    let log_z = known(evaluation.log_z_estimate, evaluation.log_z_standard_error);
    let mut lines = vec![
        format!("  exact log Z          {exact}"),
        format!("  log Z estimate       {log_z}"),
        format!("  ELBO                 {}", known(evaluation.elbo, evaluation.elbo_standard_error)),
    ];
    if let (Some(eubo), Some(error)) = (evaluation.eubo, evaluation.eubo_standard_error) {
        lines.push(format!("  EUBO                 {}", known(eubo, error)));
    } else if let Some(why) = &evaluation.eubo_missing {
        lines.push(format!("  EUBO                 unknown: {why}"));
    }
    if let Some(mixing) = &evaluation.target_sampler {
        lines.push(format!("  target samples       {mixing}"));
    }
    if evaluation.ess.is_finite() {
        let percent = 100.0 * evaluation.ess_fraction;
        lines.push(format!("  effective samples    {:.0} of {} ({percent:.1}%)", evaluation.ess, evaluation.samples));
    }
    if let Some(verdict) = &evaluation.verdict {
        let answer = if verdict.trusted { "yes" } else { "NO" };
        lines.push(format!("  to be trusted?       {answer}: {}", verdict.because));
    }
    if let Some(fraction) = evaluation.forbidden_fraction.filter(|fraction| *fraction > 0.0) {
        lines.push(format!("  forbidden samples    {:.2}% have R = 0", 100.0 * fraction));
    }
    if let (Some(nll), Some(error)) = (evaluation.nll, evaluation.nll_standard_error) {
        lines.push(format!("  NLL of data          {nll:.4} {}", within(error)));
    }
    if let Some(mmd) = evaluation.mmd {
        lines.push(format!("  MMD from data        {mmd:.3e}"));
    }
    if let Some(exact) = &evaluation.exact {
        lines.push(comparison_lines(exact));
    }
    if let Some(Marginals { worst, standard_error, site, value }) = &evaluation.marginals {
        let which = format!("(P(site {site} = {value}))");
        lines.push(format!("  worst marginal       off by {worst:.4} +- {standard_error:.4} {which}"));
    }
    if let Some((name, value)) = evaluation.best.as_ref().and_then(Best::told) {
        lines.push(format!("  best sample          {name} {value}"));
    }
    if let Some(test) = &evaluation.test_set {
        lines.push(format!("  log P against log R  {}", test.told()));
    }
    if let Some(top) = &evaluation.top {
        lines.push(format!("  {:20} {}", top.name(), top.told()));
    }
    if let Some(ModesFound { found, of }) = evaluation.modes {
        lines.push(format!("  modes in samples     {found} of {of}"));
    }
    for comparison in &evaluation.observables {
        let target = comparison.target.map_or(String::new(), |mean| format!(", target {mean:.4}"));
        lines.push(format!("  {:20} GFlowNet {:.4}{target}", comparison.name, comparison.gflownet));
    }
    lines.join("\n")
}

impl TestSet {
    /// For people.
    pub fn told(&self) -> String {
        let Self { objects, trajectories, log_likelihood, pearson, spearman } = self;
        let known = |number: &Option<f64>| number.map_or("unknown".into(), |number| format!("{number:.4}"));
        let plural = if *trajectories == 1 { "y" } else { "ies" };
        format!(
            "Pearson {}, Spearman {} over {objects} test objects (mean log P {log_likelihood:.3}, {trajectories} trajector{plural} each)",
            known(pearson),
            known(spearman)
        )
    }
}

impl Top {
    /// What people call it.
    pub fn name(&self) -> String {
        format!("best {} samples", self.objects)
    }

    /// For people.
    pub fn told(&self) -> String {
        let measure = self.measure.map_or(String::new(), |(name, mean)| format!(", mean {name} {mean:.4}"));
        let apart = self.diversity.map_or(String::new(), |sites| format!(", {sites:.2} sites apart"));
        format!("mean log R {:.4}{measure}{apart}", self.mean_log_reward)
    }
}

/// An exact comparison as lines for a terminal.
fn comparison_lines(comparison: &exact::Comparison) -> String {
    let lines = [
        format!("  total variation      {:.5}", comparison.total_variation),
        format!("  L1, mean             {:.3e}", comparison.l1),
        format!("  Jensen-Shannon       {:.5}", comparison.jensen_shannon),
        format!("  KL(policy, target)   {:.5}", comparison.kl_model_to_target),
        format!("  KL(target, policy)   {:.5}", comparison.kl_target_to_model),
    ];
    lines.join("\n")
}
