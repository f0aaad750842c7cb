"""gfnx through its own interface: environment, reward, rollouts and log-probabilities.

It leaves network and optimizer to its user: they are those of peer_jax.py.
"""

import gfnx
import jax
import jax.numpy as jnp

from peer_jax import Compiled, initialise, mlp
from protocol import serve


def grid(work):
    reward = gfnx.GeneralHypergridRewardModule(*work.rewards)
    env = gfnx.HypergridEnvironment(reward, dim=work.dimensions, side=work.height)
    settings = env.init(jax.random.key(0))

    def policy(_, observation, layers):
        logits = mlp(layers, observation, jax.nn.leaky_relu)
        # A uniform P_B. Rollouts pass on what a policy tells under these names.
        told = {"forward_logits": logits, "backward_logits": jnp.zeros((len(logits), work.dimensions))}
        return logits, told

    def loss(parameters, key):
        fixed = jax.lax.stop_gradient(parameters["policy"])
        trajectories, info = gfnx.utils.forward_rollout(key, work.batch, policy, fixed, env, settings)
        # As in gfnx's own baselines, all states once more in one pass with a derivative: faster than one through
        # the rollout.
        logits = mlp(parameters["policy"], trajectories.obs, jax.nn.leaky_relu)
        trajectories = trajectories.replace(info=trajectories.info | {"forward_logits": logits})
        log_pf, log_pb = gfnx.utils.forward_trajectory_log_probs(env, trajectories, settings)
        return jnp.square(parameters["log_z"] + log_pf - log_pb - info["log_gfn_reward"]).mean()

    widths = [work.dimensions * work.height, *work.hidden, work.dimensions + 1]
    return Compiled(lambda key: initialise(key, widths), jax.grad(loss))


serve(grid)
