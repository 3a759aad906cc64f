"""Warm Spark processes: spares that wait for a role, and bound ones that wait for its next run."""

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Condition, Event, Thread
from typing import Any

import psutil

from local_cloud import emulator, processes, spark_settings
from local_cloud.errors import LocalCloudError
from local_cloud.spark_settings import Place
from local_cloud.state import PROJECT
from local_cloud.worker import Order

log = logging.getLogger(__name__)

LIMIT = 4  # live processes, about 0.8 GB each
IDLE_SECONDS = 600
NICENESS = 10
START_SECONDS = 240
FAILED_STARTS = 3
KILLED_STARTS = 10  # a kernel without memory kills, as a person does
MEMORY_FOR_A_SPARE = 1_500_000_000  # bytes that must be available
MEMORY_TO_KEEP_IDLE = 600_000_000

Binding = tuple[str, str]  # role, fingerprint of the code
Remember = Callable[[processes.Identity], None]


class WorkerDiedError(LocalCloudError):
    """Raised when a worker process ended before its run did; carries the last line it wrote."""


@dataclass(frozen=True)
class Outcome:
    """How a script ended. `exit` is its exit code, `message` the error as Glue would word it."""

    exit: int
    message: str
    reusable: bool


@dataclass(eq=False)
class WorkerProcess:
    """One process of `local_cloud.worker`, as the host sees it."""

    folder: Path
    child: subprocess.Popen[str]
    identity: processes.Identity
    started: float = field(default_factory=time.monotonic)
    binding: Binding | None = None
    busy: bool = False
    ready: bool = False
    ended: bool = False
    warm_seconds: float = 0.0
    java: processes.Identity | None = None
    last_used: float = field(default_factory=time.monotonic)
    runs: int = 0
    words: "Queue[dict[str, Any] | None]" = field(default_factory=Queue)

    @property
    def is_spare(self) -> bool:
        return self.ready and not self.ended and self.binding is None

    @property
    def is_warming(self) -> bool:
        return not self.ready and not self.ended

    @property
    def is_whole(self) -> bool:
        """Java may have been killed while its Python waits for an order."""
        return not self.ended and (self.java is None or processes.is_alive(self.java))

    def send(self, order: Order) -> None:
        if self.child.stdin is None:
            raise WorkerDiedError("the worker takes no orders")
        try:
            self.child.stdin.write(json.dumps({"do": "run", **asdict(order)}) + "\n")
            self.child.stdin.flush()
        except OSError as e:
            raise WorkerDiedError(self.last_words()) from e

    def run(self, order: Order, on_start: Callable[[], None], deadline: Callable[[], float], stop: Event) -> Outcome:
        """Have a script run; raises TimeoutError past `deadline`, InterruptedError when `stop` is set."""
        self.runs += 1
        self.send(order)
        while True:
            word = self._next_word(deadline, stop)
            if word["event"] == "started":
                on_start()
            elif word["event"] == "ended":
                return Outcome(word["exit"], word["message"], word["reusable"])

    def _next_word(self, deadline: Callable[[], float], stop: Event) -> dict[str, Any]:
        while True:
            try:
                word = self.words.get(timeout=0.1)
            except Empty:
                if stop.is_set():
                    raise InterruptedError from None
                if time.monotonic() > deadline():
                    raise TimeoutError from None
                continue
            if word is None:
                raise WorkerDiedError(self.last_words())
            return word

    def last_words(self) -> str:
        return emulator.last_line(self.folder / "worker.log")

    def kill(self) -> None:
        self.ended = True
        processes.kill(self.identity)
        with contextlib.suppress(OSError):
            if self.child.stdin:
                self.child.stdin.close()
        self.child.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def memory(self) -> int:
        """Bytes of the process and everything below it, shared pages by share."""
        return processes.memory(self.identity, below=True)

    def facts(self) -> dict[str, Any]:
        state = "warming" if self.is_warming else "running" if self.busy else "idle" if self.binding else "spare"
        role = self.binding[0].rpartition("/")[2] if self.binding else None
        return {
            "pid": self.identity.pid,
            "state": state,
            "role": role,
            "runs": self.runs,
            "memory": self.memory(),
            "warm_seconds": self.warm_seconds,
        }


