"""Each hole, made on purpose in a template that is otherwise as deployed, has to be found."""

import copy

import pytest

from cdk_app.guardrails import Agreed, findings
from cdk_app.guardrails.subject import Owner
from tests.templates import agreed_of

ACME, PLATFORM = "mycompany-acme-prod-tenant", "mycompany-prod-platform"
EU = "mycompany-acme-eu-prod-tenant"


def first(template, kind):
    return next(each["Properties"] for each in template["Resources"].values() if each["Type"] == kind)


def arn(resource):
    return f"arn:aws:iam::777788889999:{resource}"


PLATFORMS_KEY = {"Fn::ImportValue": "mycompany-prod-platform-key"}
WITH_PLATFORMS_KEY = {
    "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": PLATFORMS_KEY},
    "BucketKeyEnabled": True,
}


def drop(kind, *path):
    def change(template):
        value = first(template, kind)
        for step in path[:-1]:
            value = value[step]
        del value[path[-1]]

    return change


def put(kind, value, *path):
    def change(template):
        place = first(template, kind)
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def retag(key, value):
    def change(template):
        (tag,) = (tag for tag in first(template, "AWS::S3::Bucket")["Tags"] if tag["Key"] == key)
        tag["Value"] = value

    return change


def lose(kind):
    def change(template):
        for each in template["Resources"].values():
            if each["Type"] == kind:
                each["DeletionPolicy"] = "Delete"

    return change


