"""What a long deploy says of itself while it works."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli import output

__all__ = ["Progress", "progress"]

FEW = 20
"""Up to so many stacks each says what happens to it, where lines are not drawn over each other."""
EVERY = 5.0  # seconds between two lines of how far it is


class Progress:
    """One moving line on a terminal; elsewhere lines, which for many stacks only say how many are through."""

    def __init__(self, show: Callable[[str], None], *, moves: bool = False) -> None:
        self.show, self.moves = show, moves
        self.place, self.stage = "", ""
        self.total = self.through = self.failed = 0
        self.told_at = 0.0
        self.one_at_a_time = threading.Lock()

    def __call__(self, subject: str, what: str) -> None:
        """Something happens to one stack, or before there is any."""
        if self.moves and self.stage:
            self.show(f"{self._far()} · {subject}: {what}")
        elif self.total <= FEW:
            self.show(f"{subject}: {what}")

    def expect(self, place: str, total: int) -> None:
        """From now on it is about so many stacks of a cell."""
        self.place, self.stage, self.total, self.through, self.failed = place, "", total, 0, 0

    def begin(self, stage: str) -> None:
        self.stage = stage
        self._tell()

    def end(self, subject: str, what: str, *, failed: bool) -> None:
        """One stack is through."""
        self(subject, what)
        with self.one_at_a_time:
            self.through += 1
            self.failed += failed
            is_due = self.total > FEW and time.monotonic() - self.told_at >= EVERY
        if is_due:
            self._tell()

    def _tell(self) -> None:
        self.told_at = time.monotonic()
        self.show(self._far())

    def _far(self) -> str:
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.place}: {self.stage}; {self.through:,} of {self.total:,} stacks are through{failed}"


@contextmanager
def progress() -> Iterator[Progress]:
    """Said to whoever called the command."""
    if not output.is_interactive():
        yield Progress(output.message)
        return
    with output.messages().status("deploying …") as status:
        yield Progress(lambda text: status.update(output.shown(text)), moves=True)
