"""What a method that must see the whole scene will need, and what there is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# what libraries take beside the tensors that Python sees
WORKSPACE = 1.5


class PeakMemory(TorchFunctionMode):
    """Context that adds up the storages alive at once of all tensors made in it: ``peak`` bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[int, int]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            with torch._C.DisableTorchFunction():
                self._see(tensor)
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        users, _ = self._alive.get(key, (0, 0))
        self._alive[key] = (users + 1, storage.nbytes())
        weakref.finalize(tensor, self._forget, key)

    def _forget(self, key: int) -> None:
        users, size = self._alive.pop(key, (1, 0))
        if users > 1:
            self._alive[key] = (users - 1, size)


def _tensors(result: Any) -> Iterable[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, (tuple, list)):
        for item in result:
            yield from _tensors(item)


def bytes_per_pixel(fuse: Callable[[Tensor, Tensor], Tensor], bands: int, guide_bands: int, ratio: int) -> float:
    """Peak bytes per fused pixel of a method, measured on a random pair of 128 px or a little more."""
    side = -(-128 // ratio)
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(1, bands, side, side, generator=generator)
    guide = torch.rand(1, guide_bands, side * ratio, side * ratio, generator=generator)
    with PeakMemory() as memory, torch.no_grad():
        fuse(lr, guide)
    # beside the work: inputs and output as float32
    return WORKSPACE * memory.peak / (side * ratio) ** 2 + 4.0 * (2 * bands + guide_bands)


def available_memory() -> int | None:
    """Bytes that a process may still take (system and control group), None where the system does not say."""
    free = []
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = (line.split() for line in meminfo.read_text().splitlines())
        free += [1024 * int(words[1]) for words in lines if words[0] == "MemAvailable:"]
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and limit.read_text().strip().isdigit():
        free.append(int(limit.read_text()) - int(used.read_text()))
    return min(free, default=None)
