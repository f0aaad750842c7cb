"""Training from Python: targets, callbacks, exceptions, resuming."""

import threading
import time

import numpy as np
import pytest
from conftest import built_in, exact_log_z, experiment, ising

import wgflow


def test_a_built_in_target_finds_the_exact_log_z(out):
    run = wgflow.train(built_in(), out=out)
    found = run.evaluate()
    assert found["log_z_exact"] == pytest.approx(exact_log_z(), abs=1e-9)
    assert abs(found["log_z_estimate"] - exact_log_z()) < 5 * found["log_z_standard_error"] + 1e-9
    assert found["exact"]["total_variation"] < 0.15
    assert run.summary["iterations"] == run.iteration == 200


def test_a_function_trains_as_the_built_in_target_does(out):
    shapes = set()

    def target(objects):
        assert objects.dtype == np.int64 and objects.flags.c_contiguous
        shapes.add(objects.shape)
        return ising(objects)

    run = wgflow.train(experiment(), target=target, out=out)
    found = run.evaluate()
    assert (64, 9) in shapes, "a batch comes in one call"
    assert found["log_z_exact"] == pytest.approx(exact_log_z(), abs=1e-9)
    assert abs(found["log_z_estimate"] - exact_log_z()) < 5 * found["log_z_standard_error"] + 1e-9
    # What stays on the disk needs the function again, and is then the same.
    with pytest.raises(ValueError, match="target.kind"):
        wgflow.Run.open(out)
    again = wgflow.Run.open(out, target=ising)
    assert np.array_equal(again.sample(100, seed=3), run.sample(100, seed=3))


@pytest.mark.parametrize(
    "result",
    [lambda x: list(ising(x)), lambda x: ising(x).astype(np.float32), lambda x: np.repeat(ising(x), 2)[::2]],
)
def test_any_list_of_numbers_is_taken(out, result):
    run = wgflow.train(experiment(training={"iterations": 2}), target=result, out=out)
    assert run.iteration == 2


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (lambda x: ising(x)[1:], ValueError, "63 log-rewards for a batch of 64"),
        (lambda x: ising(x)[:, None], ValueError, r"shape \(64, 1\)"),
        (lambda x: "nothing", ValueError, "nothing"),
        (lambda x: np.full(len(x), np.nan), RuntimeError, "log R is NaN"),
    ],
)
def test_what_no_log_reward_is_ends_the_training(out, result, error, words):
    with pytest.raises(error, match=words):
        wgflow.train(experiment(), target=result, out=out)


class Own(Exception):
    pass


def test_exceptions_of_a_target_come_through_and_the_run_goes_on(out):
    calls = []

    def failing(objects):
        calls.append(len(objects))
        if len(calls) == 50:
            raise Own("mine")
        return ising(objects)

    with pytest.raises(Own, match="mine"):
        wgflow.train(experiment(), target=failing, out=out)
    assert len(calls) == 50, "nothing is called after an exception"
    run = wgflow.Run.open(out, target=ising)
    assert 0 < run.iteration < 200
    run.resume()
    assert run.iteration == 200 and run.summary is not None


def test_a_callback_sees_metrics_and_stops(out):
    seen = []

    def callback(line):
        seen.append(line)
        return line["iteration"] >= 50

    run = wgflow.train(built_in(), callback=callback, out=out)
    assert [line["iteration"] for line in seen] == [0, 10, 20, 30, 40, 50]
    assert all(isinstance(line["elbo"], float) for line in seen)
    assert run.iteration == 51 and run.summary is None and run.metrics == seen


def test_exceptions_of_a_callback_come_through(out):
    def callback(line):
        raise Own(line["iteration"])

    with pytest.raises(Own, match="0"):
        wgflow.train(built_in(), callback=callback, out=out)
    assert wgflow.Run.open(out).iteration == 1


def test_a_run_resumes_to_the_same_bits(out, tmp_path):
    whole = wgflow.train(built_in(), out=tmp_path / "whole")
    wgflow.train(built_in(), callback=lambda line: line["iteration"] >= 100, out=out)
    run = wgflow.Run.open(out)
    assert run.iteration == 101
    run.resume()
    assert run.iteration == 200
    assert whole.policy.keys() == run.policy.keys() and len(run.policy) == 6
    assert all(np.array_equal(run.policy[name], whole.policy[name]) for name in whole.policy)


def test_a_run_is_not_used_from_its_own_callback(out):
    run = wgflow.train(built_in(), callback=lambda line: True, out=out)
    seen = []

    def callback(line):
        seen.append(run.metrics[-1]["iteration"])
        run.sample(1)

    with pytest.raises(RuntimeError, match="another call"):
        run.resume(callback=callback)
    assert seen == [10], "the directory can be asked all the same"


def test_other_threads_run_meanwhile(out):
    count, ended = 0, threading.Event()

    def work():
        nonlocal count
        while not ended.is_set():
            count += 1
            time.sleep(0.001)

    seen = []
    thread = threading.Thread(target=work)
    thread.start()
    try:
        wgflow.train(
            built_in(policy={"hidden": [256, 256]}, training={"iterations": 100, "batch": 512}),
            callback=lambda line: seen.append(count),
            out=out,
        )
    finally:
        ended.set()
        thread.join()
    # Between two lines of the log there is nothing but Rust.
    assert len(seen) > 5 and all(later > earlier for earlier, later in zip(seen, seen[1:]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"batch": 0}}, "training.batch"),
        ({"training": {"bach": 1}}, "bach"),
        ({"policy": {"hidden": ["wide"]}}, "policy.hidden"),
        ({"optimizer": {"learning_rate": object()}}, "optimizer.learning_rate"),
        ({"target": {"sites": 0}}, "target.sites"),
        ({"target": {"side": 3}}, "side"),
    ],
)
def test_a_bad_experiment_is_refused_by_key(out, changes, words):
    with pytest.raises(ValueError, match=words):
        wgflow.train(experiment(**changes), target=ising, out=out)
    assert not out.exists()


def test_experiments_are_dicts_files_and_presets(tmp_path):
    preset = wgflow.config("ising-quick")
    assert preset["target"] == {"kind": "ising", "side": 8, "coupling": pytest.approx(0.44, abs=1e-2)}
    assert wgflow.config(preset) == preset
    file = tmp_path / "small.toml"
    file.write_text("[target]\nkind = 'ising'\nside = 3\ncoupling = 0.3\n")
    for path in (file, str(file)):
        assert wgflow.config(path)["target"]["side"] == 3
    numbers = {"target": {"kind": "ising", "side": np.int32(3), "coupling": np.float32(0.25)}, "seed": None}
    assert wgflow.config(numbers)["target"] == {"kind": "ising", "side": 3, "coupling": 0.25}
    with pytest.raises(ValueError, match="there is no preset"):
        wgflow.config("nothing")
    with pytest.raises(ValueError, match="nothing.toml"):
        wgflow.config("nothing.toml")


def test_a_function_and_a_target_of_the_experiment_exclude_each_other(out):
    with pytest.raises(ValueError, match="kind"):
        wgflow.train(built_in(), target=ising, out=out)
    with pytest.raises(ValueError, match="target="):
        wgflow.train(experiment(), out=out)
    assert not out.exists()
