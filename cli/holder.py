"""Who deploys: how it is told to others, and how this machine knows whether that process is still there."""

import os
import socket
from functools import cache
from getpass import getuser
from pathlib import Path

from deployment.locks import Holder

__all__ = ["holder", "is_dead"]


def holder() -> Holder:
    """Who deploys: a person at a machine, or the run of a workflow."""
    from local_cloud.processes import Identity

    workflow = os.environ.get("GITHUB_RUN_ID")
    name = f"workflow run {workflow} of {os.environ.get('GITHUB_REPOSITORY')}" if workflow else f"{getuser()}"
    here, own = machine(), Identity.of(os.getpid())
    return Holder(
        f"{name}@{socket.gethostname()} (process {own.pid})", f"{here}/{own.pid}/{own.created}" if here else None
    )


def is_dead(process: str) -> bool:
    """Whether a process of this very machine, container and boot has ended; of others nothing is known."""
    from local_cloud.processes import Identity, is_alive

    place, _, number = process.rpartition("/")
    place, _, pid = place.rpartition("/")
    return place == machine() and not is_alive(Identity(int(pid), float(number)))


@cache
def machine() -> str | None:
    """Names the machine since it was booted, and within it the container; None where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None
