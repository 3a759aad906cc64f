"""The supervisor's background process: holds the lock, starts the parts in order, watches them, ends them.

Run by `supervisor.start`; says one JSON line on its standard output: `{"ready": true}` or `{"error": "…"}`.
"""

import argparse
import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Lock
from typing import Any

from local_cloud import emulator, forward, job_code, losses, ports, processes, state, tls, tools
from local_cloud.access import Access
from local_cloud.athena.endpoint import Endpoint
from local_cloud.athena.facts import AthenaFacts
from local_cloud.class_archive import ClassArchive
from local_cloud.emulator import Emulator
from local_cloud.errors import LocalCloudError, StartError
from local_cloud.forward import Answer, Forwarder, Request
from local_cloud.glue_endpoint import GlueEndpoint
from local_cloud.http_server import HttpServer
from local_cloud.job_runner import JobRunner
from local_cloud.runs import Runs
from local_cloud.spark_settings import Place
from local_cloud.state import HOST, Cloud, Folders
from local_cloud.workers import Pool

log = logging.getLogger("local_cloud.host")

WATCH_SECONDS = 0.5
BRING_BACK_SECONDS = 120
RESTARTS = 3  # of an emulator that ended by itself, per life of the supervisor


@dataclass
class Host:
    """The parts of one running local cloud."""

    folders: Folders
    spares: int
    ending: Event = field(default_factory=Event)
    notes: list[str] = field(default_factory=list)
    restored: bool = False
    known: list[dict[str, Any]] = field(default_factory=list)
    remembering: Any = field(default_factory=Lock)
    recovery: list[str] = field(default_factory=list)
    recovering: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    wishes: "Queue[Queue[BaseException | None]]" = field(default_factory=Queue)

    def run(self) -> None:
        """Start, say so, watch until a signal, stop."""
        try:
            self.begin()
        except BaseException:
            self._undo()
            raise
        print(json.dumps({"ready": True}), flush=True)
        _silence(sys.stdout.fileno())
        try:
            self.watch()
        finally:
            self.end()

    def begin(self) -> None:
        self._clear_remains()
        self.material = tls.ensure(self.folders.tls)
        self.ports = self._choose_ports()
        self.identity = processes.Identity.of(os.getpid())
        self.began = time.time()
        self._mark_running(ending=False)
        self.endpoint = f"https://{HOST}:{self.ports['emulator']}"
        self.access = Access(self.endpoint, self.material.ca)
        self.forwarder = Forwarder(self.endpoint, self.material.ca)
        self.athena = self._start_athena()
        self.emulator = self._start_emulator()
        self._note_buckets()
        self.cloud = self._facts()
        self.archive = ClassArchive()
        self.pool = Pool(
            self.folders.workers, self._place, self._remember_worker, spares=self.spares, on_warm=self.archive.learn
        )
        self.runs = Runs(self.folders.runs)
        self.runs.load()
        self.runner = JobRunner(self.access, self.runs, self.pool, self.folders.code)
        self.glue_api = GlueEndpoint(self.forwarder, self.access, self.runs, self.runner)
        self.glue = HttpServer(self.answer, self.ports["glue"])
        self.athena.wait()
        self._note_lost_runs()
        self.cloud = self._facts()
        state.save(self.cloud)

    def _undo(self) -> None:
        """A start that failed leaves no emulator, and no mark of a kill that was none."""
        for part in ("athena", "emulator"):
            if started := vars(self).get(part):
                started.stop()
        if not self.restored:
            self.folders.running.unlink(missing_ok=True)

    def watch(self) -> None:
        restarts = 0
        while not self.ending.wait(WATCH_SECONDS):
            with contextlib.suppress(Empty):
                self._bring_back(self.wishes.get_nowait())
            self.pool.tend()
            self.archive.tend(is_quiet=self.pool.is_quiet())
            if self.athena.has_ended():
                self._restart_athena()
            if self.emulator.has_ended():
                restarts += 1
                if restarts > RESTARTS:
                    raise StartError("the emulator ended again and again; see logs/emulator.log")
                self._restart_emulator()

    def end(self) -> None:
        """Workers first, then the endpoints, then the emulator, which saves its state."""
        self._mark_running(ending=True)
        log.info("ending: runs and workers")
        for child in self.recovering:
            processes.stop(processes.Identity.of(child.pid), 5)
        self.runner.end()
        self.archive.end()
        self.pool.end()
        log.info("ending: endpoints")
        self.glue.stop()
        self.athena.stop()
        noted = self._note_buckets()
        log.info("ending: the emulator")
        began = time.time()
        saved = self.emulator.stop() and emulator.has_saved_since(self.folders, began)
        if saved and noted:
            losses.forget_deleted_buckets(self.folders, self._saved_buckets())
        log.info("ended, state %s", "saved" if saved else "NOT saved")
        self.folders.processes.unlink(missing_ok=True)
        if saved:
            self.folders.running.unlink(missing_ok=True)

    def answer(self, request: Request) -> Answer:
        if request.path == "/_local/status":
            return forward.of_json(self.status())
        if request.path == "/_local/bring-back" and request.method == "POST":
            return forward.of_json({"buckets": self.brought_back()})
        return self.glue_api.answer(request)

    def brought_back(self) -> list[str]:
        """The buckets that were set aside after a kill are there again; their names."""
        names = losses.aside(self.folders)
        if names:
            wish: Queue[BaseException | None] = Queue()
            self.wishes.put(wish)
            failure = wish.get(timeout=BRING_BACK_SECONDS)
            if failure is not None:
                raise failure
        return names

    def status(self) -> dict[str, Any]:
        """Memory in bytes per group of processes."""
        memory = {
            "supervisor": processes.memory(self.identity, below=False),
            "athena": processes.memory(self.athena.identity, below=False),
            "emulator": processes.memory(self.emulator.identity, below=False),
            "with its functions": processes.memory(self.emulator.identity, below=True),
        }
        return {"memory": memory, "workers": self.pool.facts(), "runs_open": len(self.runs.open())}

    def _mark_running(self, *, ending: bool) -> None:
        facts = {"pid": self.identity.pid, "started": self.identity.created, "began": self.began, "ending": ending}
        state.write_json(self.folders.running, facts)

    def _restart_emulator(self) -> None:
        log.error("the emulator ended by itself; starting it again with the state of its last clean stop")
        self.restored = True
        self.runner.stop_all()  # what they would still write is of a catalog and a ledger that are gone
        self._note_loss("the emulator was killed")
        self.emulator = self._start_emulator()
        self.athena.emulator_restarted()
        self.cloud = self._facts()
        state.save(self.cloud)
        self._recover()

    def _recover(self) -> None:
        """Have the rest brought back by whoever knows what it was; the folder's next start does it otherwise."""
        if self.recovery:
            with emulator.open_log(self.folders.logs / "recovery.log") as said:
                child = subprocess.Popen(
                    self.recovery,
                    cwd=state.PROJECT,
                    env={**os.environ, "LAKE_HOME": str(self.folders.home)},
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
            self.recovering.append(child)
            self._remember("recovery", processes.Identity.of(child.pid))

    def _bring_back(self, wish: "Queue[BaseException | None]") -> None:
        """Stop the emulator cleanly, so that it keeps what was deployed, and start it with the buckets in place.

        On this thread: the emulator lives as long as the thread that started it.
        """
        try:
            began = time.time()
            self._note_buckets()
            self.emulator.stop()
            if not emulator.has_saved_since(self.folders, began):
                raise StartError("the emulator did not save its state; run `lake up` again")
            self.began = time.time()
            self._mark_running(ending=False)
            losses.bring_back(self.folders)
            self.emulator = self._start_emulator()
            self.athena.emulator_restarted()
            self._note_buckets()
        except (LocalCloudError, OSError) as e:
            log.exception("buckets that were set aside did not all come back")
            wish.put(e)  # an emulator that ended is started again by the watch
        else:
            wish.put(None)

    def _clear_remains(self) -> None:
        """End what a killed supervisor left, and note whether the emulator could still save its state."""
        remains = state.read_json(self.folders.running)
        shutil.rmtree(self.folders.workers, ignore_errors=True)
        self.folders.make()
        job_code.prune(self.folders.code)
        if remains is None:
            return
        for entry in state.read_json(self.folders.processes) or []:
            identity = processes.Identity(entry["pid"], entry["created"])
            if entry["kind"] == "emulator":
                processes.stop(identity, emulator.STOP_SECONDS)
            else:
                processes.kill(identity)
        self.restored = True
        if emulator.has_saved_since(self.folders, remains["began"]):
            self.notes.append("the supervisor was killed; the emulator saved its state: nothing is missing")
        else:
            self._note_loss("the local cloud was killed")

    def _note_loss(self, event: str) -> None:
        """Say what a kill cost, and move what would stand in the way of a new deployment."""
        loss = losses.note(self.folders, event, self._saved_buckets())
        self.notes.append(f"{loss.text()}; `lake up` brings the rest back")

    def _choose_ports(self) -> dict[str, int]:
        before = state.remembered(self.folders.home)
        chosen: dict[str, int] = {}
        for name in ("emulator", "glue", "athena"):
            attribute = "endpoint" if name == "emulator" else f"{name}_endpoint"
            wanted = ports.of(getattr(before, attribute)) if before else None
            chosen[name] = ports.choose(wanted, set(chosen.values()))
            if before and wanted and chosen[name] != wanted and name == "emulator":
                emulator.move(self.folders, before.endpoint, f"https://{HOST}:{chosen[name]}")
            if wanted and chosen[name] != wanted:
                self.notes.append(f"port {wanted} ({name}) is in use by another program: now {chosen[name]}")
        return chosen

    def _start_emulator(self) -> Emulator:
        endpoints = {
            "AWS_ENDPOINT_URL_GLUE": f"http://{HOST}:{self.ports['glue']}",
            "AWS_ENDPOINT_URL_ATHENA": f"http://{HOST}:{self.ports['athena']}",
        }
        started = emulator.start(self.folders, self.material, self.ports["emulator"], endpoints)
        self._remember("emulator", started.identity)
        return started

    def _start_athena(self) -> Endpoint:
        facts = AthenaFacts(
            endpoint=self.endpoint,
            access_key=state.ROOT_KEY,
            secret_key=state.ROOT_KEY,
            region=state.REGION,
            account=state.ACCOUNT,
            ca_bundle=self.material.ca,
            folder=self.folders.athena,
        )
        with emulator.open_log(self.folders.logs / "athena.log") as said:
            started = Endpoint(facts, HOST, self.ports["athena"], said)
        self._remember("athena", started.identity)
        return started

    def _restart_athena(self) -> None:
        """Queries that ran are FAILED; the next ones shall not suffer for what one of them needed."""
        log.error("the Athena endpoint ended by itself; starting it again")
        self.athena = self._start_athena()
        try:
            self.athena.wait()
        except StartError:
            log.exception("tried again at the next look")

    def _place(self, folder: str) -> Place:
        return Place(
            folder=folder,
            endpoint=self.cloud.endpoint,
            glue_endpoint=self.cloud.glue_endpoint,
            athena_endpoint=self.cloud.athena_endpoint,
            region=self.cloud.region,
            ca_bundle=self.cloud.ca_bundle,
            trust_store=self.cloud.trust_store,
            trust_store_password=self.cloud.trust_store_password,
            java_home=str(tools.java_home()),
            jars=tuple(str(jar) for jar in tools.jars()),
            **self.archive.settings(folder),
        )

    def _remember(self, kind: str, identity: processes.Identity) -> None:
        """Keep a process on disk, for the clean-up after a kill of this one."""
        with self.remembering:
            known = [e for e in self.known if processes.members(processes.Identity(e["pid"], e["created"]))]
            self.known = [*known, {"kind": kind, "pid": identity.pid, "created": identity.created}]
            state.write_json(self.folders.processes, self.known)

    def _remember_worker(self, identity: processes.Identity) -> None:
        self._remember("worker", identity)

    def _note_lost_runs(self) -> None:
        lost = self.runner.recover()
        if lost:
            names = ", ".join(sorted({run.job for run in lost}))
            self.notes.append(f"{len(lost)} job runs were open at the end and are FAILED now: {names}")

    def _facts(self) -> Cloud:
        return Cloud(
            home=str(self.folders.home),
            endpoint=self.endpoint,
            glue_endpoint=f"http://{HOST}:{self.ports['glue']}",
            athena_endpoint=f"http://{HOST}:{self.ports['athena']}",
            ca_bundle=str(self.material.ca),
            trust_store=str(self.material.trust_store),
            trust_store_password=tls.TRUST_STORE_PASSWORD,
            pid=self.identity.pid,
            started=self.identity.created,
            spares=self.spares,
            restored_after_kill=self.restored,
            notes=tuple(self.notes),
        )

    def _note_buckets(self) -> bool:
        """Keep the names of the buckets of the state that is saved now or was just loaded."""
        try:
            buckets = self.access.client("s3").list_buckets()["Buckets"]
        except Exception:  # an emulator that does not answer must not keep the rest from ending
            log.exception("buckets cannot be listed")
            return False
        state.write_json(self.folders.saved, {"buckets": [bucket["Name"] for bucket in buckets]})
        return True

    def _saved_buckets(self) -> set[str]:
        return set((state.read_json(self.folders.saved) or {"buckets": []})["buckets"])


def _silence(descriptor: int) -> None:
    """Nobody reads the standard output after the first line."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


@contextlib.contextmanager
def _locked(path: Path) -> Any:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise StartError("another supervisor holds this folder; wait a moment and run `lake status`") from e
        yield


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--spares", type=int, default=None)
    parser.add_argument("--recovery", type=json.loads, default=[])
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    before = state.remembered(options.home)
    spares = options.spares if options.spares is not None else (before.spares if before else 1)
    host = Host(Folders(options.home), spares, recovery=options.recovery)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: host.ending.set())
    try:
        with _locked(host.folders.lock):
            host.run()
    except (LocalCloudError, OSError) as e:
        log.exception("ended")
        print(json.dumps({"error": str(e)}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
