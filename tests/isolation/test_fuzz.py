"""The prover and the simulator about random policies: what the prover calls impossible is not to be possible."""

import os
from collections import Counter
from typing import Any

import pytest

from isolation.account import Account, Principal, Resource
from isolation.policies import Document
from tests.isolation.fuzz import SERVICES, Case, drawn
from tests.oracle.simulator import Answer, ask

CASES = 4_000
QUEUE, ROLE = "arn:aws:sqs:eu-central-1:111122223333:p-acme", "arn:aws:iam::111122223333:role/p-acme-job"


def allow(**fields: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "sqs:*", "Resource": "*", **fields}


# Rights of a role with which prover and simulator once disagreed; both have to let the message be sent.
FOUND = {
    "a denial by ForAnyValue and IfExists, without the key": [
        allow(),
        allow(Effect="Deny", Condition={"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": "t*"}}),
    ],
    "NotResource with a variable": [
        {"Effect": "Allow", "Action": "sqs:*", "NotResource": "arn:aws:sqs:*:*:p-${aws:PrincipalTag/tenant}"},
    ],
}


def sending(rights: list[dict[str, Any]]) -> Case:
    """A message into the queue of acme, by a role of acme with these rights."""
    identity = Document("identity", {"Version": "2012-10-17", "Statement": rights})
    trust = Document("trust", {"Version": "2012-10-17", "Statement": []})
    principal = Principal(ROLE, "acme", trust, identity=(identity,), tags={"tenant": "acme"})
    request = {"aws:PrincipalArn": ROLE, "aws:PrincipalAccount": "111122223333", "aws:PrincipalTag/tenant": "acme"}
    return Case(
        seed="-",
        service="sqs",
        account=Account("111122223333", "eu-central-1", {ROLE: principal}, {QUEUE: Resource(QUEUE, "sqs", "acme")}),
        principal=principal,
        action="sqs:SendMessage",
        name=QUEUE,
        glob=QUEUE,
        request=request,
        keys=("aws:TagKeys",),
    )


def answered(cases: list[Case]) -> list[tuple[Case, bool]]:
    """Cases, each with whether the simulator allows it; one that it cannot judge would be worth nothing."""
    answers = ask(case.question for case in cases)
    for case, answer in zip(cases, answers, strict=True):
        assert is_whole(answer), f"{answer.errors} {answer.ignored}\n{case}"
    return [(case, bool(answer.allowed)) for case, answer in zip(cases, answers, strict=True)]


def is_whole(answer: Answer) -> bool:
    return len(answer.asked) == 1 and answer.errors == [] and answer.ignored == []


def unsound(cases: list[tuple[Case, bool]]) -> list[str]:
    """Cases that the simulator allows and the prover calls impossible, as a whole request or among all that it may be."""
    return [str(case) for case, allowed in cases if allowed and not (case.exactly() and case.vaguely())]


def reported(seed: str, cases: list[tuple[Case, bool]]) -> str:
    verdicts = Counter((allowed, case.exactly() is not None) for case, allowed in cases)
    return (
        f"fuzz, seeds {seed}0 to {seed}{len(cases) - 1}: {verdicts[False, False]} denied by both, "
        f"{verdicts[True, True]} allowed by both, {verdicts[False, True]} allowed by the prover alone, "
        f"{verdicts[True, False]} by the simulator alone"
    )


def test_nothing_that_the_simulator_allows_is_called_impossible(capsys: pytest.CaptureFixture[str]):
    seed = "s"
    cases = answered([drawn(f"{seed}{number}") for number in range(CASES)])

    with capsys.disabled():
        print(f"\n{reported(seed, cases)}")
    assert unsound(cases) == []


@pytest.mark.slow
def test_nor_of_cases_that_nobody_has_seen_before(capsys: pytest.CaptureFixture[str]):
    seed = os.urandom(4).hex() + "-"
    cases = answered([drawn(f"{seed}{number}") for number in range(5 * CASES)])

    with capsys.disabled():
        print(f"\n{reported(seed, cases)}")
    assert unsound(cases) == []


@pytest.mark.parametrize("rights", FOUND.values(), ids=FOUND)
def test_what_was_found_stays_right(rights: list[dict[str, Any]]):
    ((case, allowed),) = answered([sending(rights)])

    assert allowed
    assert unsound([(case, allowed)]) == []


def test_cases_are_of_all_services_and_of_both_verdicts():
    """Otherwise the agreement would be about nothing."""
    cases = answered([drawn(f"s{number}") for number in range(CASES // 8)])

    verdicts = Counter((case.service, allowed) for case, allowed in cases)

    assert {service for service, _ in verdicts} == set(SERVICES)
    assert all(verdicts[service, verdict] >= 5 for service in SERVICES for verdict in (True, False))


def test_a_seed_gives_the_same_case_every_time():
    assert str(drawn("s17")) == str(drawn("s17"))
    assert str(drawn("s17")) != str(drawn("s18"))
