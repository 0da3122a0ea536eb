"""Files and folders in a database: found, read, cut into passages, kept up to date.

>>> import mvdb
>>> from mvdb import folders
>>> with mvdb.open("notes.mvdb", encoder=mvdb.encoders.default()) as db:   # doctest: +SKIP
...     report = folders.sync(db, "notes", prune=True)

The command `mvdb index` does the same.
"""

from mvdb.documents.neighbours import context
from mvdb.folders.indexed_files import IndexedFile, encoded_text, files, place_of
from mvdb.folders.report import OUTCOMES, Progress, Refusal, Report
from mvdb.folders.syncing import sync
from mvdb.folders.watching import watch

__all__ = [
    "OUTCOMES",
    "IndexedFile",
    "Progress",
    "Refusal",
    "Report",
    "context",
    "encoded_text",
    "files",
    "place_of",
    "sync",
    "watch",
]
