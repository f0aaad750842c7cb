"""A lean loop in PyTorch, eager: roll out, objective, one fused Adam."""

import torch
from torch import nn

import works
from protocol import Loop, arguments, serve

DEVICE = "cuda" if arguments().device == "gpu" else "cpu"


def mlp(inputs, hidden, outputs):
    widths = [inputs, *hidden]
    layers = [part for ends in zip(widths, widths[1:]) for part in (nn.Linear(*ends), nn.SiLU())]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs)).to(DEVICE)


def log_reward(work, x):
    """Of objects [batch, sites] of -1 and 1."""
    if work.side:
        torus = x.view(-1, work.side, work.side)
        return work.coupling * (torus * (torus.roll(1, 1) + torus.roll(1, 2))).sum((1, 2))
    return (x > 0).float() @ torch.tensor(work.field(), device=DEVICE)


class Training(Loop):
    def __init__(self, work):
        self.work = work

    def fresh(self, seed):
        torch.manual_seed(seed)
        self.net = mlp(self.work.sites, self.work.hidden, 2 * self.work.sites)
        self.log_z = nn.Parameter(torch.zeros((), device=DEVICE))
        groups = [
            {"params": self.net.parameters(), "lr": works.LEARNING_RATE},
            {"params": [self.log_z], "lr": works.LOG_Z_LEARNING_RATE},
        ]
        self.adam = torch.optim.Adam(groups, fused=True)

    def logits(self, x, site):
        """The two logits of each row's site."""
        return self.net(x).view(-1, self.work.sites, 2)[torch.arange(len(x), device=DEVICE), site]

    @torch.no_grad()
    def rollout(self):
        """Objects [batch, sites], and states, sites and values [sites x batch, ..] of all steps."""
        batch, sites = self.work.batch, self.work.sites
        rows = torch.arange(batch, device=DEVICE)
        orders = torch.rand(sites, batch, device=DEVICE).argsort(0)
        uniform = torch.rand(sites, batch, device=DEVICE)
        x = torch.zeros(batch, sites, device=DEVICE)
        states = torch.empty(sites, batch, sites, device=DEVICE)
        values = torch.empty_like(orders)
        for step, site in enumerate(orders):
            states[step] = x
            logits = self.logits(x, site)
            values[step] = uniform[step] < (logits[:, 1] - logits[:, 0]).sigmoid()
            x[rows, site] = 2.0 * values[step] - 1
        return x, states.view(-1, sites), orders.view(-1), values.view(-1)

    def loss(self):
        x, states, site, values = self.rollout()
        # All states once more in one pass, with a derivative: faster than one through the rollout. Orders cancel
        # against P_B.
        log_p = self.logits(states, site).log_softmax(1).gather(1, values[:, None])
        log_pf = log_p.view(self.work.sites, -1).sum(0)
        log_w = log_reward(self.work, x) - log_pf
        if self.work.objective == "trajectory_balance":
            return (self.log_z - log_w).square().mean()
        fixed = log_w.detach()
        return ((fixed.mean() - fixed) * log_pf).sum() / (self.work.batch - 1)

    def advance(self, iterations):
        for _ in range(iterations):
            loss = self.loss()
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
        loss.item()


if __name__ == "__main__":
    serve(Training)
