//! The native engine: plain Rust, f32 or f64, a thread a block.
//!
//! In f64 it is the oracle that every kernel is held against; in f32 it is what trains on a machine without a GPU. A
//! thread takes a block of trajectories through its whole rollout, and later through its gradient, with
//! single-threaded products; blocks are added pairwise (`sums`). So nothing synchronises inside a rollout, and the bits of a
//! result do not depend on the number of threads.

mod activations;
mod entries;
mod gradient;
mod memory;
mod model;
mod moments;
mod pool;
mod reward;
mod rollout;
mod scores;

pub use memory::need;
pub use reward::Reward;

use std::sync::Arc;

use rayon::prelude::*;

use self::activations::Activations;
use self::gradient::Backward;
use self::model::{Model, Sums};
use self::moments::{LeaveOneOut, MomentSums, SquareNorms};
use self::pool::Pool;
use self::rollout::{Block, Workspace};
use self::scores::Scores;
use super::check::{self, Held};
use super::{BLOCK, Batch, Coefficients, Differentiate, EngineError, Moments, Roll, Rollout, Steps, Summand, Tree};
use crate::network::real::cast;
use crate::network::{Activation, Arrangement, Layout, Real};
use crate::process::{Objects, Process, Trajectories};
use crate::sums::Grouped;
use crate::targets::Target;

/// The native engine in precision `T`.
pub struct CpuEngine<T> {
    model: Model<T>,
    reward: Reward<T>,
    /// Bytes of activations that are kept between a rollout and its gradient, or replayed for it.
    memory_budget: u64,
    /// Trajectories of a block of a batch that is kept.
    block: usize,
    blocks: Vec<Block<T>>,
    held: Held,
    /// What threads work with in rollouts, and in gradients, but for the activations of blocks that are replayed.
    rolling: Pool<Workspace<T>>,
    learning: Pool<(Backward<T>, Sums<T>, Vec<f64>)>,
    /// What gradients are added up in.
    tree: Tree,
}

/// Trajectories of a block, in trainings on batches of so many: small batches are divided among threads as well. That is the same
/// on any number of threads.
fn block_of(batch: usize) -> usize {
    if batch > BLOCK { BLOCK } else { batch.div_ceil(4).next_multiple_of(8).clamp(8, BLOCK) }
}

/// How many of `blocks` blocks of `bytes` bytes each keep their activations within a budget, if `threads` blocks are
/// replayed at a time where not all of them do.
fn kept_blocks(blocks: usize, bytes: u64, budget: u64, threads: usize) -> usize {
    let fitting = usize::try_from(budget / bytes.max(1)).unwrap_or(usize::MAX);
    if fitting >= blocks { blocks } else { fitting.saturating_sub(threads) }
}

/// The actions of all blocks, row-major [trajectories, steps].
fn of_actions<T>(blocks: &[Block<T>]) -> Vec<u32> {
    blocks.iter().flat_map(|block| &block.actions).copied().collect()
}

impl<T: Real> CpuEngine<T> {
    /// `memory_budget` bounds the bytes of activations kept between a rollout and its gradient; blocks beyond are replayed,
    /// one a thread at a time whatever the budget.
    ///
    /// # Errors
    /// `Limit` if the layout does not fit the process, or a site has other than 2 to 256 values.
    pub fn new(
        process: impl Into<Arc<dyn Process>>,
        layout: Layout,
        activation: Activation,
        target: Arc<dyn Target>,
        memory_budget: u64,
    ) -> Result<Self, EngineError> {
        let process = process.into();
        check::shape(process.as_ref(), &layout)?;
        let (model, reward) = (Model::new(process, layout, activation), Reward::new(target));
        Ok(Self {
            model,
            reward,
            memory_budget,
            block: BLOCK,
            blocks: Vec::new(),
            held: Held::Nothing,
            rolling: Pool::empty(),
            learning: Pool::empty(),
            tree: Tree::default(),
        })
    }

    /// For trainings on batches of so many trajectories, however many of them it is given at a time.
    pub fn for_batches_of(mut self, batch: usize) -> Self {
        self.block = block_of(batch);
        self
    }

    /// A sum over the batch held; none if that has no trajectories.
    fn sum(&mut self, of: Summand) -> Result<Option<Vec<f64>>, EngineError> {
        let mut tree = Tree::default();
        self.add_leaves(of, &mut tree)?;
        Ok(tree.root())
    }