def holes():
    bucket, job, rule = "AWS::S3::Bucket", "AWS::Glue::Job", "AWS::Events::Rule"
    workgroup = "AWS::Athena::WorkGroup"
    yield "an unencrypted bucket", drop(bucket, "BucketEncryption"), "not encrypted"
    yield "an open bucket", put(bucket, False, "PublicAccessBlockConfiguration", "BlockPublicPolicy"), "not on"
    yield "an unversioned bucket", drop(bucket, "VersioningConfiguration"), "not versioned"
    yield "access lists", drop(bucket, "OwnershipControls"), "access lists"
    yield "no tags", drop(bucket, "Tags"), "lacks tags"
    yield "a key for ever", put("AWS::KMS::Key", False, "EnableKeyRotation"), "not rotated"
    yield "logs for ever", drop("AWS::Logs::LogGroup", "RetentionInDays"), "no retention"
    yield "readable logs", drop("AWS::Logs::LogGroup", "KmsKeyId"), "KmsKeyId is missing"
    yield (
        "an optional workgroup",
        put(workgroup, False, "WorkGroupConfiguration", "EnforceWorkGroupConfiguration"),
        "override",
    )
    yield (
        "results for anybody",
        drop(workgroup, "WorkGroupConfiguration", "ResultConfiguration", "ExpectedBucketOwner"),
        "anybody's bucket",
    )
    yield "queries without limit", drop(workgroup, "WorkGroupConfiguration", "BytesScannedCutoffPerQuery"), "no limit"
    yield "shared logs", put(job, "/aws-glue/jobs", "DefaultArguments", "--custom-logGroup-prefix"), "share"
    yield "bookmarks", drop(job, "DefaultArguments", "--job-bookmark-option"), "bookmarks"
    yield "a retry by Glue", put(job, 1, "MaxRetries"), "behind the ledger's back"
    yield "an unbounded role", drop("AWS::IAM::Role", "PermissionsBoundary"), "no permissions boundary"
    yield "a wide managed policy", put("AWS::IAM::Role", ["AWSGlueServiceRole"], "ManagedPolicyArns"), "reaches further"
    yield (
        "a boundary of another tenant",
        put("AWS::IAM::Role", arn("policy/mycompany-acme-eu-prod-boundary"), "PermissionsBoundary"),
        "names tenant acme-eu",
    )
    yield "tags of another tenant", retag("tenant", "acme-eu"), "tenant is 'acme-eu', expected 'acme'"
    yield (
        "the platform's key",
        put(bucket, [WITH_PLATFORMS_KEY], "BucketEncryption", "ServerSideEncryptionConfiguration"),
        "key of its owner",
    )
    yield "the platform's key for logs", put("AWS::Logs::LogGroup", PLATFORMS_KEY, "KmsKeyId"), "not a key of its owner"
    yield (
        "results elsewhere",
        put(workgroup, "s3://mine/athena-results/", "WorkGroupConfiguration", "ResultConfiguration", "OutputLocation"),
        "results do not go to",
    )
    yield (
        "another's bucket in a job",
        put(job, "mycompany-acme-eu-prod-datalake", "DefaultArguments", "--bucket"),
        "--bucket is",
    )
    yield "another's role of a job", put(job, arn("role/mycompany-acme-eu-prod-job"), "Role"), "not its tenant's"
    yield (
        "another's events",
        put(rule, ["mycompany-acme-eu-prod-datalake"], "EventPattern", "detail", "bucket", "name"),
        "hears",
    )
    yield "events that anybody puts", put(rule, ["acme"], "EventPattern", "source"), "anybody may put"
    yield (
        "events for another queue",
        put(rule, "arn:aws:sqs:eu-central-1:111122223333:elsewhere", "Targets", 0, "Arn"),
        "expected the platform's queue",
    )
    yield (
        "what is not allowed, allowed",
        put("AWS::IAM::Policy", ["iam:*"], "PolicyDocument", "Statement", 0, "NotAction"),
        "NotAction in an Allow",
    )
    yield (
        "elsewhere, allowed",
        put("AWS::IAM::Policy", ["arn:aws:s3:::x"], "PolicyDocument", "Statement", 0, "NotResource"),
        "NotResource in an Allow",
    )
    yield (
        "rights to pass roles",
        put("AWS::IAM::Policy", "iam:PassRole", "PolicyDocument", "Statement", 0, "Action"),
        "no role of a tenant is given",
    )
    yield (
        "whole services",
        put("AWS::IAM::ManagedPolicy", "glue:*", "PolicyDocument", "Statement", 3, "Action"),
        "name the actions",
    )
    yield "data that goes with its stack", lose(bucket), "would go with it"
    yield (
        "a session that chooses its tags",
        put(
            "AWS::IAM::Role", ["sts:AssumeRole", "sts:TagSession"], "AssumeRolePolicyDocument", "Statement", 0, "Action"
        ),
        "more than sts:AssumeRole",
    )
    yield (
        "a stranger's role",
        put(
            "AWS::IAM::Role",
            {"AWS": arn("role/mycompany-acme-eu-prod-job")},
            "AssumeRolePolicyDocument",
            "Statement",
            0,
            "Principal",
        ),
        "play it",
    )
    yield "every action", put("AWS::IAM::Policy", "*", "PolicyDocument", "Statement", 0, "Action"), "every action"
    yield "every resource", put("AWS::IAM::Policy", "*", "PolicyDocument", "Statement", 0, "Resource"), "on everything"


@pytest.mark.parametrize(("hole", "finding"), [pytest.param(h, f, id=name) for name, h, f in holes()])
def test_a_hole_is_found(prod, hole, finding):
    template = copy.deepcopy(prod[ACME])
    hole(template)

    assert finding in "\n".join(findings(ACME, template))


def shut(account):
    def change(template):
        for each in policy_of(template, "AWS::IAM::ManagedPolicy"):
            if each["Sid"] == "Suspended":
                each["Condition"] = {"StringEquals": {"aws:PrincipalAccount": account}}

    return change


