"""Two thousand files while processes of the local cloud and its jobs are killed fifty times."""

import os
import random
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.soak.fleet import TENANTS, Lake, Totals, files, put_all, until, victims, write_registry

pytestmark = [pytest.mark.slow, pytest.mark.cloud, pytest.mark.timeout(5400)]

FILES = int(os.environ.get("SOAK_FILES", "2000"))
KILLS = int(os.environ.get("SOAK_KILLS", "50"))
SEED = int(os.environ.get("SOAK_SEED", "4"))


@pytest.fixture
def lake(tmp_path: Path):
    made = Lake(tmp_path / "home", write_registry(tmp_path / "tenants"))
    made.ok("up")
    made.ok("deploy")
    yield made
    made("down")


def drained(lake: Lake) -> bool:
    return all(
        len(states := lake.states(tenant)) == FILES // len(TENANTS) and set(states.values()) == {"QUERYABLE"}
        for tenant in TENANTS
    )


def answers(lake: Lake) -> dict[str, Totals]:
    return {tenant: lake.answers(tenant) for tenant in TENANTS}


def test_a_quiet_run_gives_what_the_files_say(lake):
    made, expected = files(FILES, SEED)

    put_all(lake, made, within=600)

    assert until(lambda: drained(lake), within=900), {
        tenant: Counter(lake.states(tenant).values()) for tenant in TENANTS
    }
    assert answers(lake) == expected


def test_fifty_kills_change_nothing_of_it(lake, record_property):
    made, expected = files(FILES, SEED)
    putting = threading.Thread(target=put_all, args=(lake, made), kwargs={"within": 3600}, daemon=True)
    putting.start()

    killed = kill_at_random(lake, random.Random(SEED))
    putting.join(3600)

    print(f"seed {SEED}, killed: {dict(killed)}")
    record_property("killed", dict(killed))
    assert not putting.is_alive()
    lake.ok("up")
    assert until(lambda: drained(lake), within=1800, pause=10), {
        tenant: Counter(lake.states(tenant).values()) for tenant in TENANTS
    }
    assert answers(lake) == expected
    again = lake("reconcile", "--all", "--json")
    assert again.returncode in (0, 1), again.stderr
    assert answers(lake) == expected


def kill_at_random(lake: Lake, dice: random.Random) -> Counter[str]:
    """Kills one process after the other, of each kind about equally often; brings the cloud up when it is down."""
    killed: Counter[str] = Counter()
    while killed.total() < KILLS:
        time.sleep(dice.uniform(0.5, 6))
        alive = list(victims(lake))
        if not alive or not any(kind == "supervisor" for kind, _ in alive):
            up(lake)
            continue
        kind = dice.choice(sorted({kind for kind, _ in alive}))
        _, victim = dice.choice([each for each in alive if each[0] == kind])
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
        killed[kind] += 1
        print(f"kill {killed.total()} of {KILLS}: {kind} {victim.pid}", flush=True)
        if kind in {"supervisor", "emulator"}:
            psutil.wait_procs([victim], timeout=10)
            up(lake)
    return killed


def up(lake: Lake) -> None:
    """Bring the cloud back, and say how long that took (`pytest -s`)."""
    began = time.monotonic()
    lake.ok("up", seconds=900)
    print(f"up again after {time.monotonic() - began:.0f} s", flush=True)


def test_the_state_folder_can_be_removed_afterwards(tmp_path):
    """A guard of the fixture: what a killed cloud leaves is gone after `lake down`."""
    made = Lake(tmp_path / "home", write_registry(tmp_path / "tenants"))
    made.ok("up")
    for _, process in victims(made):
        if process.pid == made.processes()[0].pid:
            process.kill()
            break
    made.ok("up")
    made.ok("down")
    assert made.processes() == []
    shutil.rmtree(tmp_path / "home")