    /// Takes every block of the batch held, with its activations, through `visit`, a thread a block, and its result to
    /// `add`, in the order of the blocks. There are as many states `S` as blocks at work, whatever the batch: those of the pool,
    /// and fresh ones.
    fn sweep<S: Send>(
        &self,
        pool: &Pool<S>,
        fresh: impl Fn() -> S,
        visit: impl Fn(&mut S, &Block<T>, &Activations<T>) + Sync,
        mut add: impl FnMut(&S),
    ) -> Result<(), EngineError> {
        self.held.differentiable()?;
        let mut wave: Vec<_> = (0..rayon::current_num_threads().min(self.blocks.len()))
            .map(|_| (pool.lend(&fresh), Workspace::default(), Block::default()))
            .collect();
        for blocks in self.blocks.chunks(wave.len().max(1)) {
            wave.par_iter_mut().zip(blocks).for_each(|((state, work, spare), block)| {
                if let Some(activations) = &block.kept {
                    visit(state, block, activations);
                } else {
                    // Dropped for want of memory: the same steps with the same actions give the same bits.
                    spare.repeat(&self.model, block);
                    spare.run_in(&self.model, work, true);
                    visit(state, block, &work.activations);
                }
            });
            wave.iter().zip(blocks).for_each(|((state, ..), _)| add(state));
        }
        Ok(())
    }
}

impl<T: Real> Roll for CpuEngine<T> {
    fn name(&self) -> String {
        format!("native {}, {} threads", T::NAME, rayon::current_num_threads())
    }

    fn adapter(&self) -> String {
        "none".into()
    }

    fn rollout(&mut self, request: &Rollout) -> Result<Batch, EngineError> {
        check::request(self.model.process.as_ref(), request)?;
        self.reward.refresh();
        let (model, reward) = (&self.model, &self.reward);
        let steps = model.process.max_steps();
        let scored_from = request.given.map_or(0, |given| given.scored_from);
        let size = if request.keep { self.block } else { BLOCK };
        let block_bytes = (Activations::numbers(model, size, steps - scored_from) * size_of::<T>()) as u64;
        let blocks = request.count.div_ceil(size);
        let most = kept_blocks(blocks, block_bytes, self.memory_budget, rayon::current_num_threads());
        let kept = if request.keep { most } else { 0 };

        self.held = Held::after(request);
        self.blocks.resize_with(blocks, Block::default);
        let lend = || self.rolling.lend(Workspace::default);
        self.blocks.par_iter_mut().enumerate().for_each_init(lend, |work, (index, block)| {
            block.first = index * size;
            block.rows = size.min(request.count - block.first);
            block.begin(model, work, request);
            block.run(model, work, index < kept);
            block.log_reward.resize(block.rows, 0.0);
            if !reward.is_told_at_once() {
                let objects = model.process.finish(&Trajectories::new(steps, block.actions.clone()));
                reward.log_reward(&objects, &mut block.log_reward);
            }
        });

        let of = |list: fn(&Block<T>) -> &Vec<f64>| self.blocks.iter().flat_map(list).copied().collect::<Vec<f64>>();
        let (mut log_forward, mut log_backward) = (of(|block| &block.log_choices), of(|block| &block.log_backward));
        let mut log_reward = of(|block| &block.log_reward);
        if self.reward.is_told_at_once() {
            let trajectories = Trajectories::new(steps, of_actions(&self.blocks));
            self.reward.log_reward(&model.process.finish(&trajectories), &mut log_reward);
        }
        let mut steps = request.stepwise.then(|| Steps {
            max_steps: steps,
            lengths: self.blocks.iter().flat_map(|block| block.lengths(steps)).collect(),
            log_forward: of(|block| &block.step_choices),
            log_backward: of(|block| &block.step_backward),
            log_flow: of(|block| &block.step_flow),
            ..Steps::default()
        });
        if let Some(filling) = &model.filling {
            let log_order = filling.log_order(scored_from);
            log_forward.iter_mut().for_each(|sum| *sum += log_order);
            log_backward = vec![filling.log_backward(scored_from); request.count];
            if let Some(steps) = &mut steps {
                filling.add_order(scored_from, &mut steps.log_forward, &mut steps.log_backward);
            }
        }
        Ok(Batch { log_forward, log_backward, log_reward, steps })
    }

    fn trajectories(&mut self) -> Result<Trajectories, EngineError> {
        Ok(Trajectories::new(self.model.process.max_steps(), of_actions(&self.blocks)))
    }

