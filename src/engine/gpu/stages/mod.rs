//! The stages of a rollout and of a gradient: which kernels, on what, in how many workgroups. Each file stands beside
//! the shaders it names.

mod begin;
mod deltas;
mod evaluate;
mod finish;
mod forward;
mod norms;
mod rollout;
mod signals;
mod spread;
mod sums;

pub(super) use begin::Begin;
pub(super) use deltas::{Deltas, workgroups};
pub(super) use evaluate::Evaluate;
pub(super) use finish::Finish;
pub(super) use forward::Forward;
pub(super) use norms::Norms;
pub(super) use rollout::Steps;
pub(super) use spread::Spread;
pub(super) use sums::{Accumulator, Sums};

use self::signals::Signals;
use super::buffers::Buffers;
use super::context::Context;
use super::network::Network;
use super::recorder::Recorder;
use super::source::{Sources, Weights};
use super::work::Work;
use crate::engine::EngineError;

/// The stages of one engine's policy.
pub(super) struct Stages {
    pub begin: Begin,
    pub steps: Steps,
    pub finish: Finish,
    deltas: Deltas,
    /// With coefficients of single steps, compiled when it is first asked for.
    stepwise_deltas: Option<Deltas>,
    /// Compiled when it is first asked for.
    signals: Option<Signals>,
    sources: Sources,
    statistics: [Option<Statistic>; 5],
}

/// What is asked of a batch whose deltas are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Sums over trajectories, in `gradient`.
    Sums(Accumulator),
    /// Square norms of the trajectories' gradients, in `norms`.
    Norms,
    /// The sum over trajectories and steps whose coefficients are in `step_coefficients`, in `gradient`.
    Steps,
}

impl Quantity {
    /// Whether its kernels read h many times over.
    pub fn rereads_signals(self) -> bool {
        matches!(self, Self::Norms | Self::Sums(Accumulator::Moments | Accumulator::LeftOut))
    }

    /// Place among [`Stages::statistics`].
    fn place(self) -> usize {
        match self {
            Self::Sums(accumulator) => accumulator as usize,
            Self::Norms => 3,
            Self::Steps => 4,
        }
    }
}

/// The stage that does it.
enum Statistic {
    Sums(Box<Sums>),
    Norms(Box<Norms>),
}

impl Stages {
    pub fn new(context: &Context, sources: Sources, network: &Network) -> Result<Self, EngineError> {
        let mut stages = Self {
            begin: Begin::new(context, &sources, network)?,
            steps: Steps::new(context, &sources, network)?,
            finish: Finish::new(context, &sources, network)?,
            deltas: Deltas::new(context, &sources, network, Weights::Trajectories)?,
            stepwise_deltas: None,
            signals: None,
            sources,
            statistics: [const { None }; 5],
        };
        stages.statistic(context, network, Quantity::Sums(Accumulator::Gradient))?;
        Ok(stages)
    }

    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The stage for `quantity`, compiled when it is first asked for.
    fn statistic(
        &mut self,
        context: &Context,
        network: &Network,
        quantity: Quantity,
    ) -> Result<&mut Statistic, EngineError> {
        let place = quantity.place();
        let sums =
            |accumulator, weights| Sums::new(context, &self.sources, network, accumulator, weights).map(Box::new);
        if self.statistics[place].is_none() {
            self.statistics[place] = Some(match quantity {
                Quantity::Sums(accumulator) => Statistic::Sums(sums(accumulator, Weights::Trajectories)?),
                Quantity::Steps => Statistic::Sums(sums(Accumulator::Gradient, Weights::Steps)?),
                Quantity::Norms => Statistic::Norms(Box::new(Norms::new(context, &self.sources, network)?)),
            });
        }
        let Some(statistic) = &mut self.statistics[place] else { unreachable!("just made") };
        Ok(statistic)
    }

    /// Makes room to carry out `quantity` in parts of `blocks` blocks; returns how many slices or blocks fit at once.
    pub fn prepare(
        &mut self,
        context: &Context,
        buffers: &mut Buffers,
        network: &Network,
        quantity: Quantity,
        blocks: usize,
    ) -> Result<usize, EngineError> {
        let advice = "make hidden layers narrower";
        let (name, (at_once, bytes)) = match self.statistic(context, network, quantity)? {
            Statistic::Sums(sums) => ("partials", sums.slices_at_once(network, blocks)),
            Statistic::Norms(_) => ("pieces", Norms::blocks_at_once(network, blocks)),
        };
        if quantity == Quantity::Steps && self.stepwise_deltas.is_none() {
            self.stepwise_deltas = Some(Deltas::new(context, &self.sources, network, Weights::Steps)?);
        }
        if quantity.rereads_signals() && network.keeps_z() && self.signals.is_none() {
            self.signals = Some(Signals::new(context, &self.sources)?);
        }
        let lists = match quantity {
            Quantity::Sums(accumulator) => accumulator.lists(),
            Quantity::Steps => 1,
            Quantity::Norms => 0,
        };
        if lists > 0 {
            let bytes = 16 * lists as u64 * u64::from(network.gradient);
            buffers.reserve(context, "gradient", bytes, advice)?;
        }
        buffers.reserve(context, name, bytes, advice)?;
        Ok(at_once)
    }

    /// From the z that is kept of a part, which is overwritten, to the h that `quantity`, which was prepared and reads it many times
    /// over, needs.
    pub fn record_signals(&mut self, recorder: &mut Recorder, network: &Network, part: &Work) {
        self.signals.as_mut().expect("prepared before").record(recorder, network, part);
    }

    /// To the deltas of a part, in the place of its slopes if those were kept, that `quantity`, which was prepared, needs.
    pub fn record_deltas(&mut self, recorder: &mut Recorder, network: &Network, quantity: Quantity, part: &Work) {
        match &mut self.stepwise_deltas {
            Some(deltas) if quantity == Quantity::Steps => deltas.record(recorder, network, part),
            _ => self.deltas.record(recorder, network, part),
        }
    }

    /// Carries out `quantity`, which was prepared, on a part.
    pub fn record(
        &mut self,
        recorder: &mut Recorder,
        network: &Network,
        quantity: Quantity,
        part: &Work,
        at_once: usize,
    ) {
        match &mut self.statistics[quantity.place()] {
            Some(Statistic::Sums(sums)) => sums.record(recorder, network, part, at_once),
            Some(Statistic::Norms(norms)) => norms.record(recorder, network, part, at_once),
            None => unreachable!("prepared before"),
        }
    }
}
