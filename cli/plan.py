"""`lake plan`: what a deploy is going to do, with its cost, before anything happens."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL
from cli.errors import WrongInput
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption
from cli.planning import planned as planned_for
from deployment.changes import ResourceChange
from deployment.plans import Action, Change, Plan, Refusal
from deployment.quotas import Use, binding
from lineage.text import visible

__all__ = ["AsideOption", "ReplaceOption", "ending", "plan", "sentence", "show", "silent"]

ReplaceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="STACK/LOGICALID",
        help="Give up this resource though it holds data. May be repeated.",
    ),
]
AsideOption = Annotated[
    list[str] | None,
    typer.Option(
        "--aside",
        metavar="CELL|PLATFORM",
        help="Go on though this cell cannot be asked whether a new tenant stands there already, or though this other "
        "platform stands in the account. May be repeated.",
    ),
]
NAMED = 10
"""Tenants that change in the same way are named up to so many."""
ESCAPED = "\\*_[]|~`"
"""What means something in Markdown."""


def plan(
    tenants: Annotated[list[str] | None, typer.Argument(metavar="[TENANT]…", help="Tenant ids; all if none.")] = None,
    environment: EnvironmentOption = LOCAL,
    *,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Compare with live stacks, whatever earlier deploys have recorded.")
    ] = False,
    replace: ReplaceOption = None,
    aside: AsideOption = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Compare with an assembly that `lake synth --output DIR` has written; asks no cloud, needs no login.",
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what `lake deploy` would do, and change nothing.

    Ends with 0 if there is nothing to do, with 10 if there are changes, with 11 if a deploy would be refused.
    """
    if markdown and as_json:
        raise WrongInput("--markdown and --json: name one of them")
    if against is not None and (refresh or aside):
        raise WrongInput("--against: nothing live is looked at, so --refresh and --aside have no meaning beside it")
    found = planned_for(
        environment,
        tenants or [],
        silent,
        replacing=replace or (),
        refresh=refresh,
        aside=aside or (),
        against=against,
    )
    show(found, as_json=as_json, markdown=markdown)
    raise typer.Exit(ending(found))


def silent(_subject: str, _what: str) -> None:
    """A plan is over before anybody would read what it is at."""


def ending(plan: Plan) -> ExitCode:
    if plan.refusals:
        return ExitCode.REFUSED
    return ExitCode.OK if plan.is_empty else ExitCode.CHANGES


def show(plan: Plan, *, as_json: bool = False, markdown: bool = False) -> None:
    if as_json:
        output.print_json(facts(plan))
    else:
        print("\n".join(map(visible, in_markdown(plan) if markdown else in_text(plan))))


def facts(plan: Plan) -> dict[str, Any]:
    """For machines; stacks that stay as they are only as a number."""
    return {
        "environment": plan.environment,
        "result": {ExitCode.REFUSED: "refused", ExitCode.OK: "nothing to do"}.get(ending(plan), "changes"),
        "counts": {str(action): plan.counts[action] for action in Action},
        "refusals": [asdict(each) for each in plan.refusals],
        "cells": [
            {
                "platform": cell.platform,
                "account": cell.account,
                "region": cell.region,
                "note": cell.note,
                "gone": cell.gone,
                "left": [asdict(each) for each in cell.left],
                "changes": [asdict(change) for change in cell.pending],
            }
            for cell in plan.cells
        ],
        "monthly_cost": {
            "difference": plan.cost.monthly,
            "lines": [{"what": each.what, "number": each.number, "each": each.each} for each in plan.cost.lines],
            "not_counted": sorted(plan.cost.by_use | plan.cost.unknown),
        },
        "room": [
            {"cell": place, "tenants": bound.tenants_left, "binds": bound.quota.code} for place, bound in room(plan)
        ],
    }


def in_text(plan: Plan) -> Iterator[str]:
    for cell in plan.cells:
        if len(plan.cells) > 1:
            yield f"cell of {cell.platform} ({cell.account}, {cell.region}): {counts_of(cell.counts)}"
        for stacks, change in alike(cell.pending):
            yield f"{stacks}: {change.action}"
            yield from (f"    {line}" for line in details(change))
        yield from (f"{name}: is recorded, and does not stand any more" for name in cell.gone)
        yield from (f"{each.stack}: {each.reason}" for each in cell.left)
        if cell.note:
            yield f"{cell.platform}: {cell.note}"
    yield f"environment {plan.environment}: {totals(plan)}"
    yield from consequences(plan)
    yield from (f"refused: {sentence(each)}" for each in plan.refusals)


