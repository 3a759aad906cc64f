"""Start, stop and look at the local cloud: one background process per state folder.

Run it without the project's command line: `python -m local_cloud.supervisor start|stop|status [--home DIR]`.
"""

import argparse
import errno
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud import emulator, processes, state, tools
from local_cloud.errors import DiskFullError, LocalCloudError, NotRunningError, StartError
from local_cloud.state import Cloud, Folders

START_SECONDS = 120
STOP_SECONDS = 90
BRING_BACK_SECONDS = 150


@dataclass(frozen=True, kw_only=True)
class Status:
    """What runs. `parts` names each endpoint and whether it answers; `memory` is bytes per group of processes."""

    running: bool
    cloud: Cloud | None = None
    parts: dict[str, bool] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    workers: list[dict[str, Any]] = field(default_factory=list)
    runs_open: int = 0


def start(home: Path | None = None, *, spares: int | None = None, recovery: Sequence[str] = ()) -> Cloud:
    """Start the local cloud of `home` in the background, or find it running; returns when every part answers.

    `spares` is the number of warm Spark workers kept ready (default: what the last start used, at first 1).
    `recovery` is a command that is run when the emulator was killed and has been started again: it finds the
    folder in LAKE_HOME and what is to be made good in `losses`.
    """
    home = (home or state.default_home()).resolve()
    folders = _prepare(home)
    running = _running(home)
    if running is None:
        _launch(folders, spares, recovery)
        running = state.load(home)
    return running


def stop(home: Path | None = None) -> bool:
    """Stop everything, after the emulator saved its state; False when nothing ran."""
    home = (home or state.default_home()).resolve()
    cloud = _running(home)
    if cloud is None:
        return False
    if not processes.stop(processes.Identity(cloud.pid, cloud.started), STOP_SECONDS):
        raise LocalCloudError(f"{home}: the local cloud did not end within {STOP_SECONDS} s and was killed")
    return True


def bring_back(home: Path | None = None) -> list[str]:
    """Have the buckets that a kill set aside come back below their new stacks; their names. Takes a restart.

    Not signed, as the status is not: it changes nothing where nothing was set aside.
    """
    cloud = state.load((home or state.default_home()).resolve())
    request = urllib.request.Request(cloud.glue_endpoint + "/_local/bring-back", method="POST")  # noqa: S310  our own endpoint
    try:
        with urllib.request.urlopen(request, timeout=BRING_BACK_SECONDS) as answer:  # noqa: S310  our own
            names: list[str] = json.load(answer)["buckets"]
    except (OSError, ValueError) as e:
        raise LocalCloudError(
            f"{cloud.home}: the buckets set aside after a kill did not come back ({e}); see logs/supervisor.log"
        ) from e
    return names


def status(home: Path | None = None) -> Status:
    """What of the local cloud runs and answers at this moment."""
    home = (home or state.default_home()).resolve()
    try:
        cloud = state.load(home)
    except NotRunningError:
        return Status(running=False, cloud=state.remembered(home))
    answer = _ask(cloud, "/_local/status")
    parts = {
        "emulator": emulator.is_healthy(cloud.endpoint, Path(cloud.ca_bundle)),
        "glue": answer is not None,
        "athena": _listens(cloud.athena_endpoint),
    }
    known = answer or {}
    return Status(
        running=True,
        cloud=cloud,
        parts=parts,
        memory=known.get("memory", {}),
        workers=known.get("workers", []),
        runs_open=known.get("runs_open", 0),
    )


def _prepare(home: Path) -> Folders:
    folders = Folders(home)
    try:
        folders.make()
        state.write_json(folders.home / ".writable", {})
    except OSError as e:
        raise _disk_error(e, home) from e
    tools.emulator_python()
    tools.java_home()
    tools.jars()
    return folders


def _disk_error(e: OSError, home: Path) -> LocalCloudError:
    if e.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(
            f"{home}: no space left on this disk; free some (the folder itself may be deleted) and retry"
        )
    return LocalCloudError(f"{home}: cannot be written ({e.strerror}); choose another folder with LAKE_HOME")


def _running(home: Path) -> Cloud | None:
    """The running cloud; one that is just starting or ending is waited for."""
    folders = Folders(home)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        known = state.read_json(folders.running)
        if not known or not processes.is_alive(processes.Identity(known["pid"], known["started"])):
            return None
        cloud = state.remembered(home)
        if cloud and cloud.pid == known["pid"] and not known.get("ending"):
            return cloud
        time.sleep(0.1)
    raise StartError(f"{home}: a start or stop that is under way does not come to an end; see {folders.logs}")


def _launch(folders: Folders, spares: int | None, recovery: Sequence[str]) -> None:
    """Start the background process and wait for the one line that it says on its standard output."""
    command = [sys.executable, "-m", "local_cloud.host", "--home", str(folders.home)]
    if spares is not None:
        command += ["--spares", str(spares)]
    if recovery:
        command += ["--recovery", json.dumps(list(recovery))]
    environment = {**processes.clean_environment(os.environ), "PYTHONPATH": str(state.PROJECT)}
    with emulator.open_log(folders.logs / "supervisor.log") as log:
        child = subprocess.Popen(
            command,
            env=environment,
            cwd=folders.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for_word(child, folders)
    except BaseException:
        processes.stop(processes.Identity.of(child.pid), STOP_SECONDS)
        raise


def _wait_for_word(child: subprocess.Popen[bytes], folders: Folders) -> None:
    if child.stdout is None:
        raise StartError(f"{folders.home}: the supervisor's output cannot be read")
    with child.stdout as said:
        line = said.readline()
    word = json.loads(line) if line.strip() else {}
    if word.get("ready"):
        return
    log = folders.logs / "supervisor.log"
    reason = word.get("error") or f"{log} ends with: {emulator.last_line(log)}"
    raise StartError(f"{folders.home}: the local cloud did not start: {reason}")


def _ask(cloud: Cloud, path: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(cloud.glue_endpoint + path, timeout=5) as answer:  # noqa: S310  our own endpoint
            value = json.load(answer)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _listens(url: str) -> bool:
    import socket

    try:
        with socket.create_connection((state.HOST, int(url.rpartition(":")[2])), timeout=2):
            return True
    except OSError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_cloud.supervisor", description=__doc__)
    parser.add_argument("command", choices=("start", "stop", "status"))
    parser.add_argument("--home", type=Path, default=None, help="state folder (default: $LAKE_HOME or .lake)")
    parser.add_argument("--spares", type=int, default=None, help="warm Spark workers kept ready (default 1)")
    return parser


def _shown(answer: Status) -> str:
    running = "running" if answer.running else "not running"
    parts = ", ".join(f"{name} {'ok' if ok else 'does not answer'}" for name, ok in answer.parts.items())
    memory = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in answer.memory.items())
    workers = "\n".join(f"worker {w}" for w in answer.workers)
    return "\n".join(line for line in (running, parts, memory, workers, f"open runs: {answer.runs_open}") if line)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.command == "start":
            cloud = start(options.home, spares=options.spares)
            print("\n".join(f"export {k}={v}" for k, v in cloud.environment().items()))
            print("\n".join(f"# {note}" for note in cloud.notes))
        elif options.command == "stop":
            print("stopped" if stop(options.home) else "nothing ran", file=sys.stderr)
        else:
            print(_shown(status(options.home)))
    except LocalCloudError as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
