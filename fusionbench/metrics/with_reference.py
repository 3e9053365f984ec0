"""Indices with reference as torchmetrics.Metric classes. Definitions: fusionbench.metrics.functional."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fusionbench.metrics.base import MeanOverImages
from fusionbench.metrics.functional.hypercomplex import q2n
from fusionbench.metrics.functional.pixelwise import cc, dd, ergas, psnr, rmse, sam
from fusionbench.metrics.functional.structural import scc, ssim, uiqi


class ReferenceIndex(MeanOverImages):
    """Compares estimate and reference."""

    def update(self, reference: Tensor, estimate: Tensor, *, valid: Tensor | None = None, **options: Any) -> None:
        """Take in a batch: reference, estimate [N,B,H,W] in the data's own units, valid [N,1,H,W] bool or None."""
        self._add(reference, estimate, valid=valid, **options)


class RMSE(ReferenceIndex):
    """Root mean square error, :func:`fusionbench.metrics.functional.rmse`."""

    higher_is_better = False
    index = staticmethod(rmse)


class PSNR(ReferenceIndex):
    """Peak signal-to-noise ratio in dB, :func:`fusionbench.metrics.functional.psnr`. Needs ``data_range``."""

    higher_is_better = True
    index = staticmethod(psnr)


class CC(ReferenceIndex):
    """Correlation coefficient, :func:`fusionbench.metrics.functional.cc`."""

    higher_is_better = True
    index = staticmethod(cc)


class DD(ReferenceIndex):
    """Degree of distortion, :func:`fusionbench.metrics.functional.dd`."""

    higher_is_better = False
    index = staticmethod(dd)


class SAM(ReferenceIndex):
    """Spectral angle in degrees, :func:`fusionbench.metrics.functional.sam`."""

    higher_is_better = False
    index = staticmethod(sam)


class ERGAS(ReferenceIndex):
    """Relative dimensionless global error, :func:`fusionbench.metrics.functional.ergas`. Needs ``ratio``."""

    higher_is_better = False
    index = staticmethod(ergas)


class UIQI(ReferenceIndex):
    """Universal image quality index, :func:`fusionbench.metrics.functional.uiqi`."""

    higher_is_better = True
    index = staticmethod(uiqi)


class SSIM(ReferenceIndex):
    """Structural similarity, :func:`fusionbench.metrics.functional.ssim`. Needs ``data_range``."""

    higher_is_better = True
    index = staticmethod(ssim)


class SCC(ReferenceIndex):
    """Spatial correlation coefficient, :func:`fusionbench.metrics.functional.scc`."""

    higher_is_better = True
    index = staticmethod(scc)


class Q2n(ReferenceIndex):
    """Q4, Q8 .. in digital numbers, :func:`fusionbench.metrics.functional.q2n`."""

    higher_is_better = True
    index = staticmethod(q2n)