@pytest.mark.parametrize(
    ("stack", "change", "finding"),
    [
        (ACME, shut("777788889999"), "denies everything to aws:PrincipalAccount none, found ['777788889999']"),
        (ACME, put("AWS::Athena::WorkGroup", "DISABLED", "State"), "the workgroup is off, but the tenant is active"),
        (EU, shut("none"), "denies everything to aws:PrincipalAccount its account, found ['none']"),
        (EU, shut("111122223333"), "denies everything to aws:PrincipalAccount its account, found ['111122223333']"),
        (EU, put("AWS::Athena::WorkGroup", "ENABLED", "State"), "the workgroup is on, but the tenant is suspended"),
    ],
)
def test_a_tenant_is_shut_as_the_registry_says(prod, stack, change, finding):
    agreed = agreed_of("prod")[stack]
    template = copy.deepcopy(prod[stack])
    assert findings(stack, template, agreed) == []

    change(template)

    found = "\n".join(each for each in findings(stack, template, agreed) if "ManagedPolicy" in each)
    assert finding in found


def test_a_policy_that_is_no_boundary_denies_what_it_likes(prod):
    """The CDK library puts into one what does not fit into a role."""
    template = copy.deepcopy(prod[ACME])
    more = {"PolicyDocument": {"Version": "2012-10-17", "Statement": []}, "Description": "", "Path": "/"}
    template["Resources"]["Overflow"] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": more}

    assert findings(ACME, template, agreed_of("prod")[ACME]) == []


@pytest.mark.parametrize("stack", ["mycompany-acme-prod-tenant", "mycompany-acme-eu-prod-tenant"])
def test_of_a_template_whose_tenants_state_is_not_told_the_workgroup_says_it(prod, stack):
    template = copy.deepcopy(prod[stack])
    assert "PrincipalAccount" not in "\n".join(findings(stack, template))

    shut("777788889999" if stack == ACME else "none")(template)

    assert "no statement denies everything to aws:PrincipalAccount" in "\n".join(findings(stack, template))


def policy_of(template, kind):
    """Statements of the first policy of a type, by their Sids."""
    document = {"AWS::KMS::Key": "KeyPolicy"}.get(kind, "PolicyDocument")
    return first(template, kind)[document]["Statement"]


BUCKET_POLICY = "AWS::S3::BucketPolicy"


@pytest.mark.parametrize(
    ("kind", "sid", "finding"),
    [
        (BUCKET_POLICY, "PlainText", "without TLS"),
        (BUCKET_POLICY, "OldTls", "TLS below 1.2"),
        (BUCKET_POLICY, "ForeignTenants", "roles of other tenants"),
        (BUCKET_POLICY, "OtherKeys", "under another key"),
        ("AWS::SNS::TopicPolicy", "PlainText", "without TLS"),
        ("AWS::KMS::Key", "ForeignTenants", "roles of other tenants"),
        ("AWS::KMS::Key", "Grants", "grants"),
    ],
)
def test_a_policy_that_forgets_a_denial_is_found(prod, kind, sid, finding):
    template = copy.deepcopy(prod[ACME])
    statements = policy_of(template, kind)
    statements[:] = [each for each in statements if each.get("Sid") != sid]

    assert any(finding in each for each in findings(ACME, template))


@pytest.mark.parametrize(
    ("sid", "field", "value", "finding"),
    [
        ("PlainText", "Action", "s3:GetObject", "without TLS"),
        ("PlainText", "Resource", "arn:aws:s3:::mycompany-acme-prod-datalake/*", "without TLS"),
        ("PlainText", "Principal", {"AWS": arn("root")}, "without TLS"),
        ("OldTls", "Condition", {"NumericLessThan": {"s3:TlsVersion": "1.1"}}, "TLS below 1.2"),
        ("ForeignTenants", "Action", ["s3:GetObject", "s3:PutObject"], "roles of other tenants"),
        (
            "ForeignTenants",
            "Condition",
            {"ArnLike": {"aws:PrincipalArn": [arn("role/mycompany-*-prod-job")]}},
            "roles of other",
        ),
        (
            "OtherKeys",
            "Condition",
            {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "k"}},
            "another key",
        ),
    ],
)
def test_a_denial_that_says_less_is_found(prod, sid, field, value, finding):
    template = copy.deepcopy(prod[ACME])
    for statement in policy_of(template, BUCKET_POLICY):
        if statement["Sid"] == sid:
            statement[field] = value

    assert any(finding in each for each in findings(ACME, template))


