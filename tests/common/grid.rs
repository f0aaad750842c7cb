//! A target of one's own for the hypergrid.

use wgflow::metrics::log_sum_exp;
use wgflow::process::{Hypergrid, Objects};
use wgflow::targets::{Target, TargetError, enumeration};

/// log R of a grid's points: two hills.
#[derive(Clone, Debug)]
pub struct Hills(pub Hypergrid);

impl Target for Hills {
    fn sites(&self) -> usize {
        self.0.dimensions
    }

    fn values(&self) -> usize {
        self.0.height
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        for (point, log_reward) in objects.rows().zip(log_reward) {
            let square = |top: f64| point.iter().map(|&value| (f64::from(value) - top).powi(2)).sum::<f64>();
            *log_reward = log_sum_exp(&[-square(0.5), 1.0 - square(self.0.height as f64 - 1.5)]);
        }
    }

    fn log_z(&self) -> Result<f64, TargetError> {
        enumeration::log_z(self)
    }
}
