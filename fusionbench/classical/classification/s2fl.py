"""S2FL (Hong et al., ISPRS Journal 2021): shared and specific features of modalities, and the nearest neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from sklearn.neighbors import KNeighborsClassifier, kneighbors_graph

from fusionbench.classical.classification.base import PixelClassifier
from fusionbench.errors import DataError

TOLERANCE, ROUNDS = 1e-4, 1000  # of the outer loop: relative change of the objective
INNER_TOLERANCE, INNER_ROUNDS = 1e-6, 1000
PENALTY, GROWTH, LARGEST = 1e-3, 1.5, 1e6  # of the multipliers


@dataclass(frozen=True)
class _Projection:
    shared: np.ndarray  # [d, sum B], orthonormal rows
    specific: np.ndarray
    objectives: list[float]
    neighbour: KNeighborsClassifier


class S2FL(PixelClassifier):
    """S2FL: a projection of each pixel, part of it shared by the modalities, that a ridge regression ties to labels.

    The graph joins labelled pixels only: nothing of the pixels to be classified enters (unlike what is called
    transductive). Any number of modalities; bands scaled to [0, 1].

    Args:
        dimensions: d of the features.
        ridge: alpha, on the regression.
        alignment: beta, on the graph.
        neighbours: k of the graph within a modality.
        options: of `PixelClassifier`.

    Source: Hong et al., Multimodal remote sensing benchmark datasets for land cover classification with a shared and
    specific feature learning model, ISPRS J. Photogramm. Remote Sens. 178, 2021, section 4.
    """

    def __init__(
        self,
        classes: int,
        dimensions: int = 30,
        ridge: float = 0.01,
        alignment: float = 0.1,
        neighbours: int = 45,
        **options: Any,
    ) -> None:
        super().__init__(classes, **options)
        self.dimensions, self.ridge, self.alignment, self.neighbours = dimensions, ridge, alignment, neighbours

    def _fit(self, samples: np.ndarray, labels: np.ndarray, bands: Sequence[int]) -> _Projection:
        if samples.shape[1] <= self.dimensions:
            raise DataError(f"S2FL: {samples.shape[1]} bands for {self.dimensions} features; it needs more bands")
        blocks = np.split(samples.T, np.cumsum(bands)[:-1], axis=0)
        joined, degree = graph_products(blocks, labels, self.neighbours)
        start = _locality(joined, degree, self.dimensions)
        stacked = scipy.linalg.block_diag(*blocks)
        wanted = np.tile(np.eye(self.classes)[labels].T, len(blocks))
        # all that follows lies in the row space of both: an orthonormal basis of it keeps every norm and is short
        basis = scipy.linalg.orth(np.concatenate([stacked, wanted]).T)
        x, y, laplace = stacked @ basis, wanted @ basis, degree - joined
        shared, specific, objectives = self._alternate(x, y, laplace, start)
        neighbour = KNeighborsClassifier(1).fit(samples @ (shared + specific).T, labels)
        return _Projection(shared, specific, objectives, neighbour)

    def _alternate(
        self, x: np.ndarray, y: np.ndarray, laplace: np.ndarray, start: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, list[float]]:
        """Ridge regression and the two projections in turn until the objective stands still."""
        size = len(start)
        shared, specific, features = np.zeros_like(start), np.zeros_like(start), start @ x
        objectives: list[float] = []
        for _ in range(ROUNDS):
            regress = y @ features.T @ np.linalg.inv(features @ features.T + self.ridge * np.eye(size))
            specific = _orthonormal(y - regress @ shared @ x, regress, x, np.zeros_like(laplace))
            shared = _orthonormal(y - regress @ specific @ x, regress, x, self.alignment * laplace)
            features = (shared + specific) @ x
            fit = 0.5 * np.sum((y - regress @ features) ** 2) + 0.5 * self.ridge * np.sum(regress**2)
            objectives.append(float(fit + 0.5 * self.alignment * np.sum((shared @ laplace) * shared)))
            if len(objectives) > 1 and abs(objectives[-1] - objectives[-2]) < TOLERANCE * abs(objectives[-2]):
                break
        return shared, specific, objectives

    def _predict(self, fitted: _Projection, samples: np.ndarray) -> np.ndarray:
        return np.asarray(fitted.neighbour.predict(samples @ (fitted.shared + fitted.specific).T))


def graph_products(blocks: Sequence[np.ndarray], labels: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """X W X' and X D X' [sum B, sum B] of the stacked samples X, without the graph itself.

    Within a modality W holds heat-kernel weights of nearest neighbours, between two of them 1 where labels agree;
    W is scaled to sum up to twice the number of its nodes, D holds its row sums.

    Args:
        blocks: one [B,n] per modality, same pixels.
        labels: [n].
        neighbours: k, at most n - 1 of them.
    """
    count = len(labels)
    kernels = [_heat(block.T, min(neighbours, count - 1)) for block in blocks]
    members = np.eye(int(labels.max()) + 1)[labels]  # [n, C]
    alike = members @ members.sum(0)  # pixels of the same label, itself included
    rows = [np.asarray(kernel.sum(1)).ravel() + (len(blocks) - 1) * alike for kernel in kernels]
    scale = 2 * len(blocks) * count / sum(float(row.sum()) for row in rows)
    sums = [block @ members for block in blocks]
    joined = [
        [a @ (kernels[i] @ a.T) if i == j else sums[i] @ sums[j].T for j in range(len(blocks))]
        for i, a in enumerate(blocks)
    ]
    degree = scipy.linalg.block_diag(*((a * row) @ a.T for a, row in zip(blocks, rows, strict=True)))
    return scale * np.block(joined), scale * degree


def _heat(samples: np.ndarray, neighbours: int) -> scipy.sparse.csr_matrix:
    """Symmetric graph [n,n] of exp(-d^2 / 2) over each sample's nearest others."""
    found = kneighbors_graph(samples, neighbours, mode="distance")
    found.data = np.exp(-(found.data**2) / 2)
    return found.maximum(found.T)


