# %% [markdown]
# # A GFlowNet on an Ising model, held against exact values
#
# A script of cells, for editors and notebooks that know `# %%`; it also runs as it is: `python ising.py`. Pictures need
# matplotlib, and are left out without it.

# %%
import pathlib
import tempfile

import numpy as np

import wgflow

try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None

place = pathlib.Path(tempfile.mkdtemp(prefix="wgflow-"))

# %% [markdown]
# ## A target of one's own
#
# 4 x 4 spins on a torus: log R is K times the sum of x_i x_j over neighbours. The function gets a whole batch, [batch,
# sites] integers from 0, and gives log R of each object.

# %%
SIDE, K = 4, 0.3


def log_reward(objects):
    spins = (2 * objects - 1).reshape(-1, SIDE, SIDE)
    return K * sum((spins * np.roll(spins, 1, axis)).sum((1, 2)) for axis in (1, 2))


experiment = {
    "target": {"kind": "own", "sites": SIDE * SIDE, "values": 2},
    "policy": {"hidden": [64, 64], "initialisation": "fan_in"},
    "objective": {"kind": "reverse_kl", "control_variate": "leave_one_out"},
    "optimizer": {"learning_rate": 4e-3, "schedule": "cosine"},
    "training": {"iterations": 1000, "batch": 128, "log_every": 20},
}

# %% [markdown]
# ## Training
#
# The callback sees a line of metrics every `log_every` iterations; what is true ends the training. Ctrl-C does as well:
# either way the run is saved, and `wgflow.Run.open(directory, target=log_reward).resume()` goes on.


# %%
def callback(line):
    if line["iteration"] % 200 == 0:
        print(f"iteration {line['iteration']:4}  ELBO {line['elbo']:.4f}  effective samples {line['ess_fraction']:.0%}")


run = wgflow.train(experiment, target=log_reward, callback=callback, out=place / "run")
print(run.engine)

# %% [markdown]
# ## Against exact values
#
# 2^16 objects are few enough to ask about all of them. Where they are, evaluations do so too, and tell `log_z_exact`.

# %%
numbers = np.arange(2 ** (SIDE * SIDE))
objects = (numbers[:, None] >> np.arange(SIDE * SIDE)) & 1
exact = log_reward(objects)
log_z = np.logaddexp.reduce(exact)
found = run.evaluate()
print(f"log Z       {found['log_z_estimate']:.4f} +- {found['log_z_standard_error']:.4f}, exactly {log_z:.4f}")
print(f"ELBO        {found['elbo']:.4f}")
print(f"trusted     {found['verdict']['trusted']}: {found['verdict']['because']}")

samples = run.sample(20_000)
energy, exact_energy = log_reward(samples).mean(), (np.exp(exact - log_z) * exact).sum()
print(f"mean log R  {energy:.4f}, exactly {exact_energy:.4f}")

# %% [markdown]
# ## The policy's log-probabilities of given objects
#
# P_F^T(x), the probability that the policy ends in x, by backward trajectories from x. A perfect policy has
# log R - log Z.

# %%
some = np.random.default_rng(1).choice(objects, 500, replace=False)
log_prob = run.log_prob(some, trajectories=100)
print(f"log P_F^T   off by {np.abs(log_prob - (log_reward(some) - log_z)).mean():.3f} nats on average")

# %%
if plt is not None:
    lines = [line for line in run.metrics if line.get("elbo") is not None]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    left.plot([line["iteration"] for line in lines], [line["elbo"] for line in lines], label="ELBO")
    left.axhline(log_z, color="black", linestyle="--", label="exact log Z")
    left.set(xlabel="iteration", ylabel="nats")
    left.legend()
    right.scatter(log_reward(some) - log_z, log_prob, s=4)
    right.axline((0, 0), slope=1, color="black", linestyle="--")
    right.set(xlabel="log R - log Z", ylabel="log-probability under the policy", xlim=(-25, 0), ylim=(-25, 0))
    figure.tight_layout()
    figure.savefig(place / "ising.png", dpi=120)
    print(f"picture: {place / 'ising.png'}")
