"""Processes that the supervisor starts: named by pid and creation time, ended with all they started."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import psutil

CLOCK_TOLERANCE = 1.5  # seconds; creation times come from the kernel's boot clock, which drifts against the wall
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one under the same pid. `created` is Unix seconds."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> "Identity":
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return cls(pid, 0.0)


def find(identity: Identity) -> psutil.Process | None:
    """The process itself, or None when it has ended or its pid belongs to another one by now."""
    try:
        process = psutil.Process(identity.pid)
        alive = abs(process.create_time() - identity.created) < CLOCK_TOLERANCE
        return process if alive and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def is_alive(identity: Identity) -> bool:
    return find(identity) is not None


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and everything below it, children first."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [*reversed(process.children(recursive=True)), process]
    return []


def memory(identity: Identity, *, below: bool) -> int:
    """Bytes that a process (with everything below it) holds; pages shared by several count by share on Linux."""
    process = find(identity)
    total = 0
    for member in (family(process) if below else [process]) if process else []:
        with contextlib.suppress(psutil.Error):
            info = member.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return total


def members(identity: Identity) -> list[psutil.Process]:
    """A process, everything below it, and what is left of the session that it led: orphans belong to init."""
    process = find(identity)
    found = family(process) if process else []
    return [member for member in {*found, *_session(identity)} if _runs(member)]


def _session(identity: Identity) -> Iterator[psutil.Process]:
    try:
        if abs(psutil.Process(identity.pid).create_time() - identity.created) >= CLOCK_TOLERANCE:
            return  # another process has the number by now: as long as the session has members, none can get it
    except psutil.NoSuchProcess:
        pass
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            if os.getsid(process.pid) == identity.pid:
                yield process


def kill(identity: Identity) -> None:
    """End a process with all its members at once, and wait until they are gone."""
    deadline = time.monotonic() + 10
    while (found := members(identity)) and time.monotonic() < deadline:  # one may have started another meanwhile
        for member in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        _wait(found, 5)


def stop(identity: Identity, timeout: float) -> bool:
    """Ask a process to end, wait, and kill what is left; True when it ended by itself."""
    process = find(identity)
    below = family(process) if process else []
    if process:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    ended = _wait([process] if process else [], timeout)
    for member in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    _wait(below, 5)
    kill(identity)
    return ended


def _wait(members: list[psutil.Process], timeout: float) -> bool:
    """Wait until all have ended, whether or not their parent has taken notice; False when time is up."""
    deadline = time.monotonic() + timeout
    while any(_runs(member) for member in members):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def dies_with_parent(with_signal: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` after which the kernel signals the child when its parent thread ends (Linux; else None)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, int(with_signal))
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def clean_environment(environment: Mapping[str, str], drop: Iterable[str] = ()) -> dict[str, str]:
    """A copy without anything that points an AWS client, Python or Java somewhere else."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "SPARK_HOME", "JAVA_TOOL_OPTIONS", "PYSPARK_SUBMIT_ARGS", *drop}
    return {k: v for k, v in environment.items() if not k.startswith("AWS_") and k not in dropped}
