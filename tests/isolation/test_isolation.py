"""The proof itself, and that nothing is left out of it."""

from copy import deepcopy
from dataclasses import replace
from itertools import product
from time import process_time

import pytest

from isolation.account import Account
from isolation.catalogue import catalogue
from isolation.conditions import ABSENT
from isolation.decision import Question, base_context, decide
from isolation.errors import UnknownService
from isolation.isolation import prove
from isolation.questions import (
    LEADING_KEYS,
    PLATFORMS_ROWS,
    SERVICES,
    TENANTS_ROWS,
    on_foreign_things,
    on_what_is_shared,
    space,
)
from isolation.shapes import names_of, stamp
from isolation.template import Stack
from lineage import table
from tenants.naming import TenantNames
from tests.isolation.accounts import account_of, stacks_of
from tests.templates import GLOBEX, committed, synthesised


@pytest.fixture(scope="module")
def templates():
    return synthesised("prod", GLOBEX)


@pytest.fixture
def drilled(templates):
    """Templates to drill a hole into."""
    return deepcopy(templates)


ACME = "mycompany-acme-prod-tenant"


def policies_of(templates, stack, kind):
    return [
        each["Properties"]["PolicyDocument"] for each in templates[stack]["Resources"].values() if each["Type"] == kind
    ]


def drill(templates, sid, stack=ACME, **change):
    """Changes a statement of the job's rights; None removes. Boundary and denials that would hide the hole are gone."""
    for document in policies_of(templates, stack, "AWS::IAM::ManagedPolicy"):
        document["Statement"] = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    rights, *_ = policies_of(templates, stack, "AWS::IAM::Policy")
    statement = next(each for each in rights["Statement"] if each["Sid"] == sid)
    statement.update(change)
    for key in [key for key, value in change.items() if value is None]:
        del statement[key]
    undefended(templates)


def undefended(templates):
    for template in templates.values():
        for each in template["Resources"].values():
            if each["Type"] in ("AWS::S3::BucketPolicy", "AWS::KMS::Key"):
                properties = each["Properties"]
                document = properties.get("PolicyDocument") or properties["KeyPolicy"]
                document["Statement"] = [one for one in document["Statement"] if one.get("Sid") != "ForeignTenants"]


def test_no_role_of_a_tenant_can_act_on_anything_of_another(record_property):
    proof = prove(account_of(committed("dev"), "dev"))

    record_property("said", str(proof))
    assert [str(each) for each in proof.leaks] == []


def test_nor_where_the_id_of_one_tenant_begins_anothers(templates):
    proof = prove(account_of(templates))

    assert [str(each) for each in proof.leaks] == []
    assert (proof.counts.tenants, proof.counts.principals) == (3, 6)
    assert str(proof).endswith("questions: 0 leaks")


def by_trying_everything(account):
    """Leaks of acme's job, as found without looking first at what statements can reach."""
    principal = account.principals["arn:aws:iam::777788889999:role/mycompany-acme-prod-job"]
    foreign = [each for each in account.resources.values() if each.tenant not in (None, "acme")]
    base, found = base_context(account, principal), set()
    for topic in (*map(on_foreign_things, foreign), *on_what_is_shared(account, principal)):
        for name, given in product(topic.names, topic.contexts):
            asked = Question(principal, "", name, topic.resource, base.having(given), account.account)
            found |= {
                (principal.arn, catalogue().spelled(action), name)
                for action in topic.actions
                if decide(replace(asked, action=action))
            }
    return found


WIDE = {
    "a bucket's pattern without an end": ("Objects", {"Resource": "arn:aws:s3:::mycompany-acme*"}),
    "one object of another tenant": ("Objects", {"Resource": "arn:aws:s3:::mycompany-globex-prod-datalake/raw/a.csv"}),
    "a key of whoever": ("Key", {"Resource": "*"}),
    "everything but some things": ("Catalog", {"Resource": None, "NotResource": "arn:aws:s3:::x"}),
    "everything but some actions": (
        "Objects",
        {"Action": None, "NotAction": "sns:Publish", "Resource": "arn:aws:sns:*"},
    ),
    "rows without a condition": ("OwnRows", {"Condition": {}}),
    "logs of all": ("Logs", {"Resource": "arn:aws:logs:*:*:log-group:*"}),
}


