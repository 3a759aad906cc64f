"""A second opinion on the templates: the simulator is asked about every role, thing, action and request, one by one."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from isolation.account import KINDS, Account
from isolation.globs import matches
from isolation.golden import golden
from tests.isolation.accounts import account_of
from tests.oracle.matrix import NAMES, Finding, Matrix, asked_about, mentioned
from tests.oracle.simulator import INSTALLED, NotInstalled, Question, ask
from tests.templates import GLOBEX, committed, synthesised

AGREED = Path(__file__).with_name("agreed.txt")
# AWS answers this to everybody, whatever policies say; it tells callers who they are.
EVERYBODYS = "sts:GetCallerIdentity"


@cache
def account() -> Account:
    """Of the tenants in tenants.yaml."""
    return account_of(committed("dev"), "dev")


@cache
def matrix() -> Matrix:
    return Matrix.of(account(), [mentioned(each) for each in asked_about(account(), account().tenants)])


@cache
def whole_matrix() -> Matrix:
    """With the actions that no policy mentions."""
    return Matrix.of(account(), asked_about(account(), account().tenants))


def shown(findings: set[Finding]) -> list[str]:
    return sorted({f"{finding.principal} {finding}" for finding in findings})


def foreign(found: Matrix) -> list[str]:
    return shown({finding for finding in found.allowed if finding.is_foreign})


def disagreed(found: Matrix) -> list[str]:
    """Requests that one of the two allows."""
    return shown({finding for finding in found.allowed if finding.action != EVERYBODYS} ^ found.proved)


def test_no_request_of_a_tenant_for_anything_of_another_is_allowed():
    assert foreign(matrix()) == []


def test_what_each_tenant_may_do_is_what_was_agreed():
    """The positive control: were the requests not those that AWS knows, all of them would be denied."""
    agreed = [line for line in AGREED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]

    for tenant in account().tenants:
        own = {str(finding) for finding in matrix().allowed if finding.principal.split("-")[1] == tenant}
        assert sorted(own) == agreed, tenant


def test_a_suspended_tenant_is_allowed_nothing_and_an_active_one_what_it_was():
    """acme-eu is suspended; the twin shows that the requests are such as are allowed."""
    found = account_of(synthesised("prod", GLOBEX))
    allowed = {
        tenant: {
            finding.action for finding in Matrix.of(found, list(map(mentioned, asked_about(found, [tenant])))).allowed
        }
        for tenant in ("acme", "acme-eu")
    }

    assert allowed["acme-eu"] == {EVERYBODYS}
    assert {"athena:StartQueryExecution", "dynamodb:PutItem", "s3:GetObject"} <= allowed["acme"]


def test_prover_and_simulator_answer_every_request_alike():
    assert disagreed(matrix()) == []


def test_what_the_simulator_allows_is_on_the_golden_list_and_all_of_that_is_allowed():
    """Action by action; whatever is on the list and never allowed would be a right that does not work."""
    for role in ("job", "analyst"):
        listed = {line.split()[2].lower() for line in golden()[f"<workgroup>-{role}"] if line.split()[1] == "may"}
        allowed = {finding.action.lower() for finding in matrix().allowed if finding.role == role} - {
            EVERYBODYS.lower()
        }

        assert [action for action in allowed if not any(matches(pattern, action) for pattern in listed)] == []
        assert [pattern for pattern in listed if not any(matches(pattern, action) for action in allowed)] == []


def test_tenants_whose_ids_begin_one_another_are_apart_too():
    neighbours = account_of(synthesised("prod", GLOBEX))
    asked = [each for each in asked_about(neighbours, ["acme", "acme-eu"]) if each.thing.owner in ("acme", "acme-eu")]
    found = Matrix.of(neighbours, asked)

    assert found.size > 1_000
    assert found.allowed == set() == found.proved


@pytest.mark.slow
def test_these_too_may_do_what_prover_and_simulator_agree_on():
    neighbours = account_of(synthesised("prod", GLOBEX))
    found = Matrix.of(neighbours, [mentioned(each) for each in asked_about(neighbours, neighbours.tenants)])

    assert found.size > 3_000
    assert foreign(found) == []
    assert disagreed(found) == []


def test_the_matrix_is_of_all_roles_and_things():
    asked = matrix().asked
    resources = {each.thing.resource.arn for each in asked if each.thing.resource}

    assert {each.principal.tenant for each in asked} == set(account().tenants)
    assert resources == set(account().resources)


def test_every_kind_of_thing_has_names_to_ask_about():
    assert set(NAMES) == set(KINDS.values())


@pytest.mark.slow
def test_actions_that_no_policy_mentions_are_denied_too():
    assert whole_matrix().size > 25_000
    assert whole_matrix().allowed == matrix().allowed
    assert disagreed(whole_matrix()) == []


@pytest.mark.slow
def test_the_short_way_of_asking_a_service_gives_the_simulators_own_answers():
    """Requests of one kind are asked without what the simulator would look up for each of them anew."""
    chosen = [(asked, answer) for asked, answer in zip(matrix().asked, matrix().answers, strict=True)][::7]

    long = ask(one_by_one(asked.question, action, index) for asked, answer in chosen for action, index in answer.asked)

    expected = [(action, index) in answer.allowed for _, answer in chosen for action, index in answer.asked]
    assert True in expected
    assert [bool(answer.allowed) for answer in long] == expected
    assert [error for answer in long for error in answer.errors] == []


def one_by_one(question: Question, action: str, index: int) -> Question:
    return replace(question, service=None, actions=[action], contexts=[question.contexts[index]])


def test_a_policy_that_aws_would_refuse_is_no_answer():
    question = Question(
        principal="arn:aws:sts::111122223333:assumed-role/r/s",
        account="111122223333",
        resource="arn:aws:s3:::b",
        identity=[{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*"}]}],
        service="s3",
    )

    with pytest.raises(RuntimeError, match="Resource"):
        ask([question])


def test_an_action_that_does_not_exist_is_an_error():
    question = Question(
        principal="arn:aws:sts::111122223333:assumed-role/r/s",
        account="111122223333",
        resource="arn:aws:s3:::b",
        actions=["s3:Undress"],
    )

    (answer,) = ask([question])

    assert len(answer.errors) == 1
    assert "invalid.action" in answer.errors[0]


def test_a_simulator_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("tests.oracle.simulator.INSTALLED", tmp_path)

    with pytest.raises(NotInstalled, match="run `make test`"):
        ask([])


def test_the_lock_file_pins_every_package_by_its_hash():
    packages = json.loads((Path(__file__).parents[1] / "oracle" / "package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}

    assert set(installed) == {
        f"node_modules/@cloud-copilot/iam-{part}" for part in ("data", "policy", "simulate", "utils")
    }
    assert installed["node_modules/@cloud-copilot/iam-simulate"]["version"] == "0.1.173"
    assert all(package["integrity"].startswith("sha512-") for package in installed.values())


def test_nothing_that_is_shipped_knows_the_simulator():
    """Its licence is the AGPL: it stays a program of its own, for tests."""
    project = INSTALLED.parents[1]
    rooms = ("cdk_app", "cli", "demo", "glue_scripts", "ingestion", "isolation", "lineage", "local_cloud", "tenants")

    knowing = [path for room in rooms for path in (project / room).rglob("*.py") if "oracle" in path.read_text()]

    assert knowing == []
