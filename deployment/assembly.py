"""A cloud assembly as the CDK library writes it: templates, files that they expect, and where all of it goes."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deployment.errors import DeployError

__all__ = ["Assembly", "Asset", "Stack", "read"]


@dataclass(frozen=True)
class Asset:
    """A file on this machine, and the object it becomes."""

    source: Path
    packaging: str
    bucket: str
    key: str


@dataclass(frozen=True)
class Stack:
    """One stack of an assembly. `template_bucket` takes templates that are too long to be sent with the call."""

    name: str
    template_file: Path
    account: str
    region: str
    tags: dict[str, str]
    termination_protection: bool
    execution_role: str | None
    template_bucket: str
    assets: tuple[Asset, ...]

    @cached_property
    def template(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.template_file.read_text(encoding="utf-8"))
        return content


@dataclass(frozen=True)
class Assembly:
    """Stacks in the order in which they have to stand."""

    folder: Path
    stacks: tuple[Stack, ...]

    def stack(self, name: str) -> Stack:
        for stack in self.stacks:
            if stack.name == name:
                return stack
        raise DeployError(f"{self.folder}: holds no stack {name}; remove the folder and try again")


def read(folder: Path) -> Assembly:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    stacks = {
        name: artifact
        for name, artifact in manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    return Assembly(folder, tuple(stack_of(folder, name, stacks[name]) for name in ordered(stacks)))


def ordered(stacks: dict[str, Any]) -> list[str]:
    """A stack after those that it depends on."""
    done: list[str] = []

    def visit(name: str) -> None:
        if name in stacks and name not in done:
            for dependency in sorted(stacks[name].get("dependencies", [])):
                visit(dependency)
            done.append(name)

    for name in stacks:
        visit(name)
    return done


def stack_of(folder: Path, artifact_id: str, artifact: dict[str, Any]) -> Stack:
    properties = artifact["properties"]
    account, region = artifact["environment"].removeprefix("aws://").split("/")
    template = properties["templateFile"]
    manifest = folder / template.replace(".template.json", ".assets.json")
    files = [
        asset_of(folder, file, account, region)
        for file in json.loads(manifest.read_text(encoding="utf-8"))["files"].values()
    ]
    template_bucket = next(asset.bucket for asset in files if asset.source.name == template)
    return Stack(
        name=properties.get("stackName", artifact_id),
        template_file=folder / template,
        account=account,
        region=region,
        tags=properties.get("tags", {}),
        termination_protection=bool(properties.get("terminationProtection")),
        execution_role=filled(properties.get("cloudFormationExecutionRoleArn"), account, region),
        template_bucket=template_bucket,
        assets=tuple(asset for asset in files if asset.source.name != template),
    )


def asset_of(folder: Path, file: dict[str, Any], account: str, region: str) -> Asset:
    (destination,) = file["destinations"].values()
    return Asset(
        source=folder / file["source"]["path"],
        packaging=file["source"].get("packaging", "file"),
        bucket=filled(destination["bucketName"], account, region) or "",
        key=destination["objectKey"],
    )


def filled(text: str | None, account: str, region: str) -> str | None:
    if text is None:
        return None
    for name, value in (("AccountId", account), ("Region", region), ("Partition", partition(region))):
        text = text.replace(f"${{AWS::{name}}}", value)
    return text


def partition(region: str) -> str:
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")
