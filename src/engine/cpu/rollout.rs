//! Rollout of one block of trajectories: the plain explanation of `shaders/rollout.wgsl`.
//!
//! For every step t: h_1 = act(z), h_l = act(W_l h_{l-1} + b_l), the logits that the state needs from h_L, an action by
//! inverse CDF (or the one given), log P_F += log softmax(logits)[action], and z += change * column of the first layer.
//! Only z changes between steps, by one or two columns: the first layer's product is never formed.
//!
//! The logits are those of the step's site, whose order is known beforehand, or all that the state allows.

use std::ops::Range;

use crate::engine::Rollout;
use crate::process::{Changes, Filled, Flow, NO_ACTION, length};
use crate::random::uniform;

use super::activations::Activations;
use super::model::Model;
use crate::network::product::{Matrix, multiply};
use crate::network::real::{Real, add_scaled, dot, vectorised};

/// A block of trajectories and what its gradient needs. Storage is kept from one batch to the next.
#[derive(Default)]
pub struct Block<T> {
    /// Number of the first trajectory within the batch.
    pub first: usize,
    pub rows: usize,
    /// First step that is scored; steps before it have no entry in the tensors below.
    pub scored_from: usize,
    /// First step whose choice is drawn.
    sampled_from: usize,
    /// Whether single steps are told of.
    stepwise: bool,
    /// [rows, steps]
    pub actions: Vec<u32>,
    /// What they do to the inputs, where that depends on more than the action. [rows, steps]
    changes: Vec<Changes>,
    /// Sums over scored steps of the choices' log-probabilities, the order of sites left out.
    pub log_choices: Vec<f64>,
    /// Those of log P_B, where sites have no order of their own.
    pub log_backward: Vec<f64>,
    /// Both for single steps, if they are told of, and log F where the policy says it. [rows, steps]
    pub step_choices: Vec<f64>,
    pub step_backward: Vec<f64>,
    pub step_flow: Vec<f64>,
    pub log_reward: Vec<f64>,
    /// Those of all scored steps, if they were kept. Other blocks own none: they pass through a thread's workspace.
    pub kept: Option<Activations<T>>,
}

/// The numbers that one thread needs for a block, reused from block to block.
#[derive(Default)]
pub struct Workspace<T> {
    /// What actions have added to the pre-activation of the first layer, [rows, width].
    input: Vec<T>,
    /// That of another layer without its bias, and activations of a layer, [entries, width] of one step.
    sums: Vec<T>,
    hidden: Vec<T>,
    /// Words drawn for choices, [rows, steps].
    words: Vec<u32>,
    site_words: Vec<u32>,
    /// What the logits of choices that are drawn are multiplied by, [rows, steps]; empty where the policy draws them.
    scales: Vec<f64>,
    /// States of the process, [rows, words], where anybody asks for them, and whether a trajectory has ended.
    states: Vec<u32>,
    ended: Vec<bool>,
    /// Logits of one step, [rows, outputs].
    logits: Vec<T>,
    /// Of one step, or of all steps in a replay.
    pub activations: Activations<T>,
}

