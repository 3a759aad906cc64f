"""The way of files from received to queryable, followed in the ledger and shown while it happens."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table

from cli import output
from cli.output import shown

if TYPE_CHECKING:
    from lineage.values import FileState

__all__ = ["ENDED", "WAY", "Arrival", "Journey", "few", "follow", "refused", "stages", "summary"]

WAY = ("received", "processing", "queryable")
ENDED = frozenset({"QUERYABLE", "QUARANTINED", "FAILED", "UNROUTED", "HELD"})
SHOWN_FILES = 18
ASKED_BY_NAME = 4
POLL_SECONDS = 0.25
CLOCKS = timedelta(minutes=1)  # between S3's time of an object and that of its event
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Id = tuple[str, str, str | None]
"""Tenant, key, and what tells the versions of a key apart."""


@dataclass(frozen=True)
class Arrival:
    """One file version that was put; `unchanged` when the lake already had exactly these bytes under this key."""

    tenant: str
    key: str
    version: str | None
    dataset: str | None
    size: int
    unchanged: bool = False
    since: datetime | None = None
    """When S3 took these bytes under this key."""
    arrived: datetime | None = None
    """When the ledger says that it arrived, where that is known: then nothing else is this version."""

    def is_told_by(self, state: "FileState") -> bool:
        """Whether a ledger entry is of this very version; the emulator's events come without the version id."""
        if state.key != self.key:
            return False
        if self.arrived is not None:
            return (state.version, state.arrived_at) == (self.version, self.arrived)
        if state.version is not None or self.since is None:
            return state.version == self.version
        return state.size == self.size and state.arrived_at >= self.since

    @property
    def id(self) -> "Id":
        arrived = None if self.arrived is None else self.arrived.isoformat()
        return self.tenant, self.key, self.version or arrived


class Files(Protocol):
    """What is needed of the ledger here."""

    def newest(self, tenant: str, dataset: str | None = None) -> "Iterator[FileState]": ...

    def file(self, tenant: str, key: str, version: str | None = None) -> "list[FileState]": ...


