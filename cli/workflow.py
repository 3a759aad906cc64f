"""`lake workflow`: what the jobs of the deploy workflow do, each with what those before it have written down."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli import output
from cli.assignment import Assignment, assigned
from cli.connection import Connection, within_reach
from cli.errors import WrongInput, explain
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption
from cli.orders import ALL, Order, Task
from cli.part import OUTDATED, check, offboarded, rolled_out
from cli.plan import ending, in_markdown, in_text, plain, silent
from cli.planning import prospect, uncollected
from cli.results import Results
from deployment.portions import Portion
from deployment.publishing import bootstrap
from deployment.records import bucket_of
from deployment.stacks import FAILED, NOT_BEGUN
from deployment.workflow_runs import Row, WorkflowRun
from lineage.text import visible

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

LONGEST_SUMMARY = 1_000_000
"""Bytes; of a summary longer than 1 MiB GitHub shows nothing."""
JOBS = ("first", "apply")

ActionOption = Annotated[str, typer.Option("--action", metavar="ACTION", help=f"One of: {', '.join(Task)}.")]
ConfirmationOption = Annotated[
    str, typer.Option("--confirmation", metavar="ID", help="To offboard: the tenant's id, typed again.")
]
WaitOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for another deploy to end.")
]


@dataclass(frozen=True)
class Step:
    """The step of a job that this process is, as GitHub tells it: which run it is of, and where its words go."""

    repository: str
    run: str
    attempt: str
    outputs: Path | None
    summary: Path | None

    @classmethod
    def here(cls) -> "Step":
        """Outside of a workflow it is run 1, and has nobody to hand anything on to."""
        known = os.environ
        outputs, summary = (
            Path(known[name]) if known.get(name) else None for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
        )
        names = ("GITHUB_REPOSITORY_ID", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT")
        repository, run, attempt = (known.get(name) or "1" for name in names)
        return cls(repository, run, attempt, outputs, summary)

    def hand_on(self, **facts: str) -> None:
        """To the jobs that come after."""
        append(self.outputs, [f"{name}={value}" for name, value in facts.items()])

    def show(self, lines: Iterable[str]) -> None:
        """Markdown, on the page of the run."""
        append(self.summary, cut(lines))

    @contextmanager
    def annotated(self) -> Iterator[None]:
        """What goes wrong is told on the page of the run, not in the log alone."""
        try:
            yield
        except Exception as error:
            if not isinstance(error, typer.Exit):
                self.show([f"**Refused**: {plain(visible(explain(error)[0]))}", ""])
            raise

    def workflow_run(self, connections: Sequence[Connection]) -> WorkflowRun:
        """What is told is kept by the first cell; all that are within reach are in one account."""
        connection = connections[0]
        s3, environment = connection.client("s3"), connection.environment
        if connection.is_local:
            bootstrap(s3, connection.client("ssm"), environment.account, environment.region)
        bucket = bucket_of(environment.account, environment.region)
        return WorkflowRun(s3, bucket, connection.platform.stack, self.repository, self.run, self.attempt)


def append(file: Path | None, lines: Iterable[str]) -> None:
    if file is not None:
        with file.open("a", encoding="utf-8") as opened:
            opened.writelines(f"{visible(line)}\n" for line in lines)


def cut(lines: Iterable[str]) -> Iterator[str]:
    """As many as are shown, and then that there are more."""
    size = 0
    for line in lines:
        size += len(visible(line).encode()) + 1
        if size > LONGEST_SUMMARY:
            yield from ("```", "", "**…and more than a page takes: see the log of this job.**")
            return
        yield line


@app.command()
def plan(
    environment: EnvironmentOption,
    action: ActionOption,
    tenants: Annotated[str, typer.Option("--tenants", metavar="IDS", help=f"Ids of tenants, or {ALL}.")],
    confirmation: ConfirmationOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """Check what was asked for, show the plan, and hand on which job takes whom.

    Ends with 0 if the workflow may go on, with 2 if an input is wrong, with 11 if the plan is refused.
    """
    step = Step.here()
    with step.annotated():
        order = Order.of(environment, action, tenants, confirmation)
        with uncollected():
            found = prospect(order.environment, order.tenants, silent, frozenset(), refresh=False)
            made = found.plan()
        output.message("\n".join(in_text(made)))
        step.show(in_markdown(made))
        if made.refusals:
            raise typer.Exit(ending(made))
        work = assigned(order, found.connections, made)
        for each in work.portions if order.task is Task.OFFBOARD else ():
            check(each)
    remarks = [*work.remarks, *out_of_reach(order, found.connections)]
    for remark in remarks:
        output.message(remark)
    step.show(f"- {plain(remark)}" for remark in remarks)
    step.hand_on(**handed_on(work, step))
    if as_json:
        output.print_json(asdict(work))


def out_of_reach(order: Order, connections: Sequence[Connection]) -> Iterator[str]:
    """An environment of several accounts is not done by one workflow run, whose roles are of one."""
    reached = [each.environment for each in connections]
    for cell in connections[0].registry.cells(order.environment):
        if cell not in reached:
            yield f"{cell.place} is in account {cell.account}, out of reach here: `lake deploy -e {cell.place}` does it"


def handed_on(work: Assignment, step: Step) -> dict[str, str]:
    """`since`: the attempt that planned. Where only some jobs are run again it is an earlier one than theirs."""
    return {
        "first": listed(work.first),
        "portions": listed(work.portions),
        "firsts": str(len(work.first)),
        "count": str(len(work.portions)),
        "since": step.attempt,
    }


def listed(portions: Iterable[Portion]) -> str:
    return json.dumps([each.facts() for each in portions], separators=(",", ":"))


@app.command()
def apply(
    environment: EnvironmentOption,
    action: ActionOption,
    portion: Annotated[str, typer.Option("--portion", metavar="JSON", help="One of those that the plan made.")],
    confirmation: ConfirmationOption = "",
    *,
    main: Annotated[
        Path | None,
        typer.Option(
            "--main", metavar="FOLDER", help="The registry as main has it now; who differs there is left out."
        ),
    ] = None,
    wait: WaitOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Do for one portion what is planned, and tell what came of it.

    Begins nothing once another portion of the run had too many failures. Ends with 1 if a tenant failed.
    """
    part = Portion.read(portion)
    order = Order.of(environment, action, " ".join(part.tenants) or ALL, confirmation)
    if part.place.partition("/")[0] != order.environment:
        raise WrongInput(f"portion {part.id} is of {part.place}, not of environment {order.environment}")
    run = Step.here().workflow_run(within_reach(order.environment))
    if order.task is Task.OFFBOARD:
        rows = offboarded(part, run, main=main, wait=wait)
    else:
        rows = rolled_out(part, run, order.task, main=main, wait=wait)
    show(rows, as_json=as_json)
    if any(row.action in {FAILED, NOT_BEGUN, OUTDATED} for row in rows):
        raise typer.Exit(ExitCode.FAILED)


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        output.print_json([asdict(row) for row in rows])
    else:
        columns = ("tenant", "what", "seconds")
        output.print_table(columns, [(row.tenant or "the platform", row.action, row.seconds) for row in rows])
    for row in rows:
        if row.error:
            output.message(f"lake: {row.error}", style="red")


