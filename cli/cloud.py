"""`lake up|down|status|env`: the local cloud as a person switches it, and how a lake stands."""

import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import output, overview
from cli.connection import LOCAL, cloud_home, running_cloud, suffix_of, within_reach
from cli.errors import WrongInput, explain
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption
from cli.recovery import recover

__all__ = ["down", "env", "facts", "start", "status", "up"]


def up(
    spares: Annotated[
        int | None,
        typer.Option(metavar="N", help="Spark processes kept warm for the next run (at first 1).", min=0, max=8),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the local cloud (does nothing when it is already running)."""
    known = start(spares)
    if as_json:
        output.print_json(known)


def start(spares: int | None = None) -> dict[str, Any]:
    """Start the cloud and say so; facts as `lake status --json` prints them."""
    from local_cloud import supervisor

    home = cloud_home()
    if supervisor.status(home).running:
        output.message("local cloud is already running")
    else:
        began = time.monotonic()
        with working("starting the local cloud"):
            cloud = supervisor.start(home, spares=spares, recovery=[sys.executable, "-m", "cli.app", "up"])
        output.message(f"local cloud is up after {time.monotonic() - began:.1f} s; `lake down` stops it")
        for note in cloud.notes:
            output.message(f"note: {note}")
    recover()
    return facts(home)


def facts(home: Path) -> dict[str, Any]:
    """What runs and where, as `lake status --json` prints it; memory in bytes."""
    from local_cloud import supervisor

    status = supervisor.status(home)
    cloud = status.cloud if status.running else None
    return {
        "running": status.running,
        "home": str(home),
        "endpoint": cloud and cloud.endpoint,
        "glue_endpoint": cloud and cloud.glue_endpoint,
        "athena_endpoint": cloud and cloud.athena_endpoint,
        "pid": cloud and cloud.pid,
        "parts": status.parts,
        "memory": status.memory,
        "workers": status.workers,
        "runs_open": status.runs_open,
    }


def _lines(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a person reads: a line per worker, memory in megabytes."""
    for name, value in known.items():
        if name == "memory":
            yield name, ", ".join(f"{part} {size / 1e6:.0f} MB" for part, size in (value or {}).items())
        elif name == "workers":
            for worker in value or []:
                yield "worker", _shown({**worker, "memory": f"{worker['memory'] / 1e6:.0f} MB"})
        else:
            yield name, _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_shown(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def down(as_json: JsonOption = False) -> None:
    """Stop the local cloud; what is in it is kept for the next `lake up`."""
    from local_cloud import supervisor

    home = cloud_home()
    was_running = supervisor.status(home).running
    if was_running:
        with working("stopping the local cloud"):
            supervisor.stop(home)
    output.message(f"local cloud is down; its state stays in {home}" if was_running else "local cloud was not running")
    if as_json:
        output.print_json({"running": False, "was_running": was_running, "home": str(home)})


def status(environment: EnvironmentOption = LOCAL, as_json: JsonOption = False) -> None:
    """Say what runs, and of each tenant what is held, what waits and since when, and which runs are open.

    Of the local cloud also where it is and what it takes; the exit code is 1 when it does not run.
    """
    known = facts(cloud_home()) if environment == LOCAL else {"running": True}
    found, problem = _lake(environment, known)
    if as_json:
        output.print_json({**known, **(found.to_json() if found else {}), "problem": problem})
    else:
        if environment == LOCAL:
            output.print_table(["what", "value"], list(_lines(known)))
        if found:
            print()
            overview.show(found, suffix_of(environment))
    if problem:
        output.message(problem)
    if not known["running"]:
        raise typer.Exit(ExitCode.FAILED)


def _lake(environment: str, known: Mapping[str, Any]) -> tuple[overview.Overview | None, str | None]:
    """How the lake stands, or why that cannot be told. Of the local cloud the rest is told all the same."""
    if not known["running"]:
        return None, "local cloud is not running: start it with `lake up`"
    if environment == LOCAL and not known["parts"]["emulator"]:
        return None, "the emulator does not answer; see logs/emulator.log in the cloud's folder"
    try:
        return overview.together(overview.look(each) for each in within_reach(environment)), None
    except Exception as error:
        if environment != LOCAL:
            raise
        return None, explain(error)[0]


def env(
    environment: EnvironmentOption = LOCAL,
    shell: Annotated[bool, typer.Option("--shell", help="Print `export` lines (the default).")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the variables that point any AWS client at the local cloud: `eval "$(lake env)"`."""
    if environment != LOCAL:
        raise WrongInput(f"only environment local has variables of its own; {environment} uses your AWS login")
    if shell and as_json:
        raise WrongInput("--shell and --json exclude each other")
    variables = running_cloud().environment()
    if as_json:
        output.print_json(variables)
    else:
        print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on a terminal, a plain line elsewhere."""
    if output.is_interactive():
        with output.messages().status(f"{what} …"):
            yield
    else:
        output.message(f"{what} …")
        yield