    fn objects(&mut self) -> Result<Objects, EngineError> {
        let trajectories = self.trajectories()?;
        Ok(self.model.process.finish(&trajectories))
    }

    fn log_reward(&mut self, objects: &Objects) -> Result<Vec<f64>, EngineError> {
        self.reward.check(objects)?;
        self.reward.refresh();
        let mut log_reward = vec![0.0; objects.count()];
        self.reward.log_reward(objects, &mut log_reward);
        Ok(log_reward)
    }

    fn reward_gradient(&mut self, objects: &Objects, coefficients: &[f64]) -> Result<Vec<f64>, EngineError> {
        self.reward.check(objects)?;
        self.reward.refresh();
        self.reward.gradient(objects, coefficients)
    }

    fn add_reward_leaves(
        &mut self,
        objects: &Objects,
        coefficients: &[f64],
        tree: &mut Tree,
    ) -> Result<(), EngineError> {
        self.reward.check(objects)?;
        self.reward.refresh();
        self.reward.add_leaves(objects, coefficients, tree)
    }
}

impl<T: Real> Differentiate for CpuEngine<T> {
    fn arrangement(&self) -> &Arrangement {
        &self.model.arrangement
    }

    fn load(&mut self, arranged: &[f64]) -> Result<(), EngineError> {
        check::arranged(&self.model.arrangement, arranged)?;
        self.model.set(arranged);
        self.held = self.held.outdated();
        Ok(())
    }

