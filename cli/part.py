"""One job's part of a workflow run: a portion is rolled out or a tenant offboarded, and what came of it is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cli.connection import connect, within_reach
from cli.deploy import Deployment, prepare
from cli.errors import LakeError, explain
from cli.options import tenants_folder
from cli.orders import Task
from cli.plan import sentence
from cli.progress import progress
from cli.rollout import Rollout
from deployment.errors import Locked
from deployment.plans import Action, CellPlan, Plan
from deployment.portions import Portion
from deployment.records import Record, Shelf, bucket_of
from deployment.stacks import FAILED, NOT_BEGUN
from deployment.waves import Waves
from deployment.workflow_runs import Row, WorkflowRun

__all__ = ["CERTIFIED", "OUTDATED", "check", "offboarded", "rolled_out"]

CERTIFIED, OUTDATED = "certified", "outdated"
Standing = tuple[str | None, str | None]
UNKNOWN: Standing = (None, None)
CHANGES_OF_STATE = frozenset({Action.SUSPEND, Action.RESUME, Action.OFFBOARD})


@dataclass(frozen=True, kw_only=True)
class Part(Deployment):
    """A deploy that begins nothing once its workflow run was stopped or overtaken, and may itself stop it."""

    portion: Portion
    of: WorkflowRun
    task: Task
    before: Mapping[str, Standing]
    """How each stack was recorded when the job began to wait for the locks."""
    outdated: list[Row] = field(default_factory=list)

    @property
    def rows(self) -> Sequence[Row]:
        lines = [line for rollout in self.rollouts for line in rollout.ordered()]
        done = [Row(each.cell, each.tenant, each.action, each.seconds, each.error, each.changes) for each in lines]
        return [*done, *self.outdated]

    def roll_out(self, plan: Plan) -> None:
        """Asked and told while the locks are held, so that no part of the same cells begins in between."""
        if why := self.of.stopped() or self.of.overtaken(self.touched):
            for rollout, cell in zip(self.rollouts, plan.cells, strict=True):
                rollout.leave(cell, why)
        else:
            current = replace(plan, cells=tuple(map(self.current, self.rollouts, plan.cells)))
            self.of.begin(self.portion.id, {each.tenant for cell in current.cells for each in cell.pending})
            super().roll_out(current)
        tell(self.portion, self.of, self.rows)

    @property
    def touched(self) -> frozenset[str | None] | None:
        """A deploy would take back code; a change of state only what is its tenants' and the platform's."""
        return None if self.task is Task.DEPLOY else frozenset({None, *self.portion.tenants})

    def current(self, rollout: Rollout, plan: CellPlan) -> CellPlan:
        """Without those whose state somebody else has changed while the lock was waited for, as after a leak."""
        now = standings(rollout.journal.known)
        changed = {
            each.stack: each.tenant
            for each in plan.pending
            if each.action in CHANGES_OF_STATE and now.get(each.stack, UNKNOWN) != self.before.get(each.stack, UNKNOWN)
        }
        why = "its state was changed while this job waited for the lock, and is left as it is: start a new run"
        rows = (Row(rollout.place, tenant, OUTDATED, error=f"tenant {tenant}: {why}") for tenant in changed.values())
        self.outdated.extend(rows)
        return replace(plan, changes=tuple(each for each in plan.changes if each.stack not in changed))


def standings(record: Record) -> Mapping[str, Standing]:
    """The state of each stack's tenant, and since when; no clock of another machine has to be right to compare them."""
    return {name: (each.state, each.since) for name, each in record.stacks.items()}


def recorded(place: str) -> Mapping[str, Standing]:
    found: dict[str, Standing] = {}
    for connection in within_reach(place):
        bucket = bucket_of(connection.environment.account, connection.environment.region)
        found |= standings(Shelf(connection.client("s3"), bucket, connection.platform.stack).read()[0])
    return found


