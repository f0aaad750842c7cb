"""What is done side by side, the same numbers for all."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Filling:
    """Sites of two values filled in a uniform order; inputs are -1, 0 (unset) and 1, the head has two logits a site.

    `side` is that of an Ising torus, log R = coupling times the sum over its bonds; without one, log R is linear.
    """

    title: str
    sites: int
    batch: int
    objective: str  # "trajectory_balance" or "reverse_kl" with leave-one-out
    side: int | None = None
    coupling: float = 0.2
    hidden: tuple = (256, 256, 256)  # swish

    def field(self):
        """What setting a site to 1 adds to log R."""
        return [0.5 - site / self.sites for site in range(self.sites)]


@dataclasses.dataclass(frozen=True)
class Grid:
    """The hypergrid by trajectory balance, inputs one-hot, uniform P_B."""

    title: str
    dimensions: int
    height: int
    batch: int = 16
    rewards: tuple = (1e-3, 0.5, 2.0)
    hidden: tuple = (256, 256)  # leaky ReLU


WORKS = {
    "sites": Filling("32 sites, 256x3, batch 128, TB", sites=32, batch=128, objective="trajectory_balance"),
    "ising": Filling(
        "10x10 Ising, 256x3, batch 256, reverse KL", sites=100, batch=256, objective="reverse_kl", side=10
    ),
    "grid-8x2": Grid("hypergrid 8^2, 256x2, batch 16, TB", dimensions=2, height=8),
    "grid-20x4": Grid("hypergrid 20^4, 256x2, batch 16, TB", dimensions=4, height=20),
}

# Adam's steps, of the policy and of log Z.
LEARNING_RATE = 1e-3
LOG_Z_LEARNING_RATE = 0.1
