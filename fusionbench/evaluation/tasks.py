"""What fused images are used for, in small: spectral indices, anomaly detection, classification by land cover."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from fusionbench.errors import DataError

RIDGE = 1e-6  # of the mean variance, added to covariances
FEWEST = 5  # samples per band that a class needs


def normalised_difference(image: Tensor, pair: tuple[int, int]) -> Tensor:
    """(a - b) / (a + b) [H, W] of two bands of an image [B, H, W] in digital numbers, kept within -1 and 1.

    It lies there by itself for numbers a sensor can give; a fused image may hold others. Sums below 1 count as 1.
    """
    a, b = image[pair[0]], image[pair[1]]
    return ((a - b) / (a + b).clamp(min=1)).clamp(-1, 1)


def rx(image: Tensor, valid: Tensor) -> Tensor:
    """Anomaly of each pixel [H, W]: squared Mahalanobis distance from the scene's mean.

    Reed, Yu, Adaptive multiple-band CFAR detection of an optical pattern with unknown spectral distribution, IEEE
    TASSP 38(10), 1990, with the whole scene as background.

    Args:
        image: [B, H, W] float64.
        valid: [H, W] bool, pixels the statistics are taken from.
    """
    values = image[:, valid]
    centred = image - values.mean(1)[:, None, None]
    covariance = torch.cov(values)
    flat = centred.flatten(1)
    return (flat * (torch.linalg.pinv(covariance, hermitian=True) @ flat)).sum(0).reshape(image.shape[1:])


def area_under_curve(scores: Tensor, positive: Tensor, negative: Tensor) -> float:
    """Area under the receiver operating characteristic; ties count half, NaN where one side is empty or not finite."""
    hits, rest = scores[positive], scores[negative]
    both = torch.cat([hits, rest])
    if not len(hits) or not len(rest) or not bool(torch.isfinite(both).all()):
        return math.nan
    ranks = rankdata(both.cpu().numpy())
    return float((ranks[: len(hits)].sum() - len(hits) * (len(hits) + 1) / 2) / (len(hits) * len(rest)))


@dataclass(frozen=True)
class Implant:
    """Targets smaller than an MS pixel: [H, W] where they are, where background counts, and their spectrum [B]."""

    targets: Tensor
    background: Tensor
    spectrum: Tensor


def implant(
    reference: Tensor, valid: Tensor, centers: list[float], ratio: int, count: int, size: int, key: str
) -> Implant:
    """Places and spectrum of targets of ``size`` x ``size`` fine pixels, each within one MS pixel.

    The spectrum is one that scenes lack: from the 98 % quantile of the band of shortest to the 2 % quantile of the band
    of longest wavelength. Pixels nearer than one MS pixel to a target count neither as target nor as background.

    Args:
        reference: [B, H, W]; valid: [H, W] bool.
        centers: nm, of the bands.
        ratio: fine pixels per MS pixel.
        count: at most so many; one per three by three MS pixels.
        key: places are drawn from it.
    """
    cell = 3 * ratio
    rows, columns = (n // cell for n in reference.shape[1:])
    rng = np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))
    chosen = rng.permutation(rows * columns)[:count]
    inside = rng.integers(0, ratio - size + 1, (len(chosen), 2))
    targets = torch.zeros_like(valid)
    for place, (down, right) in zip(chosen.tolist(), inside.tolist(), strict=True):
        top, left = place // columns * cell + ratio + down, place % columns * cell + ratio + right
        targets[top : top + size, left : left + size] = True
    near = max_pool2d(targets[None, None].double(), 2 * ratio + 1, 1, ratio)[0, 0] > 0
    order = sorted(range(len(centers)), key=lambda band: centers[band])
    quantiles = np.linspace(0.98, 0.02, len(order))
    values = reference[:, valid].cpu().numpy()
    spectrum = torch.zeros(len(order), dtype=reference.dtype)
    for band, quantile in zip(order, quantiles, strict=True):
        spectrum[band] = float(np.quantile(values[band], quantile))
    return Implant(targets & valid, valid & ~near, spectrum.to(reference.device))


def band_weights(pan: Tensor, bands: Tensor, valid: Tensor) -> Tensor:
    """Weights [B] of the bands [B, H, W] that explain PAN [H, W] best beside a constant (least squares)."""
    x, y = bands[:, valid], pan[valid]
    x, y = x - x.mean(1, keepdim=True), y - y.mean()
    return torch.linalg.pinv(x @ x.T, hermitian=True) @ (x @ y)


def land_cover(classes: Tensor, block: int, size: tuple[int, int], purity: float) -> Tensor:
    """Class of each pixel [H, W] int64 from labels [N, N] of a grid ``block`` times as fine; -1 where it is mixed.

    Args:
        classes: uint8.
        block: scene pixels per pixel.
        size: H, W; what lies beyond is cut off.
        purity: share of the block that one class must fill.
    """
    labels = classes[: size[0] * block, : size[1] * block]
    if tuple(labels.shape) != (size[0] * block, size[1] * block):
        raise DataError(f"classes of {tuple(classes.shape)} do not cover {size} pixels of {block} x {block}")
    found = torch.full(size, -1, dtype=torch.int64)
    for label in torch.unique(labels).tolist():
        share = avg_pool2d((labels == label).float()[None, None], block)[0, 0]
        found[share >= purity] = int(label)
    return found


class GaussianClassifier:
    """Maximum likelihood with one Gaussian per class and equal priors (Richards, Remote Sensing Digital Image
    Analysis, Springer).

    Args:
        samples: [n, B] float64; labels: [n] int64. Classes of fewer than 5 B samples are left out.

    Raises:
        DataError: fewer than two classes are left.
    """

    def __init__(self, samples: Tensor, labels: Tensor) -> None:
        bands = samples.shape[1]
        known, counts = torch.unique(labels, return_counts=True)
        self.classes = known[counts >= FEWEST * bands]
        if len(self.classes) < 2:
            raise DataError("classification: the training scenes hold fewer than two classes with enough pixels")
        self._means, self._scores = [], []
        for label in self.classes:
            mine = samples[labels == label]
            covariance = torch.cov(mine.T)
            covariance += RIDGE * covariance.diagonal().mean() * torch.eye(bands, dtype=samples.dtype)
            self._means.append(mine.mean(0))
            self._scores.append((torch.linalg.inv(covariance), float(torch.logdet(covariance))))

    def predict(self, image: Tensor) -> Tensor:
        """Labels [H, W] of an image [B, H, W] in the unit of the samples, on the CPU."""
        flat = image.flatten(1).cpu().double()
        scores = []
        for mean, (inverse, volume) in zip(self._means, self._scores, strict=True):
            centred = flat - mean[:, None]
            scores.append(-(centred * (inverse @ centred)).sum(0) - volume)
        return self.classes[torch.stack(scores).argmax(0)].reshape(image.shape[1:])


def agreement(found: Tensor, truth: Tensor) -> tuple[float, float]:
    """Overall accuracy and Cohen's kappa of two label vectors; NaN for empty ones."""
    if not len(truth):
        return math.nan, math.nan
    overall = float((found == truth).double().mean())
    chance = sum(
        float((found == label).double().mean()) * float((truth == label).double().mean())
        for label in torch.unique(torch.cat([found, truth]))
    )
    return overall, math.nan if chance >= 1 else (overall - chance) / (1 - chance)
