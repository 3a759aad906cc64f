"""A workgroup's rules, read from the emulator with the root key at every query."""

from dataclasses import dataclass
from typing import Any

from local_cloud.athena.emulator import Emulator
from local_cloud.athena.errors import EmulatorRefused, RequestRefused

ROLE_TAG = "lake:query-role"
ENABLED = "ENABLED"


@dataclass(frozen=True)
class Workgroup:
    """`output_location` ends with a slash, `bytes_limit` is bytes (None: no limit), `role` is an ARN."""

    name: str
    state: str
    enforces: bool
    output_location: str | None
    bytes_limit: int | None
    role: str | None

    def location(self, wanted: str | None) -> str:
        """Where a query's result goes: the client's wish counts only where the workgroup lets it."""
        chosen = self.output_location if self.enforces and self.output_location else wanted or self.output_location
        if not chosen:
            raise RequestRefused(
                "No output location provided. An output location is required either through the Workgroup result "
                "configuration setting or as an API input."
            )
        if not chosen.startswith("s3://") or not chosen.removeprefix("s3://").split("/")[0]:
            raise RequestRefused(f"outputLocation is not a valid S3 path: {chosen}")
        return chosen if chosen.endswith("/") else f"{chosen}/"

    def query_role(self) -> str:
        if self.state != ENABLED:
            raise RequestRefused(f"WorkGroup {self.name} is disabled.")
        if not self.role:
            raise RequestRefused(
                f"WorkGroup {self.name} has no query role: the local cloud runs a query under the role that the "
                f"workgroup's tag {ROLE_TAG} names; use your tenant's workgroup, or add the tag"
            )
        return self.role


def load(emulator: Emulator, name: str) -> Workgroup:
    """Raises RequestRefused for an unknown workgroup."""
    try:
        answer = emulator.call("athena", "GetWorkGroup", {"WorkGroup": name}, emulator.root)
    except EmulatorRefused as e:
        raise RequestRefused(f"WorkGroup {name} is not found.") from e
    return _workgroup(answer["WorkGroup"], _tags(emulator, name))


def names(emulator: Emulator) -> list[str]:
    answer = emulator.call("athena", "ListWorkGroups", {}, emulator.root)
    return [str(entry["Name"]) for entry in answer["WorkGroups"]]


def _tags(emulator: Emulator, name: str) -> dict[str, str]:
    facts = emulator.facts
    arn = f"arn:aws:athena:{facts.region}:{facts.account}:workgroup/{name}"
    try:
        answer = emulator.call("athena", "ListTagsForResource", {"ResourceARN": arn}, emulator.root)
    except EmulatorRefused:
        return {}
    return {tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])}


def _workgroup(value: dict[str, Any], tags: dict[str, str]) -> Workgroup:
    configuration = value.get("Configuration") or {}
    limit = configuration.get("BytesScannedCutoffPerQuery")
    location = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
    return Workgroup(
        name=value["Name"],
        state=value.get("State", ENABLED),
        enforces=_flag(configuration.get("EnforceWorkGroupConfiguration", True)),
        output_location=location or None,
        bytes_limit=int(limit) if limit else None,
        role=tags.get(ROLE_TAG),
    )


def _flag(value: object) -> bool:
    """CloudFormation hands booleans on as text in places."""
    return str(value).lower() == "true"
