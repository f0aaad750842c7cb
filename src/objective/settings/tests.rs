use super::*;
use crate::objective::{Schedule, Source};
use crate::schedule::Progress;

fn settings(text: &str) -> Settings {
    toml::from_str(text).unwrap()
}

#[test]
fn every_kind_gives_its_estimators() {
    let squared = Estimator::Regression(Loss::Squared);
    let reverse = |control_variate| Some(Estimator::ReverseKl(control_variate));
    let cases = [
        ("kind = 'reverse_kl'", reverse(ControlVariate::LeaveOneOut), None),
        ("kind = 'reverse_kl'\ncontrol_variate = 'none'", reverse(ControlVariate::None), None),
        ("kind = 'alpha_kl'\nalpha = 0.25", reverse(ControlVariate::LeaveOneOut), Some(Estimator::ForwardKl)),
        (
            "kind = 'reverse_kl'\ncontrol_variate = 'optimal_per_parameter_leave_one_out'",
            reverse(ControlVariate::OptimalPerParameterLeaveOneOut),
            None,
        ),
        ("kind = 'forward_kl'", None, Some(Estimator::ForwardKl)),
        ("kind = 'snis_forward_kl'", Some(Estimator::SnisForwardKl), None),
        (
            "kind = 'alpha_kl'\nalpha = 0.25\ncontrol_variate = 'leave_one_out_log_z'",
            reverse(ControlVariate::LeaveOneOutLogZ),
            Some(Estimator::ForwardKl),
        ),
        ("kind = 'trajectory_balance'", Some(squared.clone()), None),
        ("kind = 'alpha_tb'\nalpha = 0.25", Some(squared.clone()), Some(squared.clone())),
        ("kind = 'log_variance'\nalpha = 0.25", Some(Estimator::LogVariance), Some(Estimator::LogVariance)),
        ("kind = 'regression'\nloss = 'squared'", Some(squared.clone()), None),
        ("kind = 'renyi'\ndivergence_order = 2", Some(Estimator::Renyi { order: 2.0 }), None),
        ("kind = 'tsallis'\ndivergence_order = 0.5", Some(Estimator::Tsallis { order: 0.5 }), None),
    ];
    for (text, forward, backward) in cases {
        let settings = settings(text);
        let objective = settings.objective(2).unwrap();
        let found = |source| {
            let terms = objective.terms(Progress { iteration: 0, total: 9 });
            terms.into_iter().find(|term| term.source == source).map(|term| term.estimator)
        };
        assert_eq!(found(Source::Forward), forward, "{text}");
        assert_eq!(found(Source::Backward), backward, "{text}");
        assert_eq!(objective.needs(Source::Backward), backward.is_some(), "{text}");
        assert_eq!(objective.needs_reward(), text != "kind = 'forward_kl'", "{text}");
        let written = toml::to_string(&settings).unwrap();
        assert_eq!(self::settings(&written), settings, "{written}");
    }
}

#[test]
fn losses_have_their_parameters() {
    let cases = [
        ("loss = 'half_squared'", Loss::HalfSquared),
        ("loss = 'huber'", Loss::Huber { threshold: 1.0 }),
        ("loss = 'huber'\ndelta = 2", Loss::Huber { threshold: 2.0 }),
        ("loss = 'linex'", Loss::Linex { scale: 1.0 }),
        ("loss = 'linex'\nscale = -0.5", Loss::Linex { scale: -0.5 }),
        ("loss = 'shifted_cosh'", Loss::ShiftedCosh),
    ];
    for (text, loss) in cases {
        let objective = settings(&format!("kind = 'regression'\n{text}")).objective(1).unwrap();
        assert_eq!(objective, both(Estimator::Regression(loss), Alpha::Fixed(0.0)), "{text}");
        assert!(objective.learns_zeta() && !objective.needs(Source::Backward));
    }
}

