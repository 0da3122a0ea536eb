"""The tool and the loader of fragments.

A search opens the file for reading and closes it, so that it sees the newest state and leaves
nothing behind. It is by meaning and words if the file was made with the default encoder, which is
installed, or with one that is named; else by words alone.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import llm

import mvdb
from mvdb import encoders
from mvdb.errors import InvalidInputError

PREFIX = "mvdb"
FRAGMENTS = 5
"""Documents of a fragment loader."""

_load = cache(encoders.load)


class Mvdb(llm.Toolbox):
    """`llm -T 'Mvdb("notes.mvdb")'`: lets a model search a file."""

    def __init__(self, path: str, encoder: str = "") -> None:
        """encoder: the name of one for `mvdb.encoders.load`."""
        self._path = path
        self._encoder = encoder

    def search(self, query: str, k: int = 5) -> str:
        """Finds the passages that answer a question or have its words, the best first. Returns a
        JSON list of objects with id, score, text and metadata.

        query: a question or words; words in quotation marks are found as a phrase.
        k: number of passages."""
        return json.dumps(_found(self._path, query, k, self._encoder), ensure_ascii=False)


def fragments(argument: str) -> list[llm.Fragment]:
    """`llm -f 'mvdb:notes.mvdb?how to bake bread'`: the best documents of a file, a fragment each.

    Raises InvalidInputError for an argument without a question mark behind the path."""
    path, mark, query = argument.partition("?")
    if not (path and mark and query):
        raise InvalidInputError(
            f"{PREFIX}:{argument}: a path, a question mark and a query are needed, as in "
            f"{PREFIX}:notes.mvdb?how to bake bread"
        )
    return [
        llm.Fragment(one["text"] or "", f"{PREFIX}:{path}#{one['id']}")
        for one in _found(path, query, FRAGMENTS, "")
    ]


def _found(path: str, query: str, k: int, name: str) -> list[dict[str, Any]]:
    encoder = _load(name) if name else _default_encoder(path)
    with mvdb.open(path, readonly=True, encoder=encoder) as db:
        hits = db.search(query, k, fields=("text", "metadata"))
        wanted = ("id", "score", "text", "metadata")
        return [{field: hit.to_dict()[field] for field in wanted} for hit in hits]


def _default_encoder(path: str) -> encoders.Encoder | None:
    """The default encoder, if it made the vectors of the file and is installed. No other model is
    loaded because a file names it."""
    with mvdb.open(path, readonly=True) as db:
        if db.stats().encoder != encoders.DEFAULT_NAME:
            return None
    try:
        return _load(encoders.DEFAULT_NAME)
    except ImportError:
        return None


@llm.hookimpl
def register_tools(register: Callable[..., None]) -> None:
    """Called by `llm`."""
    register(Mvdb)


@llm.hookimpl
def register_fragment_loaders(register: Callable[..., None]) -> None:
    """Called by `llm`."""
    register(PREFIX, fragments)