impl<T: Real> Block<T> {
    /// Chooses the order of the sites where the process has one, and takes the actions that are given.
    pub fn begin(&mut self, model: &Model<T>, work: &mut Workspace<T>, request: &Rollout) {
        let steps = model.process.max_steps();
        let (draw, given) = (&request.draw, request.given);
        self.scored_from = given.map_or(0, |given| given.scored_from);
        self.sampled_from = given.map_or(0, |given| given.sampled_from);
        self.stepwise = request.stepwise;
        work.words.resize(self.rows * steps, 0);
        work.site_words.resize(steps, 0);
        work.scales.clear();
        if !request.behaviour.is_plain() {
            work.scales.resize(self.rows * steps, 1.0);
        }
        self.actions.clear();
        if let Some(given) = given {
            let range = self.first * steps..(self.first + self.rows) * steps;
            self.actions.extend_from_slice(&given.trajectories.actions()[range]);
        } else {
            self.actions.resize(self.rows * steps, NO_ACTION);
        }
        for row in 0..self.rows {
            let words = &mut work.words[row * steps..][..steps];
            let pairs = work.site_words.iter_mut().zip(words).enumerate();
            for (t, (site_word, choice_word)) in pairs.skip(self.sampled_from) {
                let drawn = draw.words((self.first + row) as u32, t as u32);
                (*site_word, *choice_word) = (drawn[0], drawn[1]);
                if let Some(scale) = work.scales.get_mut(row * steps + t) {
                    *scale = request.behaviour.scale(drawn[2]);
                }
            }
            if let (Some(filling), None) = (&model.filling, given) {
                let order = &mut self.actions[row * steps..][..steps];
                filling.fill_order(|t| work.site_words[t], order);
                order.iter_mut().for_each(|site| *site *= filling.values as u32);
            }
        }
    }

    /// Numbers of its trajectories within the batch.
    pub fn range(&self) -> Range<usize> {
        self.first..self.first + self.rows
    }

    /// Steps of each trajectory.
    pub fn lengths(&self, steps: usize) -> impl Iterator<Item = usize> {
        self.actions.chunks_exact(steps).map(length)
    }

    /// What the action of step `t` does to the inputs of trajectory `row`.
    #[inline(always)]
    pub fn changes(&self, model: &Model<T>, row: usize, t: usize) -> Changes {
        let at = row * model.process.max_steps() + t;
        match &model.filling {
            Some(filling) => {
                let (column, amount) = filling.change(self.actions[at] as usize);
                Changes::one(column, amount)
            }
            None => self.changes[at],
        }
    }

    /// Takes the actions of `other`, to run them again.
    pub fn repeat(&mut self, model: &Model<T>, other: &Block<T>) {
        (self.first, self.rows, self.scored_from) = (other.first, other.rows, other.scored_from);
        self.sampled_from = model.process.max_steps();
        self.actions.clone_from(&other.actions);
    }

    /// Runs all scored steps; choices from the first sampled step on are drawn with the words of [`Block::begin`]. The
    /// block keeps the activations if `keep` says so.
    pub fn run(&mut self, model: &Model<T>, work: &mut Workspace<T>, keep: bool) {
        if keep {
            // Storage goes from batch to batch.
            let mut own = self.kept.take().unwrap_or_default();
            std::mem::swap(&mut own, &mut work.activations);
            self.run_in(model, work, true);
            std::mem::swap(&mut own, &mut work.activations);
            self.kept = Some(own);
        } else {
            self.kept = None;
            self.run_in(model, work, false);
        }
    }

    /// Runs all scored steps in the workspace, which then holds the activations of `all` of them or of the last one.
    pub fn run_in(&mut self, model: &Model<T>, work: &mut Workspace<T>, all: bool) {
        let (steps, rows) = (model.process.max_steps(), self.rows);
        work.activations.resize(model, rows, if all { steps - self.scored_from } else { 1 });
        let told = if self.stepwise { rows * steps } else { 0 };
        for (list, length) in [
            (&mut self.log_choices, rows),
            (&mut self.log_backward, rows),
            (&mut self.step_choices, told),
            (&mut self.step_backward, told),
            (&mut self.step_flow, if model.process.flow() == Flow::Unsaid { 0 } else { told }),
        ] {
            list.clear();
            list.resize(length, 0.0);
        }
        if model.filling.is_none() {
            self.changes.clear();
            self.changes.resize(rows * steps, Changes::none());
        }
        if model.has_states() {
            work.states.clear();
            work.states.resize(rows * model.process.state_words(), 0);
            work.ended.clear();
            work.ended.resize(rows, false);
        }

        work.input.clear();
        work.input.resize(rows * model.widths()[0], T::default());
        for t in 0..self.scored_from {
            self.walk(model, work, t);
            self.advance(model, work, t);
        }
        for t in self.scored_from..steps {
            let entries = &mut work.activations.entries;
            if !all {
                entries.clear();
            }
            let at = match model.filling {
                Some(_) => entries.add(0..rows),
                None => entries.add((0..rows).filter(|&row| !work.ended[row])),
            };
            if at.is_empty() {
                entries.drop_last();
                break;
            }
            self.forward(model, work, at.clone());
            match model.filling {
                Some(_) => self.choose(model, work, t, at),
                None => self.choose_masked(model, work, t, at),
            }
            self.walk(model, work, t);
            self.advance(model, work, t);
        }
    }