#[test]
fn an_iteration_has_the_terms_whose_weight_is_not_zero() {
    let objective = settings("kind = 'alpha_kl'\ncontrol_variate = 'learned'\nalpha = 'paper'").objective(4).unwrap();
    let weights = |iteration| -> Vec<(Source, f64)> {
        let terms = objective.terms(Progress { iteration, total: 9 });
        terms.into_iter().map(|term| (term.source, term.weight)).collect()
    };
    assert_eq!(weights(4), [(Source::Backward, 1.0)]);
    assert_eq!(weights(5), [(Source::Forward, 0.25), (Source::Backward, 0.75)]);
    assert_eq!(weights(8), [(Source::Forward, 1.0)]);
    assert!(objective.needs(Source::Forward) && objective.needs(Source::Backward) && objective.learns_zeta());
    let fixed = settings("kind = 'alpha_kl'\nalpha = 1").objective(4).unwrap();
    assert!(!fixed.needs(Source::Forward) && fixed.needs(Source::Backward) && !fixed.learns_zeta());
    assert!(!fixed.needs_reward(), "alpha = 1 is forward KL");
    assert!(settings("kind = 'alpha_tb'\nalpha = 1").objective(4).unwrap().needs_reward());
    assert_eq!(settings("kind = 'alpha_tb'\nalpha = 'paper'").alpha, Some(Alpha::Named(Schedule::Paper)));
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let cases = [
        ("kind = 'alpha_kl'\nalpha = 1.5", "objective.alpha = 1.5: must be in [0, 1]"),
        ("kind = 'alpha_tb'\nalpha = nan", "objective.alpha = nan: must be in [0, 1]"),
        ("kind = 'alpha_tb'", "objective.alpha is missing"),
        ("kind = 'alpha_tb'\nalpha = []", "objective.alpha = []: needs at least one point"),
        ("kind = 'alpha_tb'\nalpha = [[0, 1], [2, 0]]", "objective.alpha = [[0.0, 1.0], [2.0, 0.0]]: fractions"),
        ("kind = 'alpha_tb'\nalpha = [[0.5, 1], [0.5, 0]]", "must increase"),
        ("kind = 'trajectory_balance'\nalpha = 0.5", "objective.alpha = 0.5: only goes with"),
        (
            "kind = 'trajectory_balance'\ncontrol_variate = 'learned'",
            "objective.control_variate = \"learned\": only goes with objective.kind = \"reverse_kl\" or \"alpha_kl\"",
        ),
        ("kind = 'regression'", "objective.loss is missing"),
        ("kind = 'regression'\nloss = 'linex'\nscale = 0", "objective.scale = 0: must be finite and not 0"),
        ("kind = 'regression'\nloss = 'linex'\nscale = inf", "objective.scale = inf"),
        ("kind = 'regression'\nloss = 'huber'\ndelta = 0", "objective.delta = 0: must be positive"),
        ("kind = 'regression'\nloss = 'huber'\nscale = 1", "objective.scale = 1.0: only goes with objective.loss"),
        ("kind = 'regression'\nloss = 'linex'\ndelta = 1", "objective.delta = 1.0: only goes with objective.loss"),
        ("kind = 'reverse_kl'\nloss = 'linex'", "objective.loss = \"linex\": only goes with"),
        ("kind = 'reverse_kl'\ndivergence_order = 2", "objective.divergence_order = 2.0: only goes with"),
        ("kind = 'renyi'", "objective.divergence_order is missing"),
        ("kind = 'renyi'\ndivergence_order = 1", "objective.divergence_order = 1: must not be 1"),
        ("kind = 'tsallis'\ndivergence_order = 0", "objective.divergence_order = 0: must be positive"),
        ("kind = 'tsallis'\ndivergence_order = -0.5", "objective.divergence_order = -0.5: must be positive"),
        ("kind = 'trajectory_balance'\nlog_z_start = inf", "objective.log_z_start = inf: must be \"first_batch\" or a"),
        ("kind = 'reverse_kl'\nlog_z_start = 3", "objective.log_z_start = 3.0: only goes with objective.kind"),
        ("kind = 'reverse_kl'\nlog_reward_floor = nan", "objective.log_reward_floor = NaN: must be a finite number"),
        ("kind = 'reverse_kl'\nlog_reward_floor = -inf", "objective.log_reward_floor = -inf: must be a finite number"),
        ("kind = 'tsallis'\ndivergence_order = nan", "objective.divergence_order = NaN: must be positive"),
    ];
    for (text, expected) in cases {
        let message = settings(text).objective(8).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn a_batch_of_one_is_refused_where_it_says_nothing() {
    let with = |name: &str| format!("kind = 'reverse_kl'\ncontrol_variate = '{name}'");
    for name in ["leave_one_out", "leave_one_out_log_z", "optimal", "optimal_per_parameter_leave_one_out"] {
        let message = settings(&with(name)).objective(1).unwrap_err().to_string();
        let expected = format!("training.batch = 1: objective.control_variate = \"{name}\" needs at least 2");
        assert!(message.starts_with(&expected), "{message}");
    }
    for text in ["kind = 'log_variance'", "kind = 'snis_forward_kl'", "kind = 'renyi'\ndivergence_order = 2"] {
        let message = settings(text).objective(1).unwrap_err().to_string();
        assert!(message.starts_with("training.batch = 1: objective.kind = "), "{message}");
        assert!(settings(text).objective(2).is_ok());
    }
    for text in [with("none"), with("learned"), "kind = 'forward_kl'".into(), "kind = 'trajectory_balance'".into()] {
        assert!(settings(&text).objective(1).is_ok(), "{text}");
    }
}

#[test]
fn unknown_keys_and_values_are_refused() {
    for text in ["kind = 'elbo'", "kind = 'reverse_kl'\nalhpa = 1", "kind = 'alpha_kl'\nalpha = 'none'"] {
        assert!(toml::from_str::<Settings>(text).is_err(), "{text}");
    }
    // Without a kind it is reverse KL, which takes no alpha.
    assert!(
        settings("alpha = 1").objective(2).is_err() && settings("control_variate = 'learned'").objective(2).is_ok()
    );
    let message = toml::from_str::<Settings>("kind = 'alpha_kl'\nalpha = 'late'").unwrap_err().to_string();
    assert!(message.contains("a number in [0, 1], \"paper\", or points"), "{message}");
}

#[test]
fn what_is_left_out_is_written_out_and_means_the_same() {
    let keys = |text: &str| toml::to_string(&settings(text)).unwrap();
    let cases = [
        ("kind = 'reverse_kl'", "control_variate = \"leave_one_out\"", true),
        ("kind = 'alpha_kl'\nalpha = 1", "control_variate = \"leave_one_out\"", true),
        ("kind = 'reverse_kl'\ncontrol_variate = 'none'", "control_variate = \"none\"", true),
        ("kind = 'trajectory_balance'", "control_variate", false),
        ("kind = 'trajectory_balance'\ncontrol_variate = 'none'", "control_variate", false),
        ("kind = 'trajectory_balance'", "log_z_start = \"first_batch\"", true),
        ("kind = 'reverse_kl'\ncontrol_variate = 'learned'", "log_z_start = \"first_batch\"", true),
        ("kind = 'reverse_kl'", "log_z_start", false),
        ("kind = 'log_variance'", "alpha = 0.0", true),
        ("kind = 'regression'\nloss = 'huber'", "delta = 1.0", true),
        ("kind = 'regression'\nloss = 'linex'", "scale = 1.0", true),
        ("kind = 'reverse_kl'", "log_reward_floor", false),
    ];
    for (text, line, there) in cases {
        let written = keys(text);
        assert_eq!(written.contains(line), there, "{text}: {written}");
        assert_eq!(settings(&written), settings(text), "{written}");
        assert_eq!(settings(&written).objective(4), settings(text).objective(4), "{written}");
    }
    assert_eq!(settings(""), Settings::default());
    assert_eq!(Settings::new(Kind::ReverseKl).objective(4), Settings::default().objective(4));
}

#[test]
fn zeta_starts_where_it_is_told_to() {
    let start = |text: &str| settings(&format!("kind = 'trajectory_balance'\n{text}")).log_z_start.unwrap();
    assert_eq!(start("").before_any_batch(), None);
    assert_eq!(start("log_z_start = 'first_batch'").before_any_batch(), None);
    assert_eq!(start("log_z_start = 180").before_any_batch(), Some(180.0));
    assert_eq!(start("log_z_start = -2.5").before_any_batch(), Some(-2.5));
    let message = toml::from_str::<Settings>("log_z_start = 'late'").unwrap_err().to_string();
    assert!(message.contains("\"first_batch\" or a number"), "{message}");
}
