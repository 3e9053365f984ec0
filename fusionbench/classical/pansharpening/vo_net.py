"""VO+Net: a variational model with local gains of PAN, pulled to the result of a trained network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fusionbench.classical.pansharpening.base import Pansharpening, per_band
from fusionbench.errors import ConfigError
from fusionbench.imaging import mtf_filter, mtf_kernel
from fusionbench.imaging.mtf import SIZE

LEAST = 1e-6  # of blurred PAN, in the denominator of its local gain


class VONet(Pansharpening):
    """The image whose blurred and decimated form is the MS, that is its blurred form times PAN's local gain.

    Minimises |S B x - y|^2 / 2 + lambda |x - tau B x|^2 + alpha |w (x - prior)|^2 over x in [0, 1] by ADMM: B the MTF,
    S the decimation, tau PAN over blurred PAN, w how well the prior, blurred, agrees with the MS. On the area grid the
    MS is first interpolated to where the dlpan grid has its samples.

    Args:
        strength: lambda.
        eta1, eta2: penalties of the two splittings.
        alpha: of the prior; without one there is no such term.
        iterations, tolerance: at most so many; until the relative change of x is below.
        prior: a trained method, ``forward(lr, guide)`` [N,B,H,W]; None: none.

    Source: Wu, Huang, Deng, Hu, Vivone, VO+Net: an adaptive approach using variational optimization and deep learning
    for panchromatic sharpening, IEEE TGRS 60, 2022.
    """

    def __init__(
        self,
        ratio: int = 4,
        grid: str = "dlpan",
        gains: Sequence[float] | None = None,
        pan_gain: float | None = None,
        strength: float = 0.0013,
        eta1: float = 0.04,
        eta2: float = 0.03,
        alpha: float = 1e-4,
        iterations: int = 200,
        tolerance: float = 2e-5,
        prior: nn.Module | None = None,
    ) -> None:
        super().__init__(ratio, grid, gains, pan_gain)
        for name, value, least in (
            ("strength", strength, 0),
            ("alpha", alpha, 0),
            ("eta1", eta1, 1e-12),
            ("eta2", eta2, 1e-12),
        ):
            if value < least:
                raise ConfigError(f"model.module.method.{name}={value}: not below {least}")
        self.strength, self.eta1, self.eta2, self.alpha = strength, eta1, eta2, alpha
        self.iterations, self.tolerance = iterations, tolerance
        self.prior = prior

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        gain = self._local_gain(exp, pan)
        goal, weight = torch.zeros_like(exp), torch.zeros_like(exp)
        if self.prior is not None:
            goal = self.prior(ms.float(), pan.float()).to(exp)
            disagreement = (mtf_filter(goal, self.gains, self.ratio) - exp).abs()
            weight = 2 * self.alpha * (1 - disagreement * gain).abs()
        return torch.cat(
            [self._minimum(*image) for image in zip(*(x.split(1) for x in (exp, gain, goal, weight)), strict=True)]
        )

    def _local_gain(self, exp: Tensor, pan: Tensor) -> Tensor:
        """tau [N,B,H,W]: PAN with each band's mean and deviation, over its blurred form."""
        deviation, mean = torch.std_mean(
            exp[..., self._start :: self.ratio, self._start :: self.ratio], (-2, -1), keepdim=True
        )
        pan_deviation, pan_mean = torch.std_mean(pan, (-2, -1), keepdim=True)
        matched = per_band(pan - pan_mean, exp) * (deviation / pan_deviation.clamp_min(LEAST)) + mean
        # published for PAN with 41 in place of 40 samples per unit of frequency: the same filter at another gain
        pan_gain = self.pan_gain ** (((SIZE - 1) / SIZE) ** 2)
        return matched / mtf_filter(matched, pan_gain, self.ratio).clamp_min(LEAST)

    @property
    def _start(self) -> int:
        """First PAN row and column that an MS sample is taken to lie on."""
        return self.ratio // 2

    def _minimum(self, exp: Tensor, gain: Tensor, goal: Tensor, weight: Tensor) -> Tensor:
        sides = exp.shape[-2:]
        response = self._response(exp)
        known, mask = torch.zeros_like(exp), torch.zeros_like(exp)
        picked = (..., slice(self._start, None, self.ratio), slice(self._start, None, self.ratio))
        known[picked], mask[picked] = exp[picked], 1.0
        pull = 2 * self.strength * gain
        x, u, v, t1, t2 = exp, *(torch.zeros_like(exp) for _ in range(4))
        for _ in range(self.iterations):
            plain = torch.fft.rfft2(pull * u + self.eta2 * v - t2)
            blurred = torch.fft.rfft2(self.eta1 * u - t1) * response.conj()
            spectrum = (plain + blurred) / (self.eta1 * response.abs().square() + 2 * self.strength + self.eta2)
            last, x = x, torch.fft.irfft2(spectrum, s=sides).clamp(0, 1)
            soft = torch.fft.irfft2(torch.fft.rfft2(x) * response, s=sides)
            u = (known + pull * x + self.eta1 * soft + t1) / (mask + self.eta1 + pull * gain)
            v = (self.eta2 * x + t2 + weight * goal) / (self.eta2 + weight)
            t1 = t1 + self.eta1 * (mtf_filter(x, self.gains, self.ratio) - u)
            t2 = t2 + self.eta2 * (x - v)
            if (x - last).norm() < self.tolerance * last.norm():
                break
        return x

    def _response(self, exp: Tensor) -> Tensor:
        """Transfer function of each band's MTF on a circular image, for ``rfft2``: [B,H,W/2+1]."""
        bands, height, width = exp.shape[-3:]
        gains = self.gains * bands if len(self.gains) == 1 else self.gains
        offset = torch.arange(SIZE, device=exp.device) - SIZE // 2
        place = (offset % height * width)[:, None] + offset % width
        responses = []
        for gain in gains:
            kernel = mtf_kernel(gain, self.ratio).to(exp)
            circular = exp.new_zeros(height * width).index_add_(0, place.flatten(), kernel.flatten())
            responses.append(torch.fft.rfft2(circular.view(height, width)))
        return torch.stack(responses)
