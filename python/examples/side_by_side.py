"""Reproduces log P_F of a run's trajectories by PyTorch, JAX and NumPy, from its checkpoint alone.

    python side_by_side.py runs/ising-paper-1 [-n 1000]

wgflow samples trajectories and says their log P_F. Each of the others that is installed loads checkpoint.safetensors
and config.toml, walks the same trajectories state by state through a whole forward pass, in float64, and has to find
the same numbers to 1e-5. For site filling: uniform, fixed and learned order, neither guided nor symmetric by
construction.
"""

import argparse
import json
import pathlib
import struct
import sys

import numpy as np

import wgflow

TOLERANCE = 1e-5


def tensors(path):
    """The policy's tensors of a safetensors file by their names: 8 bytes of length, a header in JSON, then the
    numbers."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, numbers = json.loads(data[8 : 8 + length]), data[8 + length :]
    found = {}
    for name, entry in header.items():
        if name.startswith("policy."):
            first, last = entry["data_offsets"]
            found[name] = np.frombuffer(numbers[first:last], dtype="<f4").reshape(entry["shape"])
    return found


def layers(policy):
    """Weights [out, in] and biases [out] of the linear layers, first to last, in float64."""
    indices = sorted(int(name.split(".")[1]) for name in policy if name.endswith("weight"))
    names = [(f"policy.{index}.weight", f"policy.{index}.bias") for index in indices]
    return [tuple(policy[name].astype(np.float64) for name in pair) for pair in names]


def in_numpy(policy, activation):
    """The network as a function of inputs [rows, columns] to outputs [rows, actions]."""
    act = {
        "relu": lambda z: np.maximum(z, 0),
        "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
        "swish": lambda z: z / (1 + np.exp(-z)),
        "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        "tanh": np.tanh,
    }[activation]

    def network(h):
        *hidden, (weight, bias) = layers(policy)
        for inner, shift in hidden:
            h = act(h @ inner.T + shift)
        return h @ weight.T + bias

    return network


def in_torch(policy, activation):
    """The same as an nn.Sequential, which takes the tensors under the names they have."""
    import torch
    from torch import nn

    act = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "swish": nn.SiLU, "elu": nn.ELU, "tanh": nn.Tanh}[activation]
    modules = []
    for weight, _ in layers(policy):
        modules += [nn.Linear(weight.shape[1], weight.shape[0]), act()]
    network = nn.Sequential(*modules[:-1])
    network.load_state_dict({name.removeprefix("policy."): torch.tensor(tensor) for name, tensor in policy.items()})
    network = network.double()

    def outputs(h):
        with torch.no_grad():
            return network(torch.from_numpy(h)).numpy()

    return outputs


def in_jax(policy, activation):
    """The same as a jitted function."""
    import jax

    jax.config.update("jax_enable_x64", True)
    act = {
        "relu": jax.nn.relu,
        "leaky_relu": jax.nn.leaky_relu,
        "swish": jax.nn.swish,
        "elu": jax.nn.elu,
        "tanh": jax.numpy.tanh,
    }[activation]
    *hidden, (weight, bias) = layers(policy)

    @jax.jit
    def network(h):
        for inner, shift in hidden:
            h = act(h @ inner.T + shift)
        return h @ weight.T + bias

    return lambda h: np.asarray(network(h))


def log_softmax(logits):
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def log_forward(network, policy, config, actions):
    """log P_F of trajectories of site filling, actions [n, sites] to [n].

    A step sets the site action // values to the value action % values. In the fixed and the uniform order the policy
    chooses among the values of one site, which is the next one or any unset one with the same probability; in the
    learned order among all values of all unset sites.
    """
    order, (count, sites) = config["policy"]["order"], actions.shape
    weights = [weight for weight, _ in layers(policy)]
    columns, values = weights[0].shape[1], weights[-1].shape[0] // sites
    # One input a site, 0 before it is set and -1 or 1 after; or one a value of a site, 1 once the site has it.
    is_scalar = columns == sites
    inputs, unset = np.zeros((count, columns)), np.ones((count, sites), dtype=bool)
    total, rows = np.zeros(count), np.arange(count)
    for step in range(sites):
        site, value = np.divmod(actions[:, step], values)
        logits = network(inputs).reshape(count, sites, values)
        if order == "learned":
            logits = np.where(unset[:, :, None], logits, -1e30).reshape(count, -1)
            total += log_softmax(logits)[rows, actions[:, step]]
        else:
            total += log_softmax(logits[rows, site])[rows, value]
        if order == "uniform":
            total -= np.log(sites - step)
        inputs[rows, site if is_scalar else actions[:, step]] = 2 * value - 1 if is_scalar else 1
        unset[rows, site] = False
    return total


def refuse(config):
    """Ends where a policy is more than its network, or its samples are another's."""
    policy, kind = config["policy"], config["target"]["kind"]
    for other, found in {
        "policy.guided": policy["guided"],
        "policy.symmetry": policy["symmetry"] != "none",
        "policy.backward": policy["backward"] != "uniform",
        "evaluation.average": config["evaluation"].get("average") is not None,
        "target.kind": kind == "hypergrid",
    }.items():
        if found:
            sys.exit(f"error: {other}: this script reproduces plain site filling alone")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="a run directory")
    parser.add_argument("-n", type=int, default=1000, help="trajectories")
    arguments = parser.parse_args()
    run = wgflow.Run.open(arguments.run)
    refuse(run.config)
    expected = run.trajectories(arguments.n)
    policy = tensors(arguments.run / "checkpoint.safetensors")
    shown = " -> ".join(str(weight.shape[1]) for weight, _ in layers(policy))
    print(f"{arguments.n} trajectories of {run.path}, policy {shown} -> {layers(policy)[-1][0].shape[0]}, {run.engine}")
    worst = 0.0
    for name, build in {"numpy": in_numpy, "torch": in_torch, "jax": in_jax}.items():
        try:
            network = build(policy, run.config["policy"]["activation"])
        except ImportError:
            print(f"{name:6} is not installed")
            continue
        found = log_forward(network, policy, run.config, expected["actions"])
        difference = np.abs(found - expected["log_forward"]).max()
        worst = max(worst, difference)
        print(f"{name:6} log P_F differs by {difference:.1e} at most, of {np.abs(found).max():.1f}")
    if not worst <= TOLERANCE:
        sys.exit(f"error: {worst:.1e} is more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
