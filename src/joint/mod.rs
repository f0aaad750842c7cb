//! Training an energy model and the GFlowNet that samples from it together.
//!
//! Each iteration makes one update of the GFlowNet on the current energy, then one step of the energy model down the
//! gradient of mean log R(fake) - mean log R(data), whose fakes are data that the GFlowNet took apart and put together
//! again (see [`Proposal`]).
//! After Zhang et al., "Generative flow networks for discrete probabilistic modeling", ICML 2022.

mod proposal;
mod training;

pub use proposal::{Acceptance, Proposal, Settled};
pub use training::{EnergyStep, EnergyTraining, Settings};

/// How many sites a proposal clears in `iteration` (from 0 on): J = max(1, min(D, floor(D (iteration + 1) / horizon))),
/// which grows from one to all D `sites` over `horizon` iterations, 1e5 in the paper.
pub fn cleared_sites(iteration: u64, sites: usize, horizon: u64) -> usize {
    let grown = sites as u128 * (u128::from(iteration) + 1) / u128::from(horizon.max(1));
    // The cast is exact: the result is at most `sites`.
    grown.min(sites as u128).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleared_sites_grow_from_one_to_all() {
        let schedule = |iteration| cleared_sites(iteration, 32, 100_000);
        assert_eq!(
            [0, 3_123, 6_248, 6_249, 49_999, 99_998, 99_999, 5_000_000].map(schedule),
            [1, 1, 1, 2, 16, 31, 32, 32]
        );
        assert_eq!(cleared_sites(0, 6, 1), 6);
        assert_eq!(cleared_sites(u64::MAX, 6, 1), 6);
    }
}
