"""What a workflow run came to, tenant by tenant: what its jobs told, and of whom none of them told anything."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cli.orders import Order
from cli.part import OUTDATED
from cli.plan import plain
from deployment.portions import Portion
from deployment.stacks import FAILED, NOT_BEGUN, UNCHANGED
from deployment.workflow_runs import Row

__all__ = ["Results"]

SILENT = "no word"
BAD = frozenset({FAILED, NOT_BEGUN, OUTDATED, SILENT})
ENDED_WELL = frozenset({"success", "skipped"})
COLUMNS = ("tenant", "cell", "what", "seconds", "why")
SHOWN = 1_000
"""Tenants that are listed; all that went wrong come first."""


@dataclass(frozen=True)
class Results:
    """`rows`: of everybody who was planned, what went wrong first. `jobs`: how the jobs ended, by name."""

    order: Order
    rows: Sequence[Row]
    jobs: Mapping[str, str]

    @classmethod
    def of(
        cls,
        order: Order,
        portions: Sequence[Portion],
        told: Mapping[str, Sequence[Row]],
        jobs: Mapping[str, str],
    ) -> "Results":
        """`told`: by portion. `portions` in the order in which they were begun."""
        rows = [row for portion in portions for row in rows_of(portion, told, jobs)]
        return cls(order, sorted(rows, key=lambda row: row.action not in BAD), jobs)

    @property
    def is_good(self) -> bool:
        return not any(row.action in BAD for row in self.rows) and ENDED_WELL.issuperset(self.jobs.values())

    def in_markdown(self) -> Iterator[str]:
        yield f"### {self.order.task} in {self.order.environment}: {self.summary}"
        yield ""
        if ill := [f"- job {job}: **{word}**" for job, word in self.jobs.items() if word not in ENDED_WELL]:
            yield from (*ill, "")
        if self.rows:
            yield from (f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|---|")
            yield from map(line_of, self.rows[:SHOWN])
        if len(self.rows) > SHOWN:
            yield from ("", f"…and {len(self.rows) - SHOWN:,} more, whose jobs say so.")

    @property
    def summary(self) -> str:
        counts = Counter(row.action for row in self.rows)
        told = [f"{number:,} {action}" for action, number in sorted(counts.items())]
        return ", ".join(told) or "nothing was to be done"


def rows_of(portion: Portion, told: Mapping[str, Sequence[Row]], jobs: Mapping[str, str]) -> Iterator[Row]:
    rows = told.get(portion.id)
    if rows is None:
        yield from (unheard(portion, tenant, jobs) for tenant in portion.tenants or (None,))
        return
    yield from (row for row in rows if row.tenant is not None or row.action != UNCHANGED)
    known = {row.tenant for row in rows}
    yield from (Row(portion.place, tenant, UNCHANGED) for tenant in portion.tenants if tenant not in known)


def unheard(portion: Portion, tenant: str | None, jobs: Mapping[str, str]) -> Row:
    """Of a job that was skipped since those before it failed, and of one that was stopped or died."""
    is_skipped = jobs.get("first" if portion.is_first else "apply") == "skipped"
    why = "what goes first did not come through" if is_skipped else "its job ended without a word: see its log"
    return Row(portion.place, tenant, NOT_BEGUN if is_skipped else SILENT, error=why)


def line_of(row: Row) -> str:
    mark = f"**{row.action}**" if row.action in BAD else row.action
    why = plain(" ".join(row.error.split())) if row.error else plain("; ".join(row.changes))
    return f"| {row.tenant or 'the platform'} | {row.place} | {mark} | {row.seconds:,.1f} | {why} |"
