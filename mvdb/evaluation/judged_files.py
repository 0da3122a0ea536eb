"""Collections with judged queries: readers of corpus, queries and judgements of BEIR and TREC."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from mvdb.errors import InvalidInputError, shown
from mvdb.evaluation.text_lines import Path, lines, refuse

Queries = dict[str, str]
"""Text by query id."""
Qrels = dict[str, dict[str, int]]
"""Grade by document id, by query id; greater than 0: relevant."""

_TOPIC = re.compile(r"<top>(.*?)</top>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*(?:Topic:)?\s*([^<]*)", re.IGNORECASE)
_ID_HEADS = {"id", "_id", "qid", "query-id", "query_id"}
_LONGEST_TOPICS = 64 * 2**20
"""Characters of a file of topics, which is held whole."""


def read_corpus(path: Path) -> Iterator[tuple[str, str]]:
    """Id and text of each document of a corpus in the form of BEIR.

    Args:
        path: JSON lines ``{"_id", "title"?, "text"}``. The text is title and text, with a line
            feed between them.

    Raises InvalidInputError, which names the line, and PathError."""
    for number, line in lines(path):
        record = _record(path, number, line)
        title = record.get("title") or ""
        if not isinstance(title, str):
            refuse(path, number, f'"title" must be a string, not {shown(title)}')
        yield _id(path, number, record), "\n".join(filter(None, (title, record["text"])))


def read_queries(path: Path) -> Queries:
    """Queries by id, in the order of the file.

    Args:
        path: JSON lines ``{"_id", "text"}`` as in BEIR (``id`` is accepted, too); or lines of id, a
            tab and text, with or without a head; or topics of TREC, of which the title is taken.
            The first line tells which.

    Raises InvalidInputError, which names the line, for a malformed file, a repeated id and a file
    without queries; PathError."""
    source = lines(path)
    first = next(source, None)
    if first is None:
        raise InvalidInputError(f"{path}: no query in it")
    source = chain([first], source)
    start = first[1].lstrip()[:1]
    read = _json_queries if start == "{" else _topics if start == "<" else _tabbed_queries
    queries: Queries = {}
    for number, name, text in read(path, source):
        if not text.strip():
            refuse(path, number, f"query {name!r} is blank")
        if name in queries:
            refuse(path, number, f"query {name!r} was there before")
        queries[name] = text.strip()
    if not queries:
        raise InvalidInputError(f"{path}: no query in it")
    return queries


def read_qrels(path: Path) -> Qrels:
    """Judgements by query id.

    Args:
        path: lines of query, document and grade with tabs between them and a head, as in BEIR; or
            of query, a word that is ignored, document and grade, as in TREC. Grades are integers.

    Raises InvalidInputError, which names the line, for a malformed file, a document that is judged
    twice with different grades, and a file without judgements; PathError."""
    qrels: Qrels = {}
    for place, (number, line) in enumerate(lines(path)):
        cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
        if len(cells) not in (3, 4) or not all(cells):
            refuse(path, number, f"query, document and grade are needed, not {shown(line)}")
        query, document, grade = cells[0], cells[-2], cells[-1]
        try:
            value = int(grade)
        except ValueError:
            if place == 0 and len(cells) == 3:
                continue  # the head
            refuse(path, number, f"a grade is an integer, not {shown(grade)}")
        if abs(value) >= 2**31:
            refuse(path, number, f"grade {shown(grade)} does not fit 32 bits")
        grades = qrels.setdefault(query, {})
        if grades.setdefault(document, value) != value:
            refuse(path, number, f"{query!r} and {document!r} had another grade before")
    if not qrels:
        raise InvalidInputError(f"{path}: no judgement in it")
    return qrels


_Source = Iterator[tuple[int, str]]
_Read = Iterator[tuple[int, str, str]]
"""Line, id and text of each query."""


def _json_queries(path: Path, source: _Source) -> _Read:
    for number, line in source:
        record = _record(path, number, line)
        yield number, _id(path, number, record), record["text"]


def _tabbed_queries(path: Path, source: _Source) -> _Read:
    for place, (number, line) in enumerate(source):
        name, tab, text = line.partition("\t")
        if not tab or not name.strip():
            refuse(path, number, f"an id, a tab and a text are needed, not {shown(line)}")
        if place == 0 and name.strip().lower() in _ID_HEADS:
            continue
        yield number, name.strip(), text


def _topics(path: Path, source: _Source) -> _Read:
    parts: list[str] = []
    size = 0
    for number, line in source:
        size += len(line)
        if size > _LONGEST_TOPICS:
            refuse(path, number, f"topics of more than {_LONGEST_TOPICS:,} characters")
        parts.append(line)
    for place, topic in enumerate(_TOPIC.findall("\n".join(parts)), start=1):
        name, title = _NUMBER.search(topic), _TITLE.search(topic)
        if name is None or title is None:
            raise InvalidInputError(f"{path}: topic {place} has no <num> or no <title>")
        yield place, name[1], " ".join(title[1].split())


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        refuse(path, number, f"not JSON ({error})")
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        refuse(path, number, 'not a JSON object {"_id", "text"} with a string as its text')
    return record


def _id(path: Path, number: int, record: dict[str, Any]) -> str:
    name = record.get("_id", record.get("id"))
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name.strip():
        refuse(path, number, f'"_id" must be a string that is not blank, not {shown(name)}')
    return name
