"""Asks all peers for the same work by turns, and tells iterations/s and ratios: see run."""

import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys

from works import WORKS, Grid

HERE = pathlib.Path(__file__).parent
# Iterations that a hypergrid is trained for, from the first one on: trajectories change in length as it learns.
GRID_ITERATIONS = 300


def libraries(work):
    return ["torchgfn", "gfnx"] if isinstance(work, Grid) else ["torch", "jax"]


LIBRARIES = ["torch", "jax", "torchgfn", "gfnx"]
PACKAGES = ["torch", "jax", "jaxlib", "optax", "torchgfn", "gfnx", "numpy"]


def arguments():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description="wgflow side by side with its peers")
    parser.add_argument("--rounds", type=whole, default=7, metavar="N", help="turns that each takes [default: 7]")
    parser.add_argument(
        "--seconds", type=float, default=4.0, metavar="S", help="of each measurement, about [default: 4]"
    )
    parser.add_argument(
        "--json", metavar="FILE", type=argparse.FileType("w"), help="also writes all measurements there"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[*WORKS, *LIBRARIES],
        metavar="NAME",
        help=f"this work or this library alone (may be repeated): {', '.join([*WORKS, *LIBRARIES])}",
    )
    parser.add_argument(
        "--threads", type=whole, metavar="N", help="of each library [default: as many as there are cores]"
    )
    parser.add_argument("--wgflow", metavar="PROGRAM", help="a built wgflow, in place of building it")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help=argparse.SUPPRESS)
    found = parser.parse_args()
    if not 0.1 <= found.seconds <= 3600:
        parser.error("--seconds must be 0.1 to 3600")
    if found.threads and found.threads > len(cores()):
        parser.error(f"--threads is {found.threads}, and there are {len(cores())} cores")
    if not found.wgflow or not shutil.which(found.wgflow):
        parser.error(f"--wgflow: there is no program {found.wgflow}")
    return found


def whole(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("must be a whole number, at least 1")
    return int(text)


def cores():
    """Those that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count()))


def environment(threads, device):
    """What gives each library so many threads. (XLA goes by the cores that it may run on.)"""
    settings = dict(os.environ)
    # Waiting threads of PyTorch sleep. Those that spin are faster by themselves and ten times slower beside other work.
    settings.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    settings |= {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads), "PYTHONDONTWRITEBYTECODE": "1"}
    if device == "cpu":
        settings["JAX_PLATFORMS"] = "cpu"
    return settings


class Peer:
    """A process that answers by protocol.py, started when it is first asked."""

    def __init__(self, name, options, settings):
        self.name, self.settings, self.process = name, settings, None
        self.command = [
            sys.executable,
            str(HERE / f"peer_{name}.py"),
            "--device",
            options.device,
            "--wgflow",
            options.wgflow,
        ]

    def ask(self, question):
        if not self.process:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.process = subprocess.Popen(self.command, env=self.settings, text=True, bufsize=1, **pipes)
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"error: {self.name} ended without an answer, with exit code {self.process.wait()}")
        return json.loads(answer)

    def end(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def machine(options, threads):
    processor = platform.processor() or platform.machine()
    information = pathlib.Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in information.read_text().splitlines()
            if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    wgflow = subprocess.run([options.wgflow, "--version"], capture_output=True, text=True, check=True).stdout.split()[
        -1
    ]
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor,
        "cores": len(cores()),
        "threads": threads,
        "device": options.device,
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": os.getloadavg()[0],
        "versions": {"wgflow": wgflow, **versions, "python": platform.python_version()},
    }


def measure(name, names, peers, options):
    """Iterations/s of each library in each round, by turns."""
    rates = {library: [] for library in names}
    for turn in range(options.rounds):
        for library in names:
            question = {"work": name, "seconds": options.seconds}
            if isinstance(WORKS[name], Grid):
                question |= {"iterations": GRID_ITERATIONS, "seed": 1000 * turn}
            rates[library].append(peers[library].ask(question)["iterations_per_second"])
        told = ", ".join(f"{library} {rates[library][-1]:.4g}" for library in names)
        print(f"{name}, round {turn + 1} of {options.rounds}: {told} iterations/s", file=sys.stderr, flush=True)
    return rates


def spread(numbers):
    return "{} ({}..{})".format(*map(short, [statistics.median(numbers), min(numbers), max(numbers)]))


def short(number):
    """Three digits, and all those before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def rows(name, rates):
    """A line of the table for each library; ratios are those of the same round."""
    for library, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["wgflow"], found)]
        yield [WORKS[name].title, library, spread(found), "" if library == "wgflow" else spread(ratios)]


def table(lines):
    head = ["work", "library", "iterations/s", "wgflow / library"]
    widths = [max(map(len, column)) for column in zip(head, *lines)]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths)]
        for line in [head, ["-" * width for width in widths], *lines]
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def main():
    options = arguments()
    threads = options.threads or len(cores())
    about = machine(options, threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[:threads])
    works = [name for name in WORKS if not options.only or name in options.only] or list(WORKS)
    wanted = [name for name in LIBRARIES if not options.only or name in options.only] or LIBRARIES
    peers = {name: Peer(name, options, environment(threads, options.device)) for name in ["wgflow", *LIBRARIES]}
    measured = {}
    for name in works:
        names = [library for library in libraries(WORKS[name]) if library in wanted]
        if names:
            measured[name] = measure(name, ["wgflow", *names], peers, options)
    for peer in peers.values():
        peer.end()
    about["load_after"] = os.getloadavg()[0]
    if not measured:
        sys.exit("error: --only names works and libraries that do not go together")
    print(table([row for name, rates in measured.items() for row in rows(name, rates)]))
    print(f"\nMedians (least..most) of {options.rounds} rounds by turns; ratios within a round.", end=" ")
    print("Start-up, compilation, evaluation and logging left out.")
    print(
        f"Hypergrids: the first {GRID_ITERATIONS} iterations: lengths of trajectories depend on the policy."
    )
    print(
        f"{about['date']}, {about['processor']}, {threads} threads on {about['cores']} cores, {about['device']}, "
        f"{about['system']}, ",
        end="",
    )
    print(f"load {about['load_before']:.1f} before and {about['load_after']:.1f} after")
    print(", ".join(f"{package} {version}" for package, version in about["versions"].items()))
    if options.json:
        works = {name: {"title": WORKS[name].title, "iterations_per_second": rates} for name, rates in measured.items()}
        json.dump({**about, "rounds": options.rounds, "works": works}, options.json, indent=2)


main()
