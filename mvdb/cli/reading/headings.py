"""The headings that a place in a document stands under."""

from __future__ import annotations


class Headings:
    """A stack of headings by level (1 is outermost)."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> None:
        """Puts `title` on the trail and takes off the headings of the same and of deeper levels."""
        while self._stack and self._stack[-1][0] >= level:
            self._stack.pop()
        self._stack.append((level, " ".join(title.split())))

    @property
    def trail(self) -> tuple[str, ...]:
        return tuple(title for _, title in self._stack if title)
