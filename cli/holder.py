"""Who deploys: how it is told to others, and how this machine knows whether that process is still there."""

import os
import socket
from functools import cache
from getpass import getuser
from pathlib import Path

from deployment.locks import Holder

__all__ = ["holder", "is_dead"]

STATE, STARTED = 0, 19
"""Places in /proc/PID/stat after the name, which may hold anything: a letter, and ticks of the clock since boot."""
ENDED = {"Z", "X"}


def holder() -> Holder:
    """Who deploys: a person at a machine, or the run of a workflow."""
    workflow = os.environ.get("GITHUB_RUN_ID")
    name = f"workflow run {workflow} of {os.environ.get('GITHUB_REPOSITORY')}" if workflow else f"{getuser()}"
    pid = os.getpid()
    here, told = machine(), stat(pid)
    return Holder(
        f"{name}@{socket.gethostname()} (process {pid})", f"{here}/{pid}/{told[STARTED]}" if here and told else None
    )


def is_dead(process: str) -> bool:
    """Whether a process of this very machine, container and boot has ended; of others nothing is known.

    Told by the tick of its start since boot, which no change of the wall clock moves.
    """
    place, _, started = process.rpartition("/")
    place, _, pid = place.rpartition("/")
    if place != machine() or not (is_number(pid) and is_number(started)):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass  # somebody else's, and there
    told = stat(int(pid))
    return told is not None and (told[STATE] in ENDED or told[STARTED] != started)


def is_number(text: str) -> bool:
    """Zero would mean every process of the group."""
    return text.isascii() and text.isdecimal() and not text.startswith("0")


def stat(pid: int) -> list[str] | None:
    """What the kernel tells of a process; None where it does not."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return told if len(told) > STARTED else None


@cache
def machine() -> str | None:
    """Names the machine since it was booted, and within it the container; None where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None