def _locality(joined: np.ndarray, degree: np.ndarray, dimensions: int) -> np.ndarray:
    """Locality preserving projection [d, sum B]: unit directions of largest a' X W X' a / a' X D X' a.

    Of length 1, as those learned later: directions scaled by the quotient make the regression so large that the
    orthonormal projections are driven to where nothing varies.
    """
    values, vectors = np.linalg.eigh((degree + degree.T) / 2)
    kept = values > 1e-10 * values[-1]
    whiten = vectors[:, kept] / np.sqrt(values[kept])
    _, directions = np.linalg.eigh(whiten.T @ ((joined + joined.T) / 2) @ whiten)
    best = (whiten @ directions[:, ::-1][:, :dimensions]).T
    best /= np.linalg.norm(best, axis=1, keepdims=True)
    return np.pad(best, ((0, dimensions - len(best)), (0, 0)))


def _orthonormal(target: np.ndarray, regress: np.ndarray, x: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """The projection T with orthonormal rows that makes ``regress`` T X the target and T ``smooth`` T' small (ADMM)."""
    size, bands = regress.shape[1], x.shape[0]
    projection, orthonormal = np.zeros((size, bands)), np.zeros((size, bands))
    first, second = np.zeros((size, x.shape[1])), np.zeros((size, bands))
    gram, weight = x @ x.T, PENALTY
    known, wanted = regress.T @ regress, regress.T @ target
    for _ in range(INNER_ROUNDS):
        seen = projection @ x
        features = np.linalg.solve(known + weight * np.eye(size), wanted + weight * seen - first)
        right = (weight * features + first) @ x.T + weight * orthonormal + second
        projection = np.linalg.solve(weight * (gram + np.eye(bands)) + smooth.T, right.T).T
        u, _, v = np.linalg.svd(projection - second / weight, full_matrices=False)
        orthonormal = u @ v
        seen = projection @ x
        first += weight * (features - seen)
        second += weight * (orthonormal - projection)
        weight = min(GROWTH * weight, LARGEST)
        if max(np.linalg.norm(features - seen), np.linalg.norm(orthonormal - projection)) < INNER_TOLERANCE:
            break
    return orthonormal
