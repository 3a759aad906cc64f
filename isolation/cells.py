"""The proof for an environment of several cells: each by itself, and those that lie in one account together."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from isolation.account import Account
from isolation.errors import IsolationError
from isolation.golden import Difference
from isolation.isolation import Proof, prove
from isolation.report import Report, grouped, report
from isolation.template import Place, Stack

__all__ = ["Cells", "report_of_cells"]


@dataclass(frozen=True)
class Cells:
    """What a report says, for each cell; `between`: of accounts with several, by account."""

    reports: tuple[Report, ...]
    between: tuple[tuple[str, Proof], ...]

    @property
    def holds(self) -> bool:
        return all(each.holds for each in self.reports) and not any(proof.leaks for _, proof in self.between)

    @property
    def differences(self) -> tuple[Difference, ...]:
        return tuple(difference for each in self.reports for difference in each.differences)

    def text(self) -> str:
        return "\n".join([*(f"{each.environment}: {each.text()}" for each in self.reports), *self._between()])

    def markdown(self) -> str:
        pages = [each.markdown() for each in self.reports]
        if self.between:
            lines = [f"- {each.strip()}" for each in self._between()]
            pages.append("\n".join(["# Isolation between cells of one account", "", *lines]))
        return "\n\n".join(pages)

    def as_json(self) -> dict[str, Any]:
        between = [
            {"account": account, "counts": asdict(proof.counts), "leaks": [asdict(each) for each in proof.leaks]}
            for account, proof in self.between
        ]
        return {"holds": self.holds, "cells": [each.as_json() for each in self.reports], "between_cells": between}

    def _between(self) -> Iterator[str]:
        for account, proof in self.between:
            yield f"all cells of account {account}: {proof}"
            yield from (f"  leak: {line}" for line in grouped(proof.leaks))


def report_of_cells(stacks: Iterable[Stack], tenants: Collection[str] = ()) -> Cells:
    """Of stacks that know their places. With `tenants`, the questions are about their roles only."""
    cells: dict[Place, list[Stack]] = defaultdict(list)
    for each in stacks:
        if each.place is None:
            raise IsolationError(f"{each.name}: expected the account and Region that it is deployed to")
        cells[each.place].append(each)
    asked = {place: [each.tenant for each in found if each.tenant in tenants] for place, found in cells.items()}
    return Cells(
        tuple(
            report(found, account=place.account, region=place.region, tenants=[each for each in asked[place] if each])
            for place, found in cells.items()
            if asked[place] or not tenants
        ),
        tuple(between(cells, tenants)),
    )


def between(cells: dict[Place, list[Stack]], tenants: Collection[str]) -> Iterator[tuple[str, Proof]]:
    """Roles and buckets have names without a Region: what a role may do reaches into every cell of its account."""
    for account in dict.fromkeys(place.account for place in cells):
        places = [place for place in cells if place.account == account]
        if len(places) > 1:
            stacks = [stack for place in places for stack in cells[place]]
            whole = Account.of(stacks, account=account, region=places[0].region)
            yield account, prove(whole, set(tenants) & set(whole.tenants) if tenants else ())
