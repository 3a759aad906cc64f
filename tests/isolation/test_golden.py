from copy import deepcopy

import pytest

from isolation.account import Account
from isolation.golden import FILES, FOLDER, apart, as_active, differences, golden, grants, together, write
from isolation.template import Stack
from tests.isolation.accounts import account_of, stacks_of
from tests.templates import GLOBEX, committed, synthesised


@pytest.fixture
def templates():
    return deepcopy(synthesised("prod", GLOBEX))


def statements(templates, stack, kind, sid):
    for each in templates[stack]["Resources"].values():
        if each["Type"] == kind:
            document = each["Properties"].get("PolicyDocument") or each["Properties"]["KeyPolicy"]
            yield from (one for one in document["Statement"] if one.get("Sid") == sid)


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_every_right_in_every_environment_is_a_reviewed_one(environment):
    account, region = {
        "local": ("000000000000", "us-east-1"),
        "dev": ("111122223333", "eu-central-1"),
        "prod": ("777788889999", "eu-central-1"),
    }[environment]
    stacks = stacks_of(committed(environment))

    assert list(map(str, differences(Account.of(stacks, account=account, region=region)))) == []


def test_every_reviewed_right_is_there(templates, tmp_path):
    """With a webhook, so that no line is left over."""
    write([account_of(templates)], tmp_path)

    for file in FILES.values():
        assert (tmp_path / file).read_text() == (FOLDER / file).read_text()


def test_a_role_of_any_tenant_has_the_same_lines(templates):
    account = account_of(templates)
    jobs = [each for each in account.principals.values() if each.name.endswith("-job")]

    first, *others = (grants(account, as_active(account, each)) for each in jobs)
    assert all(lines == first for lines in others)
    assert any("may s3:GetObject on arn:<partition>:s3:::<workgroup>-datalake/raw/*" in line for line in first)


def difference(templates):
    return [(each.sign, each.line) for each in differences(account_of(templates)) if each.whose == "acme"]


def test_a_right_more_is_a_difference(templates):
    (statement,) = statements(templates, "mycompany-acme-prod-tenant", "AWS::IAM::Policy", "TableFiles")
    bucket = "arn:aws:s3:::mycompany-acme-prod-datalake"
    statement["Resource"] = [f"{bucket}/analytics-ready/*", f"{bucket}/processed/*"]

    assert [sign for sign, line in difference(templates)] == ["+"]
    assert "s3:DeleteObject" in difference(templates)[0][1]
    assert difference(templates)[0][1].endswith("on arn:<partition>:s3:::<workgroup>-datalake/processed/*")


def test_a_condition_less_is_a_right_more_and_one_less(templates):
    (statement,) = statements(templates, "mycompany-acme-prod-tenant", "AWS::IAM::Policy", "Metrics")
    del statement["Condition"]

    assert difference(templates) == [
        ("+", "<workgroup>-job: may cloudwatch:PutMetricData on *"),
        ("-", "<workgroup>-job: may cloudwatch:PutMetricData on * if StringEquals cloudwatch:namespace = Glue"),
    ]


def test_what_the_boundary_forbids_is_no_right(templates):
    (statement,) = statements(templates, "mycompany-acme-prod-tenant", "AWS::IAM::Policy", "Metrics")
    statement.update({"Action": "sqs:SendMessage", "Condition": {}})

    assert {sign for sign, _ in difference(templates)} == {"-"}


def test_a_boundary_that_is_gone_is_a_difference(templates):
    for each in templates["mycompany-acme-prod-tenant"]["Resources"].values():
        if each["Type"] == "AWS::IAM::Role":
            each["Properties"].pop("PermissionsBoundary")

    lines = difference(templates)

    assert lines
    assert all(sign == "-" and ": at most " in line for sign, line in lines)


@pytest.mark.parametrize(
    ("where", "change", "whose"),
    [
        (("mycompany-acme-prod-tenant", "AWS::S3::BucketPolicy", "ForeignTenants"), {"Condition": {}}, "acme"),
        (("mycompany-acme-prod-tenant", "AWS::KMS::Key", "ForeignTenants"), {"Action": "kms:Decrypt"}, "acme"),
        (("mycompany-prod-platform", "AWS::SQS::QueuePolicy", "ArrivalRules"), {"Principal": "*"}, "the platform"),
        (("mycompany-prod-platform", "AWS::S3::BucketPolicy", "PlainText"), {"Effect": "Allow"}, "the platform"),
    ],
)
def test_whom_a_thing_lets_in_or_keeps_out_is_reviewed_too(templates, where, change, whose):
    for statement in statements(templates, *where):
        statement.update(change)

    assert {each.whose for each in differences(account_of(templates))} == {whose}