@dataclass
class Journey:
    """Where each arrival stands; `seconds` from the start to the moment it ended."""

    arrivals: Sequence[Arrival]
    states: dict[Id, "FileState"] = field(default_factory=dict)
    seconds: dict[Id, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def state(self, arrival: Arrival) -> str:
        known = self.states.get(arrival.id)
        return str(known.state) if known is not None else "PUT"

    def open(self) -> list[Arrival]:
        return [each for each in self.arrivals if self.state(each) not in ENDED]

    def is_good(self) -> bool:
        return all(self.state(each) == "QUERYABLE" for each in self.arrivals)

    def look(self, ledger: Files) -> list[Arrival]:
        """Read the ledger once per dataset that still has open files; returns what changed."""
        groups: dict[tuple[str, str | None], list[Arrival]] = {}
        for each in self.open():
            groups.setdefault((each.tenant, each.dataset), []).append(each)
        changed: list[Arrival] = []
        for (tenant, dataset), waiting in groups.items():
            found: dict[str, list[FileState]] = {}
            for state in _states(ledger, tenant, dataset, waiting):
                found.setdefault(state.key, []).append(state)
            for each in waiting:
                told = [state for state in found.get(each.key, ()) if each.is_told_by(state)]
                if told and self._enter(each.id, told[-1]):
                    changed.append(each)
        return changed

    def _enter(self, name: Id, state: "FileState") -> bool:
        old = self.states.get(name)
        self.states[name] = state
        if state.state in ENDED:
            self.seconds[name] = time.monotonic() - self.began
        return old is None or old.state != state.state


def _states(ledger: Files, tenant: str, dataset: str | None, waiting: Sequence[Arrival]) -> "list[FileState]":
    """A few files are asked for by name, many by the list of their dataset back to the first of them, oldest first."""
    if len(waiting) <= ASKED_BY_NAME:
        return [state for each in waiting for state in _entered(ledger, each)]
    first = min(each.arrived or each.since or NEVER for each in waiting)
    listed = ledger.newest(tenant, dataset)
    return list(itertools.takewhile(lambda state: state.arrived_at + CLOCKS >= first, listed))[::-1]


def _entered(ledger: Files, arrival: Arrival) -> "list[FileState]":
    from lineage.errors import NotInLedger

    try:
        return ledger.file(arrival.tenant, arrival.key)
    except NotInLedger:  # its event is still on the way
        return []


def follow(ledger: Files, arrivals: Sequence[Arrival], timeout: float) -> Journey:
    """Wait until every file's way ended or `timeout` seconds passed, showing it on stderr."""
    journey = Journey(arrivals)
    if not output.is_interactive():
        return _waited(journey, ledger, timeout, lambda changed: _lines(journey, changed))
    with Live(console=output.messages(), refresh_per_second=8, transient=False) as live:
        return _waited(journey, ledger, timeout, lambda _: live.update(picture(journey)))


def _waited(journey: Journey, ledger: Files, timeout: float, show: Callable[[list[Arrival]], None]) -> Journey:
    deadline = journey.began + timeout
    while True:
        asked = time.monotonic()
        show(journey.look(ledger))
        if not journey.open() or time.monotonic() >= deadline:
            return journey
        time.sleep(max(POLL_SECONDS, 3 * (time.monotonic() - asked)))


def _lines(journey: Journey, changed: Iterable[Arrival]) -> None:
    changed = list(changed)
    if len(changed) > SHOWN_FILES:
        output.message(summary(journey))
        return
    for arrival in changed:
        output.message(
            f"{stages(journey.state(arrival)):<40} {arrival.tenant} {arrival.key}{_counted(journey, arrival)}"
        )


def refused(journey: Journey, timeout: float, held: str | None = None) -> str:
    """Why not every file is queryable. `held`: why nothing of the tenant starts."""
    late = journey.open()
    if held and (late or "HELD" in map(journey.state, journey.arrivals)):
        return held
    if late:
        return (
            f"{len(late)} of {len(journey.arrivals)} files are not queryable after {timeout:.0f} s: "
            f"{few([each.key for each in late])}; they go on, see `lake files` and `lake runs`"
        )
    bad = [each for each in journey.arrivals if journey.state(each) != "QUERYABLE"]
    reasons = [
        f"{each.key} is {journey.state(each)}: {journey.states[each.id].reason or 'no reason given'}" for each in bad
    ]
    return "\n".join(
        reasons[:10] + ([f"and {len(reasons) - 10} more; {summary(journey)}"] if len(reasons) > 10 else [])
    )


def few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def stages(state: str) -> str:
    """`received → processing → queryable` up to where the file stands.

    >>> stages("PROCESSED")
    'received → processing → merging'
    >>> stages("QUARANTINED")
    'received → processing → quarantined'
    """
    if state in {"PUT", "UNROUTED", "HELD"}:
        return {"PUT": "put", "UNROUTED": "received → unrouted", "HELD": "received → held"}[state]
    reached = {"RECEIVED": 1, "PROCESSING": 2, "PROCESSED": 2, "QUERYABLE": 3}.get(state, 2)
    way = list(WAY[:reached])
    if state in _TURNS:
        way.append(_TURNS[state])
    return " → ".join(way)


def summary(journey: Journey) -> str:
    """How many files stand where, most advanced first."""
    counts = Counter(journey.state(each) for each in journey.arrivals)
    order = ("QUERYABLE", "PROCESSED", "PROCESSING", "RECEIVED", "PUT", "HELD", "UNROUTED", "QUARANTINED", "FAILED")
    known = [f"{counts[state]:,} {state.lower()}" for state in order if counts[state]]
    return f"{output.counted(len(journey.arrivals), 'file')}: " + ", ".join(known)


def picture(journey: Journey) -> RenderableType:
    """Table of the files that matter most now, with a line that counts them all."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("tenant", "file", "way", "rows", "seconds"):
        table.add_column(column, no_wrap=column != "file", justify="right" if column == "seconds" else "left")
    rank = {each.id: number for number, each in enumerate(journey.arrivals)}
    first = sorted(journey.arrivals, key=lambda each: (journey.state(each) in ENDED, rank[each.id]))[:SHOWN_FILES]
    for arrival in sorted(first, key=lambda each: rank[each.id]):
        table.add_row(*_cells(journey, arrival))
    hidden = len(journey.arrivals) - len(first)
    more = f" (+{hidden} more)" if hidden else ""
    return Group(table, f"{summary(journey)}{more} · {time.monotonic() - journey.began:.0f} s")


def _cells(journey: Journey, arrival: Arrival) -> tuple[str, ...]:
    state = journey.state(arrival)
    style = _STYLES.get(state, "yellow")
    seconds = journey.seconds.get(arrival.id)
    return (
        arrival.tenant,
        shown(arrival.key.removeprefix("raw/")),
        f"[{style}]{stages(state)}[/]",
        shown(_counted(journey, arrival).strip()),
        "" if seconds is None else f"{seconds:.1f} s",
    )


_TURNS = {"PROCESSED": "merging", "QUARANTINED": "quarantined", "FAILED": "failed"}
_STYLES: Mapping[str, str] = {
    "QUERYABLE": "green",
    "QUARANTINED": "red",
    "FAILED": "red",
    "UNROUTED": "magenta",
    "HELD": "magenta",
    "PUT": "dim",
}


def _counted(journey: Journey, arrival: Arrival) -> str:
    known = journey.states.get(arrival.id)
    if known is None:
        return ""
    rows = f" {output.counted(known.rows, 'row')}" if known.rows and known.state in ENDED else ""
    return f"{rows}: {known.reason}" if known.reason else rows
