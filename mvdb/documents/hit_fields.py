"""Which of text and metadata a hit carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvdb.errors import InvalidInputError, shown

_TEXT, _METADATA, _PATH = "text", "metadata", "metadata."


@dataclass(frozen=True)
class HitFields:
    """text: whether the text. paths: the parts of the metadata; None: all of it."""

    text: bool
    paths: tuple[str, ...] | None

    @classmethod
    def checked(cls, fields: str | Sequence[str]) -> HitFields:
        """The fields that a call names; InvalidInputError for another name."""
        listed = [fields] if isinstance(fields, str) else fields
        if not isinstance(listed, (list, tuple, set, frozenset)):
            raise InvalidInputError(f"fields: a sequence of names is needed, not {shown(fields)}")
        for name in listed:
            if not isinstance(name, str) or not (
                name in (_TEXT, _METADATA) or name.startswith(_PATH)
            ):
                raise InvalidInputError(
                    f'fields: {shown(name)}: "text", "metadata" and "metadata.PATH" are the names'
                )
        if _METADATA in listed:
            return cls(_TEXT in listed, None)
        paths = dict.fromkeys(name.removeprefix(_PATH) for name in listed if name != _TEXT)
        return cls(_TEXT in listed, tuple(paths))

    @property
    def is_empty(self) -> bool:
        """Whether a hit carries neither."""
        return not self.text and self.paths == ()

    @property
    def needs_metadata(self) -> bool:
        """Whether a hit carries any metadata."""
        return self.paths != ()

    def part_of(self, metadata: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The metadata that a hit carries, in the form it has; None if it carries none."""
        if self.paths is None or metadata is None:
            return metadata
        return _part(metadata, self.paths) if self.paths else None


def _part(metadata: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """The values at some paths. As in a filter, a key may have dots of its own."""
    result: dict[str, Any] = {}
    for key, value in metadata.items():
        if key in paths:
            result[key] = value
            continue
        inner = [path[len(key) + 1 :] for path in paths if path.startswith(key + ".")]
        if inner and (part := _inside(value, inner)) is not None:
            result[key] = part
    return result


def _inside(value: Any, paths: Sequence[str]) -> Any:
    """The values at some paths in an object, or in the objects of a list; None without any."""
    if isinstance(value, Mapping):
        return _part(value, paths) or None
    if isinstance(value, list):
        return [part for one in value if (part := _inside(one, paths)) is not None] or None
    return None