    /// Activations of the last hidden layer in the current states, whose entries are `at`; on the way, inputs of all hidden
    /// layers go into the tensors.
    fn forward(&self, model: &Model<T>, work: &mut Workspace<T>, at: Range<usize>) {
        let rows = at.len();
        let Workspace { input, sums, hidden, activations: Activations { entries, inputs, .. }, .. } = work;
        for (layer, (&width, inputs)) in model.widths().iter().zip(inputs).enumerate() {
            let (sums, bias) = if layer == 0 && rows == self.rows {
                (&*input, &model.start)
            } else if layer == 0 {
                sums.clear();
                entries.rows(at.clone()).for_each(|row| sums.extend_from_slice(&input[row * width..][..width]));
                (&*sums, &model.start)
            } else {
                let (weight, below) = (&model.across[layer - 1], model.widths()[layer - 1]);
                sums.resize(rows * width, T::default());
                multiply(sums, false, Matrix::new(hidden, rows, below), Matrix::new(weight, below, width));
                (&*sums, &model.hidden[layer - 1].1)
            };
            hidden.resize(rows * width, T::default());
            T::activate(model.activation, sums, bias, &mut inputs[at.start * width..at.end * width], hidden);
        }
    }

    /// Logits of each row's site, its value, and the value's log-probability.
    fn choose(&mut self, model: &Model<T>, work: &mut Workspace<T>, t: usize, at: Range<usize>) {
        let (values, steps) = (model.outputs(), model.process.max_steps());
        let probabilities = &mut work.activations.probabilities;
        let width = model.widths()[model.widths().len() - 1];
        let (weight, bias) = &model.head;
        let words_of_state = model.process.state_words();
        let (mut logits, mut weights) = (vec![0.0_f64; values], vec![0.0_f64; values]);
        let mut increments = model.guide.as_ref().map_or(Vec::new(), |_| vec![0.0_f64; values]);
        for (row, hidden) in work.hidden.chunks_exact(width).enumerate() {
            let action = &mut self.actions[row * steps + t];
            let first = model.first_output(*action);
            vectorised(
                #[inline(always)]
                || {
                    for (value, logit) in logits.iter_mut().enumerate() {
                        let row = &weight[(first + value) * width..][..width];
                        *logit = (dot(hidden, row) + bias[first + value]).to_f64();
                    }
                },
            );
            if let Some(guide) = &model.guide {
                let state = &work.states[row * words_of_state..][..words_of_state];
                increments.fill(0.0);
                guide.increments(Filled::new(state), first / values, &mut increments);
                logits.iter_mut().zip(&increments).for_each(|(logit, increment)| *logit += increment);
            }
            let word = (t >= self.sampled_from).then(|| work.words[row * steps + t]);
            let probabilities = &mut probabilities[(at.start + row) * values..][..values];
            let taken = (*action as usize).wrapping_sub(first);
            let (word, taken) = explored(&logits, work.scales.get(row * steps + t), word, taken);
            let (value, log_probability) = choice(&logits, &mut weights, word, taken, probabilities);
            *action = (first + value) as u32;
            self.log_choices[row] += log_probability;
            if self.stepwise {
                self.step_choices[row * steps + t] = log_probability;
            }
        }
    }

