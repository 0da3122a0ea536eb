"""``python -m mvdb_without_libraries``: `mvdb` as if the libraries of the extra cli were not
installed."""

from __future__ import annotations

import sys

from mvdb.cli import main

if __name__ == "__main__":
    for name in ("rich", "markdown_it", "lxml"):
        assert name not in sys.modules, f"mvdb.cli imports {name} before it is needed"
        sys.modules[name] = None  # type: ignore[assignment]
    sys.exit(main())
