"""`lake up|down|status|env`: the local cloud as a person switches it."""

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, cloud_home, running_cloud
from cli.errors import WrongInput
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption

__all__ = ["down", "env", "start", "status", "up"]


def up(
    spares: Annotated[int, typer.Option(help="Spark processes kept warm for the next run.", min=0, max=8)] = 1,
    as_json: JsonOption = False,
) -> None:
    """Start the local cloud (does nothing when it is already running)."""
    facts = start(spares)
    if as_json:
        output.print_json(facts)


def start(spares: int = 1) -> dict[str, Any]:
    """Start the cloud and say so; facts as `lake status --json` prints them."""
    from local_cloud import supervisor

    home = cloud_home()
    if supervisor.status(home).running:
        output.message("local cloud is already running")
    else:
        began = time.monotonic()
        with working("starting the local cloud"):
            supervisor.start(home, spares=spares)
        output.message(f"local cloud is up after {time.monotonic() - began:.1f} s; `lake down` stops it")
    return facts_of(home)


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


def status(as_json: JsonOption = False) -> None:
    """Say whether the local cloud runs, and where (exit code 1 when it does not)."""
    facts = facts_of(cloud_home())
    if as_json:
        output.print_json(facts)
    else:
        output.print_table(["what", "value"], [(name, _shown(value)) for name, value in facts.items()])
    if not facts["running"]:
        output.message("local cloud is not running: start it with `lake up`")
        raise typer.Exit(ExitCode.FAILED)


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
