//! A table of sequences and their rewards from a file, such as a measured landscape of DNA or protein sequences.
//!
//! What the table does not have has a reward of its own, or is forbidden. log Z and samples are exact, by summation.

mod read;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::read::Rows;
use super::{FORBIDDEN, InputFiles, RewardKernel, Sampler, Target, TargetError, no_state};
use crate::logs::log_sum_exp;
use crate::models::{Fault, Labels, ModelError, Values, Variables, bytes_of, text_of};
use crate::out_of_range::OutOfRange;
use crate::process::Objects;
use crate::random::{Draw, Stream};

/// Rows that a kernel searches.
const MOST_ROWS_OF_A_KERNEL: usize = 1 << 20;

/// Largest |log R| that a kernel knows in f32, which rounds it by less than 0.01 nats.
const LARGEST_OF_A_KERNEL: f64 = 1e5;

/// Sequences that a policy is tested on.
const TESTED: usize = 1 << 16;

/// What becomes of a reward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// log R = beta log reward. Rewards are not negative, and one of 0 is forbidden.
    #[default]
    Log,
    /// log R = beta reward: the reward is a score.
    Linear,
}

/// How a table is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The letters in the order of their values; otherwise those that the table has, in the order of their codes.
    pub alphabet: Option<String>,
    /// What becomes of a reward.
    pub transform: Transform,
    /// What the logarithm or the score is multiplied by.
    pub beta: f64,
    /// The reward of sequences that are not in the table; without one they are forbidden.
    pub default: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { alphabet: None, transform: Transform::Log, beta: 1.0, default: None }
    }
}

impl Options {
    /// Checks what needs no table.
    ///
    /// # Errors
    /// Names the key, what it was, and what is allowed.
    pub fn check(&self) -> Result<(), OutOfRange> {
        if !(self.beta > 0.0 && self.beta.is_finite()) {
            return Err(OutOfRange::new(format!("beta = {}: must be positive and finite", self.beta)));
        }
        if let Some(alphabet) = &self.alphabet {
            let different =
                (1..alphabet.len()).all(|end| !alphabet.as_bytes()[..end].contains(&alphabet.as_bytes()[end]));
            if alphabet.len() < 2 || !different || !alphabet.bytes().all(read::is_letter) {
                let allowed =
                    "at least 2 different letters, visible ASCII characters other than a comma and a quotation mark";
                return Err(OutOfRange::new(format!("alphabet = {alphabet:?}: must be {allowed}")));
            }
        }
        if let Some(default) = self.default {
            self.log_reward(default).map_err(|wrong| OutOfRange::new(format!("default = {default}: it {wrong}")))?;
        }
        Ok(())
    }

    /// log R of a reward, or what is wrong with it.
    fn log_reward(&self, reward: f64) -> Result<f64, &'static str> {
        let log_reward = match self.transform {
            Transform::Log if reward < 0.0 => return Err("must not be negative with transform = \"log\""),
            Transform::Log if reward == 0.0 => return Ok(f64::NEG_INFINITY),
            Transform::Log => self.beta * reward.ln(),
            Transform::Linear => self.beta * reward,
        };
        if log_reward.is_finite() { Ok(log_reward) } else { Err("makes, times beta, more than a number can hold") }
    }
}

/// The table.
#[derive(Debug)]
pub struct Table {
    options: Options,
    labels: Labels,
    sites: usize,
    values: usize,
    rows: Arc<Ranked>,
    /// log R of each row.
    log_rewards: Vec<f64>,
    /// log R of what is not in the table.
    missing: f64,
    /// log of the number of sequences that are not in the table; minus infinity if it is complete.
    log_missing: f64,
    log_z: f64,
    files: InputFiles,
}

/// The sequences of a table in lexicographic order.
#[derive(Debug)]
struct Ranked {
    sites: usize,
    /// Row-major [rows, sites].
    values: Vec<u8>,
}

impl Ranked {
    fn count(&self) -> usize {
        self.values.len() / self.sites
    }

    fn row(&self, index: usize) -> &[u8] {
        &self.values[index * self.sites..][..self.sites]
    }

    fn find(&self, object: &[u8]) -> Option<usize> {
        let (mut first, mut end) = (0, self.count());
        while first < end {
            let middle = first + (end - first) / 2;
            match self.row(middle).cmp(object) {
                std::cmp::Ordering::Less => first = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => end = middle,
            }
        }
        None
    }
}

