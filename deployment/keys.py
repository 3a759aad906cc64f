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

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class TenantKey:
    """`guard` is asked before anything changes."""

    kms: Any
    guard: Callable[[], None] = lambda: None

    def found(self, names: TenantNames, clients: Clients, resources: Iterable[Facts]) -> str | None:
        """Its ARN: as the stack has it, by its alias, or by what the bucket is encrypted with; None if nobody knows."""
        ids = [each["name"] for each in resources if each["type"] == "AWS::KMS::Key"]
        for name in (*ids, names.key_alias, encryption_of(clients("s3"), names.bucket)):
            described = self.described(name) if name else None
            if described is not None:
                return str(described["Arn"])
        return None

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
