"""The max-tree of an image and the filters made with it: attribute openings and extinction filters.

Salembier, Oliveras, Garrido, Antiextensive connected operators for image and sequence processing, IEEE TIP 7(4), 1998;
Souza, Rittner, Machado, Lotufo, A comparison between extinction filters and attribute filters, ISMM 2015.
"""

from __future__ import annotations

import numpy as np

from fusionbench.errors import ConfigError

ATTRIBUTES = ("area", "height", "volume", "diagonal", "deviation")


class MaxTree:
    """Bright connected parts (4 neighbours) of an image, one inside the other.

    Args:
        image: [H,W] whole numbers.

    Attributes:
        node: [H,W] number of the smallest part that a pixel belongs to; parents have smaller numbers, the root is 0.
        parent: of each node; the root's is itself.
        level: of each node.
    """

    def __init__(self, image: np.ndarray) -> None:
        if image.ndim != 2 or image.dtype.kind not in "iu":
            raise ConfigError(f"a max-tree is made of whole numbers [H,W], got {image.dtype} {image.shape}")
        values = image.astype(np.int64).ravel()
        order = np.argsort(values, kind="stable")
        above = _parents(values, order, image.shape)
        canonical = above == np.arange(len(values))
        canonical |= values[above] != values
        rank = np.empty(len(values), np.int64)
        rank[order] = np.arange(len(values))
        heads = np.flatnonzero(canonical)
        heads = heads[np.argsort(rank[heads])]  # parents first: they are darker
        number = np.full(len(values), -1, np.int64)
        number[heads] = np.arange(len(heads))
        self.node = np.where(canonical, number, number[above]).reshape(image.shape)
        self.parent, self.level = number[above[heads]], values[heads]
        self._values, self._shape = values, image.shape

    def attribute(self, name: str) -> np.ndarray:
        """A number per node, none smaller than its descendants': of area (px), height (levels above it), volume,
        diagonal of the bounding box (px) or standard deviation of the values.

        Raises:
            ConfigError: another name.
        """
        count, flat = len(self.level), self.node.ravel()
        area = np.bincount(flat, minlength=count).astype(np.float64)
        total = np.bincount(flat, self._values.astype(np.float64), count)
        if name == "area":
            return self._summed(area)
        if name == "height":
            return self._largest(self.level) - self.level.astype(np.float64)
        if name == "volume":
            return self._summed(total) - self.level * self._summed(area)
        if name == "diagonal":
            rows, columns = np.divmod(np.arange(len(flat)), self._shape[1])
            sides = []
            for places in (rows, columns):
                low, high = np.full(count, np.inf), np.full(count, -np.inf)
                np.minimum.at(low, flat, places)
                np.maximum.at(high, flat, places)
                sides.append(self._largest(high) + self._largest(-low) + 1)
            return np.hypot(*sides)
        if name == "deviation":
            square = np.bincount(flat, self._values.astype(np.float64) ** 2, count)
            size = self._summed(area)
            mean = self._summed(total) / size
            return self._largest(np.sqrt(np.maximum(self._summed(square) / size - mean**2, 0)))
        raise ConfigError(f"attribute {name}: one of {', '.join(ATTRIBUTES)}")

    def _summed(self, own: np.ndarray) -> np.ndarray:
        found, parent = own.tolist(), self.parent.tolist()
        for node in range(len(found) - 1, 0, -1):
            found[parent[node]] += found[node]
        return np.asarray(found)

    def _largest(self, own: np.ndarray) -> np.ndarray:
        found, parent = own.tolist(), self.parent.tolist()
        for node in range(len(found) - 1, 0, -1):
            if found[node] > found[parent[node]]:
                found[parent[node]] = found[node]
        return np.asarray(found, np.float64)

    def kept(self, keep: np.ndarray) -> np.ndarray:
        """The image [H,W] in which only some nodes are left; the root always is.

        Args:
            keep: bool per node.
        """
        level, parent, wanted = self.level.tolist(), self.parent.tolist(), keep.tolist()
        for node in range(1, len(level)):
            if not wanted[node]:
                level[node] = level[parent[node]]
        return np.asarray(level)[self.node]

    def extinction(self, attribute: np.ndarray) -> np.ndarray:
        """Extinction value per node: for a maximum, the attribute up to which it outlives others; 0 for other nodes.

        Where two maxima meet, that of the larger attribute lives on (the one met first where they are equal).
        """
        count, parent = len(attribute), self.parent.tolist()
        values, best = attribute.tolist(), [-1] * count
        found = np.zeros(count)
        leaf = [-1] * count
        for node in range(count - 1, -1, -1):
            mine = node if best[node] < 0 else leaf[best[node]]
            leaf[node] = mine
            if node == 0:
                found[mine] = values[0]
                break
            above = parent[node]
            other = best[above]
            if other < 0:
                best[above] = node
            elif values[node] > values[other]:
                found[leaf[other]] = values[other]
                best[above] = node
            else:
                found[mine] = values[node]
        return found

    def strongest(self, extinction: np.ndarray, count: int) -> np.ndarray:
        """The image [H,W] with so many maxima left, those of largest extinction value."""
        chosen = np.argsort(-extinction, kind="stable")[: min(count, int((extinction > 0).sum()))]
        keep = np.zeros(len(extinction), bool)
        keep[chosen] = True
        marks, parent = keep.tolist(), self.parent.tolist()
        for node in range(len(marks) - 1, 0, -1):
            if marks[node]:
                marks[parent[node]] = True
        return self.kept(np.asarray(marks))


def _parents(values: np.ndarray, order: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Parent pixel of each pixel, the same level's representative or a darker one (Berger et al., ICIP 2007)."""
    rows, columns = shape
    parent = list(range(len(values)))
    root = [-1] * len(values)
    for pixel in order[::-1].tolist():
        root[pixel] = pixel
        column = pixel % columns
        around = (
            pixel - columns if pixel >= columns else -1,
            pixel + columns if pixel < (rows - 1) * columns else -1,
            pixel - 1 if column else -1,
            pixel + 1 if column < columns - 1 else -1,
        )
        for other in around:
            if other < 0 or root[other] < 0:
                continue
            while root[other] != other:
                root[other] = root[root[other]]
                other = root[other]
            if other != pixel:
                root[other] = pixel
                parent[other] = pixel
    level = values.tolist()
    for pixel in order.tolist():
        above = parent[pixel]
        if level[parent[above]] == level[above]:
            parent[pixel] = parent[above]
    return np.asarray(parent)
