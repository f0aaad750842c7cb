//! Objects that forward trajectories have ended in, kept to be replayed.

use std::collections::HashSet;

use super::checkpoint::{Checkpoint, CheckpointError};
use crate::objective::{Replay, Sampling};
use crate::process::{Objects, Process};
use crate::random::{Draw, pick};

/// Names of what a checkpoint has of it.
const OBJECTS: &str = "replay.objects";
const LOG_REWARD: &str = "replay.log_reward";
const OLDEST: &str = "replay.oldest";

/// Different objects with their log R, in the order in which they came but for the place where the newest took the oldest's.
pub struct Buffer {
    settings: Replay,
    sites: usize,
    values: usize,
    held: Held,
    /// Those held, for looking up: by a hash, and then by the object.
    known: HashSet<Box<[u8]>>,
}

/// What a checkpoint keeps.
pub struct Held {
    /// Row-major [objects, sites].
    objects: Vec<u8>,
    /// As the engine told it, neither annealed nor with a floor.
    log_reward: Vec<f64>,
    /// The row that the next object takes where all are taken.
    oldest: usize,
}

impl Buffer {
    /// An empty one; none where nothing is to be replayed.
    pub fn begin(settings: Replay, process: &dyn Process) -> Option<Self> {
        let held = Held { objects: Vec::new(), log_reward: Vec::new(), oldest: 0 };
        let (sites, values) = (process.sites(), process.values());
        settings.is_on().then(|| Self { settings, sites, values, held, known: HashSet::new() })
    }

    /// How it is used.
    pub fn settings(&self) -> &Replay {
        &self.settings
    }

    /// Whether this iteration replays: it is late enough, and there are objects.
    pub fn is_used(&self, iteration: u32) -> bool {
        iteration >= self.settings.start && !self.held.log_reward.is_empty()
    }

    /// Objects held.
    pub fn count(&self) -> usize {
        self.held.log_reward.len()
    }

    /// Takes in those objects that it does not hold and that have an R which is not 0.
    pub fn add(&mut self, objects: &Objects, log_reward: &[f64]) {
        for (object, &log_reward) in objects.rows().zip(log_reward) {
            if !log_reward.is_finite() || self.known.contains(object) {
                continue;
            }
            self.known.insert(object.into());
            if self.count() < self.settings.capacity {
                self.held.objects.extend_from_slice(object);
                self.held.log_reward.push(log_reward);
                continue;
            }
            let row = self.held.oldest;
            let place = &mut self.held.objects[row * self.sites..][..self.sites];
            self.known.remove(&*place);
            place.copy_from_slice(object);
            self.held.log_reward[row] = log_reward;
            self.held.oldest = (row + 1) % self.settings.capacity;
        }
    }

    /// `count` of the objects, each drawn by itself with the words of `draw`. There must be some.
    pub fn draw(&self, draw: &Draw, count: usize) -> Objects {
        let rows: Vec<usize> = match self.settings.sampling {
            Sampling::Uniform => {
                (0..count).map(|i| pick(draw.words(i as u32, 0)[0], self.count() as u32) as usize).collect()
            }
            Sampling::Ranked => {
                let (top, rest) = self.ranked();
                let row = |i| {
                    let words = draw.words(i as u32, 0);
                    let from = if words[1] >> 31 == 1 || rest.is_empty() { &top } else { &rest };
                    from[pick(words[0], from.len() as u32) as usize]
                };
                (0..count).map(row).collect()
            }
        };
        let row = |row: usize| &self.held.objects[row * self.sites..][..self.sites];
        Objects::new(self.sites, rows.into_iter().flat_map(row).copied().collect())
    }

    /// The tenth of the rows with the largest log R, and the others.
    fn ranked(&self) -> (Vec<usize>, Vec<usize>) {
        let mut rows: Vec<usize> = (0..self.count()).collect();
        let tenth = self.count().div_ceil(10);
        let log_reward = &self.held.log_reward;
        rows.select_nth_unstable_by(tenth - 1, |&one, &other| {
            log_reward[other].total_cmp(&log_reward[one]).then(one.cmp(&other))
        });
        let mut rest = rows.split_off(tenth);
        // Which they are is settled, their order is not.
        rows.sort_unstable();
        rest.sort_unstable();
        (rows, rest)
    }

    /// Adds what it holds.
    pub fn put(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put_bytes(OBJECTS, &self.held.objects);
        checkpoint.put_f64(LOG_REWARD, &self.held.log_reward);
        checkpoint.put_text(OLDEST, self.held.oldest);
    }

    /// What [`Buffer::put`] left.
    pub fn get(&self, checkpoint: &Checkpoint) -> Result<Held, CheckpointError> {
        let objects = checkpoint.bytes(OBJECTS)?.to_vec();
        let (count, oldest) = (objects.len() / self.sites, checkpoint.text(OLDEST)?);
        let log_reward = checkpoint.f64(LOG_REWARD, count)?;
        let whole = objects.len().is_multiple_of(self.sites) && count <= self.settings.capacity;
        let within = objects.iter().all(|&value| usize::from(value) < self.values);
        let different = objects.chunks(self.sites).collect::<HashSet<_>>().len() == count;
        if whole
            && within
            && different
            && oldest < self.settings.capacity
            && log_reward.iter().all(|log| log.is_finite())
        {
            return Ok(Held { objects, log_reward, oldest });
        }
        let capacity = self.settings.capacity;
        Err(checkpoint.error(format!(
            "its tensors `{OBJECTS}` and `{LOG_REWARD}` are not {capacity} different objects at most, with finite log R"
        )))
    }