@pytest.mark.parametrize("kind", [BUCKET_POLICY, "AWS::SNS::TopicPolicy", "AWS::KMS::Key"])
@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": arn("role/mycompany-acme-prod-job")}])
def test_a_resource_that_lets_people_in_is_found(prod, kind, principal):
    template = copy.deepcopy(prod[ACME])
    policy_of(template, kind).append({"Effect": "Allow", "Principal": principal, "Action": "x:Y", "Resource": "*"})

    assert any("past every boundary" in each for each in findings(ACME, template))


@pytest.mark.parametrize(
    ("condition", "finding"),
    [
        (None, "rows that are not the tenant's"),
        ({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#acme#*"]}}, "name no row"),
        ({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#acme*"]}}, "rows that are not the tenant's"),
        ({"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["T#acme#*"]}}, "rows that are not the tenant's"),
    ],
)
def test_rows_of_others_are_found(prod, condition, finding):
    template = copy.deepcopy(prod[ACME])
    (rows,) = [each for each in policy_of(template, "AWS::IAM::ManagedPolicy") if each["Sid"] == "OwnRows"]
    rows["Condition"] = condition or {}

    assert any(finding in each for each in findings(ACME, template))


@pytest.mark.parametrize(
    ("stack", "action", "resource", "finding"),
    [
        (ACME, "s3:PutObject", "arn:aws:s3:::mycompany-prod-platform-code/*", "on the code of all tenants"),
        (ACME, "kms:Decrypt", PLATFORMS_KEY, "without a service that it goes through"),
        (PLATFORM, "s3:GetObject", "arn:aws:s3:::mycompany-*-prod-datalake/*", "opens no object"),
    ],
)
def test_a_right_on_what_is_shared_that_goes_beyond_its_use_is_found(prod, stack, action, resource, finding):
    template = copy.deepcopy(prod[stack])
    policy_of(template, "AWS::IAM::Policy").append({"Effect": "Allow", "Action": action, "Resource": resource})

    assert any(finding in each for each in findings(stack, template))


def test_an_index_of_the_ledger_is_found(prod):
    template = copy.deepcopy(prod[ACME])
    (rows,) = [each for each in policy_of(template, "AWS::IAM::ManagedPolicy") if each["Sid"] == "OwnRows"]
    rows["Resource"] = [rows["Resource"], f"{rows['Resource']}/index/open"]

    assert any("through an index" in each for each in findings(ACME, template))


FOREIGN = [
    "arn:aws:s3:::mycompany-acme-eu-prod-datalake/*",
    "arn:aws:s3:::mycompany-acme*",
    "arn:aws:s3:::mycompany-*-prod-datalake",
    "arn:aws:s3:::somebodys-bucket/*",
    "s3://somebodys-bucket/raw/",
    "arn:aws:glue:eu-central-1:777788889999:table/mycompany_acme_eu_prod/*",
    "arn:aws:glue:eu-central-1:777788889999:database/mycompany_acme*",
    "arn:aws:logs:eu-central-1:777788889999:log-group:/lake/mycompany/prod/acme-eu/jobs/*",
    "arn:aws:athena:eu-central-1:777788889999:workgroup/primary",
    "T#acme-eu#*",
    "mycompany-acme-prod2-datalake in mycompany-globex-prod",
]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("kind", ["AWS::Glue::Table", "AWS::IAM::Policy", "AWS::CloudWatch::Alarm"])
def test_a_name_that_is_neither_the_tenants_nor_the_platforms_is_found_anywhere(prod, name, kind):
    template = copy.deepcopy(prod[ACME])
    first(template, kind).setdefault("Description", name)
    first(template, kind)["Description"] = {"Fn::Join": ["", [name[:9], name[9:]]]}

    assert any(name in each for each in findings(ACME, template))


@pytest.mark.parametrize("name", ["mycompany-acme-prod-datalake", "T#acme#x", "/lake/mycompany/prod/acme/jobs/output"])
def test_a_tenant_in_the_platforms_template_is_found(prod, name):
    template = copy.deepcopy(prod[PLATFORM])
    first(template, "AWS::CloudWatch::Alarm")["AlarmDescription"] = name

    assert any("names tenant acme" in each for each in findings(PLATFORM, template))


@pytest.mark.parametrize(
    ("stack", "owner"),
    [
        ("mycompany-prod-platform", Owner("mycompany", "prod", None)),
        ("mycompany-acme-prod-tenant", Owner("mycompany", "prod", "acme")),
        ("mycompany-acme-eu-prod-tenant", Owner("mycompany", "prod", "acme-eu")),
        ("acme", None),
        ("mycompany-prod-tenant", None),
    ],
)
def test_a_stacks_name_says_whose_it_is(stack, owner):
    assert Owner.of(stack) == owner


def test_a_stack_of_nobody_is_found():
    assert "says not whose stack it is" in findings("acme", {"Resources": {}})[0]


def test_types_of_all_templates_are_registered_and_no_others(prod, local):
    from cdk_app.guardrails.register import CHECKS

    templates = [*prod.values(), *local.values()]
    assert {each["Type"] for template in templates for each in template["Resources"].values()} == set(CHECKS) - {
        "AWS::CDK::Metadata"
    }


def test_a_service_that_may_act_for_anybody_is_found(prod):
    template = copy.deepcopy(prod[PLATFORM])
    for policy in template["Resources"].values():
        if policy["Type"] == "AWS::SQS::QueuePolicy":
            policy["Properties"]["PolicyDocument"]["Statement"][1].pop("Condition")

    assert any("act for anybody" in each for each in findings(PLATFORM, template))


def test_a_permission_without_a_source_is_found(prod):
    template = copy.deepcopy(prod[PLATFORM])
    del first(template, "AWS::Lambda::Permission")["SourceArn"]

    assert any("may call it" in each for each in findings(PLATFORM, template))


def test_a_function_whose_role_has_no_boundary_is_found(prod):
    template = copy.deepcopy(prod[PLATFORM])
    del first(template, "AWS::IAM::Role")["PermissionsBoundary"]

    assert any("no permissions boundary" in each for each in findings(PLATFORM, template))


def test_a_table_that_cannot_be_recovered_is_found(prod):
    template = copy.deepcopy(prod[PLATFORM])
    del first(template, "AWS::DynamoDB::Table")["PointInTimeRecoverySpecification"]

    assert any("point-in-time" in each for each in findings(PLATFORM, template))


def test_a_type_that_nobody_thought_about_is_found():
    template = {"Resources": {"Cluster": {"Type": "AWS::Redshift::Cluster", "Properties": {}}}}

    assert findings(ACME, template) == [
        f"{ACME}: Cluster (AWS::Redshift::Cluster): unregistered type: say in cdk_app.guardrails.register what must hold for it"
    ]


def test_a_template_of_which_nothing_is_agreed_writes_to_nobody_and_reads_no_parameter(prod):
    found = [*findings(ACME, prod[ACME]), *findings(PLATFORM, prod[PLATFORM])]

    assert [each.partition(": ")[2] for each in found] == [
        (
            "AlertsMailE3366EF1 (AWS::SNS::Subscription): email data@acme.example hears it, "
            "expected nobody or the platform's webhook"
        ),
        (
            "AlertsMailE3366EF1 (AWS::SNS::Subscription): email platform@mycompany.example hears it, "
            "expected nobody or the platform's webhook"
        ),
        (
            "ChatWebhookFunction0B1256B2 (AWS::Lambda::Function): reads parameter /lake/chat, "
            "expected None, which the registry names"
        ),
    ]


def test_what_a_template_writes_to_is_its_own_owner_and_no_other(prod):
    assert findings(ACME, prod[ACME], agreed_of("prod")[ACME]) == []
    assert any("it@globex.example" in each for each in findings(ACME, prod[ACME], Agreed(address="it@globex.example")))