def rolled_out(portion: Portion, run: WorkflowRun, task: Task, *, main: Path | None, wait: float) -> Sequence[Row]:
    """A portion that is not among the first is one wave: those have shown the change to be sound.

    `main`: the folder of the registry as the main branch has it now.
    """

    def roll_out() -> Sequence[Row]:
        before = recorded(portion.place)  # first, so that what is changed after main was looked at is seen
        left = outdated(portion, main)
        current = [each for each in portion.tenants if each not in left]
        rows = list(left.values())
        if portion.tenants and not current:  # no tenants would mean all
            tell(portion, run, rows)
            return rows
        with progress() as said:
            made = prepare(portion.place, current, said, wait=wait)
            if not current and any(rollout.tenants for rollout in made.rollouts):
                raise LakeError(f"portion {portion.id}: names nobody, and {portion.place} has tenants: start a new run")
            whole = Waves(sizes=(max(1, len(current)),))
            waves = made.waves if portion.is_first else (whole, whole)
            part = Part(
                made.rollouts,
                made.prospect,
                waves,
                portion=portion,
                of=run,
                task=task,
                before=before,
                outdated=rows,
            )
            report = part.run()
        if report.refused is not None:
            raise LakeError("; ".join(map(sentence, report.refused.refusals)))
        return part.rows

    return telling(portion, run, roll_out)


def offboarded(portion: Portion, run: WorkflowRun, *, main: Path | None, wait: float) -> Sequence[Row]:
    """The portion's one tenant, as `lake tenant offboard` ends it.

    However long it waited: no later run takes back that it ends, and the record, the terms and main are asked.
    """
    from cli.offboarding import Departure

    (tenant,) = portion.tenants

    def offboard() -> Sequence[Row]:
        rows = list(outdated(portion, main).values())
        if not rows:
            run.begin(portion.id, {tenant})
            connection = connect(portion.place, tenant)
            connection.check_account()
            departure = Departure(connection, tenant)
            certificate = departure.certified() or departure.run(wait)
            place = connection.environment.place
            rows = [Row(place, tenant, CERTIFIED, changes=(f"certificate: {certificate['folder']}",))]
        tell(portion, run, rows)
        return rows

    return telling(portion, run, offboard)


def outdated(portion: Portion, main: Path | None) -> Mapping[str, Row]:
    """Those of whom main says something else by now than the run that was started then, or let go on so late."""
    from tenants.registry import load

    if main is None:
        return {}
    here, there = load(tenants_folder()).by_id, load(main).by_id
    why = "the main branch says something else of it than when this run was started: start a new run"
    return {
        each: Row(portion.place, each, OUTDATED, error=f"tenant {each}: {why}")
        for each in portion.tenants
        if each not in here or here[each] != there.get(each)
    }


def check(portion: Portion) -> None:
    """Raises LakeError if the portion's one tenant cannot be offboarded yet."""
    from cli.offboarding import Departure

    (tenant,) = portion.tenants
    departure = Departure(connect(portion.place, tenant), tenant)
    if departure.certified() is None and (why := departure.prospect()["refused"]):
        raise LakeError(str(why))


def telling(portion: Portion, run: WorkflowRun, work: Callable[[], Sequence[Row]]) -> Sequence[Row]:
    """What keeps a portion from being worked at is told of each of its tenants, and raised.

    That others held the lock for too long is nobody's failure, and stops no other portion.
    """
    try:
        return work()
    except Locked as error:
        run.tell(
            portion.id, [Row(portion.place, each, NOT_BEGUN, error=str(error)) for each in portion.tenants or (None,)]
        )
        raise
    except (Exception, KeyboardInterrupt) as error:
        why = explain(error)[0]
        tell(portion, run, [Row(portion.place, each, FAILED, error=why) for each in portion.tenants or (None,)])
        raise


def tell(portion: Portion, run: WorkflowRun, rows: Sequence[Row]) -> None:
    """Stops the run first: whoever reads the rows may rely on it."""
    failed = [row for row in rows if row.action == FAILED]
    tolerates = Waves().tolerates(len(failed), 1 if portion.is_first else len(portion.tenants))
    if not tolerates or any(row.action == NOT_BEGUN for row in rows):
        run.stop(f"{portion.id} of this workflow run had too many failures")
    run.tell(portion.id, rows)
