"""Models, their exact answers by enumeration, and files of them in the formats that have no library of their own.

A model is a list of tables of log factors over some of the variables each. Nothing here knows of wgflow.
"""

import json

import dimod
import numpy as np
from scipy.special import logsumexp


class Model:
    """log R(x) = constant + sum of tables; `factors` has pairs of a scope and an array with an axis for each of its variables."""

    def __init__(self, cardinalities, factors=(), constant=0.0):
        self.cardinalities = list(cardinalities)
        self.factors = [(tuple(scope), np.asarray(table, dtype=float)) for scope, table in factors]
        self.constant = constant

    def log_rewards(self):
        """log R of all objects, an axis for each variable."""
        total = np.full(self.cardinalities, self.constant)
        for scope, table in self.factors:
            order = np.argsort(scope)
            shape = [k if v in scope else 1 for v, k in enumerate(self.cardinalities)]
            total = total + np.transpose(table, order).reshape(shape)
        return total

    def given(self, evidence):
        """The model of the objects that agree with values of some variables."""
        fixed = []
        for variable, value in evidence.items():
            allowed = np.full(self.cardinalities[variable], -np.inf)
            allowed[value] = 0.0
            fixed.append(((variable,), allowed))
        return Model(self.cardinalities, self.factors + fixed, self.constant)


def answers(log_rewards):
    """log Z, and the marginals of all variables (none where all objects are forbidden)."""
    log_z = logsumexp(log_rewards)
    if log_z == -np.inf:
        return log_z, None
    probabilities = np.exp(log_rewards - log_z)
    axes = range(log_rewards.ndim)
    return log_z, [probabilities.sum(axis=tuple(a for a in axes if a != axis)) for axis in axes]


def energies(bqm, variables):
    """Energies of all objects by dimod, an axis for each variable, its lower value first."""
    low = -1 if bqm.vartype is dimod.SPIN else 0
    count = len(variables)
    states = np.indices([2] * count).reshape(count, -1).T
    samples = np.where(states == 0, low, 1).astype(np.int8)
    return bqm.energies((samples, list(variables))).reshape([2] * count)


def random_model(rng):
    """Up to 8 variables of 1 to 5 values, factors of up to 4 of them; two thirds have zeros."""
    count = int(rng.integers(1, 9))
    cardinalities = [int(k) for k in rng.integers(1, 6, size=count)]
    zeros = 0.15 if rng.random() < 2 / 3 else 0.0
    factors = []
    for _ in range(int(rng.integers(0, 12))):
        size = int(rng.integers(0, min(count, 4) + 1))
        scope = tuple(int(v) for v in rng.choice(count, size=size, replace=False))
        shape = [cardinalities[v] for v in scope]
        table = rng.normal(0.0, 1.5, size=shape)
        factors.append((scope, np.where(rng.random(shape) < zeros, -np.inf, table)))
    return Model(cardinalities, factors)


def random_bayes(rng):
    """A random network of conditional probabilities, the child last in each scope."""
    count = int(rng.integers(2, 8))
    cardinalities = [int(k) for k in rng.integers(2, 5, size=count)]
    names = [int(v) for v in rng.permutation(count)]
    factors = []
    for place, child in enumerate(names):
        parents = [v for v in names[:place] if rng.random() < 0.4][:3]
        scope = parents + [child]
        table = rng.gamma(0.7, size=[cardinalities[v] for v in scope])
        with np.errstate(divide="ignore"):
            table = np.log(np.where(rng.random(table.shape) < 0.1, 0.0, table / table.sum(axis=-1, keepdims=True)))
        factors.append((scope, table))
    return Model(cardinalities, factors)


def random_bqm(rng, vartype, variables, offset=True):
    """Biases with at most six decimals, as many as dimod's coordinate lists have; variables stay in their order."""
    bias = lambda: round(float(rng.normal()), 4)
    bqm = dimod.BinaryQuadraticModel(vartype)
    bqm.add_linear_from([(v, bias()) for v in variables])
    bqm.add_quadratic_from([(u, v, bias()) for i, u in enumerate(variables) for v in variables[:i] if rng.random() < 0.5])
    bqm.offset = bias() if offset else 0.0
    return bqm


