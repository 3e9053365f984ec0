"""Where Sentinel-2 images are cloudy, by rules."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

CLOUDY = 0.2  # score from which a pixel is cloud


def dsen2_cr_clouds(image: Tensor) -> Tensor:
    """Cloud or shadow [N,1,H,W] bool in Sentinel-2 images [N,13,H,W] of reflectance, B1 to B8, B8A, B9 to B12.

    Shadows are relative to the lowest and the mean value of each image: a crop may be masked otherwise than the whole.

    Source: Meraner et al., ISPRS J. Photogramm. Remote Sens. 166, 2020, section 4.1.
    """
    return dsen2_cr_score(image).gt(CLOUDY) | dsen2_cr_shadow(image)


def dsen2_cr_score(image: Tensor) -> Tensor:
    """Cloud score [N,1,H,W], 1e-5 to 1, closed over 5 px and averaged over 7 px with zeros beyond the border."""
    coastal, blue, green, red = (image[:, i : i + 1] for i in range(4))
    cirrus, swir = image[:, 10:11], image[:, 11:12]
    total = green + swir
    snow = (green - swir) / torch.where(total == 0, torch.full_like(total, 0.001), total)
    tests = [
        (blue - 0.1) / 0.4,
        (coastal - 0.1) / 0.2,
        (coastal + cirrus - 0.15) / 0.05,
        (blue + green + red - 0.2) / 0.6,
        (snow - 0.8) / (0.6 - 0.8),
    ]
    score = torch.cat(tests, dim=1).amin(dim=1, keepdim=True).clamp(max=1)
    closed = -max_pool2d(-max_pool2d(score, 5, 1, 2), 5, 1, 2)
    return avg_pool2d(closed, 7, 1, 3).clamp(1e-5, 1)


def dsen2_cr_shadow(image: Tensor) -> Tensor:
    """Shadow [N,1,H,W] bool: dark in infrared and in blue, the majority within 5 px."""
    infrared, blue = (image[:, 7:8] + image[:, 11:12]) / 2, image[:, 1:2]
    dark = _below(infrared, 3 / 4) & _below(blue, 5 / 6)
    return avg_pool2d(pad(dark.to(image.dtype), (2, 2, 2, 2), mode="replicate"), 5, 1) > 0.5


def _below(band: Tensor, share: float) -> Tensor:
    least, mean = band.amin(dim=(2, 3), keepdim=True), band.mean(dim=(2, 3), keepdim=True)
    return band < least + share * (mean - least)