impl Table {
    /// The table in a CSV file with the heading `sequence,reward`.
    ///
    /// # Errors
    /// If the file cannot be read, is larger than 1 GiB or no text in UTF-8; as [`Table::parse`].
    pub fn read(path: &Path, options: &Options) -> Result<Self, ModelError> {
        let name = path.display().to_string();
        Self::parse(&name, text_of(&name, &bytes_of(path)?)?, options)
    }

    /// The table in the text of such a file, which is called `name` in messages.
    ///
    /// # Errors
    /// With the line: sequences of different lengths, given twice or with letters that are not in the alphabet; rewards that are no
    /// finite numbers, or negative where their logarithm is taken. If options are out of range, or nothing has a reward.
    pub fn parse(name: &str, text: &str, options: &Options) -> Result<Self, ModelError> {
        let table = options.check().map_err(|error| Fault::new(error.to_string()));
        let table = table.and_then(|()| read::read(text, options.alphabet.as_deref()));
        table.and_then(|rows| Self::of(rows, options.clone())).map_err(|fault| fault.within(name))
    }

    fn of(rows: Rows, options: Options) -> Result<Self, Fault> {
        let Rows { alphabet, sites, values, rewards } = rows;
        let mut log_rewards = Vec::with_capacity(rewards.len());
        for (line, reward) in rewards {
            let wrong = |wrong| Fault::at(line, format!("the reward is {reward}: it {wrong}"));
            log_rewards.push(options.log_reward(reward).map_err(wrong)?);
        }
        let missing =
            options.default.map_or(f64::NEG_INFINITY, |default| options.log_reward(default).unwrap_or(f64::NAN));
        let log_missing = log_difference(alphabet.len(), sites, log_rewards.len());
        // No sequence is missing from a table that is complete, whatever its reward would be.
        let rest = if log_missing == f64::NEG_INFINITY { log_missing } else { log_missing + missing };
        let log_z = log_sum_exp(&[log_sum_exp(&log_rewards), rest]);
        if log_z == f64::NEG_INFINITY {
            return Err(Fault::new("all its rewards are 0"));
        }
        Ok(Self {
            options,
            sites,
            values: alphabet.len(),
            labels: Labels { variables: Variables::From(0), values: Values::Letters(alphabet.into()) },
            rows: Arc::new(Ranked { sites, values }),
            log_rewards,
            missing,
            log_missing,
            log_z,
            files: InputFiles::default(),
        })
    }

    /// The same, which checkpoints keep these files of.
    pub fn keeping(self, files: InputFiles) -> Self {
        Self { files, ..self }
    }

    /// Sequences in the table.
    pub fn count(&self) -> usize {
        self.rows.count()
    }

    /// Whether sequences that are not in the table may be made.
    fn has_more(&self) -> bool {
        self.log_missing > f64::NEG_INFINITY && self.missing > f64::NEG_INFINITY
    }
}

impl Target for Table {
    fn sites(&self) -> usize {
        self.sites
    }

    fn values(&self) -> usize {
        self.values
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        let rows = objects.values().par_chunks(self.sites).with_min_len(256);
        rows.zip(log_reward).for_each(|(object, log_reward)| {
            *log_reward = self.rows.find(object).map_or(self.missing, |row| self.log_rewards[row]);
        });
    }

    /// By summation.
    fn log_z(&self) -> Result<f64, TargetError> {
        Ok(self.log_z)
    }

    /// Independent exact samples, where all that has a reward is in the table.
    fn sampler(&self, _: u64, chains: usize) -> Result<Box<dyn Sampler>, TargetError> {
        if self.has_more() {
            let message =
                "sequences that are not in the table have a reward (target.default), and there is no sampler of those";
            return Err(TargetError::unknown(message));
        }
        let mut sum = 0.0;
        let mut add = |log_reward: &f64| {
            sum += (log_reward - self.log_z).exp();
            sum
        };
        let cumulative = self.log_rewards.iter().map(&mut add).collect();
        Ok(Box::new(Independent { rows: self.rows.clone(), cumulative, chains }))
    }

    /// By summation, where all that has a reward is in the table.
    fn marginals(&self) -> Result<Vec<Vec<f64>>, TargetError> {
        if self.has_more() {
            return Err(TargetError::unknown("sequences that are not in the table have a reward (target.default)"));
        }
        let mut marginals = vec![vec![0.0; self.values]; self.sites];
        for (row, log_reward) in self.log_rewards.iter().enumerate() {
            let probability = (log_reward - self.log_z).exp();
            let sites = marginals.iter_mut().zip(self.rows.row(row));
            sites.for_each(|(marginal, &value)| marginal[usize::from(value)] += probability);
        }
        Ok(marginals)
    }