def uai(model, kind="MARKOV", logarithms=False):
    lines = [kind, str(len(model.cardinalities)), " ".join(map(str, model.cardinalities)), str(len(model.factors))]
    lines += [" ".join(map(str, (len(scope), *scope))) for scope, _ in model.factors]
    for _, table in model.factors:
        entries = table.ravel() if logarithms else np.exp(table.ravel())
        lines += [str(entries.size), " ".join(repr(float(entry)) for entry in entries)]
    return "\n".join(lines) + "\n"


def couplings(rng, count):
    """Weights of some of the pairs, by the numbers of both, the smaller first."""
    pairs = [(i, j) for j in range(count) for i in range(j) if rng.random() < 0.6]
    return {pair: float(rng.normal()) for pair in pairs}


def spin_glass(count, weights):
    return f"# random\n{count} {len(weights)}\n" + "".join(f"{i + 1} {j + 1} {w!r}\n" for (i, j), w in weights.items())


def spin_glass_server(count, weights):
    lines = [f"{i + 1} {j + 1} {w!r}\n" for (i, j), w in weights.items()]
    return f"type: ising\nsize: {count}\nname: random\n" + "".join(lines)


def max_cut(count, weights):
    return f"{count} {len(weights)}\n" + "".join(f"{i + 1} {j + 1} {w!r}\n" for (i, j), w in weights.items())


def qubo(bqm):
    linear = [f"{v} {v} {float(bias)!r}\n" for v, bias in bqm.linear.items()]
    quadratic = [f"{min(u, v)} {max(u, v)} {float(bias)!r}\n" for (u, v), bias in bqm.quadratic.items()]
    head = f"c random\np qubo 0 {bqm.num_variables} {len(linear)} {len(quadratic)}\n"
    return head + "".join(linear) + "".join(quadratic)


def bqpjson(bqm, scale):
    """The model whose energy is `scale` times that of a BQM."""
    return json.dumps({
        "version": "1.0.0", "id": 0, "metadata": {}, "variable_ids": list(bqm.variables), "scale": scale,
        "variable_domain": "spin" if bqm.vartype is dimod.SPIN else "boolean", "offset": bqm.offset,
        "linear_terms": [{"id": v, "coeff": bias} for v, bias in bqm.linear.items()],
        "quadratic_terms": [{"id_head": u, "id_tail": v, "coeff": b} for (u, v), b in bqm.quadratic.items()],
    })


ADABMDCA = "-ACDEFGHIKLMNPQRSTVWY"
CCMPRED = "ARNDCQEGHILKMFPSTWYV-"


def random_potts(rng, sites, gap_field):
    """Fields and couplings of 21 letters a site; the last letter has a field if `gap_field`."""
    fields = [rng.normal(size=21) for _ in range(sites)]
    if not gap_field:
        for field in fields:
            field[-1] = 0.0
    pairs = [(i, j) for j in range(sites) for i in range(j)]
    return Model([21] * sites, [((i,), f) for i, f in enumerate(fields)] + [(p, rng.normal(size=(21, 21))) for p in pairs])


def adabmdca(model):
    lines = []
    for scope, table in model.factors:
        for place in np.ndindex(table.shape):
            letters = " ".join(ADABMDCA[value] for value in place)
            kind = "h" if len(scope) == 1 else "J"
            lines.append(f"{kind} {' '.join(map(str, scope))} {letters} {float(table[place])!r}\n")
    return "".join(lines)


def ccmpred(model):
    row = lambda numbers: "\t".join(repr(float(number)) for number in numbers) + "\n"
    text = "".join(row(table[:20]) for scope, table in model.factors if len(scope) == 1)
    for scope, table in model.factors:
        if len(scope) == 2:
            text += f"# {scope[0]} {scope[1]}\n" + "".join(map(row, table))
    return text
