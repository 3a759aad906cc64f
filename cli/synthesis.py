"""The cloud assembly of one environment: synthesised when anything it is made from changed."""

import fcntl
import hashlib
import importlib.metadata
import itertools
import os
import platform
import shutil
import weakref
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
    "kept",
    "key_of",
    "load_registry",
    "synthesise",
    "synthesise_into",
    "told",
]

# What templates and archives of code are made from.
SOURCES = ("cdk.json", "requirements/project.lock", "cdk_app", "glue_scripts", "ingestion", "lineage", "tenants")
LIBRARIES = ("aws-cdk-lib", "constructs", "jsii", "pynamodb")
KEY = "synthesised-from"
USED = ".used"


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
    place = home / "assembly" / environment
    with locked(place):
        sources = fingerprint_of_sources()
        key = fingerprint(environment, tenants, sources)
        found = held(place, key) or free(place)
        if key_of(found.folder) != key:
            (found.folder / KEY).unlink(missing_ok=True)
            failures = make(environment, load, found.folder, home, sources)
            if failures and not partly:
                raise SynthesisError(told(failures))
            # Of files that were changed meanwhile, it is not known which ones were read.
            if not failures and fingerprint(environment, tenants, sources) == key:
                (found.folder / KEY).write_text(key, encoding="utf-8")
            remove_others(place, found.folder)
        found.share()
        return read(found.folder, found)


def kept(environment: str, home: Path, key: str) -> Assembly | None:
    """The assembly that was made under this key, if it is still there."""
    place = home / "assembly" / environment
    with locked(place):
        found = held(place, key)
        return read(found.folder, found) if found else None


def synthesise_into(folder: Path, environment: str, registry: "Callable[[], Registry]", home: Path) -> Assembly:
    """A new assembly in a folder of the caller's, with failures if there are any; shapes are kept below `home`."""
    with locked(home / "assembly" / environment):
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


class Held:
    """A folder with an assembly. While this lives and shares it, nobody else writes into it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.lock = os.open(folder / USED, os.O_RDWR | os.O_CREAT, 0o644)
        weakref.finalize(self, os.close, self.lock)

    def share(self) -> None:
        fcntl.flock(self.lock, fcntl.LOCK_SH)

    def is_free(self) -> bool:
        """Nobody's, and from now on this one's alone. Asked in `locked` only, so that `share` never waits."""
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def folders(place: Path) -> Iterator[Path]:
    """Where assemblies of an environment are: more than one only after the first was in use when another was made."""
    yield place
    for number in itertools.count(2):
        yield place.with_name(f"{place.name}.{number}")


def there(place: Path) -> Iterator[Path]:
    return itertools.takewhile(Path.is_dir, folders(place))


def held(place: Path, key: str) -> Held | None:
    """Shared with whoever else reads it."""
    folder = next((each for each in there(place) if key_of(each) == key), None)
    if folder is None:
        return None
    found = Held(folder)
    found.share()
    return found


def free(place: Path) -> Held:
    """A deploy reads templates until it ends, so what it reads is not written over."""
    return next(found for found in map(Held, folders(place)) if found.is_free())


def remove_others(place: Path, folder: Path) -> None:
    """The last one first, so that none is left behind a gap."""
    for each in reversed([*there(place)][1:]):
        if each == folder or not Held(each).is_free():
            return
        shutil.rmtree(each)


def key_of(folder: Path) -> str:
    """Of everything that the assembly in it was made from; empty if it is none, or not a whole one."""
    stamp = folder / KEY
    return stamp.read_text(encoding="utf-8") if stamp.exists() else ""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Two commands at once synthesise one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
