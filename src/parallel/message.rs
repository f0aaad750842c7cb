//! What rank 0 tells the others, and what they answer.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::{Batch, Behaviour, Coefficients, EngineError};
use crate::random::Draw;
use crate::stop::Reason;

/// What a rank is to do with its share.
#[derive(Debug, Serialize, Deserialize)]
pub enum Command {
    /// Nothing more.
    End,
    /// Build this experiment.
    Begin(Experiment),
    /// Tell what kind of engine it has.
    Compare,
    /// Take the policy's parameters, in the engine's order, which are broadcast.
    Load,
    /// Take the parameters of the target's network, which are broadcast. There is no answer.
    Reward,
    /// Roll out.
    Rollout(Share),
    /// Tell the actions of the trajectories held.
    Actions,
    /// Tell the values of the objects held.
    Objects,
    /// Tell log R of these objects' values.
    LogReward(Vec<u8>),
    /// Tell the square norms of the scores of the trajectories held.
    SquareNorms,
    /// Sum, with all ranks, coefficients times grad log P_F.
    Gradient(Coefficients),
    /// Sum the moments.
    Moments(Vec<f64>),
    /// Sum the leave-one-out gradient; the moments that it needs are broadcast.
    LeftOut(Vec<f64>),
    /// Sum coefficients times grad log R of these objects' values, a share of `count`.
    RewardGradient { values: Vec<u8>, coefficients: Vec<f64>, count: usize },
}

/// An experiment, and the files of its target.
#[derive(Debug, Serialize, Deserialize)]
pub struct Experiment {
    pub config: String,
    pub files: Vec<(String, Vec<u8>)>,
}

/// A rank's share of a request for trajectories.
#[derive(Debug, Serialize, Deserialize)]
pub struct Share {
    /// Trajectories of the whole batch.
    pub whole: usize,
    pub draw: Draw,
    pub count: usize,
    pub given: Option<Actions>,
    pub keep: bool,
    pub stepwise: bool,
    pub behaviour: Behaviour,
}

/// Given trajectories: see [`crate::engine::Given`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Actions {
    pub max_steps: usize,
    pub actions: Vec<u32>,
    pub scored_from: usize,
    pub sampled_from: usize,
}

/// What a rank says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub found: Result<Found, Fault>,
    /// Why the rank was asked to stop, if it was.
    pub stop: Option<Reason>,
}

/// What came of a command.
#[derive(Debug, Serialize, Deserialize)]
pub enum Found {
    Nothing,
    Batch(Batch),
    Actions(Vec<u32>),
    Values(Vec<u8>),
    Numbers(Vec<f64>),
    Likeness(Likeness),
}

/// In what engines and targets must be alike to work together.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Likeness {
    /// The engine's name, without the adapter's or the number of threads.
    pub engine: String,
    /// A checksum of the engine's order of parameters.
    pub arrangement: u32,
    /// The target's.
    pub target: Option<u32>,
}

/// An error, in words that can be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Kind {
    Device,
    Limit,
    NoAdapter,
    Kernel,
    Reward,
}

impl Fault {
    /// The error of a rank.
    pub fn of(error: &EngineError, rank: usize) -> Self {
        let kind = match error {
            EngineError::Device(_) => Kind::Device,
            EngineError::NoAdapter(_) => Kind::NoAdapter,
            EngineError::Kernel(_) => Kind::Kernel,
            EngineError::Reward(_) => Kind::Reward,
            EngineError::Limit(_) | EngineError::NoBatch(_) => Kind::Limit,
        };
        Self { kind, message: format!("rank {rank}: {error}") }
    }

    /// The error that rank 0 has in its place.
    pub fn error(self) -> EngineError {
        let Self { kind, message } = self;
        match kind {
            Kind::Device => EngineError::Device(message),
            Kind::Limit => EngineError::Limit(message),
            Kind::NoAdapter => EngineError::NoAdapter(message),
            Kind::Kernel => EngineError::Kernel(message),
            Kind::Reward => EngineError::Reward(message),
        }
    }
}

/// As bytes.
pub fn pack(message: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(message).expect("messages have lists of known lengths and plain values")
}

/// What was packed by a rank of the same program.
///
/// # Panics
/// If it was not.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> T {
    postcard::from_bytes(bytes).expect("a message of the same program: all ranks must run the same version of wgflow")
}

/// Numbers as bytes.
pub fn bytes_of(numbers: &[f64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(numbers));
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    bytes
}

/// Back to numbers.
pub fn numbers_of(bytes: &[u8]) -> Vec<f64> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|&number| f64::from_le_bytes(number)).collect()
}