    /// The same where a state needs all logits: of actions that are not allowed they are [`FORBIDDEN`].
    fn choose_masked(&mut self, model: &Model<T>, work: &mut Workspace<T>, t: usize, entries: Range<usize>) {
        let (rows, outputs, steps) = (entries.len(), model.outputs(), model.process.max_steps());
        let Workspace { activations, hidden, logits, states, words, scales, .. } = work;
        let Activations { entries: stored, probabilities, .. } = activations;
        let width = model.widths()[model.widths().len() - 1];
        let hidden = Matrix::new(hidden, rows, width);
        let (weight, bias) = (&model.head_across, &model.head.1);
        logits.resize(rows * outputs, T::default());
        logits.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias));
        multiply(&mut logits[..rows * outputs], true, hidden, Matrix::new(weight, width, outputs));

        let (mut masked, mut weights) = (vec![0.0; outputs], vec![0.0; outputs]);
        let (process, words_of_state) = (&model.process, model.process.state_words());
        let mask = |logits: &[T], masked: &mut [f64], allows: &dyn Fn(u32) -> bool| {
            for (number, (masked, logit)) in (0..).zip(masked.iter_mut().zip(logits)) {
                *masked = if allows(number) { logit.to_f64() } else { FORBIDDEN };
            }
        };
        let (actions, ways_back) = (process.actions(), process.backward_actions());
        let probabilities = &mut probabilities[entries.start * outputs..entries.end * outputs];
        let lists = logits.chunks_exact(outputs).zip(probabilities.chunks_exact_mut(outputs));
        for (row, (logits, probabilities)) in stored.rows(entries).zip(lists) {
            let at = row * steps + t;
            let state = &states[row * words_of_state..][..words_of_state];
            mask(logits, &mut masked[..actions], &|action| process.allows(state, action));
            let word = (t >= self.sampled_from).then(|| words[at]);
            let given = self.actions[at] as usize;
            let (word, given) = explored(&masked[..actions], scales.get(at), word, given);
            let (masked_actions, weights_of_actions) = (&masked[..actions], &mut weights[..actions]);
            let (value, log_probability) =
                choice(masked_actions, weights_of_actions, word, given, &mut probabilities[..actions]);
            self.actions[at] = value as u32;
            self.log_choices[row] += log_probability;
            if self.stepwise {
                self.step_choices[at] = log_probability;
            }
            let normaliser = masked[value] - log_probability;
            let stopping = process.stop().map_or(0.0, |stop| masked[stop as usize] - normaliser);
            // How the state came about: P_B of the step before.
            let (logits, probabilities) = (&logits[actions..], &mut probabilities[actions..]);
            if ways_back > 0 {
                let probabilities = &mut probabilities[..ways_back];
                match self.taken_back(model, row, t) {
                    None => probabilities.fill(T::default()),
                    Some(taken) => {
                        let masked = &mut masked[..ways_back];
                        mask(logits, masked, &|backward| process.allows_backward(state, backward));
                        let (_, log_probability) =
                            choice(masked, &mut weights[..ways_back], None, taken as usize, probabilities);
                        self.log_backward[row] += log_probability;
                        if self.stepwise {
                            self.step_backward[at - 1] = log_probability;
                        }
                    }
                }
            }
            let flow = match process.flow() {
                Flow::Output => {
                    probabilities[ways_back] = logits[ways_back];
                    logits[ways_back].to_f64()
                }
                Flow::Stop => stopping,
                Flow::Unsaid => continue,
            };
            if self.stepwise {
                self.step_flow[at] = flow;
            }
        }
    }

    /// What takes back the step before `t`, where that is scored and the policy says P_B of it.
    #[inline(always)]
    pub fn taken_back(&self, model: &Model<T>, row: usize, t: usize) -> Option<u32> {
        if t <= self.scored_from || model.process.backward_actions() == 0 {
            return None;
        }
        let before = self.actions[row * model.process.max_steps() + t - 1];
        if before == NO_ACTION { None } else { model.process.backward_of(before) }
    }

    /// Takes the states of the process past step `t`, where it has any, and notes what that does.
    fn walk(&mut self, model: &Model<T>, work: &mut Workspace<T>, t: usize) {
        if !model.has_states() {
            return;
        }
        let (steps, words) = (model.process.max_steps(), model.process.state_words());
        for row in 0..self.rows {
            if work.ended[row] {
                continue;
            }
            let at = row * steps + t;
            let state = &mut work.states[row * words..][..words];
            let step = model.process.advance(state, self.actions[at]);
            work.ended[row] = step.ends;
            if step.ends {
                self.actions[at + 1..(row + 1) * steps].fill(NO_ACTION);
            }
            if model.filling.is_some() {
                continue;
            }
            self.changes[at] = step.changes;
            if t >= self.scored_from {
                self.log_backward[row] += step.log_backward;
                if self.stepwise {
                    self.step_backward[at] += step.log_backward;
                }
            }
        }
    }

    /// What step `t` changes in every row's input.
    fn advance(&self, model: &Model<T>, work: &mut Workspace<T>, t: usize) {
        let width = model.widths()[0];
        vectorised(
            #[inline(always)]
            || {
                for (row, input) in work.input.chunks_exact_mut(width).enumerate() {
                    for (column, amount) in self.changes(model, row, t).iter() {
                        add_scaled(input, T::from_f64(amount), &model.columns[column * width..][..width]);
                    }
                }
            },
        );
    }
}

