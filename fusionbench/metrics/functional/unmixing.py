"""Errors of end-members and abundances."""

from __future__ import annotations

from scipy.optimize import linear_sum_assignment
from torch import Tensor


def spectral_angles(reference: Tensor, estimate: Tensor) -> Tensor:
    """Angles [P,Q] in radians between spectra [P,B] and [Q,B]; a spectrum of zeros is at a right angle to all."""
    a, b = (x.double() / x.double().norm(dim=1, keepdim=True).clamp(min=1e-12) for x in (reference, estimate))
    return (a @ b.T).clamp(-1, 1).acos()


def match_members(reference: Tensor, estimate: Tensor) -> list[int]:
    """For each end-member of the reference [P,B] its partner in the estimate [Q,B], Q >= P, least sum of angles."""
    return linear_sum_assignment(spectral_angles(reference, estimate).numpy())[1].tolist()


def abundance_errors(reference: Tensor, estimate: Tensor) -> dict[str, Tensor]:
    """Errors of abundances [P,n], already matched.

    Returns:
        ``aRMSE``: mean over pixels of the root of the mean square over end-members; ``RMSE``: over all values at once;
        ``RMSE_member`` [P]: of each end-member over the pixels.
    """
    squares = (reference.double() - estimate.double()).square()
    return {
        "aRMSE": squares.mean(0).sqrt().mean(),
        "RMSE": squares.mean().sqrt(),
        "RMSE_member": squares.mean(1).sqrt(),
    }
