"""What the endpoint must be told: where the emulator is, its root key, and a folder of its own."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class AthenaFacts:
    """`endpoint` is the emulator's https URL; `folder` holds query history, results and `named_queries.json`."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str
    account: str
    ca_bundle: Path
    folder: Path

    @property
    def authority(self) -> str:
        """Host and port of the emulator."""
        return urlsplit(self.endpoint).netloc
