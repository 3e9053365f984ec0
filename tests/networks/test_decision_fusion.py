"""Decision fusion reproduces its published Houston table from the published probabilities, to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scipy.io import loadmat

from fusionbench.errors import ConfigError
from fusionbench.metrics.functional import accuracies, confusion_matrix
from fusionbench.networks.classification.rndff import fused_probabilities
from fusionbench.networks.classification.rndff_stages import best_weights

FILES = {
    "hs": ("Houston_HSI_2-2_16_11x11_0.0003.mat", "Probability_HSI"),
    "hs_features": ("Houston_HSIEPLBP_3-2_32_11x11_0.0003.mat", "Probability_HSI_EPLBP"),
    "aux_features": ("Houston_LiDAREPLBP_3-2_32_11x11_0.0003.mat", "Probability_LiDAR_EPLBP"),
    "rndff": ("Houston_3FF_7-7_2-2_24_0.0003.mat", "Probability_DF"),
}
PUBLISHED = {  # OA, AA (%), kappa
    "hs": (90.75, 91.99, 0.8996),
    "hs_features": (89.46, 90.70, 0.8857),
    "aux_features": (70.42, 71.95, 0.6794),
    "rndff": (90.83, 91.18, 0.9004),
    "rnpmf": (91.20, 92.07, 0.9045),
    "rnprf": (94.36, 95.01, 0.9388),
    "rnprf x rndff": (93.55, 94.20, 0.9299),
    "rnpmf x rndff": (91.59, 92.60, 0.9087),
}


@pytest.fixture(scope="module")
def published(shared: Path) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Class probabilities of four networks, labels, and the verification pixels among them."""
    folder = shared / "data" / "classification" / "houston2013_probabilities"
    if not folder.is_dir():
        pytest.skip("no published probabilities")
    said = {name: torch.from_numpy(loadmat(folder / file)[key]).double() for name, (file, key) in FILES.items()}
    labels = torch.from_numpy(loadmat(folder / "testlabel.mat")["testlabel"]).argmax(1)
    chosen = torch.from_numpy(loadmat(folder / "c.mat")["c"][0].astype("int64")) - 1
    return said, labels, chosen


def test_published_table(published: tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]) -> None:
    said, labels, _ = published
    three = [said[name] for name in ("hs", "hs_features", "aux_features")]
    fused = dict(said)
    fused["rnpmf"] = fused_probabilities(three, "rnpmf")
    fused["rnprf"] = fused_probabilities(three, "rnprf", (0.61, 0.72))
    fused["rnprf x rndff"] = fused["rnprf"] * said["rndff"]
    fused["rnpmf x rndff"] = fused["rnpmf"] * said["rndff"]
    for name, (overall, average, kappa) in PUBLISHED.items():
        found = accuracies(confusion_matrix(labels, fused[name].argmax(1), 15))
        assert (round(100 * found.overall, 2), round(100 * found.average, 2)) == (overall, average), name
        assert round(found.kappa, 4) == kappa, name


def test_weights_chosen_on_the_verification_pixels(
    published: tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor],
) -> None:
    said, labels, chosen = published
    three = [said[name][chosen] for name in ("hs", "hs_features", "aux_features")]
    a, b = best_weights(three, labels[chosen])
    right = {
        w: int((fused_probabilities(three, "rnprf", w).argmax(1) == labels[chosen]).sum())
        for w in ((a, b), (0.61, 0.72))
    }
    assert right[a, b] >= right[0.61, 0.72]
    assert (a, b) == pytest.approx((0.61, 0.72), abs=0.1)


def test_vote_and_unknown_rule() -> None:
    said = [torch.tensor([[0.9, 0.1, 0.0]]), torch.tensor([[0.4, 0.6, 0.0]]), torch.tensor([[0.3, 0.7, 0.0]])]
    assert fused_probabilities(said, "vote").argmax(1).tolist() == [1]
    split = [torch.eye(3)[[0]] * 0.5, torch.eye(3)[[1]] * 0.9, torch.eye(3)[[2]] * 0.6]
    assert fused_probabilities(split, "vote").argmax(1).tolist() == [1]
    with pytest.raises(ConfigError, match="rnprf, rnpmf, vote"):
        fused_probabilities(said, "mean")
