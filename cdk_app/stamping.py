"""A cloud assembly made by synthesising each shape once and filling in the values of each tenant.

What is written is what `python -m cdk_app.app` writes, byte for byte, except for the files that only tell where in the
sources a resource was made (`*.metadata.json`, `tree.json`) and CDK's report of its flags: these are left out. Beside
it stand `shapes.json` (the shape of each tenant's stack) and, where tenants have none, `failures.json` (why).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdk_app.assembly_files import AssemblyFiles
from cdk_app.guardrails import Agreed, agreed, findings
from cdk_app.holes import HoleError
from cdk_app.kept_shapes import KeptShapes, forget_others
from cdk_app.patterns import Pattern, fillings, key_of, record_of
from cdk_app.shapes import PLATFORM, Request, Shape, ShapeError
from cdk_app.synthesis import Ask, synthesis
from cdk_app.values import SavedQuery, Site, TenantValues, saved_queries
from tenants.model import Environment

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["ShapeError", "stamp"]


@dataclass
class Place:
    """A cell with its tenants and their shapes, and why some of these have no pattern."""

    organization: str
    cell: Environment
    tenants: Sequence[tuple[TenantValues, Shape]]
    kept: KeptShapes
    failed: dict[Shape, str] = field(default_factory=dict)

    def firsts(self) -> dict[Shape, TenantValues]:
        """The first tenant of each shape."""
        found: dict[Shape, TenantValues] = {}
        for values, shape in self.tenants:
            found.setdefault(shape, values)
        return found


def stamp(
    load: Callable[[], "Registry"],
    environment: str,
    folder: Path,
    *,
    cache: Path,
    sources: str,
    variables: Mapping[str, str],
) -> dict[str, str]:
    """Write the assembly of `environment` into `folder`; returns why tenants are not in it, by tenant.

    Shapes are kept in `cache` under `sources`, a digest of whatever they are made from but the registry. `variables`
    is the environment of the process that synthesises them. Raises TenantsError, ShapeError, HoleError.
    """
    kept = cache / sources
    with synthesis(variables, at_once=not kept.exists()) as ask:
        registry = load()
        places = [place_of(registry, cell, kept) for cell in registry.cells(environment)]
        add_missing(places, ask, lambda: agreed(registry, environment))
        forget_others(kept)
    return write(AssemblyFiles(folder), places)


def place_of(registry: "Registry", cell: Environment, kept: Path) -> Place:
    site = Site.of(registry.organization, cell)
    return Place(site.organization, cell, list(shaped(registry, cell)), KeptShapes(kept, site))


def shaped(registry: "Registry", cell: Environment) -> Iterator[tuple[TenantValues, Shape]]:
    """The tenants of a cell; those of one shape have one Shape, whose digest is made once."""
    known: dict[tuple[tuple[str, str], ...], tuple[tuple[SavedQuery, ...], Shape]] = {}
    for tenant in registry.tenants_in(cell):
        sent = tuple((dataset.name, dataset.contract) for dataset in tenant.datasets)
        if sent not in known:
            queries = saved_queries(tenant, registry)
            known[sent] = queries, Shape(tuple(name for name, _ in sent), queries)
        queries, shape = known[sent]
        yield TenantValues.of(tenant, registry, cell.name, queries=queries), shape


def add_missing(places: Sequence[Place], ask: Ask, said: Callable[[], Mapping[str, Agreed]]) -> None:
    """A shape is kept once a template made from it has passed the guardrails: for its first tenant.

    They are rules about the shape, and names, the only values that they look at, are checked when they are read.
    """
    wanted = [(place, request) for place in places for request in request_of(place)]
    if not wanted:
        return
    folders, told = ask([request for _, request in wanted]), said()
    for (place, request), folder in zip(wanted, folders, strict=True):
        if request.platform:
            add_platform(place, folder, told)
        for shape in request.shapes:
            try:
                add_shape(place, shape, folder, told)
            except (HoleError, ShapeError) as error:
                place.failed[shape] = str(error)


def request_of(place: Place) -> Iterator[Request]:
    """None if everything is known."""
    missing = []
    for shape in place.firsts():
        if not place.kept.has(shape.digest):
            try:
                shape.holed()  # refuses what looks like a hole before anything is started
                missing.append(shape)
            except HoleError as error:
                place.failed[shape] = str(error)
    platform = not place.kept.has(PLATFORM)
    if missing or platform:
        yield Request(place.organization, place.cell, tuple(missing), platform)


def add_platform(place: Place, folder: Path, told: Mapping[str, Agreed]) -> None:
    """Without it nothing can stand, so its failure is everybody's."""
    record = made(folder, PLATFORM, holed=False)
    check(record["stack"], record["texts"]["template"], told)
    place.kept.keep(PLATFORM, record, folder / PLATFORM)


