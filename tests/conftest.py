"""Settings for all tests: the Hypothesis profiles.

``ci`` (default) is what every change has to pass, the same examples each time; ``dev`` draws new
ones and is quick, ``expensive`` is for nights:
``python -m pytest tests/property --hypothesis-profile=expensive``. A failure prints the call that
repeats it, and ``--hypothesis-seed`` repeats a whole run.
"""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.leaks import held

# A shell has what it runs in the background ignore Ctrl-C, and so would the processes of the tests
# that are interrupted by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "dev",
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "ci", settings.get_profile("dev"), max_examples=100, derandomize=True, database=None
)
settings.register_profile(
    "expensive", settings.get_profile("dev"), max_examples=20_000, stateful_step_count=60
)
settings.load_profile("ci")


SECONDS = 10.0
"""For threads and finalisers to come to their end after a test."""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No test leaves a database open, a process or a thread behind."""
    before = held()
    yield
    end = time.monotonic() + SECONDS
    while (left := held() - before) and time.monotonic() < end:
        gc.collect()
        time.sleep(0.01)
    assert not left