    /// Takes up what [`Buffer::get`] gave.
    pub fn set(&mut self, held: Held) {
        self.known = held.objects.chunks(self.sites).map(Into::into).collect();
        self.held = held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Encoding, Order, SiteFilling};
    use crate::random::Stream;

    fn buffer(capacity: usize, sampling: Sampling) -> Buffer {
        let process = SiteFilling { sites: 2, values: 10, order: Order::Fixed, encoding: Encoding::OneHot };
        Buffer::begin(Replay { capacity, sampling, ..Replay::default() }, &process).unwrap()
    }

    fn numbered(numbers: std::ops::Range<usize>) -> (Objects, Vec<f64>) {
        (Objects::numbered(2, 10, numbers.clone()), numbers.map(|number| number as f64).collect())
    }

    fn add(buffer: &mut Buffer, numbers: std::ops::Range<usize>) {
        let (objects, log_reward) = numbered(numbers);
        buffer.add(&objects, &log_reward);
    }

    #[test]
    fn objects_are_kept_once_and_the_oldest_go_first() {
        let mut buffer = buffer(8, Sampling::Uniform);
        assert!(!buffer.is_used(0));
        add(&mut buffer, 0..5);
        add(&mut buffer, 3..6);
        assert_eq!((buffer.count(), buffer.is_used(0)), (6, true));
        buffer.add(&Objects::new(2, vec![9, 9, 8, 8]), &[f64::NEG_INFINITY, f64::NAN]);
        assert_eq!(buffer.count(), 6);
        add(&mut buffer, 10..13);
        assert_eq!((buffer.count(), buffer.held.oldest), (8, 1));
        assert_eq!(buffer.held.log_reward, [12.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 11.0]);
        assert_eq!(&buffer.held.objects[..2], [2, 1], "object 12");
        // One that went may come again, and takes the place of the oldest: 0 of 1, 1 of 2, 2 of 3.
        add(&mut buffer, 0..3);
        assert_eq!(buffer.held.log_reward, [12.0, 0.0, 1.0, 2.0, 4.0, 5.0, 10.0, 11.0]);
        assert_eq!(buffer.known.len(), 8);
    }

    #[test]
    fn half_of_the_ranked_ones_are_of_the_best_tenth() {
        let mut buffer = buffer(100, Sampling::Ranked);
        add(&mut buffer, 0..95);
        let drawn = buffer.draw(&Draw::new(1, 0, Stream::Replay), 4000);
        let numbers: Vec<usize> = drawn.rows().map(|row| usize::from(row[0]) + 10 * usize::from(row[1])).collect();
        // Of 95 the ten largest: 85 to 94.
        let best = numbers.iter().filter(|&&number| number >= 85).count();
        assert!(best.abs_diff(2000) < 130, "{best} of 4000: four deviations are 126");
        for number in [0, 84, 85, 94] {
            assert!(numbers.contains(&number), "{number} never comes");
        }
        let mut one = self::buffer(100, Sampling::Ranked);
        add(&mut one, 7..8);
        assert_eq!(one.draw(&Draw::new(1, 0, Stream::Replay), 2).values(), [7, 0, 7, 0]);
    }

    #[test]
    fn a_checkpoint_restores_it_and_one_that_is_wrong_is_refused() {
        let mut whole = buffer(8, Sampling::Uniform);
        add(&mut whole, 0..11);
        let mut checkpoint = Checkpoint::default();
        whole.put(&mut checkpoint);
        let mut other = buffer(8, Sampling::Uniform);
        let held = other.get(&checkpoint).unwrap();
        other.set(held);
        add(&mut whole, 5..20);
        add(&mut other, 5..20);
        assert_eq!((&whole.held.objects, &whole.held.log_reward), (&other.held.objects, &other.held.log_reward));
        assert_eq!((whole.held.oldest, whole.known), (other.held.oldest, other.known));
        for what in ["too many", "foreign values", "the same twice", "infinite", "no such row"] {
            let mut checkpoint = checkpoint.clone();
            match what {
                "too many" => checkpoint.put_bytes(OBJECTS, &[0; 18]),
                "foreign values" => checkpoint.put_bytes(OBJECTS, &[10; 16]),
                "the same twice" => checkpoint.put_bytes(OBJECTS, &[1; 16]),
                "infinite" => checkpoint.put_f64(LOG_REWARD, &[f64::INFINITY; 8]),
                _ => checkpoint.put_text(OLDEST, 8),
            }
            assert!(buffer(8, Sampling::Uniform).get(&checkpoint).is_err(), "{what}");
        }
    }
}