class Pool:
    """The workers of one local cloud. A worker never changes its role or its code."""

    def __init__(
        self,
        folder: Path,
        place: Callable[[str], Place],
        remember: Remember,
        *,
        spares: int,
        limit: int = LIMIT,
        on_warm: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """`place` gives the settings for a worker's folder, `remember` keeps a process for a later clean-up.

        `on_warm` hears the folder of every worker that has warmed up.
        """
        self._folder = folder
        self._place = place
        self._remember = remember
        self._on_warm = on_warm
        self._spares = spares
        self._limit = max(limit, spares + 1)
        self._workers: list[WorkerProcess] = []
        self._changed = Condition()
        self._waiting = 0
        self._failed_starts = self._killed_starts = 0  # since the last one that came through
        self._number = 0
        self._ending = False

    def take(self, binding: Binding, stop: Event) -> WorkerProcess:
        """A ready worker of this role and code, marked busy; waits for one. InterruptedError when `stop` is set."""
        with self._changed:
            self._waiting += 1
            try:
                while True:
                    if stop.is_set() or self._ending:
                        raise InterruptedError
                    found = self._match(binding)
                    if found:
                        found.binding, found.busy = binding, True
                        return found
                    self._make_room_and_start()
                    self._changed.wait(0.5)
            finally:
                self._waiting -= 1

    def give_back(self, worker: WorkerProcess, *, reusable: bool) -> None:
        if not reusable:
            worker.kill()
        with self._changed:
            worker.busy, worker.last_used = False, time.monotonic()
            self._drop_ended()
            self._changed.notify_all()

    def tend(self) -> None:
        """End what is idle for long or too much, and start spares while nothing runs; call it every second."""
        with self._changed:
            self._drop_ended()
            if self._ending:
                return
            for worker in self._superfluous():
                worker.kill()
            self._drop_ended()
            if self._may_start_spare():
                self._start()

    def end(self) -> None:
        with self._changed:
            self._ending = True
            workers = list(self._workers)
            self._changed.notify_all()
        threads = [Thread(target=worker.kill) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(15)

    def facts(self) -> list[dict[str, Any]]:
        with self._changed:
            workers = [worker for worker in self._workers if not worker.ended]
        return [worker.facts() for worker in workers]

    def is_quiet(self) -> bool:
        """Nothing runs, waits or warms up."""
        with self._changed:
            return not self._waiting and not any(w.busy or w.is_warming for w in self._workers)

    def _match(self, binding: Binding) -> WorkerProcess | None:
        idle = [w for w in self._workers if w.ready and not w.busy and w.is_whole]
        own = [w for w in idle if w.binding == binding]
        return next(iter(own or [w for w in idle if w.binding is None]), None)

    def _make_room_and_start(self) -> None:
        """As many processes warm up as runs wait, within the limit; the longest idle one makes room."""
        if self._does_not_start():
            self._failed_starts = self._killed_starts = 0
            raise WorkerDiedError(f"Spark does not start; see {self._folder.parent / 'logs' / 'worker.log'}")
        if sum(w.is_warming for w in self._workers) >= self._waiting:
            return
        idle = self._idle()
        if len(self._workers) >= self._limit and idle:
            idle[0].kill()
            self._drop_ended()
        if len(self._workers) < self._limit:
            self._start()

    def _does_not_start(self) -> bool:
        """What somebody killed while it warmed up is no proof that Spark does not start, unless it goes on and on."""
        return self._failed_starts >= FAILED_STARTS or self._killed_starts >= KILLED_STARTS

    def _idle(self) -> list[WorkerProcess]:
        """Bound workers without a run, the longest idle first."""
        idle = [w for w in self._workers if w.ready and w.binding and not w.busy and w.is_whole]
        return sorted(idle, key=lambda w: w.last_used)

    def _superfluous(self) -> list[WorkerProcess]:
        now = time.monotonic()
        idle = self._idle()
        if psutil.virtual_memory().available < MEMORY_TO_KEEP_IDLE:
            return idle[:1]
        bound = sum(1 for w in self._workers if w.binding)
        beyond = max(0, bound - (self._limit - min(1, self._spares)))  # one place stays for a spare
        stuck = [w for w in self._workers if w.is_warming and now - w.started > START_SECONDS]
        broken = [w for w in self._workers if not w.busy and not w.is_whole]
        return stuck + broken + [w for n, w in enumerate(idle) if n < beyond or now - w.last_used > IDLE_SECONDS]

    def _may_start_spare(self) -> bool:
        unbound = sum(1 for w in self._workers if w.binding is None)
        warming = any(w.is_warming for w in self._workers)
        busy = self._waiting or any(w.busy for w in self._workers)
        enough = unbound >= self._spares or len(self._workers) >= self._limit
        if enough or warming or busy or self._does_not_start():
            return False
        return psutil.virtual_memory().available > MEMORY_FOR_A_SPARE

    def _drop_ended(self) -> None:
        self._workers = [w for w in self._workers if not w.ended]

    def _start(self) -> None:
        self._number += 1
        worker = start_worker(self._folder / f"{os.getpid()}-{self._number}", self._place)
        self._remember(worker.identity)
        self._workers.append(worker)
        Thread(target=self._listen, args=(worker,), name=f"worker-{self._number}", daemon=True).start()

    def _listen(self, worker: WorkerProcess) -> None:
        """Take a worker's words until it ends; the first one says that it is warm."""
        for line in worker.child.stdout or ():
            with contextlib.suppress(ValueError):
                word = json.loads(line)
                if word.get("event") != "ready":
                    worker.words.put(word)
                    continue
                with self._changed:
                    worker.ready, worker.warm_seconds = True, word["seconds"]
                    worker.java = processes.Identity.of(word["java"])
                    self._failed_starts = self._killed_starts = 0
                    self._changed.notify_all()
                _set_niceness(worker.identity, 0)
                self._on_warm(worker.folder)
        self._bury(worker)

    def _bury(self, worker: WorkerProcess) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.child.wait(10)
        with self._changed:
            if not worker.ended and not worker.ready:
                self._note_failed_start(worker, was_killed=(worker.child.returncode or 0) < 0)
            worker.ended = True
            self._changed.notify_all()
        worker.words.put(None)
        if not worker.busy:
            worker.kill()

    def _note_failed_start(self, worker: WorkerProcess, *, was_killed: bool) -> None:
        if was_killed:
            self._killed_starts += 1
        else:
            self._failed_starts += 1
        how = "was killed" if was_killed else "ended"
        log.error("a worker %s while it started: %s", how, worker.last_words())
        with contextlib.suppress(OSError):
            shutil.copy(worker.folder / "worker.log", self._folder.parent / "logs" / "worker.log")


def start_worker(folder: Path, place: Callable[[str], Place]) -> WorkerProcess:
    """Start a process that warms up in the background, behind everything else."""
    for name in ("tmp", "warehouse"):
        (folder / name).mkdir(parents=True, mode=0o700)
    settings = place(str(folder))
    (folder / "place.json").write_text(json.dumps(asdict(settings)))
    environment = spark_settings.environment(settings, processes.clean_environment(os.environ), str(PROJECT))
    with (folder / "worker.log").open("ab", buffering=0) as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "local_cloud.worker", str(folder)],
            env=environment,
            cwd=folder / "tmp",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    identity = processes.Identity.of(child.pid)
    _set_niceness(identity, NICENESS)
    return WorkerProcess(folder, child, identity)


def _set_niceness(identity: processes.Identity, value: int) -> None:
    """For every thread of the family; only an administrator can take it back, others stay polite."""
    process = processes.find(identity)
    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        for member in processes.family(process) if process else []:
            for thread in member.threads():
                os.setpriority(os.PRIO_PROCESS, thread.id, value)
