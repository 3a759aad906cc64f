"""The cloud assembly of one environment: synthesised when anything it is made from changed."""

import fcntl
import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import LakeError, WrongInput
from cli.options import PROJECT
from deployment.assembly import Assembly, read

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = [
    "KEY",
    "SynthesisError",
    "app_environment",
    "fingerprint_of_sources",
    "load_registry",
    "synthesise",
    "synthesise_into",
    "told",
]

# What templates and archives of code are made from.
SOURCES = ("cdk.json", "requirements/project.lock", "cdk_app", "glue_scripts", "ingestion", "lineage", "tenants")
LIBRARIES = ("aws-cdk-lib", "constructs", "jsii", "pynamodb")
KEY = "synthesised-from"


class SynthesisError(LakeError):
    """Raised when the CDK app makes no assembly."""


def synthesise(
    environment: str,
    tenants: Path,
    home: Path,
    *,
    partly: bool = False,
    registry: "Callable[[], Registry] | None" = None,
) -> Assembly:
    """The assembly of `environment`, kept below `home`; raises WrongInput for an invalid registry.

    Where tenants have no templates it raises SynthesisError, or leaves that to `Assembly.failures` if `partly`.
    `registry`: how to come by the registry in `tenants`, for who has it already.
    """
    load = registry or partial(load_registry, tenants, home)
    folder = home / "assembly" / environment
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        sources = fingerprint_of_sources()
        key, stamp = fingerprint(environment, tenants, sources), folder / KEY
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != key:
            stamp.unlink(missing_ok=True)
            failures = make(environment, load, folder, home, sources)
            if failures and not partly:
                raise SynthesisError(told(failures))
            if not failures:
                stamp.write_text(key, encoding="utf-8")
    return read(folder)


def synthesise_into(folder: Path, environment: str, registry: "Callable[[], Registry]", home: Path) -> Assembly:
    """A new assembly in a folder of the caller's, with failures if there are any; shapes are kept below `home`."""
    place = home / "assembly" / environment
    place.mkdir(parents=True, exist_ok=True)
    with locked(place):
        make(environment, registry, folder, home, fingerprint_of_sources())
    return read(folder)


def told(failures: Mapping[str, str]) -> str:
    """Every reason with the tenants that it holds for."""
    tenants: dict[str, list[str]] = {}
    for tenant, reason in failures.items():
        tenants.setdefault(reason, []).append(tenant)
    return "\n".join(f"no template for {', '.join(names)}: {reason}" for reason, names in tenants.items())


def load_registry(tenants: Path, home: Path) -> "Registry":
    """The registry; tenants that were read before and have not changed are remembered below `home`."""
    from tenants.registry import load

    return load(tenants, memory=home / "registry.json")


def make(
    environment: str, registry: "Callable[[], Registry]", folder: Path, home: Path, sources: str
) -> dict[str, str]:
    """Every shape is synthesised once and kept; what is left to do for a tenant is to fill in its values.

    Returns why tenants have no templates.
    """
    from cdk_app.stamping import ShapeError, stamp
    from tenants.errors import TenantsError

    try:
        return stamp(
            registry,
            environment,
            folder,
            cache=home / "shapes" / environment,
            sources=sources,
            variables=app_environment(),
        )
    except TenantsError as error:
        raise WrongInput(str(error)) from error
    except ShapeError as error:
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
