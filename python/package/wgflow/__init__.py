"""wgflow trains Generative Flow Networks (GFlowNets): samplers of discrete distributions that are known up to a
constant.

    import wgflow

    run = wgflow.train("ising-quick")
    run.evaluate()["log_z_estimate"]
    run.sample(1000)

See docs/python.md.
"""

from ._wgflow import Run, __version__, config, train

__all__ = ["Run", "config", "train"]
