"""A deploy in one cell: under its lock, platform first, then tenants in waves, each written down once it stands.

Of a tenant that is suspended the ledger is told first, so that nothing begins, and its roles are denied once what was
at work has ended; of one that goes on it is told last.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import output
from cli.canary import drive
from cli.connection import Connection
from cli.entries import Digests, Entries
from cli.errors import explain
from cli.holder import holder, is_dead
from cli.progress import Progress
from cli.standstill import PATIENCE, POLL, QUIET, Standstill, in_flight
from cli.waking import wake
from deployment.assembly import Assembly, Stack
from deployment.canary import Proof, state_of
from deployment.errors import Overtaken
from deployment.journal import Journal
from deployment.lifecycle import is_sooner, terms_of, whose_of
from deployment.live import LiveStacks
from deployment.locks import Lock
from deployment.moulds import OwnWords, mould
from deployment.plans import Action, CellPlan
from deployment.publishing import bootstrap
from deployment.records import Recorded, Shelf, bucket_of
from deployment.stacks import FAILED, NOT_BEGUN, UNCHANGED, Adaptation, Clients, Outcome, Stacks
from deployment.waves import Looks, Pace, Waves

if TYPE_CHECKING:
    from lineage.values import TenantEntry
    from tenants.model import Tenant

__all__ = ["Line", "Rollout", "adaptation", "terms_in"]

PLATFORM, DRIVEN_FILE = "platform", "file of the canary"
LOCAL_LOOKS = Looks(per_second=1_000)
LOCAL_QUIET, LOCAL_POLL = 1.0, 0.2
LOCAL_PACE = {"limit": 4.0, "most": 4.0, "gap": 0.0}
"""The local cloud is one process: a stack is a matter of its CPU, and more at once only wait for each other."""


@dataclass(frozen=True)
class Line:
    """What a deploy did with one stack, and which of its tenant's entries in the ledger it changed."""

    cell: str
    tenant: str | None
    stack: str
    action: str
    seconds: float = 0.0
    error: str | None = None
    changes: tuple[str, ...] = ()