def in_markdown(plan: Plan) -> Iterator[str]:
    yield f"### Plan for environment {plan.environment}: {totals(plan)}"
    yield ""
    yield from (f"- **Refused**: {plain(sentence(each))}" for each in plan.refusals)
    yield from (f"- {plain(f'{cell.platform}: {cell.note}')}" for cell in plan.cells if cell.note)
    yield from (f"- {plain(f'{each.stack}: {each.reason}')}" for cell in plan.cells for each in cell.left)
    yield from (f"- {plain(line)}" for line in consequences(plan))
    for stacks, change in (each for cell in plan.cells for each in alike(cell.pending)):
        lines = list(details(change))
        yield ""
        yield f"<details><summary>{plain(stacks)}: {change.action} ({len(lines):,})</summary>"
        yield ""
        yield from ("```diff", *map(in_diff, lines), "```", "</details>")


def sentence(refusal: Refusal) -> str:
    where = f"{refusal.where}: " if refusal.where else ""
    return f"{where}{refusal.subject}: {refusal.reason}"


def plain(text: str) -> str:
    """As it reads, whatever signs of Markdown or HTML are in it."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{sign}" if sign in ESCAPED else sign for sign in text)


def in_diff(line: str) -> str:
    """`!` marks a change where a diff is coloured. No line may end the block that it stands in."""
    return line.replace("`", "'").replace("~", "!", 1) if line.startswith("~") else line.replace("`", "'")


def totals(plan: Plan) -> str:
    if plan.is_empty:
        return f"nothing to do, {output.counted(plan.counts[Action.UNCHANGED], 'stack')} unchanged"
    return counts_of(plan.counts)


def counts_of(counts: Mapping[Action, int]) -> str:
    verbs = {Action.UNCHANGED: "unchanged"}
    return ", ".join(f"{counts[action]:,} {verbs.get(action, f'to {action}')}" for action in Action if counts[action])


def consequences(plan: Plan) -> Iterator[str]:
    if plan.cost.lines:
        parts = ", ".join(
            f"{each.number:+,} {each.what}{'' if abs(each.number) == 1 else 's'}" for each in plan.cost.lines
        )
        yield f"cost before any use: {plan.cost.monthly:+,.2f} US dollars a month ({parts})"
        yield f"not counted, since it depends on use: {'; '.join(sorted(plan.cost.by_use))}"
    if plan.cost.unknown:
        yield f"not counted, since no price is known here: {', '.join(sorted(plan.cost.unknown))}"
    for place, bound in room(plan):
        left = output.counted(bound.tenants_left or 0, "more tenant")
        used = f"{bound.used:,} of {bound.limit.value:,} {bound.quota.service} {bound.quota.name}"
        yield f"{place}: with this, room for {left} ({used}, {bound.quota.code})"


def room(plan: Plan) -> Iterator[tuple[str, Use]]:
    """What ends the growth of each cell first."""
    for place in dict.fromkeys(place for use in plan.quotas for place in use.cells):
        if bound := binding(plan.quotas, place):
            yield place, bound


def alike(changes: Iterable[Change]) -> Iterator[tuple[str, Change]]:
    """Stacks that change in the same way, with one of their changes."""
    groups: dict[Any, list[Change]] = {}
    equal: dict[tuple[ResourceChange, ...], int] = {}
    seen: dict[int, int] = {}  # most share one tuple, which need not be looked through again
    for change in changes:
        if id(change.resources) not in seen:
            seen[id(change.resources)] = equal.setdefault(change.resources, len(equal))
        key = (change.action, seen[id(change.resources)], change.sections, change.entries, change.remarks)
        groups.setdefault(key, []).append(change)
    for group in groups.values():
        names = ", ".join(change.stack for change in group[:NAMED])
        more = f" and {len(group) - NAMED:,} more" if len(group) > NAMED else ""
        yield names + more, group[0]


def details(change: Change) -> Iterator[str]:
    for each in change.resources:
        yield " ".join((each.kind, each.logical_id, each.type, *each.properties)) + remark(each)
    yield from (f"~ {section}" for section in change.sections)
    yield from (f"~ {entry}" for entry in change.entries)
    yield from (f"! {remark}" for remark in change.remarks)


def remark(change: ResourceChange) -> str:
    if change.replaces:
        return " (is replaced, and what it holds is given up)" if change.holds_data else " (is replaced)"
    return " (what it holds is given up)" if change.gives_up_data else ""