@app.command()
def report(
    environment: EnvironmentOption,
    action: ActionOption,
    *,
    first: Annotated[str, typer.Option("--first", metavar="JSON", help="The portions that went first.")] = "",
    portions: Annotated[str, typer.Option("--portions", metavar="JSON", help="The portions after them.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="ATTEMPT", help="Which attempt of the run planned.")] = "",
    results: Annotated[
        str, typer.Option("--results", metavar="WORDS", help=f"How the jobs {', '.join(JOBS)} ended.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Show what became of each tenant, whatever became of the jobs. Ends with 1 if not all of it went well."""
    step, order = Step.here(), Order(environment, Task(action))
    meant = [*read(first), *read(portions)]
    told = step.workflow_run(within_reach(order.environment)).told(since or "1") if meant else {}
    found = Results.of(order, meant, told, dict(zip(JOBS, results.split(), strict=False)))
    step.show(found.in_markdown())
    show(found.rows, as_json=as_json)
    output.message(f"{order.task} in {order.environment}: {found.summary}")
    if not found.is_good:
        raise typer.Exit(ExitCode.FAILED)


def read(text: str) -> list[Portion]:
    """Nothing where the plan did not come so far."""
    return [Portion.read(json.dumps(each)) for each in json.loads(text or "[]")]
