"""Service quotas of cells: what their templates use, for how many tenants there is room, and which quota ends it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

__all__ = [
    "QUOTAS",
    "CellLoad",
    "Demand",
    "Limit",
    "Limits",
    "Need",
    "Quota",
    "Use",
    "binding",
    "demand",
    "doubtful",
    "live",
    "needs",
    "refusals",
    "room_left",
    "shipped",
    "uses",
]

STACK = "a stack"
DEFAULT_BUS_RULE = "a rule of the default bus"
"""What is counted and is no resource type: the stack itself, and rules, whose quota is one of each bus."""


@dataclass(frozen=True)
class Quota:
    """How many of something an account or one of its Regions may have.

    `ceiling`: the most that AWS says it grants. `seen`: the month in which `default` was read at `source`.
    """

    service: str
    code: str
    name: str
    default: int
    counts: tuple[str, ...]
    source: str
    seen: str = "2026-11"
    per_account: bool = False
    adjustable: bool = True
    ceiling: int | None = None
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    bootstrapped: int = 0
    """How many are there before any template of ours: what `cdk bootstrap` makes, and Athena's primary workgroup."""

    @property
    def key(self) -> str:
        return f"{self.service}/{self.code}"

    def default_in(self, region: str) -> int:
        return self.elsewhere.get(region, self.default)


REFERENCE = "https://docs.aws.amazon.com/general/latest/gr"
QUOTAS = (
    Quota(
        "events",
        "L-244521F2",
        "rules of the default bus",
        300,
        (DEFAULT_BUS_RULE,),
        f"{REFERENCE}/ev.html",
        seen="2026-01",
        elsewhere={"af-south-1": 100, "eu-south-1": 100},
    ),
    Quota(
        "iam",
        "L-FE177D64",
        "roles",
        1_000,
        ("AWS::IAM::Role",),
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
        per_account=True,
        ceiling=5_000,
        bootstrapped=5,
    ),
    Quota(
        "iam",
        "L-E95E4862",
        "customer managed policies",
        1_500,
        ("AWS::IAM::ManagedPolicy",),
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html",
        per_account=True,
        ceiling=5_000,
    ),
    Quota("glue", "L-611FDDE4", "jobs", 2_000, ("AWS::Glue::Job",), f"{REFERENCE}/glue.html", seen="2026-09"),
    Quota(
        "athena",
        "L-FD9D80C2",
        "workgroups",
        1_000,
        ("AWS::Athena::WorkGroup",),
        "https://docs.aws.amazon.com/athena/latest/ug/service-limits.html",
        adjustable=False,
        bootstrapped=1,
    ),
    Quota(
        "cloudformation",
        "L-0485CB21",
        "stacks",
        2_000,
        (STACK,),
        f"{REFERENCE}/cfn.html",
        seen="2026-01",
        bootstrapped=1,
    ),
    Quota(
        "glue", "L-F953935E", "databases", 10_000, ("AWS::Glue::Database",), f"{REFERENCE}/glue.html", seen="2026-01"
    ),
    Quota("glue", "L-94D025B7", "tables", 1_000_000, ("AWS::Glue::Table",), f"{REFERENCE}/glue.html", seen="2026-01"),
    Quota(
        "s3",
        "L-DC2B2D3D",
        "buckets",
        10_000,
        ("AWS::S3::Bucket",),
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html",
        per_account=True,
        ceiling=1_000_000,
        bootstrapped=1,
    ),
    Quota(
        "kms",
        "L-C2F1777E",
        "customer managed keys",
        100_000,
        ("AWS::KMS::Key",),
        "https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html",
        seen="2026-01",
    ),
    # A mail subscription is pending until its owner confirms it: counted as if nobody had yet.
    Quota(
        "sns",
        "L-1A43D3DB",
        "pending subscriptions",
        5_000,
        ("AWS::SNS::Subscription",),
        f"{REFERENCE}/sns.html",
        seen="2026-01",
    ),
    Quota(
        "logs",
        "L-C7B9AAAB",
        "log groups",
        1_000_000,
        ("AWS::Logs::LogGroup",),
        f"{REFERENCE}/cwl_region.html",
        seen="2026-01",
    ),
    Quota("sns", "L-61103206", "topics", 100_000, ("AWS::SNS::Topic",), f"{REFERENCE}/sns.html", seen="2026-01"),
)

