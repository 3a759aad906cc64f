"""Rights that AWS checks and the local cloud does not: what happens here instead, and what stands in for the check.

Each has a test that fails as soon as the emulator begins to check it (tests/local_cloud/isolation/test_blind_spots.py),
and every condition key of the templates is either here or in `EVALUATED_KEYS`.
"""

from dataclasses import dataclass

__all__ = ["BLIND_SPOTS", "EVALUATED_KEYS", "BlindSpot", "is_known_key"]

PROOF = "the proof over the templates"


@dataclass(frozen=True)
class BlindSpot:
    """`keys` are the condition keys of policies that are absent here; those that end in `/` or `:` name a family."""

    name: str
    right: str
    locally: str
    held_by: str
    keys: tuple[str, ...] = ()


BLIND_SPOTS = (
    BlindSpot(
        "leading-keys",
        "a tenant's roles reach the ledger's rows under their own prefix only (dynamodb:LeadingKeys)",
        "parity takes the condition out: a job can read and write rows of other tenants",
        PROOF,
        ("dynamodb:LeadingKeys",),
    ),
    BlindSpot(
        "principal-arn",
        "resource policies deny roles by the ARN of the role (aws:PrincipalArn)",
        "the key has the session's ARN, so such a denial meets nobody: what a role may do is said by its own policies, "
        "its boundary and the allowances of the resource",
        PROOF,
        ("aws:PrincipalArn",),
    ),
    BlindSpot(
        "use-of-a-key",
        "reading or writing an object of a bucket with a KMS key asks for the right on the key",
        "S3 asks for the right on the object only; calls to KMS itself are checked",
        PROOF,
    ),
    BlindSpot(
        "conditions-of-kms",
        "rights on a key hold through one service, for one context or caller (kms:ViaService and others)",
        "the keys are absent: an allowance that names one is never met, a denial never hits",
        PROOF,
        ("kms:CallerAccount", "kms:EncryptionContext:", "kms:GrantIsForAWSResource", "kms:ViaService"),
    ),
    BlindSpot(
        "tls-version",
        "buckets refuse TLS before 1.2 (s3:TlsVersion)",
        "the key is absent; the emulator's own server speaks 1.2 and 1.3, and plain http is refused",
        "the invariants over the templates",
        ("s3:TlsVersion",),
    ),
    BlindSpot(
        "key-of-an-object",
        "a bucket refuses objects under another key than its own (s3:x-amz-server-side-encryption-aws-kms-key-id)",
        "the key is absent: such an object is taken",
        "the invariants over the templates",
        ("s3:x-amz-server-side-encryption-aws-kms-key-id",),
    ),
    BlindSpot(
        "sources-of-services",
        "a service acts for named rules, buckets and accounts only (aws:SourceArn, aws:SourceAccount)",
        "no service says for whom it acts: any rule may deliver to the queue, the trust of roles has no sources",
        PROOF,
        ("aws:SourceAccount", "aws:SourceArn"),
    ),
    BlindSpot(
        "metric-namespace",
        "jobs put metrics into the namespace Glue only (cloudwatch:namespace)",
        "the key is absent: jobs put no metrics at all",
        "the invariants over the templates",
        ("cloudwatch:namespace",),
    ),
    BlindSpot(
        "tables-of-the-catalog",
        "a Glue call is checked on catalog, database and table",
        "on the database only, and GetDatabase as if it were a table; the SQL endpoint asks for the table itself where "
        "a statement changes one",
        PROOF,
    ),
    BlindSpot(
        "bucket-owner",
        "a call that expects another owner of a bucket is refused (ExpectedBucketOwner)",
        "the expectation is not read",
        "the test that every S3 call states it",
    ),
    BlindSpot(
        "passing-roles",
        "making a job or a function under a role asks for iam:PassRole on that role",
        "asks for the right to make it only; no tenant's role may make either",
        PROOF,
    ),
    BlindSpot(
        "root-key",
        "who takes a role must be named in its trust",
        "the root key `test`, which every process of this machine may use, takes any role; every other key is checked",
        PROOF,
    ),
    BlindSpot(
        "sql-past-its-endpoint",
        "SQL acts on tables with the caller's rights on them",
        "at its endpoint it does; a caller who sends it to the emulator instead may drop and make tables of others",
        "none: the address that `lake env` prints for Athena is the endpoint's",
    ),
    BlindSpot(
        "caller-of-a-query",
        "a query reads with the rights of its caller",
        "with those of the workgroup's query role, the analyst's, and only what the caller may see by policies of its "
        "own (its boundary aside); of a caller who may use every workgroup it is not known who that is",
        PROOF,
    ),
)

# Condition keys that the emulator evaluates as AWS does.
EVALUATED_KEYS = frozenset({"aws:PrincipalAccount", "aws:ResourceAccount", "aws:SecureTransport", "s3:ResourceAccount",
                            "s3:prefix"})  # fmt: skip


def is_known_key(key: str) -> bool:
    """Whether it is known what becomes of a condition on this key in the local cloud."""
    blind = [each.lower() for spot in BLIND_SPOTS for each in spot.keys]
    wanted = key.lower()
    families = tuple(each for each in blind if each.endswith((":", "/")))
    return wanted in {each.lower() for each in EVALUATED_KEYS} or wanted in blind or wanted.startswith(families)
