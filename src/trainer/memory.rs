//! Whether a run fits the memory, reckoned before anything of it is allocated; and if not, what would.

use crate::config::{ConfigError, Precision, Settings};
#[cfg(feature = "gpu")]
use crate::engine::gpu;
use crate::engine::{AdapterKind, BLOCK, Load, Need, cpu};
use crate::memory;
use crate::network::Layout;
use crate::objective::Source;
use crate::optimizer::Location;
use crate::process::Process;
use crate::targets::Target;

use super::{Shape, select, shape};

/// A program of this kind before it has done anything.
const PROGRAM: u64 = 32 << 20;

/// What a run finds: a machine, or a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Bytes that are free.
    pub available: u64,
    /// Threads of the native engine.
    pub threads: usize,
    /// The adapter that the run takes, if it takes one.
    pub adapter: Option<AdapterKind>,
    /// Processes that a batch is shared out among.
    pub ranks: usize,
}

impl Machine {
    /// This one, as a run with these settings sees it now; none where the system does not tell what is free.
    pub fn here(settings: &Settings) -> Option<Self> {
        let (available, threads) = (memory::available()?, rayon::current_num_threads());
        Some(Self { available, threads, adapter: select::adapter_kind(&settings.engine), ranks: 1 })
    }
}

/// What a policy is taken up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be trained, and evaluated.
    Training,
    /// To be trained along with the target's energy model, and evaluated.
    JointTraining,
    /// To be looked at: no batch of `training.batch` is ever rolled out.
    Evaluation,
}

/// Bytes that a run needs at its peak: the larger of training, with its checkpoints, and evaluation.
pub fn need(settings: &Settings, target: &dyn Target, machine: Machine, purpose: Purpose) -> u64 {
    let objective = settings.objective.objective(settings.training.batch);
    let flow = objective.map_or_else(|_| Default::default(), |objective| objective.needs_flow());
    // What does not go together is refused elsewhere.
    let Ok(Shape { process, layout, flow }) = shape(settings, target, None, flow) else { return 0 };
    let (sites, steps) = (process.sites(), process.max_steps());
    let batch = if purpose == Purpose::Evaluation { 0 } else { settings.training.batch };
    let networks: Vec<_> = std::iter::once((process.clone(), layout)).chain(flow).collect();
    let parameters = networks.iter().map(|(_, layout)| layout.parameters() as u64).sum::<u64>();
    let sizes = &settings.evaluation;
    let objective = settings.objective.objective(settings.training.batch).ok();
    let moments = objective.as_ref().is_some_and(|objective| objective.optimal().is_some());
    let backward = objective.as_ref().is_some_and(|objective| objective.needs(Source::Backward));
    // Points of data or test objects, each with some backward trajectories.
    let has_points = target.data(1).is_some() || target.test_objects().is_some();
    let loose = sizes.most_at_once(has_points);
    let budget = settings.engine.memory_budget(Some(machine.available)) / networks.len() as u64;
    let load = Load { batch: batch.div_ceil(machine.ranks), loose: loose.div_ceil(machine.ranks), moments };
    // The objects kept and those known, and a checkpoint's copy and file of them.
    let replay = settings.replay.capacity.saturating_mul(4 * sites + 80) as u64;
    let of_network = |process: &dyn Process, layout: &Layout| match machine.adapter {
        #[cfg(feature = "gpu")]
        Some(kind) => gpu::need(process, layout, load, kind, budget),
        _ => {
            let size = if settings.engine.precision == Precision::F64 { 8 } else { 4 };
            cpu::need(process, layout, load, size, machine.threads, budget)
        }
    };
    let engine: Need = networks.iter().map(|(process, layout)| of_network(process.as_ref(), layout)).sum();
    // Parameters and Adam's two moments, the present ones and the next ones, and an average; a gradient and its parts; a checkpoint's
    // tensors (the parameters in f32) and the file that is made of them, while the batch's activations are still there.
    let average = if settings.evaluation.average.is_some() { 8 } else { 0 };
    // On a device there is another list of parameters and moments, and one on its way back.
    let on_device = if settings.optimizer.location == Location::Device { 48 } else { 0 };
    let (own, gradients, checkpoint) =
        ((48 + average + on_device) * parameters, 16 * parameters, (40 + 2 * average) * parameters);
    // Log-probabilities, log-weights and coefficients in f64; the objects and trajectories that backward ones start from.
    let a_trajectory = 80 + if backward { 4 * steps + 3 * sites } else { 0 };
    // Actions twice and objects twice, for those rolled out at once; objects and log-weights of all of them.
    let evaluated = loose * (8 * steps + 2 * sites + 96) + sizes.samples * (4 * sites + 200);
    // A set's points repeated, with their log-probabilities, and a log ratio for every trajectory of every set.
    let ratios = sizes.nll_points.saturating_mul(8 * sizes.nll_trajectories);
    let likelihood =
        if has_points { sizes.repeated_points().saturating_mul(sites + 64).saturating_add(ratios) } else { 0 };
    let evaluated = evaluated.saturating_add(likelihood);
    let contrasted = if purpose == Purpose::JointTraining { Some(batch) } else { None };
    let energy = energy(target, contrasted, process.columns(), machine.threads);
    let evaluation = engine.evaluation + evaluated as u64;
    let training = engine.training + gradients + (batch * a_trajectory) as u64 + energy.training;
    let training = training.max(checkpoint + engine.training);
    let most = if purpose == Purpose::Evaluation { evaluation.max(checkpoint) } else { training.max(evaluation) };
    PROGRAM + own + replay + engine.always + energy.always + most
}