# Quotas of a whole account are asked where AWS keeps them.
HOME_REGIONS = {"cn": "cn-north-1", "us-gov": "us-gov-west-1"}

Demand = Mapping[str, int]
"""How much of each quota a template takes, by the quota's key."""


def demand(template: Mapping[str, Any]) -> Demand:
    """What a stack of this template takes of every quota."""
    counted: Counter[str] = Counter({STACK: 1})
    for resource in template.get("Resources", {}).values():
        counted[kind(resource)] += 1
    return {quota.key: sum(counted[each] for each in quota.counts) for quota in QUOTAS}


def kind(resource: Mapping[str, Any]) -> str:
    if resource["Type"] == "AWS::Events::Rule" and "EventBusName" not in resource.get("Properties", {}):
        return DEFAULT_BUS_RULE
    return str(resource["Type"])


@dataclass(frozen=True)
class CellLoad:
    """What the stacks of one cell take: the platform's, and those of tenants as (demand of one, how many)."""

    name: str
    account: str
    region: str
    platform: Demand
    tenants: tuple[tuple[Demand, int], ...] = ()

    @property
    def number(self) -> int:
        return sum(times for _, times in self.tenants)

    def used(self, quota: Quota) -> int:
        tenants = sum(each.get(quota.key, 0) * times for each, times in self.tenants)
        return quota.bootstrapped + self.platform.get(quota.key, 0) + tenants

    def per_tenant(self, quota: Quota) -> int:
        """What the tenant takes that takes most."""
        return max((each.get(quota.key, 0) for each, _ in self.tenants), default=0)


@dataclass(frozen=True)
class Limit:
    """A quota's value in a cell: as the account has it, or as shipped here."""

    value: int
    live: bool = False


Limits = Mapping[tuple[str, str], Limit]
"""By the name of a cell and the key of a quota."""


@dataclass(frozen=True)
class Use:
    """One quota with what is used of it, in one cell or, if it is of the account, in all cells there."""

    quota: Quota
    cells: tuple[str, ...]
    account: str
    region: str
    limit: Limit
    used: int
    per_tenant: int

    @property
    def place(self) -> str:
        return self.account if self.quota.per_account else f"{self.account}/{self.region}"

    @property
    def tenants_left(self) -> int | None:
        """None: a tenant takes nothing of it."""
        return max(0, self.margin) if self.per_tenant else None

    @property
    def margin(self) -> int:
        """Tenants that fit still, or as a negative number those that are too many."""
        return (self.limit.value - self.used) // max(1, self.per_tenant)

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.limit.value


def shipped(cells: Iterable[CellLoad]) -> Limits:
    """What AWS gives a new account, as far as this version knows."""
    return {(cell.name, quota.key): Limit(quota.default_in(cell.region)) for cell in cells for quota in QUOTAS}


def live(
    cells: Iterable[CellLoad], client: Callable[[CellLoad, str], Any], only: Collection[str] | None = None
) -> Limits:
    """What the accounts have: one question per quota and place; a quota that Service Quotas does not list is shipped.

    `client` makes a client of Service Quotas for a cell and a Region; `only`: keys of the quotas to ask for. Raises
    ClientError where it may not ask.
    """
    known = tuple(cells)
    found = dict(shipped(known))
    told: dict[tuple[str, str, str], Limit | None] = {}
    for cell in known:
        for quota in QUOTAS:
            if only is not None and quota.key not in only:
                continue
            region = home_region(cell.region) if quota.per_account else cell.region
            place = (cell.account, region, quota.key)
            if place not in told:
                told[place] = asked(client(cell, region), quota)
            found[cell.name, quota.key] = told[place] or found[cell.name, quota.key]
    return found


def doubtful(found: Iterable[Use]) -> frozenset[str]:
    """Quotas of which so much is used that the shipped value does not do: an account's may be another."""
    return frozenset(each.quota.key for each in found if 2 * each.used > each.limit.value)


