"""Holds `wgflow exact` against other implementations: enumeration by NumPy, energies by dimod, contraction by opt_einsum.

    python check.py path/to/wgflow

writes random models of every format to a temporary directory, some of them by the library that the format is of, and compares log Z,
marginals and log R of single objects. Fails at the first difference, and if a format that wgflow knows was not compared.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import dimod
import numpy as np
import opt_einsum
import scipy.sparse
from dimod.serialization import coo

import models
from models import Model, answers, energies

# Sums of up to a few thousand roundings of numbers of order 10.
TOLERANCE = 1e-9


class Check:
    def __init__(self, wgflow, place):
        self.wgflow, self.place = wgflow, pathlib.Path(place)
        self.counts = collections.defaultdict(collections.Counter)
        self.files = 0

    def write(self, content, suffix):
        self.files += 1
        path = self.place / f"{self.files}{suffix}"
        path.write_text(content)
        return path

    def exact(self, path, *arguments):
        command = [self.wgflow, "exact", str(path), "--json", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"error: {' '.join(command)}: exit code {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def close(self, kind, what, path, found, expected):
        found = -np.inf if found is None else found
        far = found != expected and not abs(found - expected) <= TOLERANCE * max(1.0, abs(expected))
        if far:
            content = path.read_text() if path.suffix != ".npz" else ""
            sys.exit(f"error: {kind}: {what} is {found!r}, and {expected!r} by the other implementation, for {path}:\n{content[:3000]}")
        self.counts[kind][what.split(" of ")[0]] += 1

    def marginals(self, kind, path, found, expected, letters=None):
        """Of all variables, in the order of the file; `letters` names values that are no numbers."""
        if len(found) != len(expected):
            sys.exit(f"error: {kind}: {len(found)} variables, not {len(expected)}, in {path}")
        for one, probabilities in zip(found, expected):
            names = letters or sorted(one["probabilities"], key=int)
            if len(names) != len(probabilities):
                sys.exit(f"error: {kind}: variable {one['variable']} has the values {names} in {path}")
            for name, probability in zip(names, probabilities):
                what = f"a probability of {one['variable']} = {name}"
                self.close(kind, what, path, one["probabilities"][name], probability)

    def model(self, kind, path, log_rewards, *arguments, letters=None):
        """A model whose log R is known for all objects."""
        found = self.exact(path, "--format", kind, *arguments)
        log_z, marginals = answers(log_rewards)
        self.close(kind, "log Z", path, found["log_z"], log_z)
        if marginals is None:
            if found["marginals"] is not None:
                sys.exit(f"error: {kind}: marginals where all objects are forbidden, in {path}")
        else:
            self.marginals(kind, path, found["marginals"], marginals, letters)

    def results(self, kind, path, log_rewards, *arguments):
        """The files of the UAI competitions."""
        log_z, marginals = answers(log_rewards)
        pr, mar = path.with_suffix(".PR"), path.with_suffix(".MAR")
        self.exact(path, "--pr", pr, *([] if marginals is None else ["--mar", mar]), *arguments)
        head, number = pr.read_text().split()
        self.close(kind, f"log10 Z of {head}", path, float(number), log_z / np.log(10.0))
        if marginals is not None:
            head, count, *numbers = mar.read_text().split()
            expected = [number for values in marginals for number in (len(values), *values)]
            if (head, int(count), len(numbers)) != ("MAR", len(marginals), len(expected)):
                sys.exit(f"error: {mar} has {head} {count} and {len(numbers)} numbers")
            for found, number in zip(numbers, expected):
                self.close(kind, "a number of MAR", path, float(found), number)

    def single_objects(self, kind, path, log_rewards, rng, *arguments):
        """log R of two objects: log Z where all variables are given."""
        for _ in range(2):
            values = [int(rng.integers(k)) for k in log_rewards.shape]
            evidence = self.write(evid(dict(enumerate(values)), older=False), ".evid")
            found = self.exact(path, "--format", kind, "--evidence", evidence, *arguments)
            self.close(kind, f"log R of {values}", path, found["log_z"], log_rewards[tuple(values)])


def evid(evidence, older):
    pairs = " ".join(f"{variable} {value}" for variable, value in evidence.items())
    return ("1\n" if older else "") + f"{len(evidence)} {pairs}\n"


def factor_graphs(check, rng, count):
    """Mixed numbers of values and zeros; half of the models with evidence, in one form or the other."""
    zeros = 0
    for number in range(count):
        model = models.random_model(rng)
        logarithms = number % 4 == 3
        kind = "uai_log" if logarithms else "uai"
        path = check.write(models.uai(model, logarithms=logarithms), ".LG" if logarithms else ".uai")
        arguments = []
        if number % 2 == 0:
            given = {v: int(rng.integers(k)) for v, k in enumerate(model.cardinalities) if rng.random() < 0.3}
            arguments = ["--evidence", check.write(evid(given, older=number % 4 == 0), ".evid")]
            model = model.given(given)
        log_rewards = model.log_rewards()
        zeros += bool(np.isneginf(log_rewards).any())
        check.model(kind, path, log_rewards, *arguments)
        if number % 10 == 0:
            check.results(kind, path, log_rewards, *arguments)
        if number % 10 == 1:
            check.single_objects(kind, path, log_rewards, rng)
    if zeros < count // 4:
        sys.exit(f"error: only {zeros} of {count} models had forbidden objects")


def bayes(check, rng):
    for _ in range(20):
        model = models.random_bayes(rng)
        path = check.write(models.uai(model, kind="BAYES"), ".uai")
        log_rewards = model.log_rewards()
        check.model("uai", path, log_rewards)
        # Conditional probabilities add up to 1, but for what was set to zero.
        given = {0: int(rng.integers(model.cardinalities[0]))}
        evidence = check.write(evid(given, older=True), ".evid")
        check.model("uai", path, model.given(given).log_rewards(), "--evidence", evidence)


def pairwise(check, rng):
    """Spin glasses, cuts and quadratic models; beta is not 1. Energies are dimod's."""
    for _ in range(8):
        beta = round(float(rng.uniform(0.2, 2.0)), 3)
        count = int(rng.integers(2, 9))
        weights = models.couplings(rng, count)
        glass = dimod.BinaryQuadraticModel({v: 0.0 for v in range(count)}, {p: -w for p, w in weights.items()}, 0.0, "SPIN")
        matrix = scipy.sparse.csr_array(matrix_of(count, weights))
        sparse = check.place / f"{check.files}-{count}.npz"
        scipy.sparse.save_npz(sparse, matrix, compressed=bool(rng.integers(2)))
        log_rewards = -beta * energies(glass, range(count))
        # A cut edge has spins whose product is -1.
        cuts = 0.5 * (sum(weights.values()) + energies(glass, range(count)))
        spins = models.random_bqm(rng, "SPIN", list(range(count)))
        binary = models.random_bqm(rng, "BINARY", [str(v) for v in range(count)])
        plain = models.random_bqm(rng, "BINARY", list(range(count)), offset=False)
        apart = models.random_bqm(rng, rng.choice(["SPIN", "BINARY"]), [3 * v + 2 for v in range(count)], offset=False)
        of = lambda bqm: -beta * energies(bqm, bqm.variables)
        scale = round(float(rng.uniform(0.5, 3.0)), 3)
        cases = [
            ("spin_glass", check.write(models.spin_glass(count, weights), ".sg"), log_rewards),
            ("spin_glass_server", check.write(models.spin_glass_server(count, weights), ""), log_rewards),
            ("scipy_sparse", sparse, log_rewards),
            ("max_cut", check.write(models.max_cut(count, weights), ".mc"), beta * cuts),
            ("qubo", check.write(models.qubo(plain), ".qubo"), of(plain)),
            ("dimod_coo", check.write(coo.dumps(apart, vartype_header=True), ".coo"), of(apart)),
            ("dimod_json", check.write(json.dumps(spins.to_serializable(use_bytes=False)), ".json"), of(spins)),
            ("dimod_json", check.write(json.dumps(binary.to_serializable(use_bytes=False)), ".json"), of(binary)),
            ("bqpjson", check.write(models.bqpjson(spins, scale), ".json"), scale * of(spins)),
            ("bqpjson", check.write(models.bqpjson(plain, scale), ".json"), scale * of(plain)),
        ]
        for kind, path, expected in cases:
            check.model(kind, path, expected, "--beta", beta)
            check.single_objects(kind, path, expected, rng, "--beta", beta)


