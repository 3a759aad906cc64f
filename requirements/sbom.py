"""Writes bills of materials (CycloneDX 1.6, JSON) of what the project runs on: sbom/{project,emulator,jars}.cdx.json.

Run by `make sbom` in the environment of audit.lock: `python requirements/sbom.py sbom`. From the lock files alone, so
the same lock files give the same bills, byte by byte. Every component has its version, its purl and its SHA-256.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = "1.6"
PYTHON = ("project", "emulator")


def of_python(lock: Path, target: Path) -> None:
    """Of a pip lock file, by CycloneDX's own command, which checks what it writes."""
    command = [str(Path(sys.executable).with_name("cyclonedx-py")), "requirements", str(lock)]
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application", "--sv", VERSION]
    # A lock file is a list: that there is no graph of who needs whom is no news.
    quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
    subprocess.run(
        [*command, *options, "--output-reproducible", "--validate", "-o", str(target)], check=True, env=quiet
    )


def of_jars(lock: Path) -> str:
    """Of jars.lock: `group:artifact:version sha256` per line."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.output import OutputFormat, make_outputter
    from cyclonedx.schema import SchemaVersion

    words = [line.split() for line in lock.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    bom = Bom(components=[_jar(coordinate, sha256) for coordinate, sha256 in words])
    bom.serial_number = None  # type: ignore[assignment]  # else a new one every time
    bom.metadata.timestamp = None  # type: ignore[assignment]  # likewise
    written = make_outputter(bom, OutputFormat.JSON, SchemaVersion.from_version(VERSION)).output_as_string(indent=2)
    _check(written)
    return written + "\n"


def _jar(coordinate: str, sha256: str) -> "object":
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    group, name, version = coordinate.split(":")
    return Component(
        type=ComponentType.LIBRARY,
        group=group,
        name=name,
        version=version,
        purl=PackageURL("maven", group, name, version),
        bom_ref=coordinate,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )


def _check(written: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if error := JsonStrictValidator(SchemaVersion.from_version(VERSION)).validate_str(written):
        raise SystemExit(f"jars.cdx.json is no CycloneDX {VERSION}: {error}")


def main(folder: str) -> None:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name in PYTHON:
        of_python(ROOT / f"requirements/{name}.lock", target / f"{name}.cdx.json")
    (target / "jars.cdx.json").write_text(of_jars(ROOT / "requirements/jars.lock"), encoding="utf-8")
    print(f"{folder}: {', '.join(sorted(path.name for path in target.glob('*.cdx.json')))}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