@dataclass
class Rollout:
    """One cell's part of a deploy. `wait`: so many seconds for another deploy to end; `patience`: for runs in flight
    of a tenant that is suspended; `now`: such a tenant comes first and nothing of it is waited for, as after a leak.
    """

    connection: Connection
    assembly: Assembly
    tenants: "Sequence[Tenant]"
    progress: Progress
    wait: float = 0.0
    patience: float = PATIENCE
    now: bool = False
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        connection = self.connection
        self.clients = Clients(cloudformation=connection.client("cloudformation"), s3=connection.client("s3"))
        self.owners = {
            connection.names(tenant.id).stack: tenant
            for tenant in self.tenants
            if tenant.id not in self.assembly.failures
        }
        self.platform = connection.platform.stack
        self.bucket = bucket_of(connection.environment.account, connection.environment.region)
        self.adaptation = adaptation(connection)
        self.complete = completion(connection, self.assembly)
        self.digests = Digests(connection)
        self.fleet: dict[str, TenantEntry] = {}
        self.told: dict[str, tuple[str, ...]] = {}
        """What the ledger was told of a tenant before its stack was touched."""
        self.differing: set[str] = set()
        self.one_at_a_time = threading.Lock()

    @property
    def place(self) -> str:
        return self.connection.environment.place

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other deploy is at work in the cell meanwhile; what was done is written down in the end."""
        environment = self.connection.environment
        if self.connection.is_local:
            bootstrap(self.clients.s3, self.connection.client("ssm"), environment.account, environment.region)
        shelf = Shelf(self.clients.s3, self.bucket, self.platform)
        self.lock = Lock(self.clients.s3, self.bucket, self.platform, holder(), is_dead=is_dead)
        self.lock.take(above=shelf.read()[0].fence, wait=self.wait, say=lambda text: self.progress(self.place, text))
        with self.lock:
            self.journal = Journal(shelf, self.lock)
            if not self.journal.known.is_known:
                self.journal.complete(self._standing())
            try:
                yield
            finally:
                if self.lock.lost is None:
                    self.journal.write()

    def _standing(self) -> dict[str, str]:
        """Every tenant's stack in the cell, whether or not this deploy means it, with the tenant."""
        names = self.connection.platform
        begin, end = f"{names.organization}-", f"-{names.environment}-tenant"
        found = LiveStacks(self.clients.cloudformation).standing()
        stacks = (name for name in found if name.startswith(begin) and name.endswith(end))
        return {name: name.removeprefix(begin).removesuffix(end) for name in stacks}

    def run(self, plan: CellPlan, waves: Waves) -> bool:
        """Do what is planned; whether all of it was begun. `lines` tell what happened to each stack."""
        due = self._due(plan)
        self.differing = {change.stack for change in plan.pending if change.resources or change.sections}
        self._keep(plan)
        self.progress.expect(self.place, len(due))
        stacks, closing = self._stacks(), self._closing(plan)
        first = {self.platform, self.canary} - set(closing)
        others = [stack for stack in due if stack not in first]
        if self.now and not self._close(stacks, self._hold(closing), waves):
            self._not_begun([each for each in due if each not in self._ended], "suspensions failed")
            return False
        for stage, wave in self._first(due, closing):
            if not self._wave(stacks, wave, waves, stage):
                self._not_begun([each for each in due if each not in self._ended], f"{stage} failed")
                return False
        if not self._drive():
            self._not_begun([each for each in others if each not in self._ended], "no file came through the canary")
            return False
        later = [] if self.now else closing
        return self._tenants(stacks, [each for each in others if each not in closing], later, waves)

    @property
    def _ended(self) -> set[str]:
        return {line.stack for line in self.lines}

    def _closing(self, plan: CellPlan) -> list[str]:
        """Stacks that stand and whose tenants shall not be at work: what is at work ends before they are touched."""
        from lineage.values import ACTIVE

        standing = (each.stack for each in plan.pending if each.action is not Action.CREATE)
        return [stack for stack in standing if stack in self.owners and self.owners[stack].state != ACTIVE]

    def _tenants(self, stacks: Stacks, others: Sequence[str], closing: Sequence[str], waves: Waves) -> bool:
        """Runs of tenants that are suspended have the time of all others to end."""
        standstill = self._hold(closing)
        if not self._in_waves(stacks, others, waves):
            self._not_begun([each for each in closing if each not in self._ended], "waves before had too many failures")
            return False
        return self._close(stacks, standstill, waves)

    def _hold(self, closing: Sequence[str]) -> Standstill:
        """Tell the ledger, so that nothing more begins; whatever comes of this deploy, the next one goes on with it."""
        self._doubt(closing)
        self._know_fleet(is_needed=bool(closing))
        tenants = {self.owners[stack].id: stack for stack in closing if self._is_told(stack)}
        local, ledger = self.connection.is_local, self.connection.ledger
        return Standstill(
            list(tenants),
            (lambda _tenant: 0) if self.now else lambda tenant: in_flight(ledger, tenant),
            self.progress,
            patience=self.patience,
            quiet=0.0 if self.now else LOCAL_QUIET if local else QUIET,
            poll=LOCAL_POLL if local else POLL,
        )

    def _is_told(self, stack: str) -> bool:
        try:
            self.told[stack] = self._enter(stack)
        except Overtaken:
            raise
        except Exception as e:
            self._tell(Outcome(stack, FAILED, 0.0, f"tenant {self.owners[stack].id}: {explain(e)[0]}"))
            return False
        return True

    def _close(self, stacks: Stacks, standstill: Standstill, waves: Waves) -> bool:
        names = {tenant.id: stack for stack, tenant in self.owners.items()}
        for still in standstill.still():
            if not self._in_waves(stacks, [names[tenant] for tenant in still], waves):
                self._not_begun([names[tenant] for tenant in standstill.waiting], "waves before had too many failures")
                return False
        for tenant in standstill.waiting:
            self._tell(Outcome(names[tenant], FAILED, round(self.patience, 2), standstill.given_up(tenant)))
        return True

    def _due(self, plan: CellPlan) -> list[str]:
        mine = {self.platform, *self.owners}
        return [change.stack for change in plan.pending if change.stack in mine]

    def _first(self, due: Sequence[str], closing: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """What is deployed alone and before anything else: the platform, and the tenant of the driven file."""
        if self.platform in due:
            yield PLATFORM, [self.platform]
        self._know_fleet(is_needed=bool(set(due) - {self.platform}))
        if self.canary is not None and self.canary in due and self.canary not in closing:
            yield "canary", [self.canary]

    def _know_fleet(self, *, is_needed: bool) -> None:
        if is_needed and not self.fleet:
            self.fleet = {entry.tenant: entry for entry in self.connection.ledger.tenants()}

    def _drive(self) -> bool:
        """Whether a file comes through the canary, if one is named and deployed; not twice with the same stacks."""
        name, known = self.connection.environment.canary, self._way()
        if name is None or known is None:
            return True
        state, began = state_of(known), time.monotonic()
        proof = Proof(self.clients.s3, self.bucket, self.platform)
        if proof.holds_for(state):
            return True
        self.progress.begin(f"a file is driven through {name}")
        try:
            driven = drive(self.connection, name, lambda text: self.progress(name, text))
        except Exception as error:
            said = explain(error)[0]
            self._add(Line(self.place, name, DRIVEN_FILE, FAILED, round(time.monotonic() - began, 2), said))
            return False
        self.lock.check()
        proof.write(state, driven)
        self._add(Line(self.place, name, DRIVEN_FILE, "driven", round(time.monotonic() - began, 2)))
        return True

    def _way(self) -> list[Recorded] | None:
        """The stacks that a file goes through, as they stand; None if one of them does not, or nobody knows."""
        known = self.journal.known.stacks
        found = [known[name] for name in (self.platform, self.canary) if name and name in known and known[name].digest]
        return found if len(found) == 2 else None

    @property
    def canary(self) -> str | None:
        """The stack of the platform's own tenant."""
        name = self.connection.environment.canary
        return None if name is None else self.connection.names(name).stack

    def _keep(self, plan: CellPlan) -> None:
        """What a look at live stacks has found to be right is recorded, and what does not stand is no longer."""
        mine = {self.platform, *self.owners}
        right = [each for each in plan.changes if each.action is Action.UNCHANGED and each.stack in mine]
        self.journal.note(*(self._recorded(each.stack) for each in right if not self._is_recorded(each.stack)))
        self.journal.drop(*plan.gone)
        self.lines += [Line(self.place, each.tenant, each.stack, UNCHANGED) for each in right]

    def _is_recorded(self, stack: str) -> bool:
        known, tenant = self.journal.known.stacks.get(stack), self.owners.get(stack)
        if known is None or known.digest != self.adaptation.mark(self.assembly.stack(stack)):
            return False
        if tenant is None:
            return True
        found = (known.entries, known.state, known.life, known.terms, known.whose)
        wanted = (self.digests.of(tenant), tenant.state, tenant.life, terms_in(tenant), whose_in(tenant))
        return found == wanted and known.since is not None

    def _stacks(self) -> Stacks:
        local = self.connection.is_local
        return Stacks(
            self.clients,
            self.adaptation,
            self.progress,
            guard=self.lock.check,
            forgets_updates=local,
            pace=Pace(**LOCAL_PACE) if local else Pace(),
            looks=LOCAL_LOOKS if local else Looks(),
        )

    def _in_waves(self, stacks: Stacks, due: Sequence[str], rules: Waves) -> bool:
        begun, waves = 0, list(rules.cut(due))
        for number, wave in enumerate(waves, 1):
            begun += len(wave)
            said = f"wave {number} of {len(waves)}, {output.counted(len(wave), 'tenant')}"
            if not self._wave(stacks, wave, rules, said):
                self._not_begun(due[begun:], f"wave {number} had too many failures")
                return False
        return True

    def _wave(self, stacks: Stacks, wave: Sequence[str], rules: Waves, said: str) -> bool:
        """Whether so few failed that the deploy may go on."""
        self.progress.begin(said)
        stood = {name for name in wave if self.journal.known.has_stood(name)}
        self._doubt(wave)
        wanted, differing = list(map(self.assembly.stack, wave)), self.differing
        outcomes = stacks.deploy(wanted, self._stands, stood=stood, differing=differing, waves=rules)
        self.journal.write()
        return rules.tolerates(sum(each.action == FAILED for each in outcomes), len(wave))

    def _doubt(self, stacks: Sequence[str]) -> None:
        of_tenants = {stack: self.owners[stack] for stack in stacks if stack in self.owners}
        self.journal.doubt(
            {stack: of_tenants[stack].id if stack in of_tenants else None for stack in stacks},
            states={stack: tenant.state for stack, tenant in of_tenants.items()},
            lives={stack: tenant.life for stack, tenant in of_tenants.items()},
        )

    def _recorded(self, stack: str, updated: str | None = None) -> Recorded:
        """`updated`: when its template was sent, if it was now; else what is known of that goes on being true."""
        tenant, wanted = self.owners.get(stack), self.assembly.stack(stack)
        known, state = self.journal.known.stacks.get(stack), tenant.state if tenant else None
        now, terms = datetime.now(UTC).isoformat(timespec="seconds"), terms_in(tenant)
        is_as_before = known is not None and known.state == state and not is_sooner(known.terms, terms)
        return Recorded(
            stack=stack,
            tenant=tenant.id if tenant else None,
            digest=self.adaptation.mark(wanted),
            entries=self.digests.of(tenant) if tenant else None,
            state=state,
            at=now,
            deploy=self.lock.deploy,
            mould=self._mould(wanted, tenant) if tenant else None,
            updated=updated or (known.updated if known else None),
            since=None if state is None else (known.since if known and is_as_before else None) or now,
            life=tenant.life if tenant else 1,
            terms=terms,
            whose=whose_in(tenant),
        )

    def _mould(self, stack: Stack, tenant: "Tenant") -> str:
        own = OwnWords.of(self.connection.names(tenant.id), tenant.owner)
        return mould(stack, own, self.adaptation.version)

    def _stands(self, outcome: Outcome) -> Outcome:
        """What follows a stack; what goes wrong there is reported with the stack, and other stacks go on."""
        changes: tuple[str, ...] = ()
        try:
            if outcome.action not in {FAILED, NOT_BEGUN}:
                self.complete(outcome.stack)
                changes = (*self.told.get(outcome.stack, ()), *self._enter(outcome.stack))
                self.journal.note(self._recorded(outcome.stack, outcome.updated))
        except Overtaken:
            raise
        except Exception as e:
            outcome = replace(outcome, action=FAILED, error=f"stack {outcome.stack}: stands, but {explain(e)[0]}")
        if changes and outcome.action == UNCHANGED:
            outcome = replace(outcome, action="updated")
        self._tell(outcome, changes)
        return outcome

    def _tell(self, outcome: Outcome, changes: tuple[str, ...] = ()) -> None:
        tenant = self.owners.get(outcome.stack)
        line = Line(
            self.place,
            tenant.id if tenant else None,
            outcome.stack,
            outcome.action,
            outcome.seconds,
            outcome.error,
            changes,
        )
        self._add(line)
        self.progress.end(outcome.stack, outcome.action, failed=outcome.action == FAILED)

    def _add(self, line: Line) -> None:
        with self.one_at_a_time:
            self.lines.append(line)

    def _not_begun(self, stacks: Sequence[str], why: str) -> None:
        for stack in stacks:
            self._tell(Outcome(stack, NOT_BEGUN, 0.0, why))

    def leave(self, plan: CellPlan, why: str) -> None:
        """Begin nothing of it."""
        self._not_begun(self._due(plan), why)

    def ordered(self) -> list[Line]:
        """`lines` in the order of the registry, the platform's first."""
        order = {name: number for number, name in enumerate((self.platform, *self.owners))}
        return sorted(self.lines, key=lambda line: order.get(line.stack, 0))

    def _enter(self, stack: str) -> tuple[str, ...]:
        """A tenant whose stack is as it was may be another all the same: its contracts are not in the template."""
        if stack not in self.owners:
            return ()
        tenant = self.owners[stack]
        entries = Entries.of(self.connection, tenant, self.fleet)
        changes = tuple(entries.changes())
        if entries.is_changed:
            self.progress(tenant.id, "entering in the ledger")
            self.lock.check()
            entries.write(self.connection.ledger)
            self.fleet[tenant.id] = entries.tenant
        return (*changes, *self._let_go(tenant)) if entries.may_resume else changes

    def _let_go(self, tenant: "Tenant") -> tuple[str, ...]:
        """What was HELD goes on, unless an operator holds it; what a kill here leaves is let go by dispatch."""
        from lineage.holds import Holds

        released = Holds(self.connection.ledger).drain(tenant.id)
        wake(self.connection, tenant.id, [dataset.name for dataset in tenant.datasets])
        return (f"let go of {output.counted(released, 'HELD file')}",) if released else ()


def terms_in(tenant: "Tenant | None") -> str | None:
    return None if tenant is None or tenant.offboarding is None else terms_of(tenant.offboarding.model_dump())


def whose_in(tenant: "Tenant | None") -> str | None:
    """Kept of one that is offboarding only, since only then somebody else of its id may come."""
    return None if tenant is None or tenant.offboarding is None else whose_of(tenant.name, tenant.owner)


def adaptation(connection: Connection) -> Adaptation:
    """What is done to templates before they are sent: nothing, unless they are for the local cloud."""
    if not connection.is_local:
        return Adaptation()
    from local_cloud import parity

    digest = hashlib.sha256()
    for file in sorted(Path(parity.__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return Adaptation(lambda template: parity.adapt(template)[0], digest.hexdigest())


def completion(connection: Connection, assembly: Assembly) -> Callable[[str], None]:
    """What is done once a stack stands: for the local cloud, what its CloudFormation left out."""
    if not connection.is_local:
        return lambda _stack: None
    from local_cloud import parity

    known, one_at_a_time = cache(connection.client), threading.Lock()

    def client(service: str) -> Any:
        with one_at_a_time:  # making clients is not safe for threads
            return known(service)

    def complete(stack: str) -> None:
        parity.complete(assembly.stack(stack).template, stack, client)

    return complete
