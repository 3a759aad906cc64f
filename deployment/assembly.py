"""A cloud assembly as the CDK library writes it: templates, files that they expect, and where all of it goes."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from deployment.errors import DeployError

__all__ = ["Assembly", "Asset", "Stack", "present", "read"]


SORTED = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True)
class Asset:
    """A file on this machine, and the object it becomes."""

    source: Path
    packaging: str
    bucket: str
    key: str


class Assets(Sequence[Asset]):
    """Files that a stack expects, looked up when first asked for: who only compares digests opens no file."""

    def __init__(self, find: Callable[[], Iterator[Asset]]) -> None:
        self.find = find

    @cached_property
    def found(self) -> tuple[Asset, ...]:
        return tuple(self.find())

    def __getitem__(self, index: Any) -> Any:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)


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
    assets: Sequence[Asset]
    template_hash: str | None = None
    """SHA-256 of the template file, as the assembly says; reckoned where it is not given."""
    shape: str | None = None
    """What stacks have in common that are alike but for values; None where nobody said."""
    hold: object = field(default=None, repr=False, compare=False)
    """Lives as long as the stack does: what keeps others from writing into the assembly's folder."""

    @cached_property
    def digest(self) -> str:
        """Tells what the stack shall be: two stacks of one name and digest are the same. No template is parsed."""
        template = self.template_hash or hashlib.sha256(self.template_file.read_bytes()).hexdigest()
        facts = SORTED.encode([template, self.tags, self.execution_role, self.termination_protection])
        return hashlib.sha256(facts.encode()).hexdigest()[:32]

    @cached_property
    def template(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.read())
        return content

    def read(self) -> bytes:
        """The template file, if it is the one that `digest` is of: what is deployed is what was planned."""
        with present(self.template_file):
            found = self.template_file.read_bytes()
        if self.template_hash is not None and hashlib.sha256(found).hexdigest() != self.template_hash:
            raise DeployError(
                f"{self.template_file}: is not the template that the manifest beside it names: it was changed after "
                "it was made; a stack is changed in cdk_app or tenants: remove the folder and try again"
            )
        return found

    @property
    def size(self) -> int:
        """Bytes of the template."""
        with present(self.template_file):
            return self.template_file.stat().st_size


@dataclass(frozen=True)
class Assembly:
    """Stacks in the order in which they have to stand. `failures`: tenants without a stack, with the reason."""

    folder: Path
    stacks: tuple[Stack, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[str, Stack]:
        return {stack.name: stack for stack in self.stacks}

    def stack(self, name: str) -> Stack:
        if name not in self.by_name:
            raise DeployError(f"{self.folder}: holds no stack {name}; remove the folder and try again")
        return self.by_name[name]


@contextmanager
def present(file: Path) -> Iterator[None]:
    """What is done here needs the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise DeployError(
            f"{file}: is not there, and the manifest beside it names it: remove the folder and try again"
        ) from error


def read(folder: Path, hold: object = None) -> Assembly:
    """`hold`: kept as long as anybody has one of the stacks."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    stacks = {
        name: artifact
        for name, artifact in manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    shapes = said(folder / "shapes.json")
    found = (stack_of(folder, name, stacks[name], shapes, hold) for name in ordered(stacks))
    return Assembly(folder, tuple(found), said(folder / "failures.json"))


def said(file: Path) -> dict[str, str]:
    """What was noted beside the manifest; nothing in an assembly that the CDK library wrote itself."""
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def ordered(stacks: dict[str, Any]) -> list[str]:
    """A stack after those that it depends on."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in stacks and name not in done:
            for dependency in sorted(stacks[name].get("dependencies", [])):
                visit(dependency)
            done[name] = None

    for name in stacks:
        visit(name)
    return list(done)


def stack_of(
    folder: Path, artifact_id: str, artifact: dict[str, Any], shapes: Mapping[str, str], hold: object = None
) -> Stack:
    properties = artifact["properties"]
    account, region = artifact["environment"].removeprefix("aws://").split("/")
    template = properties["templateFile"]
    bucket, key = template_place(properties, account, region)
    name = properties.get("stackName", artifact_id)
    return Stack(
        name=name,
        template_file=folder / template,
        account=account,
        region=region,
        tags=properties.get("tags", {}),
        termination_protection=bool(properties.get("terminationProtection")),
        execution_role=filled(properties.get("cloudFormationExecutionRoleArn"), account, region),
        template_bucket=bucket,
        assets=Assets(partial(assets_of, folder, template, account, region)),
        template_hash=key.rpartition("/")[2].removesuffix(".json"),
        shape=shapes.get(name),
        hold=hold,
    )


def template_place(properties: dict[str, Any], account: str, region: str) -> tuple[str, str]:
    """Bucket and key of the template, whose key is the hash of its content."""
    place = filled(properties["stackTemplateAssetObjectUrl"], account, region) or ""
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return bucket, key


def assets_of(folder: Path, template: str, account: str, region: str) -> Iterator[Asset]:
    """Every file of the stack but its template."""
    manifest = folder / template.replace(".template.json", ".assets.json")
    with present(manifest):
        text = manifest.read_text(encoding="utf-8")
    for file in json.loads(text)["files"].values():
        if file["source"]["path"] != template:
            yield asset_of(folder, file, account, region)


def asset_of(folder: Path, file: dict[str, Any], account: str, region: str) -> Asset:
    (destination,) = file["destinations"].values()
    return Asset(
        source=folder / file["source"]["path"],
        packaging=file["source"].get("packaging", "file"),
        bucket=filled(destination["bucketName"], account, region) or "",
        key=destination["objectKey"],
    )


def filled(text: str | None, account: str, region: str) -> str | None:
    if text is None or "${" not in text:
        return text
    for name, value in (("AccountId", account), ("Region", region), ("Partition", partition(region))):
        text = text.replace(f"${{AWS::{name}}}", value)
    return text


def partition(region: str) -> str:
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")
