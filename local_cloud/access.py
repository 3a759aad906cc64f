"""Clients of the emulator: with the root key, or with a role's temporary credentials."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import boto3
import botocore.config

from local_cloud.state import REGION, ROOT_KEY

SESSION_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of one role."""

    access_key: str
    secret_key: str
    token: str | None


ROOT = Credentials(ROOT_KEY, ROOT_KEY, None)


@dataclass(frozen=True)
class Access:
    """Makes clients of one emulator. `endpoint` is its https URL, `ca` the bundle to trust."""

    endpoint: str
    ca: Path
    _session: boto3.Session = field(default_factory=boto3.Session, compare=False)
    _lock: Any = field(default_factory=Lock, compare=False)

    def client(self, service: str, credentials: Credentials = ROOT) -> Any:
        """A client that ignores the caller's own AWS settings."""
        make: Any = self._session.client
        with self._lock:  # sessions are not safe for threads, clients are
            return make(
                service,
                endpoint_url=self.endpoint,
                region_name=REGION,
                aws_access_key_id=credentials.access_key,
                aws_secret_access_key=credentials.secret_key,
                aws_session_token=credentials.token,
                verify=str(self.ca),
                config=botocore.config.Config(retries={"total_max_attempts": 3}, max_pool_connections=16),
            )

    def assume(self, role: str, session_name: str) -> Credentials:
        """A role's credentials for twelve hours: the root key may take any role here."""
        answer = self.client("sts").assume_role(
            RoleArn=role, RoleSessionName=session_name[:64], DurationSeconds=SESSION_SECONDS
        )
        given = answer["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
