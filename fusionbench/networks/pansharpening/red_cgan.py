"""RED-cGAN (Shao et al., IEEE GRSL 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fusionbench.imaging import expand
from fusionbench.networks.blocks import init_normal, pad_to_multiple
from fusionbench.networks.pansharpening.psgan import act, conv, double, patch_critic


class REDcGAN(nn.Module):
    """Generator: PAN and MS streams, a residual encoder-decoder with additive skips at half resolution.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values in digital numbers, never negative.
    Sides that are no multiple of 2 are continued by replication and cut back.

    Source: Shao et al., Residual Encoder-Decoder Conditional Generative Adversarial Network for Pansharpening,
    IEEE GRSL 17(9), 2020.
    """

    size_multiple = 2  # guide px

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan") -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.a1, self.a2, self.a3 = conv(bands, 32), conv(32, 32), conv(32, 64, 2, 2)
        self.b1, self.b2, self.b3 = conv(1, 32), conv(32, 32), conv(32, 64, 2, 2)
        self.e4, self.e5, self.e6 = conv(128, 128), conv(128, 128), conv(128, 256)
        self.d7, self.d8, self.d9 = conv(256, 256, 1), conv(256, 256), conv(256, 128)
        self.d10, self.d11 = conv(128, 128), double(128, 128)
        self.d12, self.d13 = conv(192, 64), conv(64, bands)
        init_normal(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = pad_to_multiple(expand(lr, self.ratio, self.grid), self.size_multiple)
        a2 = self.a2(act(self.a1(lms)))
        b2 = self.b2(act(self.b1(pad_to_multiple(guide, self.size_multiple))))
        e4 = self.e4(act(self.b3(act(b2)), self.a3(act(a2))))
        e5 = self.e5(act(e4))
        e6 = self.e6(act(e5))
        d9 = self.d9(act(self.d8(act(self.d7(act(e6)))) + e6))
        return self._restore(d9, (e4, e5), (b2, a2))[..., : guide.shape[-2], : guide.shape[-1]]

    def _restore(self, d9: Tensor, half: tuple[Tensor, Tensor], full: tuple[Tensor, Tensor]) -> Tensor:
        d11 = self.d11(act(self.d10(act(d9 + half[1])) + half[0]))
        return relu(self.d13(act(self.d12(act(d11, *full)))))


class REDcGANDiscriminator(nn.Module):
    """Patch discriminator of an image given PAN; the sigmoid is left to the objective.

    Shapes: guide [N,1,H,W], image [N,B,H,W] -> logits [N,1,H/8,W/8].
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.body = patch_critic(bands + 1)
        init_normal(self)

    def forward(self, guide: Tensor, image: Tensor) -> Tensor:
        return self.body(torch.cat([guide, image], dim=1))
