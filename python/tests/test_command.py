"""The program `wgflow` that comes with the package."""

import json
import pathlib
import signal
import subprocess
import sys

import numpy as np

import wgflow

PROGRAM = pathlib.Path(sys.executable).with_name("wgflow")


def wgflow_command(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)


def test_the_program_trains_and_evaluates_what_python_opens(out):
    keys = ["training.iterations=50", "training.batch=32", "policy.hidden=[16]", "target.side=3"]
    changes = [word for key in keys for word in ("--set", key)]
    trained = wgflow_command("train", "--preset", "ising-quick", *changes, "--out", out)
    assert trained.returncode == 0, trained.stderr
    evaluated = wgflow_command("evaluate", out, "--json")
    run = wgflow.Run.open(out)
    assert json.loads(evaluated.stdout) == run.evaluate()
    samples = out.with_suffix(".npy")
    assert wgflow_command("sample", out, "-n", 100, "--out", samples).returncode == 0
    assert np.array_equal(np.load(samples), run.sample(100))


def test_exit_codes_are_the_programs():
    for arguments, code in [(["presets"], 0), (["--version"], 0), (["trian"], 2), (["evaluate", "/nowhere"], 2)]:
        assert wgflow_command(*arguments).returncode == code, arguments


def test_ctrl_c_ends_the_program_as_it_does_elsewhere(out):
    command = [PROGRAM, "train", "--preset", "ising-quick", "--json", "--iterations", "100000", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(3):
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "--resume" in said and "Traceback" not in said