def matrix_of(count, weights):
    matrix = np.zeros((count, count))
    for (i, j), weight in weights.items():
        matrix[i, j] = weight
    return matrix


def potts(check, rng):
    for sites in [2, 3]:
        model = models.random_potts(rng, sites, gap_field=True)
        path = check.write(models.adabmdca(model), ".dat")
        check.model("adabmdca", path, model.log_rewards(), letters=models.ADABMDCA)
        check.single_objects("adabmdca", path, model.log_rewards(), rng)
        model = models.random_potts(rng, sites, gap_field=False)
        path = check.write(models.ccmpred(model), ".raw")
        check.model("ccmpred", path, model.log_rewards(), letters=models.CCMPRED)
        check.single_objects("ccmpred", path, model.log_rewards(), rng)


def cubic_graph(rng, count):
    """A random graph all of whose vertices have three neighbours: matchings of thirds of edges until one is simple."""
    while True:
        ends = rng.permutation(np.repeat(np.arange(count), 3)).reshape(-1, 2)
        pairs = {(int(min(pair)), int(max(pair))) for pair in ends}
        if len(pairs) == len(ends) and all(i != j for i, j in pairs):
            return sorted(pairs)


def large_spin_glass(check, rng):
    """60 spins on a 3-regular graph, couplings of both signs: far beyond enumeration, contracted by opt_einsum."""
    count = 60
    weights = {pair: float(rng.normal()) for pair in cubic_graph(rng, count)}
    signs = {weight > 0.0 for weight in weights.values()}
    if signs != {True, False}:
        sys.exit("error: couplings have one sign only")
    path = check.write(models.spin_glass(count, weights), ".sg")
    product = np.array([[1.0, -1.0], [-1.0, 1.0]])
    operands = [part for (i, j), w in weights.items() for part in (np.exp(w * product), (i, j))]
    found = check.exact(path, "--format", "spin_glass")
    total = float(opt_einsum.contract(*operands, (), optimize="greedy"))
    check.close("spin_glass", "log Z of 60 spins", path, found["log_z"], np.log(total))
    # A field on the first spin; without one all marginals are halves.
    field = np.exp([-0.7, 0.7])
    factors = [((0,), np.log(field))] + [(pair, w * product) for pair, w in weights.items()]
    path = check.write(models.uai(Model([2] * count, factors), "MARKOV"), ".uai")
    found = check.exact(path, "--format", "uai")
    of = [opt_einsum.contract(*operands, field, (0,), (v,), optimize="greedy") for v in range(count)]
    check.close("uai", "log Z of 60 spins", path, found["log_z"], np.log(of[0].sum()))
    check.marginals("uai", path, found["marginals"], [both / both.sum() for both in of])


def known_formats(wgflow):
    refused = subprocess.run([wgflow, "exact", "x", "--format", "?"], capture_output=True, text=True).stderr
    return re.search("must be one of ([a-z_, ]+)", refused).group(1).split(", ")


def main():
    wgflow = sys.argv[1]
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as place:
        check = Check(wgflow, place)
        factor_graphs(check, rng, 200)
        bayes(check, rng)
        pairwise(check, rng)
        potts(check, rng)
        large_spin_glass(check, rng)
    print("wgflow exact against NumPy, SciPy, dimod and opt_einsum, numbers compared:")
    for kind in known_formats(wgflow):
        counts = check.counts[kind]
        print(f"  {kind:18} log Z {counts['log Z']:4}   probabilities {counts['a probability']:5}   log R {counts['log R']:4}")
        if kind == "uai" and 0 in (counts["log10 Z"], counts["a number"]):
            sys.exit("error: no result files were compared")
        if 0 in (counts["log Z"], counts["a probability"], counts["log R"]):
            sys.exit(f"error: nothing was compared for the format {kind}")


if __name__ == "__main__":
    main()
