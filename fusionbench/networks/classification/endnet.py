"""EndNet (Hong et al., IEEE GRSL 2022)."""

from __future__ import annotations

from torch import Tensor

from fusionbench.networks.classification.mdl_rs import MDLRS


class EndNet(MDLRS):
    """EndNet: an encoder per modality, a joint code, and decoders that rebuild both pixels from it.

    Shapes: hs [N,B,p,p], aux [N,A,p,p], of which the centre is taken, values in [0, 1] -> ``output`` logits [N,C], and
    while training ``residual_hs``, ``residual_aux`` (see `MDLRS`, whose pixel network with decoders it is).

    Source: Hong et al., Deep Encoder-Decoder Networks for Classification of Hyperspectral and LiDAR Data, IEEE GRSL
    19, 2022, section II.
    """

    def __init__(self, hs: int, aux: int, classes: int) -> None:
        super().__init__({"hs": hs, "aux": aux}, classes, net="fc", fusion="en_de")

    def forward(self, hs: Tensor, aux: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return super().forward(hs=hs, aux=aux)
