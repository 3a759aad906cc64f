"""What is asked about a role: everything that is not its tenant's, by names, actions and contexts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from isolation.account import Account, Principal, Resource
from isolation.catalogue import catalogue
from isolation.conditions import ABSENT, Values
from isolation.decision import ANYWHERE
from isolation.errors import UnknownType

__all__ = [
    "LEADING_KEYS",
    "REVIEWED",
    "SERVICES",
    "Given",
    "Topic",
    "actions_on",
    "anything_at_all",
    "of_the_account",
    "on_foreign_things",
    "on_what_is_shared",
    "rows_of",
    "space",
]

SERVICES = {
    "alarm": ("cloudwatch",),
    "alias": ("kms",),
    "athena": ("athena",),
    "dynamodb": ("dynamodb",),
    "events": ("events",),
    "gluedb": ("glue",),
    "gluejob": ("glue",),
    "iam": ("iam", "sts"),
    "kms": ("kms",),
    "lambda": ("lambda",),
    "logs": ("logs",),
    "mapping": ("lambda",),
    "policy": ("iam",),
    "s3": ("s3",),
    "sns": ("sns",),
    "sqs": ("sqs",),
    "ssm": ("ssm",),
}
# What lies below a resource, and is named differently.
BELOW = {
    "dynamodb": ("{arn}", "{arn}/*"),
    "lambda": ("{arn}", "{arn}:*"),
    "logs": ("{arn}", "{arn}:*"),
    "s3": ("{arn}", "{arn}/*"),
    "sns": ("{arn}", "{arn}:*"),
}
# Tenants' roles may do these although they name nobody's things; each is also a line of the golden list.
REVIEWED = {
    "cloudwatch:putmetricdata": "metrics have no owner that AWS knows: only their namespace can be limited",
    "dynamodb:describetable": "tells of the table's keys and size, of no row",
}

LEADING_KEYS = "dynamodb:LeadingKeys"
# Whose rows are whose in a table that tenants share: the prefixes that lineage.table gives its keys.
TENANTS_ROWS = "T#{tenant}#*"
PLATFORMS_ROWS = "PLATFORM#*"

Given = Mapping[str, Values]


@dataclass(frozen=True, eq=False)
class Topic:
    """One resource with all that is asked about it: every action on every name in every context."""

    resource: Resource
    names: tuple[str, ...]
    actions: tuple[str, ...]
    contexts: tuple[Given, ...] = ({},)

    @property
    def questions(self) -> int:
        return len(self.names) * len(self.actions) * len(self.contexts)


def space(resource: Resource) -> tuple[str, ...]:
    """Names that are of this resource: its own, and a pattern for what lies below it."""
    if resource.kind not in SERVICES:
        raise UnknownType(f"{resource.arn}: kind {resource.kind}: say in isolation/questions.py what its names are")
    if resource.kind == "gluedb":
        start, _, name = resource.arn.rpartition("database/")
        return resource.arn, f"{start}table/{name}/*", f"{start}userDefinedFunction/{name}/*"
    return tuple(name.format(arn=resource.arn) for name in BELOW.get(resource.kind, ("{arn}",)))


@cache
def actions_on(kind: str) -> tuple[str, ...]:
    return tuple(action for action in catalogue().actions(*SERVICES[kind]) if action not in REVIEWED)


def on_foreign_things(resource: Resource) -> Topic:
    """Of a resource that belongs to another tenant: anything at all."""
    return Topic(resource, space(resource), actions_on(resource.kind))


def on_what_is_shared(account: Account, principal: Principal) -> Iterator[Topic]:
    """Where the things of all lie in one: rows of shared tables, roles of the platform, whatever names no resource."""
    for resource in account.resources.values():
        if resource.kind == "dynamodb" and resource.tenant is None:
            yield from on_rows(account, principal, resource)
        if resource.kind == "iam" and resource.tenant is None:
            yield on_foreign_things(resource)
    yield any_role()
    yield from account_wide()


def on_rows(account: Account, principal: Principal, table: Resource) -> Iterator[Topic]:
    """Foreign rows alone or among own ones, requests that name no row, and indexes, whose keys are nobody's."""
    own = rows_of(principal.tenant)
    others = [rows_of(tenant) for tenant in account.tenants if tenant != principal.tenant] + [PLATFORMS_ROWS]
    whole, below = space(table)
    without_rows: Given = {LEADING_KEYS: ABSENT}
    foreign: list[Given] = [{LEADING_KEYS: rows} for other in others for rows in ((other,), (own, other))]
    yield Topic(table, (whole,), actions_on(table.kind), (*foreign, without_rows))
    yield Topic(table, (below,), actions_on(table.kind), (*foreign, without_rows, {}))


def rows_of(tenant: str | None) -> str:
    return TENANTS_ROWS.format(tenant=tenant)


@cache
def any_role() -> Topic:
    """Whatever roles there are, in templates or not, and in whichever account."""
    resource = Resource("arn:*:iam::*:role/*", "iam", None)
    return Topic(resource, (resource.arn,), actions_on("iam"))


@cache
def anything_at_all() -> Topic:
    """Of a role that may do nothing while its tenant is not active, not even to what is its own."""
    return Topic(Resource("everything", "account", None), ("*",), ("*",), ({"its tenant": ("suspended",)},))


@cache
def account_wide() -> tuple[Topic, ...]:
    """Actions that AWS authorises on no resource: who has them has them for everybody's things."""
    found = catalogue().account_wide
    return tuple(
        Topic(
            Resource(f"{service} (account-wide)", "account", None),
            (ANYWHERE,),
            tuple(action for action in actions if action not in REVIEWED),
        )
        for service, actions in found.items()
    )


def of_the_account(account: Account) -> list[Resource]:
    """What no template declares and every account has: a tenant's rights on it are in the golden list."""
    things = {
        "athena": ("athena:{}:datacatalog/AwsDataCatalog", "athena:{}:workgroup/primary"),
        "events": ("events:{}:event-bus/default",),
        "gluedb": ("glue:{}:database/default",),
        "gluejob": ("glue:{}:catalog",),
        "logs": ("logs:{}:log-group:/aws-glue/*",),
        "ssm": ("ssm:{}:parameter/*",),
    }
    place = f"{account.region}:{account.account}"
    return [
        Resource(f"arn:{account.partition}:{thing.format(place)}", kind, None)
        for kind, patterns in things.items()
        for thing in patterns
    ]
