"""What a deploy has done so far, written into the cell's record as it goes on, so that the next one need not ask."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from deployment.errors import DeployError
from deployment.locks import Lock
from deployment.records import Record, Recorded, RecordedOffboarding, Shelf

__all__ = ["Journal"]

EVERY = 2.0  # seconds


class Journal:
    """The record of a cell in the hands of the deploy that holds its lock.

    What a kill keeps from being written is asked of CloudFormation by the next deploy; nothing is done twice for it.
    """

    def __init__(
        self, shelf: Shelf, lock: Lock, *, every: float = EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.shelf, self.lock, self.every, self.clock = shelf, lock, every, clock
        self.record, self.etag = shelf.read()
        if self.record.is_later:
            raise DeployError(
                f"{shelf.address}: {self.record.unread}, so a later version deploys here: deploy with that one, or "
                "delete this object, and what is deployed is asked of CloudFormation"
            )
        self.unwritten = False
        self.written_at = clock()
        self.one_at_a_time = threading.Lock()

    @property
    def known(self) -> Record:
        return self.record

    def complete(self, stacks: Mapping[str, str]) -> None:
        """Of a record that is not whole: enter all tenants' stacks that stand, by name with the tenant, as not known.

        So none of them goes unseen from now on, and each is looked at until a deploy has found or made it right.
        """
        with self.one_at_a_time:
            new = {name: tenant for name, tenant in stacks.items() if name not in self.record.stacks}
            rows = (replace(self._doubted(*each), life=0) for each in new.items())
            self.record = self.record.having(*rows).whole()
            self.unwritten = True

    def note(self, *stands: Recorded) -> None:
        """Enter stacks that are as they shall be, and everything their tenants' entries say; may write at once."""
        with self.one_at_a_time:
            if not stands:
                return
            self.record = self.record.having(*stands)
            self.unwritten = True
            if self.clock() - self.written_at >= self.every:
                self._write()

    def doubt(
        self,
        stacks: Mapping[str, str | None],
        *,
        states: Mapping[str, str] | None = None,
        lives: Mapping[str, int] | None = None,
    ) -> None:
        """Before these are changed, or made: whatever becomes of this deploy, the next one asks how they stand.

        By name, with the tenant of each, so that one which is taken out of the file meanwhile does not go unseen.
        `states`: which they are brought to; since when one was in another is not known any more. `lives`: of new ones.
        """
        with self.one_at_a_time:
            if stacks:
                rows = (self._doubted(name, tenant, (lives or {}).get(name, 1)) for name, tenant in stacks.items())
                self.record = self.record.having(*(left(row, (states or {}).get(row.stack)) for row in rows))
                self._write()

    def _doubted(self, stack: str, tenant: str | None, life: int = 1) -> Recorded:
        known, now = self.record.stacks.get(stack), datetime.now(UTC).isoformat(timespec="seconds")
        begun = Recorded(stack, tenant, "", None, None, now, self.lock.deploy, is_begun=True, life=life)
        return begun if known is None else replace(known, digest="", entries=None, mould=None)

    def drop(self, *stacks: str) -> None:
        """Take out what does not stand any more."""
        with self.one_at_a_time:
            if stacks:
                self.record = self.record.lacking(*stacks)
                self.unwritten = True

    def offboard(self, tenant: str, how_far: RecordedOffboarding) -> None:
        """Write at once how far the end of a tenant has come; with the certificate its stack is entered no more."""
        with self.one_at_a_time:
            self.record = self.record.offboarding(tenant, how_far)
            if how_far.is_certified:
                self.record = self.record.lacking(how_far.stack)
            self._write()

    def write(self) -> None:
        """Write what was noted since the last time."""
        with self.one_at_a_time:
            if self.unwritten:
                self._write()

    def _write(self) -> None:
        self.lock.check()
        self.etag = self.shelf.write(self.record, self.etag, self.lock.number)
        self.unwritten, self.written_at = False, self.clock()


def left(stack: Recorded, state: str | None) -> Recorded:
    """A stack that is about to be brought to another state may have been in it when nobody can tell any more."""
    return stack if state is None or stack.state in {None, state} else replace(stack, since=None)