/// What the network that gives log R takes, trained along on a batch or not.
fn energy(target: &dyn Target, batch: Option<usize>, columns: usize, threads: usize) -> Need {
    let Some(network) = target.network() else { return Need::default() };
    let parameters = network.layout.parameters() as u64;
    let rows = (BLOCK * 2 * network.layout.widths.iter().sum::<usize>()) as u64;
    let at_work = 8 * threads as u64 * (rows + parameters);
    // Inputs of a batch of data and one of fakes, in f64; two lists of parameters besides Adam's.
    let contrast = |batch| 16 * (batch * columns) as u64 + 32 * parameters;
    Need { always: 32 * parameters + at_work, training: batch.map_or(0, contrast), evaluation: 0 }
}

/// A number of the settings that a run may be made smaller by.
struct Knob {
    key: &'static str,
    least: u64,
    of: fn(&Settings) -> Option<u64>,
    set: fn(&mut Settings, u64),
    /// What may be at most so large.
    what: &'static str,
}

const KNOBS: [Knob; 5] = [
    Knob {
        key: "engine.memory_mib",
        least: 1,
        of: |settings| settings.engine.memory_mib,
        set: |settings, value| settings.engine.memory_mib = Some(value),
        what: "MiB",
    },
    Knob {
        key: "training.batch",
        least: 1,
        of: |settings| Some(settings.training.batch as u64),
        set: |settings, value| settings.training.batch = value as usize,
        what: "trajectories",
    },
    Knob {
        key: "evaluation.samples",
        least: 4096,
        of: |settings| Some(settings.evaluation.samples as u64),
        set: |settings, value| settings.evaluation.samples = value as usize,
        what: "samples",
    },
    Knob {
        key: "evaluation.nll_trajectories",
        least: 1,
        of: |settings| Some(settings.evaluation.nll_trajectories as u64),
        set: |settings, value| settings.evaluation.nll_trajectories = value as usize,
        what: "trajectories a point",
    },
    Knob {
        key: "policy.hidden",
        least: 8,
        of: |settings| settings.policy.hidden.iter().max().map(|&width| width as u64),
        set: |settings, value| {
            settings.policy.hidden.iter_mut().for_each(|width| *width = (*width).min(value as usize))
        },
        what: "units a layer",
    },
];

