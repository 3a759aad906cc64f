import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from local_cloud import processes

PARENT_OF_A_SLEEPER = (
    "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_killing_a_process_ends_what_it_started():
    parent = subprocess.Popen([sys.executable, "-c", PARENT_OF_A_SLEEPER], stdout=subprocess.PIPE, text=True)
    sleeper = int(parent.stdout.readline())

    processes.kill(processes.Identity.of(parent.pid))
    parent.wait(5)

    # An orphan stays in the list until init has taken it: dead is enough.
    end = time.monotonic() + 5
    while is_running(sleeper) and time.monotonic() < end:
        time.sleep(0.02)
    assert not is_running(sleeper)


def test_a_pid_that_belongs_to_another_process_by_now_is_not_touched():
    sleeper = subprocess.Popen(["sleep", "60"])
    earlier = processes.Identity(sleeper.pid, time.time() - 3600)

    processes.kill(earlier)

    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


def test_stopping_tells_whether_a_process_ended_by_itself():
    polite = subprocess.Popen(["sleep", "60"])
    stubborn = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    stubborn.stdout.readline()

    assert processes.stop(processes.Identity.of(polite.pid), 5)
    assert not processes.stop(processes.Identity.of(stubborn.pid), 0.2)


def test_children_inherit_nothing_that_points_an_aws_client_elsewhere():
    given = {
        "PATH": "/bin",
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL": "https://x",
        "SPARK_HOME": "/opt",
        "HOME": "/me",
    }

    assert processes.clean_environment(given) == {"PATH": "/bin", "HOME": "/me"}


LEADER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def session():
    """A process that leads a session, and the pid of the other one in it."""
    leader = subprocess.Popen([sys.executable, "-c", LEADER], stdout=subprocess.PIPE, text=True, start_new_session=True)
    child = int(leader.stdout.readline())
    yield leader, processes.Identity.of(leader.pid), child
    if is_running(child):
        psutil.Process(child).kill()
    leader.kill()
    leader.communicate()


@pytest.mark.parametrize("end", [processes.kill, lambda identity: processes.stop(identity, 5)])
def test_what_a_killed_process_left_of_its_session_is_ended_too(session, end):
    leader, identity, child = session
    leader.kill()
    leader.wait()
    assert is_running(child)

    end(identity)

    assert not is_running(child)
    assert processes.members(identity) == []


def test_a_session_under_the_number_of_an_earlier_process_is_not_touched(session):
    _, identity, child = session

    processes.kill(replace(identity, created=identity.created - 60))

    assert len(processes.members(identity)) == 2
    assert is_running(child)