def add_shape(place: Place, shape: Shape, folder: Path, told: Mapping[str, Agreed]) -> None:
    record = made(folder, shape.digest, holed=True)
    pattern = Pattern.of(record["texts"], place.kept.site, where=shape.label)
    filled = fillings(place.firsts()[shape])
    check(filled["stack"], pattern.template_of(filled), told)
    place.kept.patterns[shape] = pattern
    place.kept.keep(shape.digest, record, folder / shape.digest)


def made(folder: Path, name: str, *, holed: bool) -> dict[str, Any]:
    failed = folder / f"{name}.failed"
    if failed.exists():
        raise ShapeError(failed.read_text(encoding="utf-8"))
    return record_of(folder / name, holed=holed)


def check(stack: str, template: str | bytes, told: Mapping[str, Agreed]) -> None:
    if wrong := list(findings(stack, json.loads(template), told[stack])):
        raise ShapeError("\n".join(wrong))


@dataclass
class Listed:
    """What the assembly says of its stacks."""

    artifacts: list[str] = field(default_factory=list)
    shapes: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def write(files: AssemblyFiles, places: Sequence[Place]) -> dict[str, str]:
    listed = Listed()
    files.put("cdk.out", places[0].kept.platform["version"].encode())
    for place in places:
        write_platform(files, place.kept, listed)
        for values, shape in place.tenants:
            if why := failed(place, values, shape, files, listed):
                listed.failures[values.tenant] = why
    head = json.dumps(places[0].kept.platform["header"])[:-1]
    manifest = f'{head}, "artifacts": {{\n' + ",\n".join(listed.artifacts) + "\n}}\n"
    files.close(manifest, listed.shapes, listed.failures)
    return listed.failures


def failed(place: Place, values: TenantValues, shape: Shape, files: AssemblyFiles, listed: Listed) -> str | None:
    """None if the tenant's files are written."""
    if shape in place.failed:
        return place.failed[shape]
    try:
        write_tenant(files, values, place.kept.pattern(shape), f"{place.kept.identity}/{shape.digest}", listed)
    except HoleError as error:
        return str(error)
    return None


def write_platform(files: AssemblyFiles, kept: KeptShapes, listed: Listed) -> None:
    stack, texts = kept.platform["stack"], kept.platform["texts"]
    for asset in kept.folder.glob("asset.*"):
        if asset.name not in files.new:  # the name tells the content, which several cells have in common
            files.put(asset.name, asset.read_bytes())
    files.put(f"{stack}.template.json", texts["template"].encode())
    files.put(f"{stack}.assets.json", texts["assets"].encode())
    listed.artifacts.append(texts["artifacts"])


def write_tenant(files: AssemblyFiles, values: TenantValues, pattern: Pattern, shape: str, listed: Listed) -> None:
    """Whatever was made from the same shape and values stands there already; its digest is known."""
    stack, key = values.names.stack, key_of(shape, values)
    names = f"{stack}.template.json", f"{stack}.assets.json"
    digest = files.note(key, *names)
    filled = fillings(values, None if digest is None else pattern.outside)
    if digest is None:
        template = pattern.template_of(filled)
        digest = hashlib.sha256(template).hexdigest()
        files.put(names[0], template, (key, digest))
        files.put(names[1], pattern.assets_of(filled, digest), (key, digest))
    else:
        files.leave(*names)
    listed.artifacts.append(pattern.artifacts_of(filled, digest))
    listed.shapes[stack] = shape.rpartition("/")[2]
