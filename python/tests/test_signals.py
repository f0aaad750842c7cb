"""Ctrl-C, in a process of its own."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from conftest import ising

import wgflow

# Says when it trains, and what came of it.
PROGRAM = """
    import os, signal, sys, time
    import numpy as np
    sys.path.insert(0, {tests!r})
    from conftest import built_in, experiment, ising
    import wgflow

    def told(line):
        print("trains", flush=True)

    try:
        {train}
        print("ended", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""

BUILT_IN = """wgflow.train(built_in(training={{"iterations": 10**6}}), callback=told, out={out!r})"""
OWN = """wgflow.train(experiment(training={{"iterations": 10**6}}), target=ising, callback=told, out={out!r})"""
# A target that hangs: the interpreter is in it when the signal comes.
HANGS = """wgflow.train(experiment(), target=lambda x: told(x) or time.sleep(60), out={out!r})"""


@pytest.mark.parametrize("train", [BUILT_IN, OWN, HANGS])
def test_ctrl_c_saves_and_raises(out, train):
    train = train.format(out=str(out))
    program = textwrap.dedent(PROGRAM).format(tests=os.path.dirname(__file__), train=train)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        # The tenth line is some iterations in; the target that hangs never gets to a second.
        for _ in range(1 if "sleep" in train else 10):
            assert process.stdout.readline() == "trains\n"
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert said.splitlines()[-1] == "interrupted" and process.returncode == 0
    run = wgflow.Run.open(out, target=ising if "target=" in train else None)
    done = run.iteration
    assert done == 0 if "sleep" in train else done > 0
    # What was saved is whole, and the run goes on.
    run.resume(callback=lambda line: line["iteration"] > done)
    assert run.iteration > done