def test_who_may_become_a_role_is_reviewed_too(templates):
    role = next(
        each
        for each in templates["mycompany-prod-platform"]["Resources"].values()
        if each["Type"] == "AWS::IAM::Role" and each["Properties"]["RoleName"].endswith("-dispatch")
    )
    role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = {"AWS": "*"}

    assert [(each.sign, each.line) for each in differences(account_of(templates))] == [
        ("+", "<platform>-dispatch: is assumed by AWS * with sts:AssumeRole"),
        ("-", "<platform>-dispatch: is assumed by Service lambda.amazonaws.com with sts:AssumeRole"),
    ]


def test_rights_of_a_role_that_nobody_knows_are_all_new(templates):
    template = templates["mycompany-acme-prod-tenant"]["Resources"]
    template["More"] = deepcopy(next(each for each in template.values() if each["Type"] == "AWS::IAM::Role"))
    template["More"]["Properties"]["RoleName"] = "mycompany-acme-prod-more"

    assert {(each.subject, each.sign) for each in differences(account_of(templates))} == {("<workgroup>-more", "+")}


def test_an_account_without_a_function_needs_none_of_its_rights(templates):
    resources = templates["mycompany-prod-platform"]["Resources"]
    for name in [name for name in resources if name.startswith("Chat")]:
        del resources[name]

    assert differences(account_of(templates)) == []
    assert "<platform>-webhook" in golden()


def test_lines_of_several_actions_are_taken_apart_and_put_together():
    line = "<workgroup>-job: may s3:GetObject, s3:PutObject on x if Bool a = true and Null b = false"

    assert apart(line) == [
        "<workgroup>-job: may s3:GetObject on x if Bool a = true and Null b = false",
        "<workgroup>-job: may s3:PutObject on x if Bool a = true and Null b = false",
    ]
    assert together(apart(line)) == [line]
    assert apart("r: is assumed by AWS * with sts:AssumeRole") == ["r: is assumed by AWS * with sts:AssumeRole"]


def test_a_name_in_the_list_is_of_nobody_in_particular():
    for file in FILES.values():
        text = (FOLDER / file).read_text()
        for word in ("mycompany", "acme", "777788889999", "eu-central-1", "orders", "arn:aws:"):
            assert word not in text


def test_stacks_of_one_tenant_alone_are_reviewed_as_well(templates):
    stacks = [Stack(each.name, each.tenant, each.template) for each in stacks_of(templates) if each.tenant != "globex"]

    assert differences(Account.of(stacks, account="777788889999", region="eu-central-1")) == []


@pytest.mark.parametrize("spared", [{"returns"}, {"returns", "returns_quarantine"}])
def test_what_is_said_of_some_datasets_only_is_another_line(templates, spared):
    (statement,) = statements(templates, "mycompany-acme-eu-prod-tenant", "AWS::IAM::Policy", "DatasetTables")
    statement["Resource"] = [each for each in statement["Resource"] if each.rpartition("/")[2] not in spared]

    found = [(each.sign, each.line) for each in differences(account_of(templates))]

    assert {sign for sign, _ in found} == {"+", "-"}
    assert all(line.endswith(" but not on returns") for sign, line in found if sign == "+")


def test_the_webhook_is_the_parameter_that_its_function_is_told(templates):
    platform = templates["mycompany-prod-platform"]["Resources"]
    for each in platform.values():
        if each["Type"] in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}:
            for statement in each["Properties"]["PolicyDocument"]["Statement"]:
                if statement["Action"] == "ssm:GetParameter":
                    statement["Resource"] = statement["Resource"].replace("/lake/chat", "/lake/passwords")

    assert {(each.sign, each.line.rpartition("/")[2]) for each in differences(account_of(templates))} == {
        ("+", "passwords"),
        ("-", "<webhook>"),
    }
