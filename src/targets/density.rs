//! The paper's second task (arXiv:2210.07992, section 5): a data set of the plane as objects of 8 to 32 bits, and an energy
//! model of these bits as log R, held fixed or trained along; or the data alone, without any R.

use std::sync::Arc;

use super::energy_model::EnergyModel;
use super::{Picture, RewardNetwork, Sampler, Target, TargetError, no_state};
use crate::data::{Coding, DataSet};
use crate::process::{Encoding, Objects};
use crate::random::Draw;

/// A data set in bits, and what is known or learned of its density.
pub struct Density {
    data: DataSet,
    coding: Coding,
    model: Option<Arc<EnergyModel>>,
}

impl Density {
    /// Data alone: objectives on backward trajectories that do not ask for R.
    pub fn data(data: DataSet, coding: Coding) -> Self {
        Self { data, coding, model: None }
    }

    /// With an energy model.
    ///
    /// # Panics
    /// If the model is of another number of bits.
    pub fn with_energy(data: DataSet, coding: Coding, model: EnergyModel) -> Self {
        assert_eq!(model.sites(), coding.bits(), "bits of the energy model");
        Self { data, coding, model: Some(Arc::new(model)) }
    }

    fn model(&self) -> Option<&EnergyModel> {
        self.model.as_deref()
    }
}

impl Target for Density {
    fn sites(&self) -> usize {
        self.coding.bits()
    }

    fn values(&self) -> usize {
        2
    }

    fn encoding(&self) -> Encoding {
        Coding::encoding()
    }

    fn log_reward(&self, objects: &Objects, log_reward: &mut [f64]) {
        match self.model() {
            Some(model) => model.log_reward(objects, log_reward),
            None => log_reward.fill(0.0),
        }
    }

    /// Of the energy model as it is now, by adding up every object, up to 20 bits.
    fn log_z(&self) -> Result<f64, TargetError> {
        self.model().map_or(Err(TargetError::unknown("the data have no R, so there is no log Z")), Target::log_z)
    }

    fn data(&self, count: usize) -> Option<Box<dyn Sampler>> {
        Some(Box::new(Points { data: self.data, coding: self.coding, count }))
    }

    fn has_reward(&self) -> bool {
        self.model.is_some()
    }

    fn network(&self) -> Option<RewardNetwork> {
        self.model().and_then(Target::network)
    }

    fn energy_model(&self) -> Option<Arc<EnergyModel>> {
        self.model.clone()
    }

    fn picture(&self) -> Option<Picture> {
        Some(Picture::Plane { coding: self.coding })
    }
}

/// Fresh points of a data set; nothing has to be kept from one batch to the next.
struct Points {
    data: DataSet,
    coding: Coding,
    count: usize,
}

impl Sampler for Points {
    fn sample(&mut self, draw: &Draw) -> Objects {
        self.coding.encode(&self.data.points(draw, self.count))
    }

    fn state(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), TargetError> {
        no_state(state, "data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn coding(bits: usize) -> Coding {
        Coding::new(DataSet::Moons, bits).unwrap()
    }

    #[test]
    fn data_alone_have_no_reward() {
        let target = Density::data(DataSet::Moons, coding(8));
        let mut log_reward = vec![1.0; 3];
        target.log_reward(&Objects::numbered(8, 2, 0..3), &mut log_reward);
        assert_eq!(log_reward, [0.0; 3]);
        assert!(!target.has_reward() && target.network().is_none() && target.energy_model().is_none());
        assert!(target.log_z().unwrap_err().to_string().contains("no R"));
    }

    #[test]
    fn data_are_the_coded_points_of_the_draw() {
        let target = Density::data(DataSet::Moons, coding(32));
        let draw = Draw::new(3, 7, Stream::Data);
        let mut sampler = target.data(20).unwrap();
        assert_eq!(sampler.sample(&draw), coding(32).encode(&DataSet::Moons.points(&draw, 20)));
        assert_eq!(sampler.sample(&draw), target.data(20).unwrap().sample(&draw));
        assert_eq!(sampler.restore(&[]), Ok(()));
        let message = sampler.restore(&[1]).unwrap_err().to_string();
        assert!(message.contains("where data have none"), "{message}");
    }
}
