"""torchgfn through its own interface: environment, estimators, sampler and the gflownet of trajectory balance."""

import torch
from gfn.estimators import DiscretePolicyEstimator
from gfn.gflownet import TBGFlowNet
from gfn.gym import HyperGrid
from gfn.preprocessors import KHotPreprocessor
from gfn.samplers import Sampler
from gfn.utils.modules import MLP

import works
from protocol import Loop, arguments, serve

DEVICE = "cuda" if arguments().device == "gpu" else "cpu"


class Training(Loop):
    def __init__(self, work):
        self.work = work
        rewards = dict(zip(["R0", "R1", "R2"], work.rewards))
        self.env = HyperGrid(work.dimensions, work.height, reward_fn_kwargs=rewards, device=DEVICE)

    def fresh(self, seed):
        torch.manual_seed(seed)
        actions, width = self.env.n_actions, self.work.hidden[0]
        inputs = KHotPreprocessor(height=self.work.height, ndim=self.work.dimensions)
        depth = len(self.work.hidden)
        network = MLP(inputs.output_dim, actions, hidden_dim=width, n_hidden_layers=depth, activation_fn="leaky_relu")
        forward = DiscretePolicyEstimator(network, actions, preprocessor=inputs)
        backward = DiscretePolicyEstimator.uniform(actions, preprocessor=inputs)
        self.gflownet = TBGFlowNet(forward, backward).to(DEVICE)
        self.sampler = Sampler(forward)
        groups = [
            {"params": network.parameters(), "lr": works.LEARNING_RATE},
            {"params": self.gflownet.logz_parameters(), "lr": works.LOG_Z_LEARNING_RATE},
        ]
        self.adam = torch.optim.Adam(groups, fused=True)

    def advance(self, iterations):
        for _ in range(iterations):
            # All states once more in one pass, with a derivative: faster than one through the rollout, which
            # `save_logprobs` allows.
            with torch.no_grad():
                trajectories = self.sampler.sample_trajectories(self.env, n=self.work.batch)
            loss = self.gflownet.loss(self.env, trajectories, recalculate_all_logprobs=True)
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
        loss.item()


serve(Training)
