"""Measures of a run, by ir-measures (MacAvaney et al., ECIR 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvdb.errors import InvalidInputError, shown
from mvdb.extras import library

_DEFAULTS = ("nDCG@10", "RR@10", "AP@1000", "R@10", "R@100", "R@1000")


@dataclass(frozen=True)
class Evaluation:
    """The quality of a run.

    Attributes:
        means: mean of each measure over the judged queries, by its name; a judged query without
            results counts 0.
        by_query: value by query id, by measure."""

    means: dict[str, float]
    by_query: dict[str, dict[str, float]]


def default_measures(k: int) -> list[str]:
    """The measures that are taken where none are named: of nDCG@10, RR@10, AP@1000, R@10, R@100 and
    R@1000 those for which k documents of each query suffice; nDCG@k and R@k for k below 10."""
    names = [name for name in _DEFAULTS if int(name.partition("@")[2]) <= k]
    return names or [f"nDCG@{k}", f"R@{k}"]


def measure(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, int]],
    measures: Sequence[str],
    *,
    k: int | None = None,
) -> Evaluation:
    """Measures a run.

    Args:
        run: score by document, by query.
        qrels: grade by document, by query. Queries of the run that are not judged are ignored.
        measures: names as ir-measures has them: "nDCG@10", "RR@10", "R(rel=2)@100", "AP", ...
        k: documents that the run has of each query, at most: a measure that looks at more is
            refused. None: not checked.

    Raises:
        ImportError: ir-measures (extra `eval`) is not installed.
        InvalidInputError: no measure of a name, or none that is installed; no measure or no
            judgement is given; no query of the run is judged.
    """
    measurer = library("ir_measures", "eval", "measures need ir-measures")
    if not measures:
        raise InvalidInputError("measures: no measure is named")
    if not qrels:
        raise InvalidInputError("qrels: no query is judged")
    parsed = [_parsed(measurer, name, k) for name in measures]
    if not any(query in qrels for query in run):
        raise InvalidInputError(
            f"run: none of its queries is judged; it has {shown(next(iter(run), None))}, the "
            f"judgements {shown(next(iter(qrels)))}"
        )
    by_query: dict[str, dict[str, float]] = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    names = dict(zip(parsed, measures, strict=True))
    judged = {query: dict(run[query]) for query in qrels if run.get(query)}
    try:
        for one in measurer.iter_calc(list(names), {q: dict(g) for q, g in qrels.items()}, judged):
            by_query[names[one.measure]][one.query_id] = float(one.value)
    except (ValueError, RuntimeError) as error:
        raise InvalidInputError(f"measures: {error}") from error
    means = {name: sum(values.values()) / len(values) for name, values in by_query.items()}
    return Evaluation(means, by_query)


def _parsed(measurer: Any, name: str, k: int | None) -> Any:
    try:
        one = measurer.parse_measure(name)
        one.validate_params()
    except (NameError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise InvalidInputError(
            f"measures: {shown(name)} is no measure of ir-measures; examples: nDCG@10, RR@10, "
            "R@100, AP"
        ) from error
    cutoff = one.params.get("cutoff")
    if k is not None and cutoff is not None and cutoff > k:
        raise InvalidInputError(f"measures: {name} looks at {cutoff} documents, k is {k}")
    return one
