"""What was read from tenants.yaml before, tenant by tenant: whoever has not changed is not read and checked again.

A tenant is remembered under a digest of its own lines, all of them under one of everything else that decides what a
tenant is: the rest of the file, environments, contracts, and the code that reads them. Whenever something is wrong
nothing is remembered and the whole file is read, so that people are told the same either way.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from tenants.blocks import Blocks
from tenants.model import Dataset, Offboarding, Retention, Tenant

__all__ = ["Memory", "context_of", "digest_of"]

CODE = Path(__file__).parent
LIBRARIES = ("open-data-contract-standard", "pydantic", "pyyaml")


@dataclass
class Memory:
    """Tenants by the digest of their lines, as they were read in one `context`."""

    path: Path
    context: str
    tenants: dict[str, Tenant] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, context: str) -> "Memory":
        """An empty one where nothing is there, or something else."""
        try:
            kept = json.loads(path.read_bytes())
            if kept["context"] == context:
                return cls(path, context, restored(kept))
        except (OSError, ValueError, LookupError, TypeError):
            pass
        return cls(path, context)

    def keep(self, tenants: Mapping[str, Tenant]) -> None:
        """These and no others."""
        self.tenants = dict(tenants)
        with suppress(OSError):  # where nothing can be written, all is read again the next time
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Under a name of its own: commands that run at the same time write it too.
            with NamedTemporaryFile("w", encoding="utf-8", dir=self.path.parent, delete=False) as new:
                new.write(json.dumps(noted(self.context, self.tenants), ensure_ascii=False))
            Path(new.name).replace(self.path)


def context_of(blocks: Blocks, files: Iterable[Path]) -> str:
    """Digest of what decides what a tenant is, but its own lines."""
    versions = sys.version, *map(version, LIBRARIES)
    digest = hashlib.sha256(f"{versions}\0{blocks.around}".encode())
    for path in (*sorted(CODE.glob("*.py")), *files):
        digest.update(f"\0{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def digest_of(block: str) -> str:
    return hashlib.sha256(block.encode()).hexdigest()


def noted(context: str, tenants: Mapping[str, Tenant]) -> dict[str, Any]:
    """As JSON; what many tenants have in common is written once."""
    retentions: dict[Retention, int] = {}
    datasets: dict[Dataset, int] = {}
    rows = {}
    for digest, tenant in tenants.items():
        rows[digest] = vars(tenant) | {
            "retention": retentions.setdefault(tenant.retention, len(retentions)),
            "datasets": [datasets.setdefault(each, len(datasets)) for each in tenant.datasets],
            "offboarding": tenant.offboarding and vars(tenant.offboarding),
        }
    return {
        "context": context,
        "retentions": [vars(each) for each in retentions],
        "datasets": [vars(each) for each in datasets],
        "tenants": rows,
    }


def restored(kept: Mapping[str, Any]) -> dict[str, Tenant]:
    """Without asking the models again whether it is right: it was."""
    retentions = [Retention.model_construct(**each) for each in kept["retentions"]]
    datasets = [Dataset.model_construct(**each) for each in kept["datasets"]]
    return {
        digest: Tenant.model_construct(
            **row
            | {
                "retention": retentions[row["retention"]],
                "datasets": tuple(datasets[position] for position in row["datasets"]),
                "offboarding": row["offboarding"] and Offboarding.model_construct(**row["offboarding"]),
            }
        )
        for digest, row in kept["tenants"].items()
    }
