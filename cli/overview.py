"""A lake at this moment: what is held, what waits and since when, what runs, and what could not be registered."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli import output
from cli.connection import Connection
from cli.queue import depths, url_of

if TYPE_CHECKING:
    from lineage.items import Claim
    from lineage.ledger import Ledger
    from lineage.values import TenantEntry

__all__ = ["COUNTED", "Overview", "TenantOverview", "look", "show", "together"]

COUNTED = 1000
"""So far is counted what waits of one dataset for one job, or is held of one tenant: one request each."""

COLUMNS = ("tenant", "state", "held_since", "held_reason", "held", "waiting", "oldest", "batches", "runs", "silent")


@dataclass(frozen=True, kw_only=True)
class TenantOverview:
    """A deployed tenant. `held`: files that a hold keeps; `waiting`: files that no run has taken yet, `oldest`: when
    the first of both arrived; `batches`: of the first job, not in the table yet; `silent`: of the open runs.
    """

    tenant: str
    state: str
    held_since: datetime | None
    held_reason: str | None
    held: int
    waiting: int
    oldest: datetime | None
    batches: int
    runs: int
    silent: int


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A lake. `arrivals`: events that are not registered yet; `dead_letters`: those that could not be."""

    arrivals: int
    dead_letters: int
    tenants: Sequence[TenantOverview]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tenants": [asdict(each) for each in self.tenants]}


def look(connection: Connection) -> Overview:
    """Counts, never whole lists: a few requests per tenant, side by side. Raises LakeError if nothing is deployed."""
    platform, sqs = connection.platform, connection.client("sqs")
    queues = platform.queue, platform.dead_letter_queue
    arrivals, dead = (sum(depths(sqs, url_of(sqs, queue, connection)).values()) for queue in queues)
    ledger = connection.ledger
    runs = [run for run in ledger.unfinished() if run.state == "RUNNING"]
    opened = Counter(run.tenant for run in runs)
    silent = Counter(run.tenant for run in runs if run.stale)

    def of_tenant(entry: "TenantEntry") -> TenantOverview:
        return _tenant(ledger, entry, opened[entry.tenant], silent[entry.tenant])

    return Overview(arrivals=arrivals, dead_letters=dead, tenants=ledger.store.each(of_tenant, ledger.tenants()))


def together(cells: Iterable[Overview]) -> Overview:
    """The cells of an environment as one lake: a tenant is in one of them."""
    found = list(cells)
    return Overview(
        arrivals=sum(each.arrivals for each in found),
        dead_letters=sum(each.dead_letters for each in found),
        tenants=[tenant for each in found for tenant in each.tenants],
    )


def _tenant(ledger: "Ledger", entry: "TenantEntry", runs: int, silent: int) -> TenantOverview:
    from lineage import table
    from lineage.values import moment

    first, *later = entry.jobs
    names = ledger.dataset_names(entry.tenant)
    held = list(_claims(ledger, entry.tenant, table.held_pk(entry.tenant)))
    waiting = _waiting(ledger, entry.tenant, names, first)
    return TenantOverview(
        tenant=entry.tenant,
        state=entry.state,
        held_since=entry.held_since,
        held_reason=entry.held_reason,
        held=len(held),
        waiting=len(waiting),
        oldest=min((moment(claim.arrived) for claim in (*held, *waiting)), default=None),
        batches=sum(len(_waiting(ledger, entry.tenant, names, job)) for job in later),
        runs=runs,
        silent=silent,
    )


def _waiting(ledger: "Ledger", tenant: str, datasets: Sequence[str], job: str) -> "list[Claim]":
    from lineage import table

    partitions = [table.waiting_pk(tenant, dataset, job) for dataset in datasets]
    return [claim for partition in partitions for claim in _claims(ledger, tenant, partition)]


def _claims(ledger: "Ledger", tenant: str, partition: str) -> "Iterator[Claim]":
    """Those of the tenant itself: its jobs may write any index key into items of their own."""
    from lineage import table
    from lineage.items import Claim

    own = table.file_pk(tenant, "")
    for claim in ledger.store.query(Claim, partition, index=table.INDEX, limit=COUNTED):
        if claim.pk.startswith(own):
            yield claim


def show(overview: Overview, suffix: str) -> None:
    """A line per tenant. `suffix`: what repeats the environment in a suggested command."""
    output.print_table(COLUMNS, [_row(asdict(each)) for each in overview.tenants])
    if overview.arrivals:
        output.message(f"{output.counted(overview.arrivals, 'event')} on the way to be registered")
    if overview.dead_letters:
        letters = output.counted(overview.dead_letters, "dead letter")
        output.message(f"{letters}: `lake queue show{suffix}` says why")


def _row(facts: Mapping[str, Any]) -> dict[str, Any]:
    many = {name: f"{COUNTED:,}+" for name in ("held", "waiting", "batches") if facts[name] >= COUNTED}
    return {**facts, **many}
