"""The cloud assembly of one environment: synthesised when anything it is made from changed, and read back."""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import LakeError, WrongInput
from cli.options import PROJECT

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["Assembly", "Asset", "Stack", "SynthesisError", "read", "synthesise", "synthesise_into"]

# What templates and archives of code are made from.
SOURCES = ("cdk.json", "requirements/project.lock", "cdk_app", "glue_scripts", "ingestion", "lineage", "tenants")
LIBRARIES = ("aws-cdk-lib", "constructs", "jsii", "pynamodb")
KEY = "synthesised-from"


class SynthesisError(LakeError):
    """Raised when the CDK app makes no assembly."""


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
        raise SynthesisError(f"{self.folder}: holds no stack {name}; remove the folder and try again")


def synthesise(environment: str, tenants: Path, home: Path) -> Assembly:
    """The assembly of `environment`, kept below `home`; raises WrongInput for an invalid registry."""
    folder = home / "assembly" / environment
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        sources = fingerprint_of_sources()
        key, stamp = fingerprint(environment, tenants, sources), folder / KEY
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != key:
            stamp.unlink(missing_ok=True)
            make(environment, lambda: load_registry(tenants), folder, home, sources)
            stamp.write_text(key, encoding="utf-8")
    return read(folder)


def synthesise_into(folder: Path, environment: str, registry: "Callable[[], Registry]", home: Path) -> Assembly:
    """A new assembly in a folder of the caller's; shapes are taken from, and kept, below `home`."""
    place = home / "assembly" / environment
    place.mkdir(parents=True, exist_ok=True)
    with locked(place):
        make(environment, registry, folder, home, fingerprint_of_sources())
    return read(folder)


def load_registry(tenants: Path) -> "Registry":
    from tenants.registry import load

    return load(tenants)


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


def make(environment: str, registry: "Callable[[], Registry]", folder: Path, home: Path, sources: str) -> None:
    """Every shape is synthesised once and kept; what is left to do for a tenant is to fill in its values."""
    from cdk_app.holes import HoleError
    from cdk_app.stamping import ShapeError, stamp
    from tenants.errors import TenantsError

    try:
        stamp(
            registry,
            environment,
            folder,
            cache=home / "shapes" / environment,
            sources=sources,
            variables=app_environment(),
        )
    except TenantsError as error:
        raise WrongInput(str(error)) from error
    except (HoleError, ShapeError) as error:
        raise SynthesisError(f"no templates for environment {environment}: {error}") from error


def app_environment() -> dict[str, str]:
    """Without credentials, since synthesis asks AWS nothing; with compiled modules kept, which saves seconds.

    HOME is a folder of the project: the CDK library keeps a cache there and lets nobody choose another place.
    """
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "CDK_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    cdk_home = PROJECT / ".tools" / "home"
    cdk_home.mkdir(parents=True, exist_ok=True)
    # Objects of a synthesis live long or not at all: a small nursery costs no time and saves memory.
    node = f"{os.environ.get('NODE_OPTIONS', '')} --max-semi-space-size=4".strip()
    return own | {"HOME": str(cdk_home), "CDK_VALIDATION": "false", "NODE_OPTIONS": node}


def fingerprint(environment: str, tenants: Path, sources: str) -> str:
    """Hash of everything that the assembly is made from."""
    digest = hashlib.sha256(f"{sources}\0{environment}\0{tenants.resolve()}\0".encode())
    for pattern in ("*.yaml", "contracts/*.yaml"):
        add_files(digest, tenants, sorted(tenants.glob(pattern)))
    return digest.hexdigest()


def fingerprint_of_sources(project: Path = PROJECT) -> str:
    """Hash of everything that a shape is made from, apart from the registry: code, flags, locked and found versions."""
    digest = hashlib.sha256(f"{platform.python_version()}\0".encode())
    for library in LIBRARIES:
        digest.update(f"{importlib.metadata.version(library)}\0".encode())
    for name in SOURCES:
        source = project / name
        add_files(digest, project, sorted(source.rglob("*.py")) if source.is_dir() else [source])
    return digest.hexdigest()


def add_files(digest: "hashlib._Hash", base: Path, paths: Iterable[Path]) -> None:
    for path in paths:
        digest.update(f"{path.relative_to(base).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Two commands at once synthesise one after the other."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
