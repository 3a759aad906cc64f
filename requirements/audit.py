"""Asks PyPI's and npm's advisories about every package of every lock file.

Run by `make audit`: `python requirements/audit.py`, in the environment of audit.lock. Fails for a known hole, and for
a package that could not be asked about: no answer is no "no". A hole that cannot be closed yet (a runtime pins the
package) stands in audit.known with its end and its reason, and no longer than that.
"""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KNOWN = Path(__file__).with_name("audit.known")
LOCKS = ("project", "development", "emulator", "audit", "bootstrap")
NPM = ("tests/oracle", "tests/cdk_cli", "tests/workflow_runner")
SHORTEST_REASON = 40  # characters


class Hole(NamedTuple):
    """An advisory that is lived with until a day."""

    advisory: str
    until: date
    why: str


def known(path: Path, today: date) -> list[Hole]:
    """The holes of audit.known; raises SystemExit for one that is over, or that gives no reason."""
    holes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        words = line.split(maxsplit=2)
        try:
            hole = Hole(words[0], date.fromisoformat(words[1]), words[2])
        except (ValueError, IndexError):
            raise SystemExit(f"{path.name}:{number}: expected an advisory, a day (YYYY-MM-DD) and a reason") from None
        if hole.until < today:
            raise SystemExit(f"{path.name}:{number}: {hole.advisory} was to be closed by {hole.until}; close it")
        if len(hole.why) < SHORTEST_REASON:
            raise SystemExit(f"{path.name}:{number}: {hole.advisory}: a reason of {SHORTEST_REASON} characters or more")
        holes.append(hole)
    return holes


def of_python(lock: Path, holes: Sequence[Hole]) -> list[str]:
    """`--strict`: a package that PyPI says nothing about fails. `--disable-pip`: nothing is resolved or installed."""
    tool = str(Path(sys.executable).with_name("pip-audit"))
    options = ["--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "--desc", "off"]
    ignored = [word for hole in holes for word in ("--ignore-vuln", hole.advisory)]
    return [tool, *options, *ignored, "--requirement", str(lock)]


def of_npm(wheel: Path) -> list[str]:
    """From the lock file alone; npm is the one that came with the pinned Node."""
    npm = wheel / "lib/node_modules/npm/bin/npm-cli.js"
    cache = ROOT / ".tools/cache/npm"
    return [str(wheel / "bin/node"), str(npm), "audit", "--package-lock-only", "--audit-level=low", f"--cache={cache}"]


def asked(name: str, command: Sequence[str], folder: Path) -> bool:
    """Whether the tool is content."""
    print(f"{name}:", file=sys.stderr, flush=True)
    return subprocess.run(command, cwd=folder, check=False).returncode == 0


def main(wheel: str) -> None:
    holes = known(KNOWN, datetime.now(UTC).date())
    content = [
        asked(f"requirements/{name}.lock", of_python(ROOT / f"requirements/{name}.lock", holes), ROOT) for name in LOCKS
    ]
    content += [asked(f"{name}/package-lock.json", of_npm(Path(wheel)), ROOT / name) for name in NPM]
    if not all(content):
        raise SystemExit("audit: holes, or packages that nobody could be asked about: see above")


if __name__ == "__main__":
    main(*sys.argv[1:])
