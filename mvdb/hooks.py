"""Progress and cancellation of a long call: one form for all calls.

`progress` is called in the thread of the work, with the units done and their total, None if it is
unknown. `cancel` is a `threading.Event`, or a function that gives a true value; after that the call
raises `CancelledError` at its next check. What either raises ends the call in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mvdb import arguments
from mvdb.errors import CancelledError, InvalidInputError, shown

Progress = Callable[[int, int | None], object]
"""Called with the units done and their total."""


@runtime_checkable
class Event(Protocol):
    """What `threading.Event`, `multiprocessing.Event` and `asyncio.Event` have in common."""

    def is_set(self) -> bool: ...


Cancel = Event | Callable[[], object]


class Hooks:
    """The hooks of one call. `Hooks()` has none."""

    def __init__(
        self, progress: Progress | None = None, cancel: Callable[[], object] | None = None
    ) -> None:
        self._progress = progress
        self._cancel = cancel

    @classmethod
    def checked(cls, progress: Progress | None, cancel: Cancel | None) -> Hooks:
        """The hooks that a caller gives; InvalidInputError for anything else."""
        arguments.function("progress", progress)
        if isinstance(cancel, Event):
            return cls(progress, cancel.is_set)
        if cancel is not None and not callable(cancel):
            raise InvalidInputError(
                f"cancel: a threading.Event, a function or None is needed, not {shown(cancel)}"
            )
        return cls(progress, cancel)

    def of_part(self, before: int, total: int) -> Hooks:
        """The hooks of a part of the call: `before` of `total` units were done before it."""
        report = self._progress
        if report is None:
            return self
        return Hooks(lambda done, _: report(before + done, total), self._cancel)

    @property
    def is_idle(self) -> bool:
        """Whether nobody listens."""
        return self._progress is None and self._cancel is None

    def check(self) -> None:
        """Raises CancelledError once the caller has cancelled."""
        if self._cancel is not None and self._cancel():
            raise CancelledError("the call was cancelled; nothing half-done is left")

    def report(self, done: int, total: int | None) -> None:
        """Reports progress, then checks."""
        if self._progress is not None:
            self._progress(done, total)
        self.check()
