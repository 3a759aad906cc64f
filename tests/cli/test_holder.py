"""Who holds a lock, and what this machine can say of a holder of its own."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from cli.holder import holder, is_dead

TOLD = "from cli.holder import holder; print(holder().process)"


def test_a_person_is_named_with_machine_and_process(monkeypatch):
    monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
    monkeypatch.setenv("LOGNAME", "ada")

    assert holder().name.startswith("ada@")
    assert holder().name.endswith(f"(process {os.getpid()})")


def test_a_workflow_is_named_with_its_run(monkeypatch):
    monkeypatch.setenv("GITHUB_RUN_ID", "17")
    monkeypatch.setenv("GITHUB_REPOSITORY", "mycompany/lake")

    assert holder().name.startswith("workflow run 17 of mycompany/lake@")


def test_a_process_of_this_machine_is_dead_once_it_has_ended():
    own = holder().process
    assert own is not None
    assert not is_dead(own)

    ended = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, check=True).stdout.strip()
    assert is_dead(ended)


def test_of_other_machines_boots_and_containers_nothing_is_known():
    assert not is_dead("elsewhere/boot/pid:[1]/1/1.0")
    assert not is_dead("no process")


def test_a_step_of_the_clock_kills_nobody(monkeypatch):
    own = holder().process
    boot = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 3600)
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot + 3600)
    monkeypatch.setattr(psutil._pslinux, "BOOT_TIME", boot + 3600, raising=False)

    assert not is_dead(own)


def test_a_number_that_a_later_process_has_by_now_is_dead():
    place, _, started = holder().process.rpartition("/")

    assert is_dead(f"{place}/{int(started) - 1}")


@pytest.mark.parametrize("end", ["x/1", "1/x", "1/1.0", "0/1", "-1/1", "1/", "/1", "٣/1", f"{10**30}/1"])
def test_what_cannot_be_read_is_not_dead(end):
    place = holder().process.rsplit("/", 2)[0]

    assert not is_dead(f"{place}/{end}")


def test_a_process_that_has_ended_and_was_not_waited_for_is_dead():
    child = subprocess.Popen([sys.executable, "-c", TOLD], stdout=subprocess.PIPE, text=True)
    told = child.stdout.readline().strip()
    child.stdout.close()
    deadline = time.monotonic() + 20
    while not is_dead(told) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert is_dead(told)
    child.wait()
