"""Functions run in a process of their own, so that memory and opening times are theirs alone.

    call(build, path="x.mvdb", bits=2)       # build(path="x.mvdb", bits=2) in a fresh interpreter

The function must stand at the top level of a module; arguments and result travel as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def command(function: Callable[..., Any], arguments: dict[str, Any]) -> list[str]:
    """The command line that calls `function` and prints its result as JSON."""
    module = function.__module__
    if module == "__main__":
        module = sys.modules["__main__"].__spec__.name  # type: ignore[union-attr]
    target = f"{module}:{function.__name__}"
    return [sys.executable, "-m", "bench.processes", target, json.dumps(arguments)]


def environment() -> dict[str, str]:
    """Variables of a child: numpy without threads of its own."""
    return {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}


def call(function: Callable[..., Any], prefix: Sequence[str] = (), **arguments: Any) -> Any:
    """The result of the function in a process of its own. `prefix`: a tool to run it under.

    Raises subprocess.CalledProcessError when it fails; its messages have gone to stderr."""
    line = [*prefix, *command(function, arguments)]
    done = subprocess.run(line, env=environment(), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Runs ``module:function`` with JSON arguments."""
    module, name = sys.argv[1].split(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
