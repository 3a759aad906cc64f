import subprocess
import sys
import time
from threading import Event, Thread

import psutil
import pytest

from local_cloud import processes, workers
from local_cloud.workers import Pool, WorkerDiedError, WorkerProcess

READY = """
import json, subprocess, sys, time
java = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL)
print(json.dumps({"event": "ready", "seconds": 0.1, "java": java.pid}), flush=True)
time.sleep(60)
"""
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
FAILING = "raise SystemExit('no such jar')"


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A pool whose workers are these programs, one after the other; the last one again and again."""
    (tmp_path / "logs").mkdir()
    made, ending = [], Event()

    def tend():
        while not ending.wait(0.05):
            made[-1].tend()

    def pool_of(*programs):
        left = list(programs)

        def start(folder, _place):
            folder.mkdir(parents=True)
            program = left.pop(0) if len(left) > 1 else left[0]
            with (folder / "worker.log").open("wb") as said:
                child = subprocess.Popen(
                    [sys.executable, "-c", program], stdin=-1, stdout=-1, stderr=said, text=True, start_new_session=True
                )
            return WorkerProcess(folder, child, processes.Identity.of(child.pid))

        monkeypatch.setattr(workers, "start_worker", start)
        made.append(Pool(tmp_path / "workers", lambda _: None, lambda _: None, spares=0))
        Thread(target=tend, daemon=True).start()
        return made[-1]

    yield pool_of
    ending.set()
    made[-1].end()


def test_a_run_that_waits_hears_after_three_failures_that_spark_does_not_start(pool):
    with pytest.raises(WorkerDiedError, match="Spark does not start"):
        pool(FAILING).take(("role", "code"), Event())


def test_workers_that_are_killed_while_they_start_are_no_proof_that_spark_does_not(pool):
    worker = pool(*[KILLED] * 5, READY).take(("role", "code"), Event())

    assert worker.ready


def test_a_machine_that_kills_every_worker_is_told_of_at_last(pool):
    with pytest.raises(WorkerDiedError, match="Spark does not start"):
        pool(KILLED).take(("role", "code"), Event())


def test_a_worker_that_starts_makes_failures_of_before_forgotten(pool):
    made = pool(FAILING, FAILING, READY, FAILING, FAILING, READY)

    first, second = (made.take(("role", f"code {number}"), Event()) for number in range(2))

    assert first.ready
    assert second.ready


def test_a_worker_whose_java_was_killed_while_it_waited_gets_no_other_run(pool):
    made = pool(READY)
    first = made.take(("role", "code"), Event())
    made.give_back(first, reusable=True)
    assert made.take(("role", "code"), Event()) is first
    made.give_back(first, reusable=True)

    processes.kill(first.java)

    assert made.take(("role", "code"), Event()) is not first


def test_nothing_is_left_of_a_worker_that_was_killed_while_it_warmed_up(pool):
    """Java does not always notice that its Python is gone."""
    stop = Event()
    made = pool(READY.replace('"ready"', '"begun"'))

    def wait():
        with pytest.raises(InterruptedError):
            made.take(("role", "code"), stop)

    waiting = Thread(target=wait)
    waiting.start()
    while not made._workers:
        time.sleep(0.01)
    worker = made._workers[0]
    java = psutil.Process(worker.words.get(timeout=10)["java"])
    assert worker.is_warming

    worker.child.kill()

    _, alive = psutil.wait_procs([java], timeout=10)
    stop.set()
    waiting.join()
    assert alive == []
