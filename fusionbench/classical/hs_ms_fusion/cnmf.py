"""Coupled non-negative matrix factorisation."""

from __future__ import annotations

import torch
from torch import Tensor

from fusionbench.classical.hs_ms_fusion.base import HSFusion, degrade, pixels

TINY = 1e-12


class CNMF(HSFusion):
    """Unmixes the HS image and the guide in turn: end-members from the one, abundances from the other.

    Y = W H_l and Z = W_m H with W_m = R W and H_l = H through the point spread; all factors non-negative, abundances
    drawn to a sum of one by a row of constant value. R comes from non-negative least squares between the images.

    Source: Yokoya, Yairi, Iwasaki, Coupled nonnegative matrix factorization unmixing for hyperspectral and
    multispectral data fusion, IEEE TGRS 50(2), 2012. End-members begin with the successive projection
    algorithm (Araujo et al., 2001) instead of VCA, so that a scene's result is one.

    Args:
        ratio: fine pixels per coarse pixel.
        endmembers: p, at most the number of HS pixels.
        inner: updates of a factor pair at most.
        outer: rounds after the first.
        tolerance: relative change of the residual that ends the inner updates.
    """

    def __init__(
        self, ratio: int, endmembers: int = 40, inner: int = 200, outer: int = 2, tolerance: float = 1e-4
    ) -> None:
        super().__init__(ratio)
        self.endmembers, self.inner, self.outer, self.tolerance = endmembers, inner, outer, tolerance

    def fuse(self, lr: Tensor, guide: Tensor) -> Tensor:
        hs, ms = pixels(lr).T.clamp(min=0), pixels(guide).T.clamp(min=0)
        p = min(self.endmembers, hs.shape[1])
        response = _response(lr, degrade(guide, self.ratio))
        spectra = hs[:, _extreme(hs, p)].clamp(min=TINY)
        low = torch.full((spectra.shape[1], hs.shape[1]), 1 / p, dtype=hs.dtype, device=hs.device)
        fine = torch.empty(0)
        for turn in range(self.outer + 1):
            low = self._abundances(hs, spectra, low)
            spectra, low = self._both(hs, spectra, low)
            if turn == 0:
                maps = low.reshape(1, -1, *lr.shape[-2:])
                fine = self.enlarged(maps)[0].flatten(1).clamp(min=TINY)
            seen = (response @ spectra).clamp(min=TINY)
            fine = self._abundances(ms, seen, fine)
            seen, fine = self._both(ms, seen, fine)
            maps = degrade(fine.reshape(1, -1, *guide.shape[-2:]), self.ratio)
            low = maps[0].flatten(1).clamp(min=TINY)
        spectra, _ = self._both(hs, spectra, low, only_spectra=True)
        return (spectra @ fine).reshape(1, lr.shape[1], *guide.shape[-2:])

    def _abundances(self, image: Tensor, spectra: Tensor, found: Tensor) -> Tensor:
        """Updates of the abundances alone, with the row that asks for a sum of one."""
        weight = image.mean()
        image = torch.cat([image, torch.full_like(image[:1], float(weight))])
        spectra = torch.cat([spectra, torch.full_like(spectra[:1], float(weight))])
        up, square = spectra.T @ image, spectra.T @ spectra
        before = torch.inf
        for _ in range(self.inner):
            found = found * up / (square @ found).clamp(min=TINY)
            after = float((image - spectra @ found).square().mean())
            if before - after < self.tolerance * after:
                break
            before = after
        return found

    def _both(self, image: Tensor, spectra: Tensor, found: Tensor, only_spectra: bool = False) -> tuple[Tensor, Tensor]:
        """Updates of end-members and abundances in turn."""
        before = torch.inf
        for _ in range(self.inner):
            spectra = spectra * (image @ found.T) / (spectra @ (found @ found.T)).clamp(min=TINY)
            if not only_spectra:
                found = found * (spectra.T @ image) / (spectra.T @ spectra @ found).clamp(min=TINY)
            after = float((image - spectra @ found).square().mean())
            if before - after < self.tolerance * after:
                break
            before = after
        return spectra, found


def _response(lr: Tensor, low: Tensor) -> Tensor:
    """Non-negative weights [b,B] of the HS bands in each guide band; the offset of the fit is left out."""
    from scipy.optimize import nnls

    x = pixels(lr).cpu().numpy()
    columns = torch.cat([pixels(lr), torch.ones(len(x), 1, dtype=lr.dtype, device=lr.device)], 1).cpu().numpy()
    rows = [torch.from_numpy(nnls(columns, band)[0][:-1]) for band in pixels(low).cpu().numpy().T]
    return torch.stack(rows).to(lr)


def _extreme(image: Tensor, count: int) -> Tensor:
    """Pixels of the most different spectra [count] of [B,n], each farthest from the span of those before it."""
    left, chosen = image.clone(), []
    for _ in range(count):
        power = left.square().sum(0)
        place = int(power.argmax())
        if float(power[place]) <= TINY * float(image.square().sum(0).max()):
            break
        chosen.append(place)
        direction = left[:, place] / left[:, place].norm()
        left = left - direction[:, None] * (direction @ left)[None]
    return torch.tensor(chosen, device=image.device)
