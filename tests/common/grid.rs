//! A process of one's own, whose trajectories have several lengths and end with a stop, and a target for it.

use wgflow::metrics::log_sum_exp;
use wgflow::process::{Changes, Objects, Process, ProcessKernel, Step, Trajectories};
use wgflow::random::{Draw, pick};
use wgflow::targets::{Target, TargetError, enumeration};

/// A grid of `side`^`sites` points: from the origin, an action raises one coordinate by one or stops.
///
/// P_B lowers one of the coordinates that are not 0, each as likely as the others.
#[derive(Clone, Debug)]
pub struct Grid {
    pub sites: usize,
    pub side: usize,
}

impl Grid {
    fn stop(&self) -> u32 {
        self.sites as u32
    }
}

impl Process for Grid {
    fn sites(&self) -> usize {
        self.sites
    }

    fn values(&self) -> usize {
        self.side
    }

    fn columns(&self) -> usize {
        self.sites * self.side
    }

    fn actions(&self) -> usize {
        self.sites + 1
    }

    fn max_steps(&self) -> usize {
        self.sites * (self.side - 1) + 1
    }

    fn initial_input(&self) -> Vec<f64> {
        (0..self.columns()).map(|column| f64::from(u8::from(column % self.side == 0))).collect()
    }

    fn state_words(&self) -> usize {
        self.sites
    }

    fn allows(&self, state: &[u32], action: u32) -> bool {
        action == self.stop() || (state[action as usize] as usize) < self.side - 1
    }

    fn advance(&self, state: &mut [u32], action: u32) -> Step {
        if action == self.stop() {
            return Step { changes: Changes::none(), log_backward: 0.0, ends: true };
        }
        let column = action as usize * self.side + state[action as usize] as usize;
        state[action as usize] += 1;
        let raised = state.iter().filter(|&&coordinate| coordinate > 0).count();
        Step {
            changes: Changes::two((column, -1.0), (column + 1, 1.0)),
            log_backward: -(raised as f64).ln(),
            ends: false,
        }
    }

    fn object(&self, state: &[u32], values: &mut [u8]) {
        values.iter_mut().zip(state).for_each(|(value, &coordinate)| *value = coordinate as u8);
    }

    fn kernel(&self) -> Option<ProcessKernel> {
        // The rules above, line by line. Stopping is the last action.
        let source = "
            fn process_allows(trajectory: u32, action: u32) -> bool {
                if action == SITES {
                    return true;
                }
                return process_state(trajectory, action) < VALUES - 1u;
            }

            fn process_advance(trajectory: u32, action: u32) -> Advance {
                if action == SITES {
                    return Advance(0u, 0.0, 0u, 0.0, true);
                }
                let coordinate = process_state(trajectory, action);
                set_process_state(trajectory, action, coordinate + 1u);
                let column = action * VALUES + coordinate;
                return Advance(column, -1.0, column + 1u, 1.0, false);
            }

            fn process_value(trajectory: u32, site: u32) -> u32 {
                return process_state(trajectory, site);
            }
        ";
        Some(ProcessKernel { source: source.into() })
    }

    fn backward(&self, objects: &Objects, draw: &Draw) -> Trajectories {
        let rows = objects.rows().enumerate().map(|(row, object)| {
            let mut left: Vec<u32> = object.iter().map(|&value| value.into()).collect();
            let mut actions = vec![self.stop()];
            while left.iter().any(|&coordinate| coordinate > 0) {
                let raised: Vec<usize> = (0..self.sites).filter(|&site| left[site] > 0).collect();
                let word = draw.words(row as u32, actions.len() as u32)[0];
                let site = raised[pick(word, raised.len() as u32) as usize];
                left[site] -= 1;
                actions.push(site as u32);
            }
            actions.reverse();
            actions
        });
        Trajectories::from_rows(self.max_steps(), rows)
    }
}

/// log R of a grid's points: two hills.
#[derive(Clone, Debug)]
pub struct Hills(pub Grid);

impl Target for Hills {
    fn sites(&self) -> usize {
        self.0.sites
    }

    fn values(&self) -> usize {
        self.0.side
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (point, log_reward) in objects.rows().zip(log_reward) {
            let square = |top: f64| point.iter().map(|&value| (f64::from(value) - top).powi(2)).sum::<f64>();
            *log_reward = log_sum_exp(&[-square(0.5), 1.0 - square(self.0.side as f64 - 1.5)]);
        }
    }

    fn log_z(&self) -> Result<f64, TargetError> {
        enumeration::log_z(self)
    }
}
