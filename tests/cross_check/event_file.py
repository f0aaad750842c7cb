"""Holds a run's event file against its metrics.jsonl as TensorBoard's own reader sees it, after a kill and a resume.

    python event_file.py path/to/wgflow
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

EXPERIMENT = """
target = { kind = "ising", side = 3, coupling = 0.3 }
policy = { hidden = [16] }
objective = { kind = "alpha_tb", alpha = 0.5 }
training = { iterations = 600, batch = 32, log_every = 2, checkpoint_seconds = 0.1 }
evaluation = { samples = 4096, every = 50 }
engine = { kind = "cpu" }
"""


def numbers(value, tag):
    """Every number of a line's part with its tag; lists are of named objects, or of an object's values, which are no curve."""
    if isinstance(value, (bool, int, float)):
        yield tag, float(value)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from numbers(part, f"{tag}/{key}")
    elif isinstance(value, list):
        for part in value:
            if isinstance(part, dict):
                yield from numbers(part, f"{tag}/{part.get('name', part.get('symmetry'))}")


def logged(run):
    """What metrics.jsonl says: for each tag its steps and values."""
    series = {}
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        step, evaluation = line.pop("iteration"), line.pop("evaluation", None)
        group = "train" if evaluation is None else "evaluation"
        for tag, number in [*numbers(evaluation, "evaluation"), *numbers(line, group)]:
            series.setdefault(tag, []).append((step, number))
    return series


def read(run):
    """The same, by TensorBoard."""
    # Without its usual sampling: every scalar there is.
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    return {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def compare(run):
    found, expected = read(run), logged(run)
    if found.keys() != expected.keys():
        sys.exit(f"error: event file: tags {sorted(found.keys() ^ expected.keys())} are on one side only, in {run}")
    for tag, points in expected.items():
        steps, values = zip(*points)
        # Event files hold numbers in single precision.
        rounded = [float(np.float32(value)) for value in values]
        if found[tag] != list(zip(steps, rounded)):
            sys.exit(f"error: event file: {tag} is {found[tag]}, and {points} in metrics.jsonl")
        if len(set(steps)) != len(steps):
            sys.exit(f"error: event file: {tag} has a step twice")
    return len(expected), sum(map(len, expected.values()))


def main(wgflow):
    with tempfile.TemporaryDirectory() as place:
        run = pathlib.Path(place) / "run"
        (run.parent / "small.toml").write_text(EXPERIMENT)
        training = subprocess.Popen(
            [wgflow, "train", run.parent / "small.toml", "--out", run], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        log, begun = run / "metrics.jsonl", time.monotonic()
        while not (log.exists() and log.read_text().count("\n") > 100):
            if training.poll() is not None or time.monotonic() - begun > 120:
                sys.exit("error: event file: the training ended, or hangs, before it could be killed")
            time.sleep(0.002)
        training.kill()
        training.wait()
        if (run / "summary.json").exists():
            sys.exit("error: event file: the training was finished before it could be killed")
        subprocess.run([wgflow, "train", "--resume", run], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tags, points = compare(run)
        if not {"train/loss", "train/elbo", "evaluation/elbo"} <= logged(run).keys():
            sys.exit("error: event file: tags that every run has are missing")
        print(f"event file, read by TensorBoard after a kill and a resume: {tags} tags, {points} values, as in metrics.jsonl")


if __name__ == "__main__":
    main(sys.argv[1])
