"""Runs actionlint over the workflows and actions.

Run by `make actionlint`: `python requirements/workflow_lint.py ACTIONLINT`. Standard library only. actionlint 1.7.12 is
older than two things that GitHub knows. `uses: $/…`, this repository at the same commit: it is given a copy in which
`./…` stands there, so that it compares what the named files take and give as well. `queue` of `concurrency`: that one
message is left out. shellcheck and pyflakes stay out: whether they are installed would decide what is found.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN = re.compile(r"(\buses:\s*['\"]?)\$/")
UNKNOWN = r'^unexpected key "queue" for "concurrency" section\. expected one of "cancel-in-progress", "group"$'
OPTIONS = ("-shellcheck=", "-pyflakes=", "-no-color", "-ignore", UNKNOWN)


def copied(root: Path, folder: Path) -> None:
    """`.github` as actionlint understands it; an empty `.git` makes the folder a repository for it."""
    shutil.copytree(root / ".github", folder / ".github")
    (folder / ".git").mkdir()
    for path in folder.glob(".github/**/*.yml"):
        path.write_text(OWN.sub(r"\1./", path.read_text(encoding="utf-8")), encoding="utf-8")


def linted(tool: str, root: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        copied(root, Path(folder))
        return subprocess.run([tool, *OPTIONS], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(linted(sys.argv[1], ROOT))
