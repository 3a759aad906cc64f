"""The project's own code as it is shipped: one archive for the Lambdas, one for the jobs, and the jobs' scripts."""

import hashlib
import importlib.util
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glue_scripts.arguments import SCRIPTS

__all__ = ["Code", "pack"]

EPOCH = (1980, 1, 1, 0, 0, 0)
LAMBDA_MODULES = ("ingestion", "lineage", "glue_scripts/__init__.py", "glue_scripts/arguments.py")
JOB_MODULES = ("lineage", "glue_scripts")


@dataclass(frozen=True, kw_only=True)
class Code:
    """Files on this machine; `version` names the jobs' code by its content."""

    functions: Path
    library: Path
    scripts: dict[str, Path]
    version: str


def pack(root: Path, folder: Path) -> Code:
    """Write the archives of the packages in `root` into `folder`; the same sources give the same bytes anywhere."""
    pynamodb = package_folder("pynamodb")
    functions = archive(folder / "functions.zip", root, LAMBDA_MODULES, pynamodb)
    library = archive(folder / "lake.zip", root, JOB_MODULES, pynamodb)
    scripts = {name: root / "glue_scripts" / f"{name}.py" for name in SCRIPTS}
    return Code(functions=functions, library=library, scripts=scripts, version=version([library, *scripts.values()]))


def version(files: list[Path]) -> str:
    """Twelve hex digits over the contents of `files`."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def archive(target: Path, root: Path, modules: tuple[str, ...], *libraries: Path) -> Path:
    # Stored, not deflated: compressed bytes differ between versions of zlib, and with them every template.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file:
        for base, path in members(root, modules, libraries):
            file.writestr(entry(path.relative_to(base).as_posix()), path.read_bytes())
    return target


def entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.external_attr = 0o644 << 16
    return info


def members(root: Path, modules: tuple[str, ...], libraries: tuple[Path, ...]) -> Iterator[tuple[Path, Path]]:
    """Each source file with the folder that its name in the archive is relative to."""
    for module in modules:
        for path in sources(root / module):
            yield root, path
    for library in libraries:
        for path in sources(library):
            yield library.parent, path


def sources(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def package_folder(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"{name} is not installed; run `make setup`", name=name)
    return Path(found.submodule_search_locations[0])
