//! A process of one's own: `cargo run --release --example own_process`
//!
//! Words of up to six letters over {a, b}, written from left to right and ended by a stop, so trajectories have several
//! lengths. (To train it on a GPU, give its rules in WGSL as well: `Process::kernel`.)

use std::sync::Arc;

use wgflow::config::{EngineKind, Settings};
use wgflow::evaluation::evaluate;
use wgflow::network::Initialisation;
use wgflow::objective::{self, Kind};
use wgflow::process::{Changes, Objects, Process, Step, Trajectories};
use wgflow::random::Draw;
use wgflow::targets::{Target, TargetError, enumeration};
use wgflow::trainer::Builder;

const LONGEST: usize = 6;
const LETTERS: u32 = 2;
/// The action that ends a word, and the value of the sites behind it.
const STOP: u32 = LETTERS;

#[derive(Debug)]
struct Writing;

impl Process for Writing {
    fn sites(&self) -> usize {
        LONGEST
    }

    fn values(&self) -> usize {
        LETTERS as usize + 1
    }

    /// One input for each letter at each place.
    fn columns(&self) -> usize {
        LONGEST * LETTERS as usize
    }

    fn actions(&self) -> usize {
        LETTERS as usize + 1
    }

    fn max_steps(&self) -> usize {
        LONGEST + 1
    }

    fn initial_input(&self) -> Vec<f64> {
        vec![0.0; self.columns()]
    }

    /// Letters written, then each of them, plus one.
    fn state_words(&self) -> usize {
        1 + LONGEST
    }

    fn allows(&self, state: &[u32], action: u32) -> bool {
        action == STOP || (state[0] as usize) < LONGEST
    }

    fn advance(&self, state: &mut [u32], action: u32) -> Step {
        if action == STOP {
            return Step { changes: Changes::none(), log_backward: 0.0, ends: true };
        }
        let place = state[0] as usize;
        state[0] += 1;
        state[1 + place] = action + 1;
        // Only the last letter can be taken back: P_B is one.
        let column = place * LETTERS as usize + action as usize;
        Step { changes: Changes::one(column, 1.0), log_backward: 0.0, ends: false }
    }

    fn object(&self, state: &[u32], values: &mut [u8]) {
        for (value, &word) in values.iter_mut().zip(&state[1..]) {
            *value = word.checked_sub(1).unwrap_or(STOP) as u8;
        }
    }

    fn backward(&self, objects: &Objects, _: &Draw) -> Trajectories {
        let rows = objects.rows().map(|word| {
            let letters = word.iter().map(|&value| u32::from(value)).take_while(|&value| value != STOP);
            letters.chain([STOP]).collect()
        });
        Trajectories::from_rows(self.max_steps(), rows)
    }
}

/// Words that read the same both ways are worth e, every letter e^-0.2.
struct Palindromes;

impl Target for Palindromes {
    fn sites(&self) -> usize {
        LONGEST
    }

    fn values(&self) -> usize {
        LETTERS as usize + 1
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (row, log_reward) in objects.rows().zip(log_reward) {
            let length = row.iter().position(|&value| u32::from(value) == STOP).unwrap_or(LONGEST);
            let (word, rest) = row.split_at(length);
            let is_word = rest.iter().all(|&value| u32::from(value) == STOP);
            let reads_both_ways = word.iter().eq(word.iter().rev());
            *log_reward = match is_word {
                true => -0.2 * length as f64 + if reads_both_ways { 1.0 } else { 0.0 },
                // No process writes letters behind an end.
                false => f64::NEG_INFINITY,
            };
        }
    }

    fn log_z(&self) -> Result<f64, TargetError> {
        enumeration::log_z(self)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::default();
    settings.policy.hidden = vec![32, 32];
    settings.policy.initialisation = Initialisation::FanIn;
    settings.objective = objective::Settings::new(Kind::TrajectoryBalance);
    settings.training.iterations = 1000;
    settings.optimizer.learning_rate = 5e-3;
    settings.optimizer.zeta_learning_rate = 0.1;
    settings.engine.kind = EngineKind::Cpu;

    let (mut trainer, engine) = Builder::new(&settings, Arc::new(Palindromes)).process(Writing).build()?;
    while !trainer.is_done() {
        trainer.step()?;
    }
    let evaluated = evaluate(&mut trainer, 4096)?;
    println!("engine: {engine}");
    println!("{}", evaluated.evaluation);
    for row in evaluated.gflownet.rows().take(5) {
        let letters = row.iter().take_while(|&&value| u32::from(value) != STOP);
        println!("{:?}", letters.map(|&letter| char::from(b'a' + letter)).collect::<String>());
    }
    Ok(())
}