@pytest.mark.parametrize("hole", [None, *WIDE])
def test_looking_only_where_statements_reach_finds_what_trying_everything_finds(drilled, hole):
    if hole is not None:
        sid, change = WIDE[hole]
        drill(drilled, sid, **change)
    account = account_of(drilled)

    found = {(each.principal, each.action, each.name) for each in prove(account).leaks}

    assert found == by_trying_everything(account)
    assert bool(found) is (hole is not None)


@pytest.mark.parametrize(
    ("actions", "resource"),
    [
        (["iam:PassRole"], "*"),
        (["sts:AssumeRole"], "arn:aws:iam::444455556666:role/elsewhere"),
        (["glue:CreateDevEndpoint"], "*"),
        (["logs:PutResourcePolicy"], "*"),
        (["s3:ZzFutureAction"], "*"),
        (["dynamodb:Scan"], "arn:aws:dynamodb:eu-central-1:777788889999:table/mycompany-prod-ledger"),
        (["dynamodb:PartiQLSelect"], "arn:aws:dynamodb:eu-central-1:777788889999:table/mycompany-prod-ledger"),
        (["dynamodb:Query"], "arn:aws:dynamodb:eu-central-1:777788889999:table/mycompany-prod-ledger/index/open"),
    ],
)
def test_what_is_nobodys_own_leaks_to_whoever_may_do_it(drilled, actions, resource):
    drill(drilled, "Metrics", Action=actions, Resource=resource, Condition=None)

    leaks = prove(account_of(drilled)).leaks

    assert {each.principal for each in leaks} == {"arn:aws:iam::777788889999:role/mycompany-acme-prod-job"}
    assert {each.action for each in leaks} == set(actions)


def test_a_thing_that_lets_in_a_foreign_role_is_found_although_the_role_is_allowed_nothing(drilled):
    opened = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::777788889999:role/mycompany-acme-prod-job"}}
    undefended(drilled)
    (document,) = policies_of(drilled, "mycompany-globex-prod-tenant", "AWS::S3::BucketPolicy")
    document["Statement"].append({**opened, "Action": "s3:ListBucket", "Resource": "*", "Sid": "Friends"})
    account = account_of(drilled)

    leaks = prove(account).leaks

    assert {(each.principal, each.action, each.name) for each in leaks} == by_trying_everything(account)
    assert {each.because for each in leaks} == {
        ("mycompany-globex-prod-tenant: LakePolicy7B545488, statement Friends",)
    }


def test_an_index_is_for_nobody_even_under_the_condition_that_guards_rows(drilled):
    """Its keys are not the tenants': what begins as a tenant's key may be anybody's row."""
    index = "arn:aws:dynamodb:eu-central-1:777788889999:table/mycompany-prod-ledger/index/open"
    drill(drilled, "OwnRows", Resource=index)

    leaks = prove(account_of(drilled)).leaks

    assert {each.name for each in leaks} == {index.replace("index/open", "*")}
    assert "dynamodb:Query" in {each.action for each in leaks}


def test_a_policy_that_aws_writes_is_a_leak_since_nobody_can_read_it(drilled):
    role = next(
        each
        for each in drilled["mycompany-acme-prod-tenant"]["Resources"].values()
        if each["Type"] == "AWS::IAM::Role" and each["Properties"]["RoleName"].endswith("-job")
    )
    role["Properties"]["ManagedPolicyArns"] = ["arn:aws:iam::aws:policy/service-role/AWSGlueServiceRole"]

    (leak,) = prove(account_of(drilled)).leaks

    assert "AWSGlueServiceRole: AWS writes this policy" in str(leak)


