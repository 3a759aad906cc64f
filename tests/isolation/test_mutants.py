"""Each hole is noticed by whoever must notice it; without a hole, and with one that leads nowhere, nobody cries.

`python -m tests.isolation.mutants` writes the table.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from cdk_app.guardrails import findings
from isolation.account import Account
from isolation.deputies import deputies
from isolation.errors import IsolationError
from isolation.golden import differences
from isolation.isolation import prove
from tests.isolation.accounts import account_of
from tests.isolation.mutants import (
    CONTROLS,
    DEPUTIES,
    INVARIANTS,
    MUTANTS,
    PROOF,
    REVIEW,
    SIMULATOR,
    Mutant,
    table,
)
from tests.oracle.matrix import Asked, Finding, Matrix, asked_about, mentioned
from tests.templates import GLOBEX, Templates, agreed_of, synthesised

EVERY = {mutant.name: mutant for mutant in (*MUTANTS, *CONTROLS)}


def sound() -> Templates:
    return synthesised("prod", GLOBEX)


@cache
def sound_account() -> Account:
    return account_of(sound())


@cache
def account_with(name: str) -> Account | IsolationError:
    """An account that the prover refuses to judge is noticed, too."""
    try:
        return account_of(EVERY[name].drilled(sound()))
    except IsolationError as refusal:
        return refusal


Watcher = Callable[[Mutant], list[str]]


def judged(judge: Callable[[Account], list[str]]) -> Watcher:
    def watch(mutant: Mutant) -> list[str]:
        account = account_with(mutant.name)
        return [str(account)] if isinstance(account, IsolationError) else judge(account)

    return watch


def invariants(mutant: Mutant) -> list[str]:
    return all_findings(mutant.drilled(sound()))


def all_findings(templates: Templates) -> list[str]:
    agreed = agreed_of("prod", GLOBEX)
    return [finding for name, template in templates.items() for finding in findings(name, template, agreed[name])]


def simulator(mutant: Mutant) -> list[str]:
    return sorted(map(str, newly_allowed()[mutant.name]))


@cache
def newly_allowed() -> dict[str, set[Finding]]:
    """By mutant, what the simulator allows to the roles of acme that it does not allow without the hole.

    Asked only where a policy is another than without it: where none is, no answer is; and only for actions that some
    Allow mentions. Not about acme's own things, but for its roles.
    """
    usual = {key_of(each): each for each in asked_about(sound_account(), ["acme"])}
    drilled = [(name, each) for name in EVERY for each in asked_of(name) if not_as(usual.get(key_of(each)), each)]
    before = {key_of(each): usual[key_of(each)] for _, each in drilled if key_of(each) in usual}
    answered = Matrix.of(
        sound_account(), [mentioned(each) for each in (*(each for _, each in drilled), *before.values())]
    )
    allowed = list(answered.each_allowed())
    known = {finding for findings in allowed[len(drilled) :] for finding in findings}
    found: dict[str, set[Finding]] = defaultdict(set)
    for (name, _), findings_ in zip(drilled, allowed, strict=False):
        found[name] |= set(findings_) - known
    return found


def asked_of(name: str) -> list[Asked]:
    account, services = account_with(name), EVERY[name].services
    if isinstance(account, IsolationError) or not services:
        return []
    asked = asked_about(account, ["acme"], services)
    return [each for each in asked if each.thing.owner != "own" or each.question.service in ("iam", "sts")]


def key_of(asked: Asked) -> tuple[str, str, str | None]:
    return asked.principal.arn, asked.thing.name, asked.question.service


def not_as(usual: Asked | None, asked: Asked) -> bool:
    return usual is None or vars(usual.question) != vars(asked.question)


WATCHERS: dict[str, Watcher] = {
    PROOF: judged(lambda account: [str(leak) for leak in prove(account).leaks]),
    SIMULATOR: simulator,
    REVIEW: judged(lambda account: [str(difference) for difference in differences(account)]),
    DEPUTIES: judged(lambda account: [str(deputy) for deputy in deputies(account)]),
    INVARIANTS: invariants,
}


def pairs() -> Iterator[object]:
    """Everybody who must notice, with the hole; where they do not yet, the test says so when they do."""
    for mutant in EVERY.values():
        for watcher in mutant.noticed_by:
            blind = watcher in mutant.not_yet
            marks = [pytest.mark.xfail(reason=f"{watcher}: not noticed yet", strict=True)] if blind else []
            yield pytest.param(mutant, watcher, id=f"{mutant}-{watcher}", marks=marks)


@pytest.mark.parametrize(("mutant", "watcher"), pairs())
def test_a_hole_is_noticed(mutant: Mutant, watcher: str):
    assert WATCHERS[watcher](mutant) != []


@pytest.mark.parametrize("mutant", EVERY.values(), ids=str)
@pytest.mark.parametrize("watcher", [PROOF, SIMULATOR])
def test_nobody_speaks_of_a_leak_where_there_is_none(mutant: Mutant, watcher: str):
    if watcher not in mutant.noticed_by:
        assert WATCHERS[watcher](mutant) == []


def test_without_a_hole_everybody_is_content():
    assert prove(sound_account()).leaks == ()
    assert differences(sound_account()) == []
    assert deputies(sound_account()) == []
    assert all_findings(sound()) == []


def test_every_mutant_is_caught_by_somebody(record_property):
    caught = [mutant for mutant in MUTANTS if set(mutant.noticed_by) - set(mutant.not_yet)]
    record_property("said", f"mutants caught {len(caught)}/{len(MUTANTS)}")

    assert len(caught) >= 20
    assert {mutant.name for mutant in MUTANTS} - {mutant.name for mutant in caught} == UNCAUGHT


UNCAUGHT = {mutant.name for mutant in MUTANTS if mutant.noticed_by == mutant.not_yet}


def test_names_are_names():
    assert len(EVERY) == len(MUTANTS) + len(CONTROLS)
    assert table(MUTANTS).count("\n") == len(MUTANTS) + 1


def test_a_change_that_fits_nowhere_is_reported():
    nothing = Mutant(name="nothing", noticed_by=(), changes=())

    with pytest.raises(AssertionError, match="changes nothing"):
        nothing.drilled(sound())
