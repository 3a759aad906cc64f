"""A cloud assembly made by synthesising each shape once and filling in the values of each tenant.

What is written is what `python -m cdk_app.app` writes, byte for byte, except for the files that only tell where in the
sources a resource was made (`*.metadata.json`, `tree.json`) and CDK's report of its flags: these are left out.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdk_app.guardrails import Agreed, agreed, findings
from cdk_app.patterns import Pattern, Stamped, record_of
from cdk_app.shapes import PLATFORM, Request, Shape
from cdk_app.values import Site, TenantValues
from tenants.model import Environment

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["ShapeError", "stamp"]

PROJECT = Path(__file__).resolve().parents[1]
# What an assembly consists of beside its manifest; whatever else stands in its folder is not ours.
WRITTEN = re.compile(r"(.+\.(template|assets|metadata)\.json|asset\..+|tree\.json|cdk\.out)\Z")


class ShapeError(Exception):
    """Raised when shapes cannot be synthesised, or a template made from one breaks an invariant."""


class Synthesis:
    """The process that runs the CDK library; starting it takes longer than anything that it is asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shapes-"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cdk_app.shape_app"],
            cwd=PROJECT,
            env={**variables, "CDK_OUTDIR": str(self.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def of(self, request: Request) -> Path:
        """Folder with an assembly for the platform and one for each shape."""
        _, said = self.process.communicate(request.text())
        if self.process.returncode:
            last = "\n".join(said.strip().splitlines()[-20:])
            raise ShapeError(f"python -m cdk_app.shape_app: made no templates:\n{last}")
        return self.folder

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def synthesis(variables: Mapping[str, str], *, at_once: bool) -> Iterator[Callable[[Request], Path]]:
    """What asks the process, which starts when it is first asked or, if that is sure to happen, `at_once`."""
    started = [Synthesis(variables)] if at_once else []

    def ask(request: Request) -> Path:
        if not started:
            started.append(Synthesis(variables))
        return started[0].of(request)

    try:
        yield ask
    finally:
        for each in started:
            each.close()


class Shapes:
    """Shapes of one place that were synthesised from the same sources, in a folder of their own."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder, self.site = folder, site
        self.patterns: dict[Shape, Pattern] = {}

    def has(self, name: str) -> bool:
        return (self.folder / f"{name}.json").exists()

    def read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        return found

    def keep(self, name: str, record: Mapping[str, Any], assembly: Path) -> None:
        """The record comes last: without it nothing is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for asset in record["files"]:
            place(self.folder / asset, (assembly / asset).read_bytes())
        place(self.folder / f"{name}.json", json.dumps(record, ensure_ascii=False).encode())

    def pattern(self, shape: Shape) -> Pattern:
        if shape not in self.patterns:
            self.patterns[shape] = Pattern.of(self.read(shape.digest)["texts"], self.site, where=shape.label)
        return self.patterns[shape]

    @cached_property
    def platform(self) -> dict[str, Any]:
        return self.read(PLATFORM)


def place(path: Path, content: bytes) -> None:
    """All of it or nothing."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def stamp(
    load: Callable[[], "Registry"],
    environment: str,
    folder: Path,
    *,
    cache: Path,
    sources: str,
    variables: Mapping[str, str],
) -> None:
    """Write the assembly of `environment` into `folder`.

    Shapes are kept in `cache` under `sources`, a digest of whatever they are made from but the registry. `variables`
    is the environment of the process that synthesises them. Raises TenantsError, ShapeError, HoleError.
    """
    kept = cache / sources
    with synthesis(variables, at_once=not kept.exists()) as ask:
        registry = load()
        here = registry.environment(environment)
        tenants = [TenantValues.of(tenant, registry, environment) for tenant in registry.tenants]
        shapes = Shapes(kept / digest_of(registry, here), Site.of(registry.organization, here))
        add_missing(
            shapes,
            tenants,
            lambda wanted, platform: ask(Request(registry.organization, here, wanted, platform)),
            lambda: agreed(registry, environment),
        )
        forget_others(kept)
    write(folder, shapes, (shapes.pattern(Shape.of(values)).stamp(values) for values in tenants))


def digest_of(registry: "Registry", environment: Environment) -> str:
    """What else a shape is made from: everything that is the same for all tenants."""
    facts = [registry.organization, environment.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def add_missing(
    shapes: Shapes,
    tenants: Iterable[TenantValues],
    ask: Callable[[tuple[Shape, ...], bool], Path],
    said: Callable[[], Mapping[str, Agreed]],
) -> None:
    """A shape is kept once a template made from it has passed the guardrails: for its first tenant.

    They are rules about the shape, and names, the only values that they look at, are checked when they are read.
    """
    firsts: dict[Shape, TenantValues] = {}
    for values in tenants:
        firsts.setdefault(Shape.of(values), values)
    missing = tuple(shape for shape in firsts if not shapes.has(shape.digest))
    platform = not shapes.has(PLATFORM)
    if not missing and not platform:
        return
    for shape in missing:
        shape.holed()  # refuses what looks like a hole before anything is started
    made = ask(missing, platform)
    records = {shape.digest: record_of(made / shape.digest, holed=True) for shape in missing}
    checked: list[tuple[str, bytes | str]] = []
    for shape in missing:
        pattern = Pattern.of(records[shape.digest]["texts"], shapes.site, where=shape.label)
        shapes.patterns[shape] = pattern
        stamped = pattern.stamp(firsts[shape])
        checked.append((stamped.stack, stamped.template))
    if platform:
        records[PLATFORM] = record_of(made / PLATFORM, holed=False)
        checked.append((records[PLATFORM]["stack"], records[PLATFORM]["texts"]["template"]))
    told = said()
    if wrong := [each for stack, text in checked for each in findings(stack, json.loads(text), told[stack])]:
        raise ShapeError("\n".join(wrong))
    for name, record in records.items():
        shapes.keep(name, record, made / name)


def forget_others(kept: Path) -> None:
    """Shapes that were made from other sources."""
    for other in kept.parent.iterdir():
        if other.is_dir() and other != kept:
            shutil.rmtree(other, ignore_errors=True)


def write(folder: Path, shapes: Shapes, tenants: Iterable[Stamped]) -> None:
    """The manifest comes last, and is not there while the rest changes."""
    files, platform = Files(folder), shapes.platform
    (folder / "manifest.json").unlink(missing_ok=True)
    files.put("cdk.out", platform["version"].encode())
    for asset in shapes.folder.glob("asset.*"):
        files.put(asset.name, asset.read_bytes())
    files.put(f"{platform['stack']}.template.json", platform["texts"]["template"].encode())
    files.put(f"{platform['stack']}.assets.json", platform["texts"]["assets"].encode())
    artifacts = [platform["texts"]["artifacts"]]
    for each in tenants:
        files.put(f"{each.stack}.template.json", each.template)
        files.put(f"{each.stack}.assets.json", each.assets)
        artifacts.append(each.artifacts)
    files.remove_others()
    head = json.dumps(platform["header"])[:-1]
    (folder / "manifest.json").write_text(
        f'{head}, "artifacts": {{\n' + ",\n".join(artifacts) + "\n}}\n", encoding="utf-8"
    )


class Files:
    """The files of an assembly. Whatever is there already and right is read, which is faster than writing it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.old = {path.name for path in folder.iterdir() if WRITTEN.match(path.name)}
        self.new: set[str] = set()

    def put(self, name: str, content: bytes) -> None:
        self.new.add(name)
        path = self.folder / name
        if name not in self.old:
            with path.open("xb") as file:
                file.write(content)
            return
        # Not emptied and written again: some file systems wait for the disk then.
        with path.open("r+b") as file:
            if file.read() != content:
                file.seek(0)
                file.write(content)
                file.truncate()

    def remove_others(self) -> None:
        for name in self.old - self.new:
            (self.folder / name).unlink()
