"""Documents from other engines and formats, as streams for `Database.insert_batches`.

>>> from mvdb import importers
>>> source = importers.open_source("indexes/colbert")       # doctest: +SKIP
>>> with mvdb.open("new.mvdb", dim=source.dim) as db:       # doctest: +SKIP
...     db.insert_batches(source.batches(), total=source.total)

The command `mvdb import` does the same. Sources are untrusted: no pickle is loaded, sizes are
checked against the files before memory is reserved.
"""

from mvdb.importers.parquet_writer import ParquetWriter
from mvdb.importers.source import Source
from mvdb.importers.source_kinds import KINDS, open_source
from mvdb.importers.texts_table import with_texts

__all__ = ["KINDS", "ParquetWriter", "Source", "open_source", "with_texts"]
