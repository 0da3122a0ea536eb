"""Evaluation: judged queries, runs and measures of retrieval quality.

Files of BEIR (JSONL, TSV) and TREC (topics, qrels, runs) are read, TREC runs are read and written,
each of them plain or compressed (``.gz``, ``.zst``). Measures are those of ir-measures, extra
``eval``; the rest of this package needs no other library.

>>> from mvdb import evaluation
>>> queries = evaluation.read_queries("queries.jsonl")      # doctest: +SKIP
>>> qrels = evaluation.read_qrels("qrels/test.tsv")         # doctest: +SKIP
>>> run = evaluation.search_run(db, queries, k=1000)        # doctest: +SKIP
>>> evaluation.measure(run, qrels, ["nDCG@10"]).means       # doctest: +SKIP
"""

from mvdb.evaluation.judged_files import Qrels, Queries, read_corpus, read_qrels, read_queries
from mvdb.evaluation.measures import Evaluation, default_measures, measure
from mvdb.evaluation.runs import Run, read_run, search_run, write_run

__all__ = [
    "Evaluation",
    "Qrels",
    "Queries",
    "Run",
    "default_measures",
    "measure",
    "read_corpus",
    "read_qrels",
    "read_queries",
    "read_run",
    "search_run",
    "write_run",
]
