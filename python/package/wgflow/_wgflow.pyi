"""Types of the compiled half of the package, whose docstrings say what it does."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

__version__: str

_Experiment = dict[str, Any] | str | os.PathLike[str]
# Objects [batch, sites] to log R [batch].
_Target = Callable[[npt.NDArray[np.int64]], npt.ArrayLike]
# A line of the metrics log to whether to stop.
_Callback = Callable[[dict[str, Any]], Any]

class _Trajectories(TypedDict):
    actions: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int64]
    log_forward: npt.NDArray[np.float64]
    log_backward: npt.NDArray[np.float64]
    log_reward: npt.NDArray[np.float64]

def train(
    config: _Experiment,
    *,
    target: _Target | None = None,
    callback: _Callback | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Run: ...
def config(source: _Experiment) -> dict[str, Any]: ...
def command(arguments: Sequence[str]) -> int: ...

class Run:
    @staticmethod
    def open(path: str | os.PathLike[str], *, target: _Target | None = None) -> Run: ...
    def resume(self, *, callback: _Callback | None = None) -> None: ...
    def sample(self, n: int, *, seed: int = 1) -> npt.NDArray[np.int64]: ...
    def trajectories(self, n: int, *, seed: int = 1) -> _Trajectories: ...
    def evaluate(self, *, samples: int | None = None, seed: int = 1) -> dict[str, Any]: ...
    def log_prob(
        self, objects: npt.ArrayLike, *, trajectories: int | None = None, seed: int = 1
    ) -> npt.NDArray[np.float64]: ...
    @property
    def path(self) -> pathlib.Path: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def metrics(self) -> list[dict[str, Any]]: ...
    @property
    def summary(self) -> dict[str, Any] | None: ...
    @property
    def iteration(self) -> int: ...
    @property
    def engine(self) -> str: ...
    @property
    def policy(self) -> dict[str, npt.NDArray[np.float32]]: ...
