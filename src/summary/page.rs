//! The report page of a run, and its pictures.

mod plane;

use serde_json::Value;

use super::Summary;
use crate::config::Config;
use crate::evaluation::{self, Asymmetry, Evaluated, Marginals, Share, Tempered};
use crate::models::Labels;
use crate::process::Objects;
use crate::report::{Chart, Content, Figure, Histogram, Page, Panel, PictureError, Scatter, Section, panels};
use crate::targets::{Picture, Target};

/// Objects drawn beside each other.
const TILES: usize = 16;

/// Most values of sites whose marginals are drawn.
const MOST_POINTS: usize = 20_000;

/// A picture and the name of its PNG file.
pub struct Named {
    pub name: String,
    pub figure: Figure,
}

/// Learning curves, samples, and a histogram of every observable.
pub fn pictures(
    summary: &Summary,
    target: &dyn Target,
    evaluated: &Evaluated,
    metrics: &[Value],
) -> Result<Vec<Named>, PictureError> {
    let mut pictures = Vec::new();
    if target.has_reward() {
        pictures.push(learning_curve(summary, metrics)?);
    }
    pictures.extend(likelihood_curve(metrics)?);
    pictures.extend(samples(target, evaluated)?);
    pictures.extend(marginals(target, evaluated)?);
    for observable in target.observables() {
        let values = |objects: &Objects| objects.rows().map(|row| (observable.of)(row)).collect::<Vec<f64>>();
        let mut histogram =
            Histogram::new(observable.name, observable.name).samples("GFlowNet", values(&evaluated.gflownet));
        let mut caption = format!("{} of {} GFlowNet samples", observable.name, evaluated.gflownet.count());
        if let Some(objects) = &evaluated.target {
            histogram = histogram.samples("target", values(objects));
            caption += &format!(" and of {} target samples", objects.count());
        }
        let alt = format!("Histogram of the {}", observable.name);
        let words = observable.name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join("_");
        pictures.push(Named { name, figure: Figure::new(histogram.png()?, caption, alt) });
    }
    Ok(pictures)
}

/// What the policy samples, where the target has a picture of that.
pub fn samples(target: &dyn Target, evaluated: &Evaluated) -> Result<Option<Named>, PictureError> {
    match target.picture() {
        Some(Picture::Grid { width }) => grids(width, evaluated).map(Some),
        Some(Picture::Plane { coding }) => plane::samples(&coding, target, evaluated).map(Some),
        Some(Picture::Points { height }) => points(height, target, evaluated),
        None => Ok(None),
    }
}

fn learning_curve(summary: &Summary, metrics: &[Value]) -> Result<Named, PictureError> {
    let series = |key: &str| {
        let point = |line: &Value| Some((line["iteration"].as_f64()?, line[key].as_f64()?));
        metrics.iter().filter_map(point).collect::<Vec<_>>()
    };
    let mut chart = Chart::new("Learning curve", "iteration", "nats")
        .line("log Z estimate of a batch", series("log_z"))
        .line("ELBO of a batch", series("elbo"));
    if let Some(exact) = summary.evaluation.log_z_exact {
        chart = chart.reference("exact log Z", exact);
    }
    let caption = "Each batch's mean log-weight (ELBO) stays below log Z and rises towards it.";
    let alt = "ELBO and importance-sampling log Z over the iterations, against the exact log Z";
    Ok(Named { name: "learning_curve".into(), figure: Figure::new(chart.png()?, caption, alt) })
}

/// How the likelihood of data changed, if it was asked for on the way.
fn likelihood_curve(metrics: &[Value]) -> Result<Option<Named>, PictureError> {
    let point = |line: &Value| Some((line["iteration"].as_f64()? + 1.0, line["evaluation"]["nll"].as_f64()?));
    let points: Vec<_> = metrics.iter().filter_map(point).collect();
    if points.is_empty() {
        return Ok(None);
    }
    let chart = Chart::new("Likelihood of data", "iteration", "nats").line("negative log-likelihood", points);
    let caption = "Negative log-likelihood of fresh data under the policy: lower is better.";
    let figure = Figure::new(chart.png()?, caption, "Negative log-likelihood of data over the iterations");
    Ok(Some(Named { name: "likelihood".into(), figure }))
}

/// The policy's marginals against the exact ones, where these are known.
fn marginals(target: &dyn Target, evaluated: &Evaluated) -> Result<Option<Named>, PictureError> {
    let shares = evaluation::shares(target, &evaluated.gflownet, &evaluated.log_weights, MOST_POINTS);
    let points = |of: fn(&Share) -> f64| {
        shares.iter().filter_map(|share| Some((share.exact?, of(share)))).collect::<Vec<(f64, f64)>>()
    };
    let policy = points(|share| share.policy.value);
    if policy.is_empty() {
        return Ok(None);
    }
    let scatter = Scatter::new("Marginals", "exact probability", "share of samples")
        .points("GFlowNet", policy)
        .points("weighted", points(|share| share.weighted.value));
    let caption = "The probability of every value of every site, by the policy's samples, plain and with importance weights, against \
                   the exact one: points of a policy that is right lie on the diagonal.";
    let figure = Figure::new(scatter.png()?, caption, "Marginals of the policy's samples against exact ones");
    Ok(Some(Named { name: "marginals".into(), figure }))
}

