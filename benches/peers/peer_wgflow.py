"""wgflow itself: the program trains for so many iterations and says how long they took."""

import json
import pathlib
import subprocess
import tempfile

import works
from protocol import Loop, arguments, serve

ARGUMENTS = arguments()
# Everything but iterations is off, but for one line of the log.
QUIET = {
    "training.log_every": 2**31 - 1,
    "training.checkpoint_seconds": 86400,
    "training.iterations": 2**31 - 1,
    "evaluation.every": 0,
}


def linear(work):
    """A model whose log R is linear, in UAI's format: one factor a site, given as logarithms."""
    factors = [f"2 0 {field}" for field in work.field()]
    scopes = [f"1 {site}" for site in range(work.sites)]
    return "\n".join(["MARKOV", str(work.sites), " ".join(["2"] * work.sites), str(work.sites), *scopes, *factors, ""])


class Program(Loop):
    def __init__(self, work):
        self.place = tempfile.TemporaryDirectory()
        self.seed = 1
        settings = dict(QUIET)
        if isinstance(work, works.Grid):
            base = ["--preset", "hypergrid-20x4"]
            settings |= {
                "target.dimensions": work.dimensions,
                "target.height": work.height,
                "target.rewards": list(work.rewards),
            }
        elif work.side:
            base = ["--preset", "ising-paper"]
            settings |= {
                "target.side": work.side,
                "target.coupling": work.coupling,
                "objective.control_variate": "leave_one_out",
            }
        else:
            model = pathlib.Path(self.place.name, "linear.LG")
            model.write_text(linear(work))
            experiment = pathlib.Path(self.place.name, "linear.toml")
            experiment.write_text(
                f'[target]\nkind = "model"\nfile = "{model.name}"\n[policy]\ninitialisation = "fan_in"\n'
            )
            base = [str(experiment)]
        objective = getattr(work, "objective", "trajectory_balance")
        settings |= {"objective.kind": objective, "training.batch": work.batch, "policy.hidden": list(work.hidden)}
        settings |= {
            "optimizer.learning_rate": works.LEARNING_RATE,
            "optimizer.zeta_learning_rate": works.LOG_Z_LEARNING_RATE,
        }
        self.command = [ARGUMENTS.wgflow, "train", *base, "--engine", ARGUMENTS.device]
        for key, value in settings.items():
            self.command += ["--set", f"{key}={json.dumps(value)}"]

    def fresh(self, seed):
        self.seed = seed + 1

    def timed(self, iterations):
        """By the program's own clock, which runs during iterations alone: times.json leaves out start-up, saving and
        evaluations. It is what iterations_per_second of summary.json is made of. A run that is stopped has no summary,
        and no evaluation at the end that would have to be waited for."""
        with tempfile.TemporaryDirectory(dir=self.place.name) as place:
            run = pathlib.Path(place, "run")
            command = [*self.command, "--seed", str(self.seed), "--stop-after", str(iterations), "--out", str(run)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr}")
            times = json.loads((run / "times.json").read_text())
        assert times["iterations"] == iterations
        return times["training_seconds"]


serve(Program)
