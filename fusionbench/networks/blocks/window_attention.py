"""Attention inside windows, regular or shifted (Liu et al., Swin Transformer, ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WindowAttention(nn.Module):
    """Multi-head attention inside windows with one table of relative position biases for all heads.

    Shapes: x, y [N,H,W,C], sides multiples of ``window`` -> [N,H,W,C]. Self attention: queries, keys and values of x.
    Cross attention: keys and values of x, queries of y. ``shifted`` moves the windows by half their side; the image
    is rolled, and pixels that only meet by the roll do not see each other.
    """

    table_index: Tensor

    def __init__(self, channels: int, heads: int, window: int, shifted: bool = False, cross: bool = False) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, window // 2 if shifted else 0
        self.pos_embedding = nn.Parameter(torch.randn(2 * window - 1, 2 * window - 1))
        if cross:
            self.to_kv = nn.Linear(channels, 2 * channels, bias=False)
            self.to_q = nn.Linear(channels, channels, bias=False)
        else:
            self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.to_out = nn.Linear(channels, channels)
        place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        row, column = place[:, None, :] - place[:, :, None] + window - 1  # key minus query
        self.register_buffer("table_index", row * (2 * window - 1) + column, persistent=False)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        height, width = x.shape[1:3]
        x = x.roll((-self.shift, -self.shift), (1, 2))
        if y is None:
            q, k, v = self.to_qkv(x).chunk(3, dim=-1)
        else:
            k, v = self.to_kv(x).chunk(2, dim=-1)
            q = self.to_q(y.roll((-self.shift, -self.shift), (1, 2)))
        q, k, v = self._windows(q), self._windows(k), self._windows(v)
        logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + self.pos_embedding.flatten()[self.table_index]
        if self.shift:
            logits = logits.masked_fill(self._strangers(height, width, x.device)[:, None], -torch.inf)
        fused = self._image(logits.softmax(dim=-1) @ v, height, width)
        return self.to_out(fused).roll((self.shift, self.shift), (1, 2))

    def _windows(self, x: Tensor) -> Tensor:
        """[N,H,W,C] -> [N, windows, heads, pixels, C / heads]; pixels row by row."""
        n, height, width, channels = x.shape
        m = self.window
        x = x.view(n, height // m, m, width // m, m, self.heads, channels // self.heads)
        return x.permute(0, 1, 3, 5, 2, 4, 6).reshape(n, -1, self.heads, m * m, channels // self.heads)

    def _image(self, x: Tensor, height: int, width: int) -> Tensor:
        n, m = x.shape[0], self.window
        x = x.view(n, height // m, width // m, self.heads, m, m, -1)
        return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(n, height, width, -1)

    def _strangers(self, height: int, width: int, device: torch.device) -> Tensor:
        """Pairs of pixels that the roll brought together, [windows, query, key] bool."""
        m = self.window
        rows = (torch.arange(height, device=device) >= height - self.shift).long()
        columns = (torch.arange(width, device=device) >= width - self.shift).long()
        side = (2 * rows[:, None] + columns).view(height // m, m, width // m, m).permute(0, 2, 1, 3).reshape(-1, m * m)
        return side[:, :, None] != side[:, None, :]
