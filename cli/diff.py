"""`lake diff`: the templates of an environment against those that its live stacks have, value by value."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption
from cli.plan import silent
from cli.planning import planned
from deployment.changes import SECTIONS, Step, steps
from deployment.plans import CellPlan, Group, Plan
from lineage.text import visible

__all__ = ["diff"]

SHOWN = 300
"""Signs of a value; JSON has it whole."""


def diff(
    tenants: Annotated[list[str] | None, typer.Argument(metavar="[TENANT]…", help="Tenant ids; all if none.")] = None,
    environment: EnvironmentOption = LOCAL,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show where live stacks differ from what `lake deploy` would make of them, value by value.

    Ends with 0 if nothing does, with 10 if something does. What was changed beside the stacks is shown by `lake drift`.
    """
    found = planned(environment, tenants or [], silent, refresh=True)
    if as_json:
        output.print_json(facts(found))
    else:
        print("\n".join(map(visible, text(found))))
    if not is_same(found):
        raise typer.Exit(ExitCode.CHANGES)


def is_same(plan: Plan) -> bool:
    return not any(cell.groups or cell.strange for cell in plan.cells)


def facts(plan: Plan) -> dict[str, Any]:
    return {
        "environment": plan.environment,
        "cells": [
            {
                "platform": cell.platform,
                "account": cell.account,
                "region": cell.region,
                "not_expected": cell.strange,
                "differences": [
                    {
                        "stacks": group.stacks,
                        "is_new": group.old is None,
                        "steps": [asdict(each) for each in differences(group)],
                    }
                    for group in cell.groups
                ],
            }
            for cell in plan.cells
        ],
    }


def text(plan: Plan) -> Iterator[str]:
    for cell in plan.cells:
        yield from text_of(cell)
    if is_same(plan):
        count = sum(len(cell.changes) for cell in plan.cells)
        yield f"environment {plan.environment}: {output.counted(count, 'stack')} as they shall be"


def text_of(cell: CellPlan) -> Iterator[str]:
    unseen = {change.stack: change.sections for change in cell.changes}
    for group in cell.groups:
        first = max(group.stacks, key=len)
        yield first + (f", whose values are shown, and {len(group.stacks) - 1:,} more" if len(group.stacks) > 1 else "")
        if group.old is None:
            yield f"    not there yet: {output.counted(len(group.new['Resources']), 'resource')}"
            continue
        found = list(differences(group))
        yield from (f"    {line(each)}" for each in found)
        if not found:
            yield f"    the template is the same; one of these differs: {'; '.join(unseen[first])}"
    for name in cell.strange:
        yield name
        yield "    stands, and is not one of this cell's by tenants.yaml"


def differences(group: Group) -> Iterator[Step]:
    """Where the live template and the other one differ, by paths that begin with the resource."""
    old, new = group.old or {}, group.new
    yield from steps(old.get("Resources", {}), new["Resources"])
    for section in SECTIONS:
        yield from steps(old.get(section, {}), new.get(section, {}), section)


def line(step: Step) -> str:
    if step.old is None:
        return f"+ {step.path}: {value(step.new)}"
    return (
        f"- {step.path}: {value(step.old)}"
        if step.new is None
        else (f"~ {step.path}: {value(step.old)} → {value(step.new)}")
    )


def value(found: Any) -> str:
    shown = json.dumps(found, ensure_ascii=False)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}… ({len(shown):,} signs)"