/// The logit of an action that is not allowed: as good as minus infinity, and nothing becomes NaN by it.
const FORBIDDEN: f64 = -1e30;

/// The least share of the likeliest choice's probability at which another one is tried.
const LEAST: f64 = 1e-30;

/// The word that is to draw a choice from the policy, and the choice taken where none is. Where logits are to be scaled by another
/// number than 1, it is drawn here.
#[inline(always)]
fn explored(logits: &[f64], scale: Option<&f64>, word: Option<u32>, taken: usize) -> (Option<u32>, usize) {
    let (Some(&scale), Some(word)) = (scale.filter(|scale| **scale != 1.0), word) else { return (word, taken) };
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weight = |&logit: &f64| {
        let below = logit - largest;
        if below.exp() < LEAST { 0.0 } else { (scale * below).exp() }
    };
    let threshold = uniform(word) * logits.iter().map(weight).sum::<f64>();
    let (mut cumulative, mut chosen) = (0.0, taken);
    for (value, weight) in logits.iter().map(weight).enumerate().filter(|(_, weight)| *weight > 0.0) {
        (cumulative, chosen) = (cumulative + weight, value);
        if cumulative > threshold {
            break;
        }
    }
    (None, chosen)
}

/// One of the choices whose logits these are, drawn with `word`, or else the one `taken`; its log-probability; and the
/// probabilities of all, by way of their `weights` beside the likeliest one.
///
/// Inverse CDF: the first whose cumulative probability exceeds the uniform, or the last one that is allowed.
#[inline(always)]
fn choice<T: Real>(
    logits: &[f64],
    weights: &mut [f64],
    word: Option<u32>,
    taken: usize,
    probabilities: &mut [T],
) -> (usize, f64) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    weights.iter_mut().zip(logits).for_each(|(weight, logit)| *weight = (logit - largest).exp());
    let sum = weights.iter().sum::<f64>();
    let threshold = word.map_or(0.0, uniform);
    let (mut cumulative, mut chosen) = (0.0, None);
    for (value, (weight, probability)) in weights.iter().zip(probabilities).enumerate() {
        let p = weight / sum;
        *probability = T::from_f64(p);
        cumulative += p;
        if chosen.is_none() && cumulative > threshold {
            chosen = Some(value);
        }
    }
    let last = || logits.iter().rposition(|&logit| logit > FORBIDDEN).unwrap_or(logits.len() - 1);
    let value = if word.is_some() { chosen.unwrap_or_else(last) } else { taken };
    (value, logits[value] - (largest + sum.ln()))
}
