"""What a run tells: samples, log-probabilities, tensors; and the forward pass of its policy once more, in NumPy."""

import numpy as np
import pytest
import side_by_side
from conftest import all_objects, built_in, experiment, ising

import wgflow

ORDERS = ["uniform", "fixed", "learned"]


def trained(out, order, **tables):
    return wgflow.train(built_in(policy={"order": order}, training={"iterations": 60}, **tables), out=out)


@pytest.mark.parametrize("order", ORDERS)
def test_log_probabilities_are_exact_where_they_say_so(out, order):
    run = trained(out, order)
    objects = all_objects(9)
    found = run.log_prob(objects)
    assert found.shape == (512,) and np.exp(found).sum() == pytest.approx(1, abs=1e-4)
    # In the fixed order the number of trajectories makes no difference; elsewhere the estimate comes close.
    estimate = run.log_prob(objects, trajectories=256)
    assert np.abs(estimate - found).max() < (1e-6 if order == "fixed" else 0.2)


def test_samples_have_the_log_probabilities_they_are_said_to_have(out):
    run = trained(out, "uniform")
    samples = run.sample(20_000, seed=7)
    assert samples.shape == (20_000, 9) and set(np.unique(samples)) == {0, 1}
    number = samples @ (2 ** np.arange(9)[::-1])
    shares = np.bincount(number, minlength=512) / 20_000
    expected = np.exp(run.log_prob(all_objects(9)))
    # Six standard errors of each, and one count for those that hardly ever come.
    assert (np.abs(shares - expected) < 6 * np.sqrt(expected / 20_000) + 1 / 20_000).all()
    assert np.array_equal(samples, run.sample(20_000, seed=7))
    assert not np.array_equal(samples, run.sample(20_000, seed=8))


def test_objects_that_are_none_are_refused(out):
    run = trained(out, "fixed")
    assert run.log_prob(np.zeros((2, 9), dtype=np.uint8)).shape == (2,)
    assert run.log_prob([[0, 1] * 4 + [1]]).shape == (1,)
    with pytest.raises(TypeError, match="integers"):
        run.log_prob(np.zeros((2, 9)))
    refused = [(np.zeros((2, 8), int), r"\(2, 8\)"), (np.full((1, 9), 2), "value 2"), ([[-1] * 9], "value -1")]
    for objects, words in refused:
        with pytest.raises(ValueError, match=words):
            run.log_prob(objects)
    for call in (lambda: run.sample(0), lambda: run.sample(2**24 + 1), lambda: run.log_prob([[0] * 9], trajectories=0)):
        with pytest.raises(ValueError, match="must be"):
            call()


def test_tensors_have_names_and_shapes(out):
    run = wgflow.train(experiment(training={"iterations": 1}), target=ising, out=out)
    shapes = {name: tensor.shape for name, tensor in run.policy.items()}
    assert shapes == {
        "policy.0.weight": (32, 18),
        "policy.0.bias": (32,),
        "policy.2.weight": (32, 32),
        "policy.2.bias": (32,),
        "policy.4.weight": (18, 32),
        "policy.4.bias": (18,),
    }
    assert all(tensor.dtype == np.float32 for tensor in run.policy.values())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "swish", "elu", "tanh"])
@pytest.mark.parametrize("is_own", [False, True])
def test_numpy_reproduces_log_p_f(out, order, activation, is_own):
    tables = {"policy": {"order": order, "activation": activation}, "training": {"iterations": 30}}
    config = experiment(**tables) if is_own else built_in(**tables)
    run = wgflow.train(config, target=ising if is_own else None, out=out)
    found = run.trajectories(1000)
    assert found["actions"].shape == (1000, 9) and found["log_forward"].shape == (1000,)
    assert np.array_equal(found["objects"], run.sample(1000))
    assert np.abs(found["log_reward"] - ising(found["objects"])).max() < 1e-9
    network = side_by_side.in_numpy(run.policy, activation)
    expected = side_by_side.log_forward(network, run.policy, run.config, found["actions"])
    assert np.abs(found["log_forward"] - expected).max() < 1e-5