fn grids(width: usize, evaluated: &Evaluated) -> Result<Named, PictureError> {
    let panel = |title: &str, objects: &Objects| {
        let image = |row: &[u8]| row.iter().map(|&value| f64::from(value)).collect();
        // The first samples of a target are of as many chains, and so independent of each other.
        let images = objects.rows().take(TILES).map(image).collect();
        Panel::new(title, Content::Tiles { width, images })
    };
    let mut row = vec![panel("GFlowNet", &evaluated.gflownet)];
    row.extend(evaluated.target.as_ref().map(|objects| panel("target", objects)));
    let caption = "Samples of the trained policy, and of the target where it has a sampler.";
    let figure = Figure::new(panels(&row)?, caption, "Sixteen samples of the policy beside sixteen of the target");
    Ok(Named { name: "samples".into(), figure })
}

/// Every point's probability under the target and the policy, and the difference, where all were enumerated.
fn points(height: usize, target: &dyn Target, evaluated: &Evaluated) -> Result<Option<Named>, PictureError> {
    let (Some(log_probabilities), Ok(log_z)) = (&evaluated.log_probabilities, target.log_z()) else { return Ok(None) };
    let objects = Objects::numbered(2, height, 0..log_probabilities.len());
    let mut expected = vec![0.0; objects.count()];
    target.log_reward(&objects, &mut expected);
    expected.iter_mut().for_each(|log| *log = (*log - log_z).exp());
    let found: Vec<f64> = log_probabilities.iter().map(|log| log.exp()).collect();
    let difference: Vec<f64> = found.iter().zip(&expected).map(|(p, q)| p - q).collect();
    let most = |values: &[f64]| values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let (top, apart) = (most(&expected).max(most(&found)), most(&difference).max(f64::MIN_POSITIVE));
    let edges = (-0.5, height as f64 - 0.5);
    let panel = |title: &str, values: Vec<f64>, limits| {
        Panel::new(title, Content::HeatMap { columns: height, values, x: edges, y: edges, limits: Some(limits) })
    };
    let row = [
        panel("target", expected, (0.0, top)),
        panel("policy", found, (0.0, top)),
        panel("policy less target", difference, (-apart, apart)),
    ];
    let caption = "The exact probability of every point: by R / Z, by the policy, and the difference.";
    let alt = "Three heat maps of the grid: target, policy and difference";
    Ok(Some(Named { name: "points".into(), figure: Figure::new(panels(&row)?, caption, alt) }))
}

