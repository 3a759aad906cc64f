"""What a job's token may do: the job's own list, else the workflow's; a called workflow never more than its caller."""

from collections.abc import Mapping
from typing import Any

from tests.workflow_runner.refusals import Refused

__all__ = ["RESTRICTED", "allows", "granted", "within"]

SCOPES = (
    "actions",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
)
RESTRICTED = {"contents": "read", "packages": "read"}
"""Of a file that says nothing, in a repository with the restricted default."""
STRENGTH = {"none": 0, "read": 1, "write": 2}


def granted(said: Any) -> dict[str, str]:
    """`permissions` as a mapping without what is not given."""
    match said:
        case "read-all" | "write-all":
            level = said.removesuffix("-all")
            return {scope: level for scope in SCOPES if scope != "id-token" or level == "write"}
        case None:
            return {}
    return {scope: level for scope, level in said.items() if level != "none"}


def within(said: Mapping[str, str], limit: Mapping[str, str], where: str) -> None:
    """Raises Refused, as GitHub fails such a run before it begins."""
    for scope, level in said.items():
        if not allows(limit, scope, level):
            raise Refused(
                f"{where}: asks for '{scope}: {level}', but its caller has '{scope}: {limit.get(scope, 'none')}'"
            )


def allows(held: Mapping[str, str], scope: str, level: str) -> bool:
    return STRENGTH[held.get(scope, "none")] >= STRENGTH[level]
