"""Indices without reference as torchmetrics.Metric classes. Definitions: fusionbench.metrics.functional."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fusionbench.metrics.base import MeanOverImages
from fusionbench.metrics.functional.no_reference import d_lambda, d_lambda_k, d_s, hqnr, qnr


class FusedAndMS(MeanOverImages):
    """Compares a fused image with the MS it was made from."""

    def update(self, fused: Tensor, ms: Tensor, *, valid: Tensor | None = None, **options: Any) -> None:
        """Take in a batch: fused [N,B,rh,rw], ms [N,B,h,w], valid [N,1,rh,rw] bool or None."""
        self._add(fused, ms, valid=valid, **options)


class FusedMSAndPAN(MeanOverImages):
    """Compares a fused image with the MS and PAN it was made from."""

    def update(self, fused: Tensor, ms: Tensor, pan: Tensor, *, valid: Tensor | None = None, **options: Any) -> None:
        """Take in a batch: fused [N,B,rh,rw], ms [N,B,h,w], pan [N,1,rh,rw], valid [N,1,rh,rw] bool or None."""
        self._add(fused, ms, pan, valid=valid, **options)


class DLambda(FusedAndMS):
    """Spectral distortion, :func:`fusionbench.metrics.functional.d_lambda`."""

    higher_is_better = False
    index = staticmethod(d_lambda)


class DLambdaK(FusedAndMS):
    """Khan's spectral distortion, :func:`fusionbench.metrics.functional.d_lambda_k`. Needs ``gains``."""

    higher_is_better = False
    index = staticmethod(d_lambda_k)


class DS(FusedMSAndPAN):
    """Spatial distortion, :func:`fusionbench.metrics.functional.d_s`."""

    higher_is_better = False
    index = staticmethod(d_s)


class QNR(FusedMSAndPAN):
    """Quality with no reference, :func:`fusionbench.metrics.functional.qnr`."""

    higher_is_better = True
    index = staticmethod(qnr)


class HQNR(FusedMSAndPAN):
    """Hybrid quality with no reference, :func:`fusionbench.metrics.functional.hqnr`. Needs ``gains``."""

    higher_is_better = True
    index = staticmethod(hqnr)
