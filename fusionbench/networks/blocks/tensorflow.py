"""Layers as TensorFlow 1 has them: SAME padding at strides, and a batch norm that never uses running averages."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import batch_norm, instance_norm, pad


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: [N,C,H,W] -> [N,D,ceil(H/s),ceil(W/s)].

    Where the padding is odd the extra zero goes to the bottom and the right: 3x3 at stride 2 on an even size pads 0
    before and 1 after.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1 and kernel % 2:
            return super().forward(pad(input, (kernel // 2,) * 4))
        rows, columns = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in input.shape[-2:])
        return super().forward(pad(input, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)))


class BatchStatisticsNorm2d(nn.BatchNorm2d):
    """Batch norm with the statistics of what it sees: of the batch while training, of each image afterwards.

    The second is the first with one image per batch, which is how the published code tests.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps=eps, track_running_stats=False)

    def forward(self, input: Tensor) -> Tensor:
        if self.training:
            return batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return instance_norm(input, weight=self.weight, bias=self.bias, eps=self.eps)
