"""A deploy in one cell: under its lock, platform first, then tenants in waves, each written down once it stands."""

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

from cli.connection import Connection
from cli.entries import Digests, Entries
from cli.errors import LakeError, explain
from deployment.assembly import Assembly, Stack
from deployment.errors import Overtaken
from deployment.journal import Journal
from deployment.locks import Holder, Lock
from deployment.records import Record, Recorded, Shelf, bucket_of
from deployment.stacks import FAILED, NOT_BEGUN, Adaptation, Clients, Outcome, Stacks, Standing, Wanted, bootstrap
from deployment.waves import Looks, Pace, Waves

if TYPE_CHECKING:
    from lineage.values import TenantEntry
    from tenants.model import Tenant

__all__ = ["Line", "Rollout", "adaptation"]

Say = Callable[[str, str], None]
LOCAL_LOOKS = Looks(per_second=1_000)
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
    """One cell's part of a deploy. `refresh`: what was recorded is not believed, live stacks are asked."""

    connection: Connection
    assembly: Assembly
    tenants: "Sequence[Tenant]"
    say: Say
    refresh: bool = False
    wait: float = 0.0
    waves: Waves = field(default_factory=Waves)
    lines: list[Line] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    """Recorded stacks of tenants that the registry no longer names: nothing deletes them."""

    def __post_init__(self) -> None:
        connection = self.connection
        self.clients = Clients(cloudformation=connection.client("cloudformation"), s3=connection.client("s3"))
        self.owners = {connection.names(tenant.id).stack: tenant for tenant in self.tenants}
        self.bucket = bucket_of(connection.environment.account, connection.environment.region)
        self.adaptation = adaptation(connection)
        self.complete = completion(connection, self.assembly)
        self.digests = Digests(connection)
        self.fleet: Mapping[str, TenantEntry] = {}
        self.one_at_a_time = threading.Lock()
        self.stop: Callable[[], None] = lambda: None

    def run(self) -> bool:
        """Whether all of it was begun; `lines` tell what happened to each stack. The account is checked before."""
        self._bootstrap()
        platform = self.connection.platform.stack
        lock = Lock(self.clients.s3, self.bucket, platform, holder(), is_dead=is_dead)
        shelf = Shelf(self.clients.s3, self.bucket, platform)
        lock.take(above=shelf.read()[0].fence, wait=self.wait, say=lambda text: self.say(platform, text))
        with lock:
            self.journal = Journal(shelf, lock)
            self.lock = lock
            stacks = self.stacks(lock.check)
            self.stop = stacks.stopped.set
            try:
                return self._deploy(stacks)
            finally:
                if lock.lost is None:
                    self.journal.write()

    def stacks(self, guard: Callable[[], None] = lambda: None) -> Stacks:
        local = self.connection.is_local
        return Stacks(
            self.clients,
            self.adaptation,
            self.say,
            guard=guard,
            forgets_updates=local,
            pace=Pace(**LOCAL_PACE) if local else Pace(),
            looks=LOCAL_LOOKS if local else Looks(),
        )

    def _deploy(self, stacks: Stacks) -> bool:
        record = self.journal.known
        known = {tenant.id for tenant in self.connection.registry.tenants}
        self.orphans = sorted(each.stack for each in record.stacks.values() if each.tenant and each.tenant not in known)
        standing = stacks.standing() if self.refresh or not record.is_known else {}
        platform, due = self._due(record, standing)
        if platform and not self._wave(stacks, platform, standing, "platform"):
            self._not_begun(due, "the platform's stack failed")
            return False
        if due:
            self.read_fleet()
        return self._in_waves(stacks, due, standing)

    def read_fleet(self) -> None:
        """Every tenant that the ledger knows: one query, however many are deployed."""
        self.fleet = {entry.tenant: entry for entry in self.connection.ledger.tenants()}

    def entry_changes(self, stack: str) -> tuple[str, ...]:
        if stack not in self.owners:
            return ()
        return tuple(Entries.of(self.connection, self.owners[stack], self.fleet).changes())

    def leave(self, why: str) -> None:
        """Begin nothing of it."""
        self._not_begun([self.assembly.stack(name) for name in (self.connection.platform.stack, *self.owners)], why)

    def ordered(self) -> list[Line]:
        """`lines` in the order of the registry, the platform's first."""
        order = {name: number for number, name in enumerate((self.connection.platform.stack, *self.owners))}
        return sorted(self.lines, key=lambda line: order[line.stack])

    def _in_waves(self, stacks: Stacks, due: list[Stack], standing: Mapping[str, Standing]) -> bool:
        begun, waves = 0, list(self.waves.cut(due))
        for number, wave in enumerate(waves, 1):
            said = f"wave {number} of {len(waves)}: {len(wave)} of {len(due)} tenants, {begun} are through"
            begun += len(wave)
            if not self._wave(stacks, wave, standing, said):
                self._not_begun(due[begun:], f"wave {number} had too many failures")
                return False
        return True

    def _wave(self, stacks: Stacks, wave: Sequence[Stack], standing: Mapping[str, Standing], said: str) -> bool:
        """Whether so few failed that the deploy may go on."""
        self.say(self.connection.environment.place, said)
        outcomes = stacks.deploy(
            wave, self._stands, stood=self.journal.known.stacks.keys(), waves=self.waves, standing=standing
        )
        self.journal.write()
        return self.waves.tolerates(sum(each.action == FAILED for each in outcomes), len(wave))

    def _due(self, record: Record, standing: Mapping[str, Standing]) -> tuple[list[Stack], list[Stack]]:
        """The platform's stack and the tenants' that are not known to be right; those that surely differ come first."""
        platform = self.assembly.stack(self.connection.platform.stack)
        due = []
        for stack in (platform, *map(self.assembly.stack, self.owners)):
            known = record.stacks.get(stack.name)
            if known is not None and not self.refresh and self._says(known) == self._says(self._recorded(stack)):
                self.lines.append(Line(self._place, known.tenant, stack.name, "unchanged"))
            else:
                due.append(stack)
        due.sort(key=lambda stack: Wanted(stack, self.adaptation).is_met_by(standing.get(stack.name)))
        return [each for each in due if each is platform], [each for each in due if each is not platform]

    def _says(self, known: Recorded) -> tuple[str, str | None, str | None]:
        return known.digest, known.entries, known.state

    def _recorded(self, stack: Stack) -> Recorded:
        tenant = self.owners.get(stack.name)
        return Recorded(
            stack=stack.name,
            tenant=tenant.id if tenant else None,
            digest=self.adaptation.mark(stack),
            entries=self.digests.of(tenant) if tenant else None,
            state=tenant.state if tenant else None,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            deploy="",
        )

    def _stands(self, outcome: Outcome) -> Outcome:
        """What follows a stack; what goes wrong there is reported with the stack, and other stacks go on."""
        changes: tuple[str, ...] = ()
        try:
            if outcome.action not in {FAILED, NOT_BEGUN}:
                self.complete(outcome.stack)
                if outcome.stack in self.owners:
                    changes = self._enter(outcome.stack)
                recorded = self._recorded(self.assembly.stack(outcome.stack))
                self.journal.note(replace(recorded, deploy=self.lock.deploy))
        except Overtaken:
            raise
        except Exception as e:
            outcome = replace(outcome, action=FAILED, error=f"stack {outcome.stack}: stands, but {explain(e)[0]}")
        if changes and outcome.action == "unchanged":
            outcome = replace(outcome, action="updated")
        self._tell(outcome, changes)
        return outcome

    def _tell(self, outcome: Outcome, changes: tuple[str, ...] = ()) -> None:
        tenant = self.owners.get(outcome.stack)
        line = Line(
            self._place,
            tenant.id if tenant else None,
            outcome.stack,
            outcome.action,
            outcome.seconds,
            outcome.error,
            changes,
        )
        with self.one_at_a_time:
            self.lines.append(line)
        self.say(outcome.stack, outcome.action)

    def _not_begun(self, stacks: Sequence[Stack], why: str) -> None:
        for stack in stacks:
            self._tell(Outcome(stack.name, NOT_BEGUN, 0.0, why))

    def _enter(self, stack: str) -> tuple[str, ...]:
        """A tenant whose stack is as it was may be another all the same: its contracts are not in the template."""
        entries = Entries.of(self.connection, self.owners[stack], self.fleet)
        changes = tuple(entries.changes())
        if entries.is_changed:
            self.say(self.owners[stack].id, "entering in the ledger")
            self.lock.check()
            entries.write(self.connection.ledger)
        return changes

    @property
    def _place(self) -> str:
        return self.connection.environment.place

    def _bootstrap(self) -> None:
        environment = self.connection.environment
        if self.connection.is_local:
            bootstrap(self.clients.s3, self.connection.client("ssm"), environment.account, environment.region)

    def check_account(self) -> None:
        environment = self.connection.environment
        account = self.connection.client("sts").get_caller_identity()["Account"]
        if account != environment.account:
            raise LakeError(
                f"environment {environment.place} is account {environment.account}, but the credentials in use are of "
                f"account {account}: log in to the right one"
            )


def holder() -> Holder:
    """Who deploys: a person at a machine, or the run of a workflow."""
    from local_cloud.processes import Identity

    workflow = os.environ.get("GITHUB_RUN_ID")
    name = f"workflow run {workflow} of {os.environ.get('GITHUB_REPOSITORY')}" if workflow else f"{getuser()}"
    here, own = machine(), Identity.of(os.getpid())
    return Holder(
        f"{name}@{socket.gethostname()} (process {own.pid})", f"{here}/{own.pid}/{own.created}" if here else None
    )


def is_dead(process: str) -> bool:
    """Whether a process of this very machine, container and boot has ended; of others nothing is known."""
    from local_cloud.processes import Identity, is_alive

    place, _, number = process.rpartition("/")
    place, _, pid = place.rpartition("/")
    return place == machine() and not is_alive(Identity(int(pid), float(number)))


@cache
def machine() -> str | None:
    """Names the machine since it was booted, and within it the container; None where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


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

    client, one_at_a_time = cache(connection.client), threading.Lock()  # making clients is not safe for threads

    def complete(stack: str) -> None:
        with one_at_a_time:
            parity.complete(assembly.stack(stack).template, stack, client)

    return complete
