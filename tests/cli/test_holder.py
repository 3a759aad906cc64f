"""Who holds a lock, and what this machine can say of a holder of its own."""

import os
import subprocess
import sys

from cli.holder import holder, is_dead


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

    told = "from cli.holder import holder; print(holder().process)"
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.strip()
    assert is_dead(ended)


def test_of_other_machines_boots_and_containers_nothing_is_known():
    assert not is_dead("elsewhere/boot/pid:[1]/1/1.0")
    assert not is_dead("no process")