    fn held(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.range().end)
    }

    fn accumulate(&mut self, coefficients: &Coefficients, total: &mut [f64]) -> Result<(), EngineError> {
        check::arranged(&self.model.arrangement, total)?;
        let mut tree = std::mem::take(&mut self.tree);
        self.add_leaves(Summand::Gradient(coefficients), &mut tree)?;
        tree.add_root_to(total);
        self.tree = tree;
        Ok(())
    }

    fn square_norms(&mut self) -> Result<Vec<f64>, EngineError> {
        let mut norms = Vec::new();
        self.sweep(
            &Pool::empty(),
            || (Scores::default(), SquareNorms::default()),
            |(scores, sink), block, activations| {
                sink.begin(block.rows);
                scores.visit(&self.model, block, activations, sink);
            },
            |(_, sink)| norms.extend_from_slice(sink.norms()),
        )?;
        Ok(norms)
    }

    fn moments(&mut self, coefficients: &[f64]) -> Result<Moments, EngineError> {
        let lists = self.sum(Summand::Moments(coefficients))?;
        Ok(Moments::from_list(&lists.unwrap_or_else(|| vec![0.0; 4 * self.model.layout.parameters()])))
    }

    fn leave_one_out_gradient(&mut self, coefficients: &[f64], moments: &Moments) -> Result<Vec<f64>, EngineError> {
        let gradient = self.sum(Summand::LeftOut(coefficients, moments))?;
        Ok(gradient.unwrap_or_else(|| vec![0.0; self.model.layout.parameters()]))
    }

    fn leaves(&self, blocks: usize) -> usize {
        blocks
    }

    fn add_leaves(&mut self, of: Summand, tree: &mut Tree) -> Result<(), EngineError> {
        let (model, layout) = (&self.model, &self.model.layout);
        let mut leaves = Grouped::new(tree, BLOCK / self.block);
        let swept = match of {
            Summand::Gradient(coefficients) => {
                let steps = model.process.max_steps();
                check::weights(coefficients, self.held(), steps)?;
                self.sweep(
                    &self.learning,
                    || (Backward::default(), Sums::zeros(layout), Vec::new()),
                    |(backward, sums, leaf), block, activations| {
                        sums.clear();
                        let coefficients = coefficients.rows(block.range(), steps);
                        backward.accumulate(model, block, activations, coefficients, sums);
                        sums.write(&model.initial, leaf);
                    },
                    |(.., leaf)| leaves.add(leaf),
                )
            }
            Summand::Moments(coefficients) => {
                check::coefficients(coefficients, self.held(), "trajectories")?;
                self.sweep(
                    &Pool::empty(),
                    || (Scores::default(), MomentSums::zeros(layout), Vec::new()),
                    |(scores, sink, leaf), block, activations| {
                        sink.begin(&coefficients[block.range()]);
                        scores.visit(model, block, activations, sink);
                        sink.write(leaf);
                    },
                    |(.., leaf)| leaves.add(leaf),
                )
            }
            Summand::LeftOut(coefficients, moments) => {
                check::coefficients(coefficients, self.held(), "trajectories")?;
                check::moments(&model.arrangement, moments)?;
                let (squares, weighted_squares) = (cast(&moments.squares), cast(&moments.weighted_squares));
                self.sweep(
                    &Pool::empty(),
                    || (Scores::default(), LeaveOneOut::new(&squares, &weighted_squares), Vec::new()),
                    |(scores, sink, leaf), block, activations| {
                        sink.begin(&coefficients[block.range()]);
                        scores.visit(model, block, activations, sink);
                        sink.write(leaf);
                    },
                    |(.., leaf)| leaves.add(leaf),
                )
            }
        };
        leaves.finish();
        swept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{assert_close, largest};
    use crate::network::{Initialisation, initialise};
    use crate::process::{Order, SiteFilling};
    use crate::random::{Draw, Stream};
    use crate::targets::ising::Ising;

    /// Blocks of activations of 300 trajectories, four full ones and one of 44, that an engine owns after a rollout, for each
    /// of some budgets in bytes.
    #[test]
    fn blocks_beyond_the_budget_own_no_activations() {
        let target = Arc::new(Ising::new(3, 0.4).unwrap());
        let process = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: target.encoding() };
        let layout = Layout::new(9, &[24, 16], 18);
        let parameters = initialise(&layout, Initialisation::FanIn, 7, Stream::Initialisation);
        let block = 64 * 9 * (40 + 2) * size_of::<f32>() as u64;
        let owned = |budget: u64, keep: bool| {
            let mut engine =
                CpuEngine::<f32>::new(process.clone(), layout.clone(), Activation::Relu, target.clone(), budget)
                    .unwrap();
            engine.set_parameters(&parameters).unwrap();
            let request = Rollout::sample(Draw::new(1, 0, Stream::Training), 300);
            // What an earlier batch kept does not stay behind.
            engine.rollout(&request.kept()).unwrap();
            engine.rollout(&if keep { request.kept() } else { request }).unwrap();
            let numbers = |list: &Vec<f32>| list.capacity();
            let of = |activations: &Activations<f32>| {
                activations.inputs.iter().map(numbers).sum::<usize>() + numbers(&activations.probabilities)
            };
            let owned: usize = engine.blocks.iter().filter_map(|block| block.kept.as_ref()).map(of).sum();
            let gradient = engine.gradient(&[1.0; 300]);
            ((owned * size_of::<f32>()) as u64, gradient.ok())
        };
        rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(|| {
            let (all, expected) = owned(u64::MAX, true);
            assert_eq!(all, 4 * block + block / 64 * 44);
            // Two blocks are replayed at a time; one more would be.
            for (budget, kept) in
                [(5 * block, all), (5 * block - 1, 2 * block), (3 * block, block), (2 * block, 0), (0, 0)]
            {
                assert_eq!(owned(budget, true), (kept, expected.clone()), "of {budget} bytes");
            }
            assert_eq!(owned(u64::MAX, false), (0, None));
        });
    }

    #[test]
    fn small_batches_are_divided_into_more_blocks_and_come_to_the_same() {
        assert_eq!([1, 8, 16, 33, 64, 65, 4096].map(block_of), [8, 8, 8, 16, 16, 64, 64]);
        let target = Arc::new(Ising::new(3, 0.4).unwrap());
        let process = SiteFilling { sites: 9, values: 2, order: Order::Uniform, encoding: target.encoding() };
        let layout = Layout::new(9, &[24, 16], 18);
        let parameters = initialise(&layout, Initialisation::FanIn, 7, Stream::Initialisation);
        let gradient = |batch: usize, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (process, layout, target) = (process.clone(), layout.clone(), target.clone());
                let engine = CpuEngine::<f64>::new(process, layout, Activation::Relu, target, u64::MAX).unwrap();
                let mut engine = engine.for_batches_of(batch);
                engine.set_parameters(&parameters).unwrap();
                engine.rollout(&Rollout::sample(Draw::new(1, 0, Stream::Training), 30).kept()).unwrap();
                (engine.blocks.len(), engine.gradient(&[1.0; 30]).unwrap())
            })
        };
        let ((whole, expected), (parts, found)) = (gradient(4096, 2), gradient(30, 2));
        assert_eq!((whole, parts), (1, 4));
        // Sums of a few hundred products in another order, in f64.
        assert_close(&found, &expected, 1e-12, "gradients of one block and of four");
        assert!(largest(&expected) > 0.1);
        assert_eq!(gradient(30, 1), (4, found), "on one thread");
    }
}
