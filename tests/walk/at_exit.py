"""Every public call while the interpreter ends: ``python -m tests.walk.at_exit MOMENT``.

Works in the present folder. Writes what should not have left a call, and last "walked"; by the
system's call, as there is no `sys.stdout` at the very end."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from pathlib import Path
from typing import Any

moment = sys.argv[1]
if moment == "thread":
    import mvdb  # noqa: F401 - its own work at exit comes after what is registered later


class Last:
    """Walks when it is called or freed."""

    def __init__(self, db: Any) -> None:
        self.db, self.walk, self.write = db, calls.walk, os.write
        self.when_freed = moment == "global"  # names of this module are gone by then

    def __call__(self) -> None:
        for line in [*self.walk(self.db), "walked"]:
            self.write(1, line.encode() + b"\n")

    def __del__(self) -> None:
        if self.when_freed:
            self()


if moment == "atexit":  # registered before mvdb is imported: called after its own work at exit
    atexit.register(lambda: last())
from tests.walk import calls  # noqa: E402

last = Last(calls.new_database(Path("a.mvdb")))
if moment == "thread":
    atexit.register(lambda: threading.Thread(target=last, daemon=True).start())
