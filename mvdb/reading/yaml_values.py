"""YAML as people write it in front matter, by PyYAML's safe loader, within bounds.

Unlike YAML 1.1, ``12:30`` is text, not the number 750."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from mvdb.extras import library
from mvdb.reading.json_values import MOST_DEPTH, MOST_VALUES, NoJsonError

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+)$")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)


def parse_yaml(text: str) -> Any:
    """The value of a YAML document.

    NoJsonError: it is malformed, nested too deeply, or unfolds to too many values.
    ImportError: PyYAML is not installed."""
    yaml = library("yaml", "cli", "front matter in YAML needs PyYAML")
    one = None
    try:
        one = _loader(yaml)(text)
        return one.get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError) as error:
        problem = getattr(error, "problem", None) or str(error)
        raise NoJsonError(" ".join(str(problem).split())[:100]) from error
    finally:
        if one is not None:
            one.dispose()


@cache
def _loader(yaml: Any) -> Any:
    """The class of the loader."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Counts what aliases and merge keys unfold to before anything is built from it."""

        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.depth = 0
            self.sizes: dict[int, int] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            is_alias = self.check_event(yaml.AliasEvent)
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise NoJsonError(f"it is nested more than {MOST_DEPTH} deep")
            node = super().compose_node(parent, index)
            self.depth -= 1
            if is_alias:
                if id(node) not in self.sizes:
                    raise NoJsonError("a part of it contains itself")
                return node
            size = 1 + sum(self.sizes[id(child)] for child in _children(node))
            if size > MOST_VALUES:
                raise NoJsonError(f"it has more than {MOST_VALUES:,} values")
            self.sizes[id(node)] = size
            return node

    Loader.yaml_implicit_resolvers = {
        first: [one for one in resolvers if not one[0].endswith((":int", ":float"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
    return Loader


def _children(node: Any) -> list[Any]:
    value = node.value
    if isinstance(value, str):
        return []
    return [child for one in value for child in (one if isinstance(one, tuple) else (one,))]
