"""The storage layer: one LMDB file, opened safely, with checked values. Only this package knows
LMDB."""

from mvdb.storage.environment import Environment
from mvdb.storage.format import FORMAT_VERSION, TABLES, Kind, Record
from mvdb.storage.transaction import ReadTransaction, WriteTransaction

__all__ = [
    "FORMAT_VERSION",
    "TABLES",
    "Environment",
    "Kind",
    "ReadTransaction",
    "Record",
    "WriteTransaction",
]
