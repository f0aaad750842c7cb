"""How a peer is asked: a JSON object a line on standard input, one back on standard output.

    {"work": "sites", "seconds": 3}         ->  {"iterations": 120, "seconds": 3.02, "iterations_per_second": 39.7}
    {"work": "grid-8x2", "seconds": 3, "iterations": 300, "seed": 2}  ->  the same

With `iterations`, it is trainings of so many iterations, each from a fresh policy; without, one training goes on.

A peer stays alive between questions and sleeps meanwhile. What it has to do once for a work (imports, compilation) it
does before the clock starts, when it is first asked for that work.
"""

import argparse
import json
import os
import sys
import time

from works import WORKS


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--wgflow", help="the program (wgflow alone)")
    return parser.parse_args()


class Loop:
    """A training. Peers say what `fresh` and `advance` do; `advance` returns when all of it has been computed."""

    def fresh(self, seed):
        raise NotImplementedError

    def advance(self, iterations):
        raise NotImplementedError

    def timed(self, iterations):
        """Seconds of so many more iterations."""
        begun = time.perf_counter()
        self.advance(iterations)
        return time.perf_counter() - begun


def warm(loop):
    """Iterations a second, roughly, once all is compiled and all caches are filled."""
    loop.fresh(0)
    loop.timed(2)
    iterations = 2
    while (seconds := loop.timed(iterations)) < 0.3:
        iterations *= 2
    return iterations / seconds


def serve(make):
    """Answers until there are no more questions. `make` makes a loop of a work."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    loops, rates = {}, {}
    for line in sys.stdin:
        question = json.loads(line)
        work = question["work"]
        if work not in loops:
            loops[work] = make(WORKS[work])
            rates[work] = warm(loops[work])
        loop, least = loops[work], question["seconds"]
        if "iterations" in question:
            iterations, seconds, seed = 0, 0.0, question["seed"]
            while seconds < least:
                loop.fresh(seed)
                seconds += loop.timed(question["iterations"])
                iterations, seed = iterations + question["iterations"], seed + 1
        else:
            iterations = max(1, round(rates[work] * least))
            seconds = loop.timed(iterations)
        rates[work] = iterations / seconds
        answer = {"iterations": iterations, "seconds": seconds, "iterations_per_second": rates[work]}
        print(json.dumps(answer), file=answers, flush=True)