def home_region(region: str) -> str:
    return HOME_REGIONS.get(region.rsplit("-", 2)[0], "us-east-1")


def asked(client: Any, quota: Quota) -> Limit | None:
    try:
        told = client.get_service_quota(ServiceCode=quota.service, QuotaCode=quota.code)["Quota"]
    except ClientError as e:
        if e.response["Error"]["Code"] == "NoSuchResourceException":
            return None
        raise
    return Limit(int(told["Value"]), live=True)


def uses(cells: Iterable[CellLoad], limits: Limits) -> tuple[Use, ...]:
    """Every quota of every place; those of a whole account once, however many cells are in it."""
    known, found = tuple(cells), []
    for cell in known:
        for quota in QUOTAS:
            sharing = [each for each in known if each.account == cell.account] if quota.per_account else [cell]
            if sharing[0] == cell:
                found.append(use(quota, sharing, limits, known))
    return tuple(found)


def use(quota: Quota, sharing: Sequence[CellLoad], limits: Limits, known: Sequence[CellLoad]) -> Use:
    """Of a quota that cells are `sharing`; where no tenant is yet, others show what one takes."""
    first = sharing[0]
    going_by = sharing if any(each.number for each in sharing) else known
    return Use(
        quota=quota,
        cells=tuple(each.name for each in sharing),
        account=first.account,
        region=first.region,
        limit=limits[first.name, quota.key],
        used=sum(each.used(quota) for each in sharing),
        per_tenant=max(each.per_tenant(quota) for each in going_by),
    )


def binding(found: Iterable[Use], cell: str) -> Use | None:
    """What ends a cell's growth first; None as long as there is no tenant to go by."""
    growing = [each for each in found if cell in each.cells and each.per_tenant]
    return min(growing, key=lambda each: each.margin, default=None)


def room_left(cell: str, cells: Iterable[CellLoad], limits: Limits | None = None) -> int:
    """How many more tenants fit into `cell`; by the shipped values unless others are given."""
    known = tuple(cells)
    bound = binding(uses(known, shipped(known) if limits is None else limits), cell)
    return 0 if bound is None else bound.tenants_left or 0


@dataclass(frozen=True)
class Need:
    """How many places a number of tenants needs at least, because one takes no more than `most` of them."""

    quota: Quota
    most: int
    places: int


def needs(platform: Demand, tenant: Demand, tenants: int) -> tuple[Need, ...]:
    """What no increase helps with, for tenants of one demand: cells and accounts that it takes, by quota."""
    found = []
    for quota in QUOTAS:
        limit, each = quota.ceiling if quota.adjustable else quota.default, tenant.get(quota.key, 0)
        if limit is not None and each:
            most = (limit - quota.bootstrapped - platform.get(quota.key, 0)) // each
            found.append(Need(quota, most, -(-tenants // most)))
    return tuple(found)


def refusals(found: Iterable[Use]) -> tuple[str, ...]:
    """A sentence for each quota that the templates exceed: which, by how much, and what to do."""
    return tuple(refusal(each) for each in found if each.is_exceeded)


def refusal(exceeded: Use) -> str:
    quota, limit = exceeded.quota, exceeded.limit
    known = "" if limit.live else f", AWS's default as of {quota.seen}"
    return (
        f"{exceeded.place}: {exceeded.used:,} {quota.service} {quota.name} are needed and {limit.value:,} allowed "
        f"(quota {quota.code}{known}); {advice(exceeded)}"
    )


def advice(exceeded: Use) -> str:
    quota, needed = exceeded.quota, exceeded.used
    cell = "a cell in another account" if quota.per_account else "another cell"
    elsewhere = f"give some of these tenants {cell}: `cells:` in tenants.yaml"
    if not quota.adjustable or (quota.ceiling is not None and needed > quota.ceiling):
        return elsewhere
    region = home_region(exceeded.region) if quota.per_account else exceeded.region
    return (
        f"ask for it: `aws service-quotas request-service-quota-increase --service-code {quota.service} "
        f"--quota-code {quota.code} --desired-value {needed} --region {region}`, or {elsewhere}"
    )
