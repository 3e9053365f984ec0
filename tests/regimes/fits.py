"""A fit that asks for everything a regime of per-scene methods has to host, on images of a few pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d

from fusionbench.networks.fitting import SceneFit, Snapshots, Stage, Update


class SceneNet(nn.Module):
    """A layer as large as ``lr`` itself, batch normalisation, and a result."""

    def __init__(self, bands: int = 2, lr_size: Sequence[int] = (4, 4)) -> None:
        super().__init__()
        self.lr_size = tuple(lr_size)
        self.whole = nn.Conv2d(bands, bands, self.lr_size, groups=bands)
        self.mix = nn.Conv2d(bands + 1, bands, 3, padding=1)
        self.norm = nn.BatchNorm2d(bands)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        up = lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return up + self.norm(self.mix(torch.cat([up * self.whole(lr).sigmoid(), guide], 1)))


class Everything(SceneFit):
    """Learned blur and response, a closed-form stage, two optimisers over one set of weights, projections, rollback."""

    last: Any = None

    def __init__(self, steps: int = 4, rate: float = 0.01, poison: int | None = None) -> None:
        self.steps, self.rate, self.poison = steps, rate, poison

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        super().start(network, inputs, facts)
        type(self).last = self
        bands = inputs["lr"].shape[1]
        self.blur = nn.Parameter(torch.full((1, 1, 2, 2), 0.25))
        self.response = nn.Parameter(torch.full((1, bands, 1, 1), 1 / bands))
        self.noise, self.rates, self.losses = torch.zeros(()), [], []
        self.snapshots = Snapshots(network, keep=3)

    def stages(self) -> Sequence[Stage]:
        weights = list(self.network.parameters())
        groups = [{"params": weights}, {"params": [self.blur], "lr": 0.2 * self.rate}]
        self.adam = torch.optim.Adam(groups, lr=self.rate)
        self.angle = torch.optim.SGD(weights, lr=1e-3)
        factor = torch.optim.lr_scheduler.LambdaLR(self.adam, lambda step: 1 - step / 100)
        self.schedule = factor
        return [
            Stage("solve", 0, self._none, begin=self._solve),
            Stage("coupling", self.steps, self._couple),
            Stage("main", 50, self._main, adjust=self._guard, done=lambda step: step + 1 == self.steps),
        ]

    def estimates(self) -> dict[str, Tensor]:
        return {"psf": self.blur[0, 0]}

    def _none(self, step: int) -> Iterator[Update]:
        yield from ()

    def _solve(self) -> None:
        ms, pan = self.inputs["lr"], avg_pool2d(self.inputs["guide"], 2)
        solution = torch.linalg.lstsq(ms.flatten(2)[0].T, pan.flatten(2)[0].T).solution
        self.response.data.copy_(solution.view_as(self.response).clamp(min=1e-3))

    def _couple(self, step: int) -> Iterator[Update]:
        optimizer = torch.optim.SGD([self.blur, self.response], lr=0.01)
        seen = (self.response * self.inputs["lr"]).sum(1, keepdim=True)
        loss = (seen - conv2d(self.inputs["guide"], self.blur, stride=2)).abs().sum()
        yield Update(optimizer, loss)
        self.blur.data.clamp_(min=0).div_(self.blur.data.sum())  # the kernel sums to one

    def _main(self, step: int) -> Iterator[Update]:
        if step % 2 == 0:  # inputs are refreshed every other step
            self.noise = 0.01 * torch.randn_like(self.inputs["guide"])
        found = self.network(self.inputs["lr"], self.inputs["guide"] + self.noise)
        loss = (avg_pool2d(found, 2) - self.inputs["lr"]).square().sum()
        if step == self.poison:
            loss = loss * torch.nan
        self.losses.append(float(loss.detach()))
        self.rates.append([group["lr"] for group in self.adam.param_groups])
        yield Update(self.adam, loss, {"spectral": loss})
        self.schedule.step()
        if step % 2 == 1:
            found = self.network(**self.inputs)
            yield Update(self.angle, (found.mean(1, keepdim=True) - self.inputs["guide"]).square().mean())

    def _guard(self, update: Update) -> None:
        if update.optimizer is self.adam:
            self.snapshots.save(len(self.losses))
        if len(self.losses) == self.steps:
            self.snapshots.restore(self.snapshots.oldest)
