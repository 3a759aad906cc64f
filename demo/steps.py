"""The demo, step by step: cloud, tenants, files, answers, totals, lineage, and what to do next."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from decimal import Decimal

from cli import cloud, output
from cli.connection import LOCAL, Connection, cloud_home, connect
from cli.errors import LakeError
from cli.journey import Arrival, Journey, follow
from cli.keys import Address, routes, taker
from cli.lineage import tree
from cli.put import Upload, upload
from cli.query import Athena
from demo.files import DemoFile, generate
from demo.totals import Total, totals

__all__ = ["run"]

TRACED = ("acme", "transactions")


def run(timeout: float) -> None:
    """Run the whole loop; raises LakeError when a file or an answer is not what it should be."""
    began = time.monotonic()
    with step("Local cloud"):
        cloud.start()
    with step("Tenants"):
        _deploy()
    connection = connect(LOCAL)
    with step("Files"):
        files = generate(cloud_home() / "demo")
        output.message(f"{len(files)} files in {cloud_home() / 'demo'}")
        journey = _drop(connection, files, timeout)
    workgroups = {tenant: Athena(connection, tenant) for tenant in sorted({each.tenant for each in files})}
    with step("Answers"):
        _ask(workgroups)
    with step("Totals, against totals computed from the input files alone"):
        _check(workgroups, totals(files))
    with step("Where an answer comes from, and what a file led to"):
        _trace(connection, files)
    _next(began, journey)


@contextmanager
def step(title: str) -> Iterator[None]:
    """A heading before, the seconds after."""
    output.messages().rule(f"[bold]{title}[/]", align="left")
    began = time.monotonic()
    yield
    output.message(f"{time.monotonic() - began:.1f} s", style="dim")


def _deploy() -> None:
    from cli.deploy import deploy

    with redirect_stdout(sys.stderr):  # what changed is a message here, not an answer
        deploy(environment=LOCAL)


def _drop(connection: Connection, files: Sequence[DemoFile], timeout: float) -> Journey:
    known = {tenant: routes(connection.registry, tenant) for tenant in {each.tenant for each in files}}
    arrivals = upload(connection, [Upload(each.tenant, _address(each, known[each.tenant])) for each in files])
    journey = follow(connection.ledger, arrivals, timeout)
    ended = [(file, journey.state(each), _reason(journey, each)) for file, each in zip(files, arrivals, strict=True)]
    wrong = [
        f"{file.tenant} {file.key} is {state}, expected {file.expected}{reason}"
        for file, state, reason in ended
        if state != file.expected
    ]
    if wrong:
        raise LakeError("\n".join([*wrong, "see `lake runs TENANT` and `lake runs TENANT --logs RUN`"]))
    for file, state, reason in ended:
        if state != "QUERYABLE":
            output.message(f"as meant ({file.note}): {file.tenant} {file.key} is {state}{reason}")
    return journey


def _address(file: DemoFile, known: dict[str, tuple[str, ...]]) -> Address:
    return Address(file.path, file.key, taker(file.key, known))


def _reason(journey: Journey, arrival: Arrival) -> str:
    state = journey.states.get(arrival.id)
    return f": {state.reason}" if state is not None and state.reason else ""


def _ask(workgroups: dict[str, Athena]) -> None:
    """The first named query of each tenant, as anybody may run it."""
    for tenant, athena in workgroups.items():
        named = sorted(athena.named(), key=lambda each: str(each["Name"]))
        if not named:
            raise LakeError(f"tenant {tenant} has no named query: run `lake deploy {tenant}`")
        output.message(f"$ lake query {tenant} --named {named[0]['Name']}", style="bold")
        answer = athena.run(str(named[0]["QueryString"]))
        output.print_table(answer.names, answer.rows[:12])
        if len(answer.rows) > 12:
            output.message(f"… {len(answer.rows) - 12} more rows")


def _check(workgroups: dict[str, Athena], expected: Sequence[Total]) -> None:
    wrong = []
    for total in expected:
        answer = workgroups[total.tenant].run(total.sql)
        found = dict(zip(answer.names, answer.rows[0], strict=True)) if answer.rows else {}
        for name, value in total.values.items():
            text = found.get(name)
            same = text is not None and Decimal(text) == value
            output.message(f"{'✓' if same else '✗'} {total.tenant}: {name} = {text}", None if same else "red")
            if not same:
                wrong.append(f"{total.tenant}: {name} is {text}, the input files say {value}: {total.sql}")
    if wrong:
        raise LakeError("\n".join(wrong))


def _trace(connection: Connection, files: Sequence[DemoFile]) -> None:
    """One table up to its files, and the late file down to the table."""
    from lineage import graph

    tenant, dataset = TRACED
    output.message(f"$ lake lineage {tenant} {dataset} --up", style="bold")
    above = graph.up(connection.ledger, tenant, dataset)
    output.stdout().print(tree(above, upwards=True, title=f"{dataset} made of"))
    late = next(each.key for each in files if each.last)
    output.message(f"$ lake lineage {tenant} {late} --down", style="bold")
    below = graph.down(connection.ledger, tenant, late)
    output.stdout().print(tree(below, upwards=False, title=f"{late} led to"))


def _next(began: float, journey: Journey) -> None:
    unchanged = sum(each.unchanged for each in journey.arrivals)
    again = f", {unchanged} of them already there" if unchanged else ""
    output.messages().rule("[bold]Next[/]", align="left")
    output.message(
        f"done in {time.monotonic() - began:.0f} s: {len(journey.arrivals)} files{again}, every total right.\n\n{NEXT}"
    )


NEXT = """\
Your own tenant, in tenants/tenants.yaml under `tenants:` (or `lake tenant add`):
  - id: mine
    name: My Company
    owner: me@mine.example
    datasets: [transactions]
then
  lake deploy mine
  lake put mine FILE.csv --dataset transactions --wait
  lake query mine "select * from transactions limit 10"
  lake lineage mine transactions --up
More: `lake --help`. Any AWS client: `eval "$(lake env)"`.
The local cloud is still running: `lake down` stops it, `lake up` continues."""
