"""A tenant's key at its end: found, kept while there is something to read, and scheduled for deletion last."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from deployment.errors import DeployError
from deployment.remnants import Clients, is_gone
from tenants.naming import TenantNames

__all__ = ["WINDOW", "TenantKey"]

WINDOW = 30  # days in which it can still be got back; KMS's longest
PENDING, DISABLED = "PendingDeletion", "Disabled"
STATE = "KMSInvalidStateException"
GOING = {PENDING, "PendingReplicaDeletion"}

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class TenantKey:
    """Nothing but a key with the tenant's own tags is ever touched. `guard` is asked before anything changes."""

    clients: Clients
    names: TenantNames
    guard: Callable[[], None] = lambda: None

    @property
    def kms(self) -> Any:
        return self.clients("kms")

    def found(self, resources: Iterable[Facts]) -> str | None:
        """Its ARN: as the stack has it, by its alias, by what the bucket is encrypted with, or by tags alone; None if
        there is none. An alias and a bucket may have come to name another's.
        """
        ids = [each["name"] for each in resources if each["type"] == "AWS::KMS::Key"]
        named = (*ids, self.names.key_alias, encryption_of(self.clients("s3"), self.names.bucket))
        described = [each for name in named if name and (each := self.described(name))]
        own = (str(each["Arn"]) for each in described if self.is_own(each["Arn"]))
        return next(own, None) or next(iter(self.tagged()), None)

    def is_own(self, key: str) -> bool:
        """Whether its tags say that it is this tenant's; the stack sets them."""
        tags = self.kms.list_resource_tags(KeyId=key)["Tags"]
        return self.tags.items() <= {each["TagKey"]: each["TagValue"] for each in tags}.items()

    @property
    def tags(self) -> dict[str, str]:
        names = self.names
        return {"organization": names.organization, "tenant": names.tenant, "environment": names.environment}

    def tagged(self) -> list[str]:
        """Every key of the account and Region with the tenant's tags that is not going already."""
        filters = [{"Key": name, "Values": [value]} for name, value in self.tags.items()]
        request = {"TagFilters": filters, "ResourceTypeFilters": ["kms:key"]}
        pages = self.clients("resourcegroupstaggingapi").get_paginator("get_resources").paginate(**request)
        arns = sorted(each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"])
        return [arn for arn in arns if (key := self.described(arn)) and key["KeyState"] not in GOING]

    def described(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self.kms.describe_key(KeyId=name)["KeyMetadata"])
        except ClientError as error:
            if not is_gone(error):
                raise
            return None

    def keep(self, intent: Facts) -> None:
        """One that somebody has scheduled for deletion or disabled is got back: the data are still to be read."""
        described = self.described(intent["key"]) if intent.get("key") else None
        if described is None or described["KeyState"] not in {PENDING, DISABLED}:
            return
        self.guard()
        if described["KeyState"] == PENDING:
            try:
                self.kms.cancel_key_deletion(KeyId=intent["key"])
            except ClientError as error:
                if error.response["Error"]["Code"] != STATE:  # cancelled, and the answer to that was lost
                    raise
        self.kms.enable_key(KeyId=intent["key"])

    def schedule(self, intent: Facts) -> dict[str, Any]:
        """When it goes; of one that is gone, or that nobody found, that there is none."""
        key = intent.get("key")
        if not key:
            return {"key": None, "deletion_date": None}
        described = self.described(key)
        if described is not None and not self.is_own(key):
            raise DeployError(
                f"key {key}: does not carry the tags of tenant {self.names.tenant} ({self.tags}), so it may be "
                "another's and stays; see whose it is, and give the tenant's own key its tags back"
            )
        if described is not None and described["KeyState"] != PENDING:
            self.guard()
            self._schedule(key)
        return {"key": key, "deletion_date": self._date(key)}

    def _schedule(self, key: str) -> None:
        try:
            self.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=WINDOW)
        except ClientError as error:
            if error.response["Error"]["Code"] != STATE:  # scheduled, and the answer to that was lost
                raise

    def _date(self, key: str) -> str | None:
        described = self.described(key)
        if described is None:
            return None
        if described["KeyState"] != PENDING:
            raise DeployError(f"key {key}: is {described['KeyState']}, and could not be scheduled for deletion")
        return str(described["DeletionDate"].isoformat())


def encryption_of(s3: Any, bucket: str) -> str | None:
    """The key that new objects of a bucket are encrypted with."""
    try:
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    except ClientError as error:
        if not is_gone(error):
            raise
        return None
    found = [each.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for each in rules]
    return next((str(each) for each in found if each), None)
