import pathlib
import sys

import numpy as np
import pytest

# The examples are tested too.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "examples"))

COUPLING = 0.3


def ising(objects):
    """log R of 3 x 3 spins on a torus, as wgflow's own target of side 3."""
    spins = (2 * objects - 1).reshape(-1, 3, 3)
    return COUPLING * sum((spins * np.roll(spins, 1, axis)).sum((1, 2)) for axis in (1, 2))


def all_objects(sites, values=2):
    """Every object, [values^sites, sites]."""
    return np.stack(np.unravel_index(np.arange(values**sites), (values,) * sites), axis=1)


def exact_log_z():
    return np.logaddexp.reduce(ising(all_objects(9)))


def experiment(**tables):
    """A small training on 3 x 3 spins, its tables updated by those given."""
    config = {
        "target": {"kind": "own", "sites": 9, "values": 2},
        "policy": {"hidden": [32, 32], "initialisation": "fan_in"},
        "training": {"iterations": 200, "batch": 64, "log_every": 10},
        "optimizer": {"learning_rate": 4e-3},
        "engine": {"kind": "cpu"},
    }
    for name, table in tables.items():
        config[name] = {**config.get(name, {}), **table}
    return config


def built_in(**tables):
    """The same on wgflow's own Ising model."""
    config = experiment(**tables)
    config["target"] = {"kind": "ising", "side": 3, "coupling": COUPLING}
    return config


@pytest.fixture
def out(tmp_path) -> pathlib.Path:
    return tmp_path / "run"