def test_rights_in_a_service_that_nobody_asks_about_are_refused(drilled):
    drill(drilled, "Metrics", Action="lakeformation:GetDataAccess")

    with pytest.raises(UnknownService, match=r"statement Metrics: allows lakeformation:getdataaccess"):
        prove(account_of(drilled))


def test_every_kind_of_thing_has_names_and_actions(templates):
    account = account_of(templates)

    assert all(space(each) and on_foreign_things(each).actions for each in account.resources.values())
    assert {service for services in SERVICES.values() for service in services} == set(catalogue().services)


def test_rows_are_told_apart_by_the_keys_that_the_ledger_has():
    assert f"{table.TENANT_PREFIX}*" == TENANTS_ROWS
    assert table.FLEET.startswith(PLATFORMS_ROWS.removesuffix("*"))
    assert table.TURNS.startswith(PLATFORMS_ROWS.removesuffix("*"))


def test_rows_are_asked_about_alone_mixed_and_without_any(templates):
    account = account_of(templates)
    principal = next(each for each in account.principals.values() if each.tenant == "acme")

    contexts = [
        given[LEADING_KEYS]
        for topic in on_what_is_shared(account, principal)
        if topic.resource.kind == "dynamodb" and topic.names == (topic.resource.arn,)
        for given in topic.contexts
    ]

    assert contexts == [
        ("T#acme-eu#*",),
        ("T#acme#*", "T#acme-eu#*"),
        ("T#globex#*",),
        ("T#acme#*", "T#globex#*"),
        ("PLATFORM#*",),
        ("T#acme#*", "PLATFORM#*"),
        ABSENT,
    ]


def test_an_action_that_does_not_exist_yet_is_asked_about_in_every_service():
    found = catalogue()

    for service in found.services:
        assert f"{service}:zzfutureaction" in found.actions(service)
        assert f"{service}:zzfutureaction" in found.account_wide[service]
    assert found.spelled("s3:getobject") == "s3:GetObject"
    assert len(found.actions(*found.services)) > 1_500


def fleet(templates, size):
    """Stacks of that many tenants, of the shapes of acme and acme-eu by turns."""
    stacks = stacks_of(templates)
    account = Account.of(stacks, account="777788889999", region="eu-central-1")
    by_tenant = {each.tenant: each for each in stacks}
    names = [TenantNames("mycompany", f"t{number:03}x", "prod") for number in range(size)]
    shapes = [(by_tenant[tenant], names_of(account, tenant)) for tenant in ("acme", "acme-eu")]
    return [by_tenant[None], *(stamp(*shapes[number % 2], each) for number, each in enumerate(names))]


def test_two_hundred_tenants_are_proved_one_against_the_other(templates):
    begun = process_time()
    proof = prove(Account.of(fleet(templates, 200), account="777788889999", region="eu-central-1"))

    assert (proof.counts.tenants, proof.counts.questions > 3 * 10**8, proof.leaks) == (200, True, ())
    # Measured: 4 to 5 seconds of one core.
    assert process_time() - begun < 60


def test_one_hole_among_many_tenants_is_found(templates):
    stacks = [Stack(each.name, each.tenant, deepcopy(each.template)) for each in fleet(templates, 30)]
    by_name = {each.name: each.template for each in stacks}
    condition = {"ForAllValues:StringLike": {LEADING_KEYS: "T#t01*"}, "Null": {LEADING_KEYS: "false"}}
    drill(by_name, "OwnRows", "mycompany-t010x-prod-tenant", Condition=condition)

    leaks = prove(Account.of(stacks, account="777788889999", region="eu-central-1")).leaks

    assert {each.principal.rpartition("/")[2] for each in leaks} == {"mycompany-t010x-prod-job"}
    assert {key for each in leaks for key in each.context.values()} >= {f"T#t01{number}x#*" for number in range(1, 10)}
