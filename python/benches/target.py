"""What a target in Python costs: an iteration with it, over one with the same target in Rust plus the time within the
function.

    python target.py [--rounds 5]
    RAYON_NUM_THREADS=1 python target.py --cpu    # processor time, where others use the machine as well

The target is a Potts model of 3 values on a torus, in Rust from a table for each bond (`target.kind = "model"`), in
Python by NumPy; both turn into the same inputs and the same policy. Rust and Python take turns, and the median of the
rounds' ratios is told.
"""

import argparse
import statistics
import tempfile
import time

import numpy as np

import wgflow

VALUES, COUPLING = 3, 0.7


def bonds(side):
    sites = np.arange(side * side).reshape(side, side)
    return np.concatenate([np.stack([sites.ravel(), np.roll(sites, -1, axis).ravel()], axis=1) for axis in (0, 1)])


def in_rust(side):
    """The model as a UAI file."""
    pairs = bonds(side)
    table = " ".join(repr(float(number)) for number in np.exp(COUPLING * np.eye(VALUES)).ravel())
    lines = ["MARKOV", str(side * side), " ".join([str(VALUES)] * side * side), str(len(pairs))]
    lines += [f"2 {one} {other}" for one, other in pairs]
    lines += [f"\n{VALUES**2}\n{table}" for _ in pairs]
    return {"kind": "model", "format": "uai", "text": "\n".join(lines)}


class InPython:
    """The same, and the seconds spent in it."""

    def __init__(self, side, clock):
        self.pairs, self.clock, self.seconds = bonds(side), clock, 0.0

    def __call__(self, objects):
        begun = self.clock()
        log_reward = COUPLING * (objects[:, self.pairs[:, 0]] == objects[:, self.pairs[:, 1]]).sum(axis=1)
        self.seconds += self.clock() - begun
        return log_reward


def seconds(side, hidden, batch, iterations, clock, target):
    """Seconds of an iteration, and those of them within the target."""
    own = {"kind": "own", "sites": side * side, "values": VALUES}
    config = {
        "target": own if target else in_rust(side),
        "policy": {"hidden": hidden, "initialisation": "fan_in"},
        "objective": {"kind": "reverse_kl"},
        "training": {"iterations": 10**6, "batch": batch, "log_every": iterations},
        "engine": {"kind": "cpu"},
    }
    seen = []

    def callback(line):
        seen.append((clock(), target.seconds if target else 0.0))
        return len(seen) == 2

    with tempfile.TemporaryDirectory() as place:
        wgflow.train(config, target=target, callback=callback, out=place + "/run")
    # The first iteration, which is left out, fills memory.
    return [(after - before) / iterations for before, after in zip(*seen)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="processor time in place of time")
    arguments = parser.parse_args()
    rounds, clock = arguments.rounds, time.process_time if arguments.cpu else time.perf_counter
    for side, hidden, batch, iterations in [(10, [256] * 3, 1024, 10), (4, [64], 1024, 200), (4, [64], 64, 1000)]:
        found = []
        for _ in range(rounds):
            rust, _ = seconds(side, hidden, batch, iterations, clock, None)
            python, numpy = seconds(side, hidden, batch, iterations, clock, InPython(side, clock))
            found.append((python / (rust + numpy), 1e3 * python, 1e3 * rust, 1e3 * numpy))
        ratio, *times = (statistics.median(column) for column in zip(*found))
        lowest, highest = min(found)[0], max(found)[0]
        print(
            f"{side} x {side} sites, {len(hidden)} x {hidden[0]}, batch {batch}: Python {times[0]:.2f} ms, "
            f"Rust {times[1]:.2f} ms, NumPy {times[2]:.2f} ms; ratio {ratio:.3f} ({lowest:.3f} to {highest:.3f})"
        )


if __name__ == "__main__":
    main()
