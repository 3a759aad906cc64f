"""Names as they stand in the templates, of every kind of resource: none of one owner's is or begins one of another's."""

import re
from collections.abc import Iterator

from tests.templates import GLOBEX, Templates, synthesised

# Properties that name a resource among all of its kind in the account.
NAMES = re.compile(r"(Alias|Bucket|Cluster|Function|Group|LogGroup|ManagedPolicy|Queue|Role|Table|Topic|Alarm)?Name\Z")
# Named below a parent whose name is an owner's: the parent keeps them apart.
INSIDE = {
    "AWS::Athena::NamedQuery": "WorkGroup",
    "AWS::Glue::Table": "DatabaseName",
    "AWS::IAM::Policy": "Roles",
    "AWS::Lambda::Permission": "FunctionName",
}
# Never named: they are policies of, or wires to, something that is.
NAMELESS = {
    "AWS::CDK::Metadata",
    "AWS::KMS::Key",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


def named(templates: Templates) -> Iterator[tuple[str, str, str]]:
    """Stack, type and name of every resource that stands by itself."""
    for stack, template in templates.items():
        yield stack, "stack", stack
        for resource in template["Resources"].values():
            kind, properties = resource["Type"], resource.get("Properties", {})
            if kind in INSIDE or kind in NAMELESS:
                continue
            if kind == "AWS::Glue::Database":
                properties = properties["DatabaseInput"]
            found = [value for key, value in properties.items() if NAMES.match(key)]
            assert len(found) == 1, f"{kind} in {stack}: names {found}; say in this test how it is named"
            assert isinstance(found[0], str), f"{kind} in {stack}: {found[0]}"
            yield stack, kind, found[0]


def test_no_name_in_the_stack_of_one_owner_is_or_begins_a_name_in_the_stack_of_another():
    found = list(named(synthesised("prod", GLOBEX)))

    assert len({stack for stack, _, _ in found}) == 4
    assert len({kind for _, kind, _ in found}) > 12
    assert [
        (kind, mine, theirs)
        for stack, kind, mine in found
        for other, other_kind, theirs in found
        if stack != other and kind == other_kind and theirs.casefold().startswith(mine.casefold())
    ] == []


def test_two_environments_in_one_account_share_no_name():
    prod, local = (list(named(synthesised(environment))) for environment in ("prod", "local"))

    assert {(kind, name) for _, kind, name in prod}.isdisjoint((kind, name) for _, kind, name in local)


def test_what_is_named_below_a_parent_has_a_parent_of_its_owner():
    for stack, template in synthesised("prod", GLOBEX).items():
        for resource in template["Resources"].values():
            if resource["Type"] in ("AWS::Glue::Table", "AWS::Athena::NamedQuery"):
                parent = resource["Properties"][INSIDE[resource["Type"]]]
                assert parent.replace("_", "-") == stack.removesuffix("-tenant")