/// Refuses a run that needs more memory than there is.
///
/// # Errors
/// One that names the key to change, and the largest number that would fit with all else as it is, and with an eighth to
/// spare: a moment later less may be free.
pub fn check(settings: &Settings, target: &dyn Target, machine: Machine, purpose: Purpose) -> Result<(), ConfigError> {
    let needed = need(settings, target, machine, purpose);
    if needed <= machine.available {
        return Ok(());
    }
    let shortage = format!(
        "the run needs about {} of memory, and {} are free",
        memory::text(needed),
        memory::text(machine.available)
    );
    let spared = machine.available - machine.available / 8;
    for knob in &KNOBS {
        let Some(found) = (knob.of)(settings) else { continue };
        let fits = |value: u64| {
            let mut smaller = settings.clone();
            (knob.set)(&mut smaller, value);
            need(&smaller, target, machine, purpose) <= spared
        };
        if found > knob.least && fits(knob.least) {
            // A larger number never needs less.
            let (mut fitting, mut beyond) = (knob.least, found);
            while beyond - fitting > 1 {
                let middle = fitting + (beyond - fitting) / 2;
                if fits(middle) { fitting = middle } else { beyond = middle }
            }
            let Knob { key, what, .. } = knob;
            return Err(ConfigError::new(format!("{key} = {found}: {shortage}: at most {fitting} {what} would fit")));
        }
    }
    let hidden = &settings.policy.hidden;
    let batch = settings.training.batch;
    Err(ConfigError::new(format!(
        "training.batch = {batch}, policy.hidden = {hidden:?}: {shortage}: no one of the keys alone makes it fit, so make \
         several smaller, or the target's objects"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Objects;
    use crate::random::Draw;
    use crate::targets::ising::Ising;
    use crate::targets::{Sampler, TargetError};

    const MACHINE: Machine = Machine { available: 4 << 30, threads: 4, adapter: None, ranks: 1 };

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    /// The key, and the number that would fit.
    fn refused(settings: &Settings, target: &dyn Target, machine: Machine) -> (String, u64) {
        let message = check(settings, target, machine, Purpose::Training).expect_err("too large").to_string();
        let (key, rest) = message.split_once(" = ").unwrap();
        let number = rest.split("at most ").nth(1).unwrap_or_else(|| panic!("{message}"));
        (key.into(), number.split(' ').next().unwrap().parse().unwrap())
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_number_that_does() {
        let target = Ising::new(16, 0.4).unwrap();
        let machine = |available| Machine { available, ..MACHINE };
        let cases = [
            ("training.batch", 512 << 20, "training = { batch = 1048576 }"),
            ("training.batch", 1 << 30, "training = { batch = 1048576 }\nobjective = { kind = 'forward_kl' }"),
            ("engine.memory_mib", 1 << 30, "engine = { memory_mib = 100000 }\ntraining = { batch = 20000 }"),
            ("evaluation.samples", 1 << 30, "evaluation = { samples = 16777216 }"),
            ("policy.hidden", 128 << 20, "policy = { hidden = [1024, 512, 1024, 1024] }\ntraining = { batch = 2 }"),
        ];
        for adapter in [None, Some(AdapterKind::Software)] {
            for (key, available, text) in cases {
                // A driver alone takes as much as that.
                let available = if adapter.is_some() { available + (256 << 20) } else { available };
                let machine = Machine { adapter, ..machine(available) };
                let settings = settings(text);
                let (found, number) = refused(&settings, &target, machine);
                assert_eq!(found, key, "{adapter:?}: {text}");
                let knob = KNOBS.iter().find(|knob| knob.key == key).unwrap();
                let needed = |number| {
                    let mut changed = settings.clone();
                    (knob.set)(&mut changed, number);
                    assert_eq!(check(&changed, &target, machine, Purpose::Training), Ok(()), "{key} = {number}");
                    need(&changed, &target, machine, Purpose::Training)
                };
                let spared = available - available / 8;
                assert!(needed(number) <= spared, "{key} = {number} was said to fit with something to spare");
                assert!(needed(number + 1) > spared, "{key} = {} fits as well", number + 1);
            }
        }
    }

    /// A target that has data, and takes no memory itself.
    struct Coins;

    impl Target for Coins {
        fn sites(&self) -> usize {
            64
        }

        fn values(&self) -> usize {
            2
        }

        fn log_reward(&self, _: &Objects, log_reward: &mut [f64]) {
            log_reward.fill(0.0);
        }

        fn data(&self, count: usize) -> Option<Box<dyn Sampler>> {
            Some(Box::new(Heads(count)))
        }
    }

    struct Heads(usize);

    impl Sampler for Heads {
        fn sample(&mut self, _: &Draw) -> Objects {
            Objects::new(64, vec![1; 64 * self.0])
        }

        fn state(&self) -> Vec<u8> {
            Vec::new()
        }

        fn restore(&mut self, _: &[u8]) -> Result<(), TargetError> {
            Ok(())
        }
    }

    #[test]
    fn trajectories_of_data_count_where_there_are_data() {
        let settings = settings("evaluation = { nll_trajectories = 1024 }\npolicy = { hidden = [16] }");
        let machine = Machine { available: 192 << 20, ..MACHINE };
        let (key, number) = refused(&settings, &Coins, machine);
        assert_eq!(key, "evaluation.nll_trajectories");
        assert!((2..1024).contains(&number), "{number}");
        let without = Ising::new(8, 0.4).unwrap();
        assert_eq!(check(&settings, &without, machine, Purpose::Training), Ok(()), "there are no data to compare with");
    }

    #[test]
    fn a_larger_batch_never_needs_less() {
        let target = Ising::new(8, 0.4).unwrap();
        for (adapter, text) in [
            (None, "engine = { memory_mib = 16 }"),
            (None, "objective = { control_variate = 'optimal_per_parameter_leave_one_out' }"),
            (Some(AdapterKind::Software), "engine = { memory_mib = 16 }"),
        ] {
            let mut settings = settings(text);
            let mut before = 0;
            for batch in (1..70_000).step_by(37) {
                settings.training.batch = batch;
                let needed = need(&settings, &target, Machine { adapter, ..MACHINE }, Purpose::Training);
                assert!(needed >= before, "{batch}: {needed} after {before}");
                before = needed;
            }
            assert!(before > 1 << 20);
        }
    }

    #[test]
    fn nothing_fits_a_machine_that_is_full() {
        let target = Ising::new(8, 0.4).unwrap();
        let message = check(&Settings::default(), &target, Machine { available: 0, ..MACHINE }, Purpose::Training)
            .unwrap_err()
            .to_string();
        assert!(message.contains("several smaller"), "{message}");
    }

    #[test]
    fn a_discrete_gpu_s_own_memory_is_not_the_host_s() {
        let target = Ising::new(16, 0.4).unwrap();
        let settings = settings("training = { batch = 8192 }");
        let of = |kind| need(&settings, &target, Machine { adapter: Some(kind), ..MACHINE }, Purpose::Training);
        assert!(of(AdapterKind::Discrete) + (1 << 29) < of(AdapterKind::Integrated));
    }
}
