"""What `lake up` does after a kill of the local cloud: everything is there again, and it says how.

The emulator comes back with all objects, but with stacks, ledger, catalog and queues of its last clean stop
(`local_cloud.losses`). So what was deployed last is deployed again, the objects come back below it, the ledger is
emptied of what it remembers of then, and every tenant's ledger and tables are made anew from its bucket. Each step is
written down once it is done: a recovery that is interrupted goes on where it was.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import output
from cli.connection import LOCAL, Connection, cloud_home, running_cloud
from cli.errors import LakeError, explain
from cli.synthesis import kept, key_of, synthesise
from deployment.assembly import Assembly
from deployment.errors import BootstrapError
from deployment.records import Shelf, bucket_of

if TYPE_CHECKING:
    from local_cloud.losses import Loss

__all__ = ["recover", "remember", "remember_hold"]

DEPLOYED = "deployed"
"""Folder with the registry as it was deployed last, and `facts.json`."""

HOLDS = "holds.json"
"""The last reason by tenant, null once it was released: a kill takes the ledger back to before that."""

REBUILD_TRIES = 3

KEPT = frozenset({"tenant", "pointer", "dataset", "dataset_name"})
"""Kinds of items that a deploy writes, operators' holds among them: they are not of the past."""


def remember(connection: Connection, assembly: Assembly, tenants: Sequence[str]) -> None:
    """Keep what is deployed: the registry's files, the assembly's key, and the ids of all tenants so far."""
    if not connection.environment.is_local:
        return
    folder = cloud_home() / DEPLOYED
    if connection.folder == folder:  # deployed again as it was
        return
    known = {tenant.id for tenant in connection.registry.tenants} & set(_facts(folder).get("tenants", ()))
    facts = {"tenants": sorted(known | set(tenants)), "key": key_of(assembly.folder)}
    staging = folder.with_name(f".{DEPLOYED}")
    shutil.rmtree(staging, ignore_errors=True)
    for file in _files(connection.folder):
        copy = staging / file.relative_to(connection.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (staging / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    staging.rename(folder)


def remember_hold(connection: Connection, tenant: str, reason: str | None) -> None:
    """Keep that an operator held a tenant, or with None that it was released."""
    if connection.environment.is_local:
        from local_cloud import state

        file = cloud_home() / HOLDS
        state.write_json(file, {**(state.read_json(file) or {}), tenant: reason})


def _files(folder: Path) -> Iterator[Path]:
    for pattern in ("*.yaml", "contracts/*.yaml"):
        yield from sorted(folder.glob(pattern))


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts


def recover() -> None:
    """Make good what a kill cost, if one did; a recovery that runs already is waited for."""
    from local_cloud import losses
    from local_cloud.state import Folders

    folders = Folders(cloud_home())
    if losses.read(folders) is None:
        return
    with _alone(folders.home / "recovery.lock"):
        loss = losses.read(folders)
        if loss is not None:
            began = time.monotonic()
            Recovery(folders.home, loss).run()
            losses.settle(folders)
            output.message(f"all is there again after {time.monotonic() - began:.1f} s")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            output.message("waiting for the recovery that runs already; see logs/recovery.log")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass
class Recovery:
    """The steps from a restarted emulator to a lake as it was."""

    home: Path
    loss: "Loss"
    connection: Connection = field(init=False)
    tenants: list[str] = field(init=False)

    def run(self) -> None:
        facts = _facts(self.home / DEPLOYED)
        if not facts:
            self._step("objects", self._bring_back)
            output.message("nothing was deployed from here; `lake deploy` does")
            return
        self._connect(facts)
        self._step("past", self._forget)
        self._step("stacks", lambda: self._deploy(facts))
        self._step("holds", self._hold)
        self._step("objects", self._bring_back)
        self._restore()

    def _restore(self) -> None:
        """Ledgers and files; meanwhile every tenant is held, so that no run claims what another one did.

        All until the last one is through: runs of those that are would else take the workers that rebuilds wait for.
        """
        from cli.hold import keeping
        from cli.maintenance import REBUILDING

        with ExitStack() as held:
            for tenant in self.tenants:
                held.enter_context(keeping(self.connection, tenant, REBUILDING))
            for tenant in self.tenants:
                self._step(f"ledger of {tenant}", partial(self._rebuild, tenant))
                self._step(f"files of {tenant}", partial(self._reconcile, tenant))

    def _step(self, name: str, do: Callable[[], str]) -> None:
        """Do a step that is not done yet and say in a line what it did."""
        from local_cloud import losses
        from local_cloud.state import Folders

        if name in self.loss.done:
            return
        began = time.monotonic()
        try:
            said = do()
        except Exception as error:
            reason, _ = explain(error)
            raise LakeError(
                f"recovery after a kill: {name}: {reason}; nothing is lost, `lake up` goes on from here"
            ) from error
        self.loss = losses.step(Folders(self.home), self.loss, name)
        if said:
            output.message(f"{name}: {said} ({time.monotonic() - began:.1f} s)")

    def _connect(self, facts: dict[str, Any]) -> None:
        from tenants import registry

        running_cloud()
        folder = self.home / DEPLOYED
        loaded = registry.load(folder)
        self.connection = Connection(loaded, loaded.environment(LOCAL), folder)
        ended = self._ended()
        self.tenants = [each.id for each in loaded.tenants if each.id in facts["tenants"] and each.id not in ended]
        if ended:
            output.message(f"left as they are, since their end has begun: {', '.join(sorted(ended))}")

    def _ended(self) -> frozenset[str]:
        """Tenants that are being offboarded or were, and do not stand again: none of them is made anew."""
        environment, platform = self.connection.environment, self.connection.platform.stack
        shelf = Shelf(self.connection.client("s3"), bucket_of(environment.account, environment.region), platform)
        with _if_there():
            record, _ = shelf.read()
            ends = record.offboardings.items()
            return frozenset(name for name, end in ends if not end.is_certified or end.stack not in record.stacks)
        return frozenset()

    def _deploy(self, facts: dict[str, Any]) -> str:
        from cli.deploy import Deployment
        from cli.plan import sentence
        from cli.planning import Prospect
        from cli.progress import Progress
        from cli.rollout import Rollout

        tenants, assembly = [self.connection.tenant(tenant) for tenant in self.tenants], self._assembly(facts)
        rollout = Rollout(self.connection, assembly, tenants, Progress(lambda _text: None))
        # The record is an object: it came back as it was at the kill, and tells of more than the stacks remember.
        prospect = Prospect([self.connection], assembly, tuple(self.tenants), refresh=True)
        report = Deployment([rollout], prospect).run()
        if report.refused is not None:
            raise LakeError("; ".join(map(sentence, report.refused.refusals)))
        if report.failures:
            raise LakeError("; ".join(str(each.error) for each in report.failures))
        changed = [each.stack for each in report.lines if each.action != "unchanged"]
        return f"{len(changed)} of {len(report.lines)} deployed again" if changed else "as they were deployed last"

    def _hold(self) -> str:
        """Operators' holds as they were at the kill, before anything can start."""
        from lineage.holds import Holds
        from local_cloud import state

        noted = state.read_json(self.home / HOLDS) or {}
        holds = Holds(self.connection.ledger)
        for tenant in self.tenants:
            if noted.get(tenant):
                holds.hold(tenant, noted[tenant])
            elif tenant in noted:
                holds.release(tenant)
        held = [tenant for tenant in self.tenants if noted.get(tenant)]
        return f"{', '.join(held)} held again" if held else ""

    def _assembly(self, facts: dict[str, Any]) -> Assembly:
        """The very one that was deployed last, unless another was made in its place since."""
        found = kept(LOCAL, self.home, facts["key"]) if facts["key"] else None
        return found or synthesise(LOCAL, self.home / DEPLOYED, self.home)

    def _bring_back(self) -> str:
        from local_cloud import supervisor

        names = supervisor.bring_back(self.home)
        return f"{output.counted(len(names), 'bucket')} brought back with every version" if names else "all there"

    def _forget(self) -> str:
        """Waiting messages and the ledger's entries are of the last clean stop: what they would start was done."""
        platform = self.connection.platform
        count = 0
        with _if_there():
            sqs = self.connection.client("sqs")
            sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=platform.queue)["QueueUrl"])
        with _if_there():
            count = _empty(self.connection.client("dynamodb"), platform.ledger)
        return f"{output.counted(count, 'item')} of the ledger forgotten, it is made anew" if count else ""

    def _rebuild(self, tenant: str) -> str:
        from cli.errands import attend
        from cli.maintenance import rebuilt
        from lineage.values import ErrandTask

        bucket = self.connection.names(tenant).bucket
        listed = self.connection.client("s3").list_objects_v2(Bucket=bucket, Prefix="processed/", MaxKeys=1)
        if not listed["KeyCount"]:  # no run has left anything: a Spark process would have nothing to do
            return "nothing to rebuild"
        tries = 1
        while True:
            try:
                with self._unbounded(tenant):
                    return rebuilt(attend(self.connection, tenant, ErrandTask.REBUILD, {}))
            except LakeError as error:  # its Glue run may have been killed as the cloud was; the next one need not be
                if tries == REBUILD_TRIES:
                    raise
                tries += 1
                output.message(f"{error}; asked again, try {tries} of {REBUILD_TRIES}")

    @contextmanager
    def _unbounded(self, tenant: str) -> Iterator[None]:
        """The job's role of a tenant that is not active is denied everything, and only a job can rebuild its ledger.

        On this machine its boundary is taken off meanwhile; the step is done again where that was interrupted.
        """
        if self.connection.tenant(tenant).state == "active":
            yield
            return
        iam, names = self.connection.client("iam"), self.connection.names(tenant)
        boundary = f"arn:aws:iam::{self.connection.environment.account}:policy/{names.boundary}"
        iam.delete_role_permissions_boundary(RoleName=names.job_role)
        try:
            yield
        finally:
            iam.put_role_permissions_boundary(RoleName=names.job_role, PermissionsBoundary=boundary)

    def _reconcile(self, tenant: str) -> str:
        from cli.reconcile import call

        # What came since the kill has events of its own; until they are through, it is not known again.
        report = call(self.connection, tenant, grace_s=time.time() - self.loss.at, any_age=True)
        counts = {name: count for name, count in report["counts"].items() if count}
        return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing was missed"


@contextmanager
def _if_there() -> Iterator[None]:
    """What the last clean stop did not have yet, it cannot remember."""
    from botocore.exceptions import ClientError

    try:
        yield
    except BootstrapError:
        return
    except ClientError as error:
        if not any(word in error.response["Error"]["Code"] for word in ("NotFound", "NonExistent", "DoesNotExist")):
            raise


def _empty(dynamodb: Any, table: str) -> int:
    """Delete every item but those of KEPT; how many."""
    from lineage.table import PARTITION_KEY, SORT_KEY

    count = 0
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        ProjectionExpression="#p, #s, #k",
        ExpressionAttributeNames={"#p": PARTITION_KEY, "#s": SORT_KEY, "#k": "kind"},
    )
    stale = [item for page in pages for item in page["Items"] if item["kind"]["S"] not in KEPT]
    for begin in range(0, len(stale), 25):
        keys = [{PARTITION_KEY: each[PARTITION_KEY], SORT_KEY: each[SORT_KEY]} for each in stale[begin : begin + 25]]
        pending = {table: [{"DeleteRequest": {"Key": key}} for key in keys]}
        while pending:
            pending = dynamodb.batch_write_item(RequestItems=pending).get("UnprocessedItems") or {}
        count += len(keys)
    return count
