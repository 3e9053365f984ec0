"""Classifiers of pixels: S2FL against its definition, reference classifiers, what a checkpoint keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from fusionbench.classical.classification import S2FL, SVM, PixelClassifier, RandomForest
from fusionbench.classical.classification.s2fl import graph_products
from fusionbench.errors import DataError


def pixels(
    count: int, seed: int = 0, bands: tuple[int, int] = (60, 50)
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Four classes: HS separates two pairs of them, aux the two of a pair."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    hs = rng.normal(0, 0.03, (count, bands[0])) + np.where(labels < 2, 0.3, 0.7)[:, None] * np.linspace(
        0.5, 1, bands[0]
    )
    aux = rng.normal(0, 0.03, (count, bands[1])) + np.where(labels % 2, 0.3, 0.7)[:, None]
    return {"hs": torch.from_numpy(hs), "aux": torch.from_numpy(aux)}, torch.from_numpy(labels)


def raster(samples: torch.Tensor) -> torch.Tensor:
    return samples.T[None, :, :, None].float()


@pytest.mark.parametrize("kind", [SVM, RandomForest, S2FL])
def test_both_modalities_tell_what_one_cannot(kind: type[PixelClassifier]) -> None:
    subspace = kind is S2FL  # it has to predict from each modality alone, and cannot do so here
    train, labels = pixels(600 if subspace else 80, bands=(40, 30))
    test, truth = pixels(40, seed=1, bands=(40, 30))
    method = kind(4)
    method.fit(train, labels)
    scores = method(**{name: raster(x) for name, x in test.items()})
    assert scores.shape == (1, 4, 40, 1)
    assert (scores[0, :, :, 0].argmax(0) == truth).double().mean() > (0.6 if subspace else 0.95)
    if not subspace:
        alone = kind(4, modalities=["hs"])
        alone.fit(train, labels)
        right = (alone(hs=raster(test["hs"]), aux=raster(test["aux"]))[0, :, :, 0].argmax(0) == truth).double().mean()
        assert 0.3 < right < 0.7


def test_only_pixels_asked_for_and_the_same_after_a_checkpoint() -> None:
    train, labels = pixels(60)
    test, _ = pixels(12, seed=2)
    method = SVM(4, most=40)
    method.fit(train, labels)
    asked = (torch.arange(12) % 3 == 0).reshape(1, 1, 12, 1)
    rasters = {name: raster(x) for name, x in test.items()}
    scores = method(asked=asked, **rasters)
    assert torch.equal(scores.sum(1)[0], asked[0, 0].float())
    other = SVM(4)
    other.load_state_dict(method.state_dict())
    assert torch.equal(other(asked=asked, **rasters), scores)
    assert len(method.labels) == 40


def test_unfitted_and_one_class_say_so() -> None:
    train, labels = pixels(20)
    with pytest.raises(DataError, match="not been fitted"):
        SVM(4)(hs=raster(train["hs"]))
    with pytest.raises(DataError, match="two classes"):
        RandomForest(4).fit(train, torch.zeros_like(labels))
    method = S2FL(4, dimensions=60, modalities=["hs"])
    with pytest.raises(DataError, match="needs more bands"):
        method.fit(train, labels)


def test_graph_products_equal_the_graph_written_out() -> None:
    train, labels = pixels(24, bands=(20, 16))
    blocks = [x.numpy().T for x in train.values()]
    count, neighbours = len(labels), 5
    weights = (labels.numpy()[:, None] == labels.numpy()).astype(float)
    whole = np.block([[weights, weights], [weights, weights]])
    for number, block in enumerate(blocks):
        distance = cdist(block.T, block.T)
        np.fill_diagonal(distance, np.inf)
        near = np.argsort(distance, axis=1)[:, :neighbours]
        kernel = np.zeros((count, count))
        for row, columns in enumerate(near):
            kernel[row, columns] = np.exp(-(distance[row, columns] ** 2) / 2)
        part = slice(number * count, (number + 1) * count)
        whole[part, part] = np.maximum(kernel, kernel.T)
    whole *= 4 * count / whole.sum()
    stacked = np.block([[blocks[0], np.zeros_like(blocks[0][:, :count])[:20]], [np.zeros((16, count)), blocks[1]]])
    joined, degree = graph_products(blocks, labels.numpy(), neighbours)
    np.testing.assert_allclose(joined, stacked @ whole @ stacked.T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(degree, stacked @ np.diag(whole.sum(1)) @ stacked.T, rtol=1e-9, atol=1e-9)


def test_s2fl_projections_are_orthonormal_and_the_objective_falls() -> None:
    train, labels = pixels(200, bands=(40, 30))
    method = S2FL(4)
    method.fit(train, labels)
    found = method._fitted
    for projection in (found.shared, found.specific):
        np.testing.assert_allclose(projection @ projection.T, np.eye(30), atol=1e-8)
    assert found.objectives[-1] < found.objectives[0]


def test_s2fl_takes_three_modalities() -> None:
    train, labels = pixels(200, bands=(40, 30))
    train["dsm"] = train["aux"][:, :1] ** 2
    method = S2FL(4)
    method.fit(train, labels)
    assert method.bands.tolist() == [40, 30, 1]