    /// A binary search, where sequences can be numbered in f32.
    fn kernel(&self) -> Option<RewardKernel> {
        let numbered = self.values.checked_pow(self.sites as u32).is_some_and(|all| all <= 1 << f32::MANTISSA_DIGITS);
        let known = self.log_rewards.iter().chain([&self.missing]).filter(|log_reward| log_reward.is_finite());
        let fine = known.fold(0.0, |most: f64, log_reward| most.max(log_reward.abs())) <= LARGEST_OF_A_KERNEL;
        if !numbered || !fine || self.count() > MOST_ROWS_OF_A_KERNEL {
            return None;
        }
        let finite = |&log_reward: &f64| if log_reward.is_finite() { log_reward as f32 } else { FORBIDDEN };
        let number = |row: usize| {
            self.rows.row(row).iter().fold(0, |number, &value| number * self.values + usize::from(value)) as f32
        };
        let mut parameters = vec![self.count() as f32, finite(&self.missing)];
        parameters.extend((0..self.count()).map(number));
        parameters.extend(self.log_rewards.iter().map(finite));
        // A search halves the rows until none is left.
        let iterations = (self.sites + 1) + self.count().max(1).ilog2() as usize + 2;
        Some(RewardKernel { source: include_str!("reward.wgsl").into(), parameters, scale: 1.0, iterations })
    }

    fn forbids(&self) -> Option<&'static str> {
        if self.log_rewards.contains(&f64::NEG_INFINITY) {
            Some("some rewards of the table are 0")
        } else if self.log_missing > f64::NEG_INFINITY && !self.has_more() {
            Some("some sequences are not in the table, and target.default gives them no reward")
        } else {
            None
        }
    }

    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }

    fn measure(&self, log_reward: f64) -> Option<(&'static str, f64)> {
        let scaled = log_reward / self.options.beta;
        Some(("reward", if self.options.transform == Transform::Log { scaled.exp() } else { scaled }))
    }

    fn checksum(&self) -> Option<u32> {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&[self.values as u8]);
        hasher.update(&self.sites.to_le_bytes());
        hasher.update(&self.rows.values);
        self.log_rewards.iter().chain([&self.missing]).for_each(|number| hasher.update(&number.to_le_bytes()));
        Some(hasher.finalize())
    }

    fn files(&self) -> InputFiles {
        self.files.clone()
    }

    /// The table's sequences that are not forbidden, in random order; 65,536 of them if there are more.
    fn test_objects(&self) -> Option<Objects> {
        let allowed = self.log_rewards.iter().enumerate().filter(|(_, log_reward)| log_reward.is_finite());
        let mut rows: Vec<usize> = allowed.map(|(row, _)| row).collect();
        rows.shuffle(&mut Draw::new(0, 0, Stream::Data).generator(0));
        rows.truncate(TESTED);
        let values: Vec<u8> = rows.into_iter().flat_map(|row| self.rows.row(row)).copied().collect();
        if values.is_empty() { None } else { Some(Objects::new(self.sites, values)) }
    }
}

/// log(values^sites - count).
fn log_difference(values: usize, sites: usize, count: usize) -> f64 {
    let all = u32::try_from(sites).ok().and_then(|sites| values.checked_pow(sites));
    match all {
        Some(all) => (all.saturating_sub(count) as f64).ln(),
        // Beside more than 2^64 those in the table do not count.
        None => sites as f64 * (values as f64).ln(),
    }
}

/// Samples by inversion of the cumulative probabilities of the rows.
struct Independent {
    rows: Arc<Ranked>,
    cumulative: Vec<f64>,
    chains: usize,
}

impl Sampler for Independent {
    fn sample(&mut self, draw: &Draw) -> Objects {
        let total = self.cumulative.last().copied().unwrap_or_default();
        let row = |chain: usize| {
            let [high, low, ..] = draw.words(chain as u32, 0);
            // 53 bits.
            let uniform = (u64::from(high) << 21 | u64::from(low) >> 11) as f64 / (1_u64 << 53) as f64;
            // A row that is forbidden adds nothing and is never the first whose sum is larger.
            let row = self.cumulative.partition_point(|&sum| sum <= uniform * total);
            self.rows.row(row.min(self.rows.count() - 1))
        };
        Objects::new(self.rows.sites, (0..self.chains).flat_map(row).copied().collect())
    }

    fn state(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError> {
        no_state(state, "exact samples")
    }
}
