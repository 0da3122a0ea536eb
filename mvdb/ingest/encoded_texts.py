"""Matrices that know the encoder that made them."""

from __future__ import annotations

from typing import Any

from mvdb.state.encoder_identity import EncoderIdentity


class EncodedTexts(list[Any]):
    """A matrix (n, dim) for each text, and the encoder's identity."""

    def __init__(self, matrices: list[Any], identity: EncoderIdentity) -> None:
        super().__init__(matrices)
        self.identity = identity
