"""The order and the randomness of training batches."""

from __future__ import annotations

import numpy as np
import pytest
from torch.utils.data import Dataset

from fusionbench.data.loader import ResumableLoader
from fusionbench.errors import CheckpointError, ConfigError, DataError


class Numbers(Dataset):
    """Each item is its index and a number drawn for it."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def item(self, index: int, rng: np.random.Generator) -> dict[str, float]:
        return {"index": index, "drawn": rng.random()}


def values(batch):
    return batch["index"].tolist(), batch["drawn"].tolist()


def epochs(loader, count=1):
    return [[values(batch) for batch in loader] for _ in range(count)]


def test_an_epoch_holds_every_sample_once_and_epochs_differ():
    first, second = epochs(ResumableLoader(Numbers(12), 3, seed=0), 2)
    assert sorted(i for indices, _ in first for i in indices) == list(range(12))
    assert first != second
    drawn = dict(zip(*map(sum_lists, zip(*first, strict=True)), strict=True))
    again = dict(zip(*map(sum_lists, zip(*second, strict=True)), strict=True))
    assert all(drawn[i] != again[i] for i in range(12))


def sum_lists(lists):
    return [value for part in lists for value in part]


def test_the_seed_decides_and_zero_is_a_seed():
    loaders = [ResumableLoader(Numbers(12), 3, seed=seed) for seed in (0, 0, 1)]
    zero, same, one = (epochs(loader) for loader in loaders)
    assert zero == same != one


def test_what_does_not_fill_a_batch_is_left_out():
    loader = ResumableLoader(Numbers(11), 4, seed=0)
    assert len(loader) == 2
    assert [len(indices) for indices, _ in epochs(loader)[0]] == [4, 4]


@pytest.mark.parametrize("workers", [0, 2])
def test_it_continues_behind_the_last_batch_handed_out(workers):
    whole = epochs(ResumableLoader(Numbers(12), 3, seed=7), 3)
    flat = [batch for epoch in whole for batch in epoch]
    for stop in (2, 4, 7):
        loader = ResumableLoader(Numbers(12), 3, seed=7, workers=workers)
        seen = []
        while len(seen) < stop:
            for batch in loader:
                seen.append(values(batch))
                if len(seen) == stop:
                    break
        state = loader.state_dict()
        resumed = ResumableLoader(Numbers(12), 3, seed=7, workers=workers)
        resumed.load_state_dict(state)
        rest = [values(batch) for _ in range(3) for batch in resumed][: 12 - stop]
        assert seen + rest == flat


def test_processes_share_every_batch(monkeypatch):
    whole = epochs(ResumableLoader(Numbers(12), 4, seed=3))[0]
    shares = []
    for rank in range(2):
        monkeypatch.setattr("fusionbench.data.loader._processes", lambda rank=rank: (rank, 2))
        shares.append(epochs(ResumableLoader(Numbers(12), 4, seed=3))[0])
    for (indices, drawn), (even, even_drawn), (odd, odd_drawn) in zip(whole, *shares, strict=True):
        assert sorted(indices) == sorted([*even, *odd])
        assert sorted(drawn) == sorted([*even_drawn, *odd_drawn])
    with pytest.raises(ConfigError, match=r"data\.batch_size=3: must be a multiple of the 2 processes"):
        ResumableLoader(Numbers(12), 3, seed=3)


def test_too_few_samples_are_refused():
    with pytest.raises(DataError, match=r"data\.batch_size=8, but there are only 5"):
        ResumableLoader(Numbers(5), 8, seed=0)


def test_a_state_of_other_data_is_refused():
    loader = ResumableLoader(Numbers(12), 3, seed=0)
    with pytest.raises(CheckpointError, match="samples=10, the training data have samples=12"):
        loader.load_state_dict(ResumableLoader(Numbers(10), 3, seed=0).state_dict())