/// The self-contained HTML page.
pub fn render(summary: &Summary, config: &Config, labels: Option<&Labels>, pictures: &[Named]) -> String {
    let evaluation = &summary.evaluation;
    let (objective, iterations) = (&config.settings.objective, summary.iterations);
    let kind = toml::Value::try_from(objective.kind).ok();
    let kind = kind.as_ref().and_then(toml::Value::as_str).unwrap_or_default();
    let gap = |value: f64| {
        evaluation.log_z_exact.map_or(String::new(), |exact| format!("{:+.4} from the exact value", value - exact))
    };
    let error = |error: f64| {
        if error.is_nan() { "standard error unknown".into() } else { format!("standard error {error:.4}") }
    };
    let shown = |value: f64| match value {
        f64::NEG_INFINITY => "minus infinity".into(),
        value if value.is_nan() => "unknown".into(),
        value => format!("{value:.4}"),
    };
    let notes = |value: f64, deviation: f64| match value {
        f64::NEG_INFINITY => "some samples have R = 0".into(),
        value if value.is_nan() => String::new(),
        value => join(&[error(deviation), gap(value)]),
    };
    let exact = evaluation.log_z_exact.map_or("unknown".into(), |exact| format!("{exact:.4}"));
    let why = evaluation.log_z_exact_missing.as_deref().unwrap_or("not by sampling");
    let mut page = Page::new("wgflow: training report")
        .subtitle(&format!("objective {kind}, {iterations} iterations, seed {}", summary.seed))
        .entry("exact log Z", &exact, why);
    let estimates = [
        ("log Z estimate", Some(evaluation.log_z_estimate), Some(evaluation.log_z_standard_error)),
        ("ELBO", Some(evaluation.elbo), Some(evaluation.elbo_standard_error)),
        ("EUBO", evaluation.eubo, evaluation.eubo_standard_error),
    ];
    for (name, value, deviation) in estimates {
        if let (Some(value), Some(deviation)) = (value, deviation) {
            page = page.entry(name, &shown(value), &notes(value, deviation));
        }
    }
    if let Some(why) = &evaluation.eubo_missing {
        page = page.entry("EUBO", "unknown", why);
    }
    if let Some(mixing) = &evaluation.target_sampler {
        page = page.entry("target samples", "tempered", &mixing.to_string());
    }
    if let (Some(nll), Some(deviation)) = (evaluation.nll, evaluation.nll_standard_error) {
        page = page.entry("NLL of data", &shown(nll), &error(deviation));
    }
    if let Some(mmd) = evaluation.mmd {
        page = page.entry("MMD from data", &format!("{mmd:.3e}"), "squared, without bias: it can be negative");
    }
    if let Some(exact) = &evaluation.exact {
        let note = format!(
            "by enumeration; KL(policy, target) {:.5}, KL(target, policy) {:.5}, Jensen-Shannon {:.5}, mean L1 {:.3e}",
            exact.kl_model_to_target, exact.kl_target_to_model, exact.jensen_shannon, exact.l1
        );
        page = page.entry("total variation", &format!("{:.5}", exact.total_variation), &note);
    }
    if evaluation.ess.is_finite() {
        let note = format!("{:.0} of {}", evaluation.ess, evaluation.samples);
        page = page.entry("effective samples", &format!("{:.1}%", 100.0 * evaluation.ess_fraction), &note);
    }
    if let Some(verdict) = &evaluation.verdict {
        page = page.entry("to be trusted?", if verdict.trusted { "yes" } else { "no" }, &verdict.because);
    }
    for Asymmetry { symmetry, nats, standard_error } in &evaluation.asymmetries {
        let note = format!("nats that its own samples lose under {symmetry}, standard error {standard_error:.2}");
        page = page.entry("asymmetry", &format!("{nats:.2}"), &note);
    }
    if let Some(Tempered { log_weight, standard_error }) = &evaluation.tempered {
        let note =
            format!("mean log-weight where short runs from its own samples end, standard error {standard_error:.2}");
        page = page.entry("tempering", &format!("{log_weight:.3}"), &note);
    }
    if let Some(fraction) = evaluation.forbidden_fraction.filter(|fraction| *fraction > 0.0) {
        page = page.entry("forbidden samples", &format!("{:.2}%", 100.0 * fraction), "with R = 0; their weight is 0");
    }
    if let (Some(iterations), Some(trajectories)) = (summary.iterations_per_second, summary.trajectories_per_second) {
        let note = format!("{iterations:.1} iterations/s on {}", summary.engine);
        page = page.entry("speed", &format!("{trajectories:.0} trajectories/s"), &note);
    }
    if let Some(Marginals { worst, standard_error, site, value }) = &evaluation.marginals {
        let note = format!(
            "the largest error of a site's marginal, of P(site {site} = {value}), standard error {standard_error:.4}"
        );
        page = page.entry("worst marginal", &format!("{worst:.4}"), &note);
    }
    if let Some(best) = &evaluation.best
        && let Some((name, value)) = best.told()
    {
        let called = |&value: &u8| labels.map_or_else(|| value.to_string(), |labels| labels.value(value.into()).into());
        let shown: Vec<String> = best.object.iter().take(100).map(called).collect();
        page = page.entry(&format!("best {name}"), &value.to_string(), &format!("of all samples: {}", shown.join(" ")));
    }
    if let Some(test) = &evaluation.test_set {
        let shown = test.spearman.map_or("unknown".into(), |spearman| format!("{spearman:.4}"));
        page = page.entry("log P against log R", &shown, &format!("rank correlation; {}", test.told()));
    }
    if let Some(top) = &evaluation.top {
        page =
            page.entry(&top.name(), &format!("{:.4}", top.mean_log_reward), &format!("all different; {}", top.told()));
    }
    if let Some(modes) = &evaluation.modes {
        let training = summary.modes_found_in_training.map_or(String::new(), |found| format!("; in training {found}"));
        page =
            page.entry("modes found", &modes.found.to_string(), &format!("of {} by these samples{training}", modes.of));
    }
    for comparison in &evaluation.observables {
        let note = comparison.target.map_or(String::new(), |mean| format!("target samples: {mean:.4}"));
        page = page.entry(&comparison.name, &format!("{:.4}", comparison.gflownet), &note);
    }
    let figures: Vec<Figure> = pictures.iter().map(|picture| picture.figure.clone()).collect();
    page.section(Section::new("Pictures").figures(&figures))
        .section(Section::new("Configuration").listing("config.toml", &config.to_toml()))
        .footer(&format!("wgflow {}", summary.version))
        .render()
}

fn join(notes: &[String]) -> String {
    notes.iter().filter(|note| !note.is_empty()).cloned().collect::<Vec<_>>().join("; ")
}
