"""Named queries that the deployer wrote to `named_queries.json`, since the emulator cannot make them from a template.

The file is a JSON list of objects with Name, QueryString, WorkGroup, Database and optionally Description and
NamedQueryId (else the id is derived from workgroup and name, so that it stays the same over restarts).
"""

import json
import uuid
from pathlib import Path
from typing import Any

FILE = "named_queries.json"
NAMESPACE = uuid.UUID("6ff5a5a2-5dfc-4d9e-9c70-3a8f6a3c8f11")


def load(folder: Path) -> list[dict[str, Any]]:
    """The named queries, read anew each time: a deployment may have changed them."""
    try:
        value = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    entries = value.get("NamedQueries", []) if isinstance(value, dict) else value
    return [_complete(entry) for entry in entries]


def _complete(entry: dict[str, Any]) -> dict[str, Any]:
    identity = str(uuid.uuid5(NAMESPACE, f"{entry['WorkGroup']}/{entry['Name']}"))
    return {"Database": "default", "NamedQueryId": identity, **entry}


def of_workgroup(folder: Path, workgroup: str) -> list[dict[str, Any]]:
    return [entry for entry in load(folder) if entry["WorkGroup"] == workgroup]


def find(folder: Path, identity: str) -> dict[str, Any] | None:
    return next((entry for entry in load(folder) if entry["NamedQueryId"] == identity), None)
