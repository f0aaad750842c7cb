"""A lean loop in JAX: roll out by `lax.scan`, objective, Adam, all in one compiled function of many iterations."""

import jax
import jax.numpy as jnp
import optax

import works
from protocol import Loop, serve


def initialise(key, widths):
    """Uniform +-1/sqrt(inputs), as PyTorch has it."""
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        key, of_weight, of_bias = jax.random.split(key, 3)
        bound = inputs**-0.5
        weight = jax.random.uniform(of_weight, (inputs, outputs), minval=-bound, maxval=bound)
        layers.append((weight, jax.random.uniform(of_bias, (outputs,), minval=-bound, maxval=bound)))
    return layers


def mlp(layers, x, activation):
    for weight, bias in layers[:-1]:
        x = activation(x @ weight + bias)
    weight, bias = layers[-1]
    return x @ weight + bias


def adam():
    """The policy and log Z have learning rates of their own."""
    rates = {"policy": optax.adam(works.LEARNING_RATE), "log_z": optax.adam(works.LOG_Z_LEARNING_RATE)}
    return optax.multi_transform(rates, {"policy": "policy", "log_z": "log_z"})


class Compiled(Loop):
    """As many iterations as are asked for in one call: nothing goes back to Python in between."""

    def __init__(self, parameters, gradient):
        self.parameters, optimizer = parameters, adam()
        self.optimizer = optimizer

        def step(_, carried):
            parameters, state, key = carried
            key, drawn = jax.random.split(key)
            updates, state = optimizer.update(gradient(parameters, drawn), state)
            return optax.apply_updates(parameters, updates), state, key

        self.steps = jax.jit(lambda count, carried: jax.lax.fori_loop(0, count, step, carried), donate_argnums=1)

    def fresh(self, seed):
        key, drawn = jax.random.split(jax.random.key(seed))
        parameters = {"policy": self.parameters(drawn), "log_z": jnp.zeros(())}
        self.carried = jax.block_until_ready((parameters, self.optimizer.init(parameters), key))

    def advance(self, iterations):
        self.carried = jax.block_until_ready(self.steps(iterations, self.carried))


def log_reward(work, x):
    """Of objects [batch, sites] of -1 and 1."""
    if work.side:
        torus = x.reshape(-1, work.side, work.side)
        return work.coupling * (torus * (jnp.roll(torus, 1, 1) + jnp.roll(torus, 1, 2))).sum((1, 2))
    return (x > 0) @ jnp.array(work.field())


def filling(work):
    batch, sites = work.batch, work.sites

    def logits_of(policy, x, site):
        """The two logits of each row's site."""
        rows = jnp.arange(len(x))
        return mlp(policy, x, jax.nn.swish).reshape(-1, sites, 2)[rows, site]

    def rollout(policy, key):
        """Objects [batch, sites], and states, sites and values [sites x batch, ..] of all steps."""
        of_orders, of_values = jax.random.split(key)
        orders = jnp.argsort(jax.random.uniform(of_orders, (sites, batch)), axis=0)
        uniform = jax.random.uniform(of_values, (sites, batch))

        def step(x, drawn):
            site, uniform = drawn
            logits = logits_of(policy, x, site)
            value = (uniform < jax.nn.sigmoid(logits[:, 1] - logits[:, 0])).astype(int)
            return x.at[jnp.arange(batch), site].set(2.0 * value - 1), (x, value)

        x, (states, values) = jax.lax.scan(step, jnp.zeros((batch, sites)), (orders, uniform))
        return x, states.reshape(-1, sites), orders.reshape(-1), values.reshape(-1)

    def loss(parameters, key):
        x, states, site, values = rollout(jax.lax.stop_gradient(parameters["policy"]), key)
        # All states once more in one pass, with a derivative: faster than one through the rollout. Orders cancel
        # against P_B.
        log_p = jax.nn.log_softmax(logits_of(parameters["policy"], states, site))
        log_pf = log_p[jnp.arange(sites * batch), values].reshape(sites, batch).sum(0)
        log_w = log_reward(work, x) - log_pf
        if work.objective == "trajectory_balance":
            return jnp.square(parameters["log_z"] - log_w).mean()
        fixed = jax.lax.stop_gradient(log_w)
        return ((fixed.mean() - fixed) * log_pf).sum() / (batch - 1)

    widths = [sites, *work.hidden, 2 * sites]
    return Compiled(lambda key: initialise(key, widths), jax.grad(loss))


if __name__ == "__main__":
    serve(filling)
