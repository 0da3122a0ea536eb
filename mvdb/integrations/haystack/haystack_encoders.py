"""Encoders as arguments that Haystack serialises."""

from __future__ import annotations

from typing import Any

from mvdb.errors import InvalidInputError


def serialisable(encoder: Any) -> Any:
    """The encoder, if Haystack can write it to a file and make it again: a name for
    `mvdb.encoders.load`, None, or an object with `to_dict`. Raises InvalidInputError otherwise."""
    if encoder is None or isinstance(encoder, str) or hasattr(encoder, "to_dict"):
        return encoder
    raise InvalidInputError(
        f"to_dict: the encoder {type(encoder).__name__} has no to_dict; give its name for "
        "mvdb.encoders.load"
    )
