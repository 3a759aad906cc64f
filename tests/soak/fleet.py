"""Five tenants, two thousand small files whose totals are known, and a local cloud of their own."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.errors import LocalCloudError
from local_cloud.state import load

ROOT = Path(__file__).resolve().parents[2]
TENANTS = ("alpha", "beta", "gamma", "delta", "omega")
START = datetime(2024, 1, 1)

ENVIRONMENTS = """\
environments:
  local:
    account: "000000000000"
    region: us-east-1
    removal_policy: destroy
    termination_protection: false
    max_wait: 0
"""

# One dataset of each kind: `orders` is merged by key, the newest version wins; `events` is append-only.
ORDERS = """\
apiVersion: v3.0.2
kind: DataContract
id: orders
name: Orders
version: 1.0.0
status: active
customProperties:
  - {property: lake.partitionBy, value: updated_at}
  - {property: lake.versionColumn, value: updated_at}
schema:
  - name: orders
    physicalType: table
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true}
      - {name: updated_at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)", required: true}
"""
EVENTS = """\
apiVersion: v3.0.2
kind: DataContract
id: events
name: Events
version: 1.0.0
status: active
customProperties:
  - {property: lake.partitionBy, value: at}
schema:
  - name: events
    physicalType: table
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)", required: true}
"""


@dataclass(frozen=True)
class File:
    tenant: str
    key: str
    body: bytes


@dataclass(frozen=True)
class Totals:
    """What the tables of a tenant must hold: rows and a sum that notices each of them."""

    orders: int
    orders_amount: Decimal
    events: int
    events_amount: Decimal


def write_registry(folder: Path) -> Path:
    """A tenants folder with the five."""
    (folder / "contracts").mkdir(parents=True)
    (folder / "contracts" / "orders.yaml").write_text(ORDERS)
    (folder / "contracts" / "events.yaml").write_text(EVENTS)
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    entries = "".join(
        f"  - id: {name}\n    name: {name.title()}\n    owner: data@{name}.example\n    datasets: [orders, events]\n"
        for name in TENANTS
    )
    tier = "{workers: 2, worker_type: G.1X, max_concurrent_runs: 2, query_bytes_limit: 100 GB}"
    (folder / "tenants.yaml").write_text(
        f"organization: soak\ndefaults:\n  tier: standard\ntiers:\n  standard: {tier}\ntenants:\n{entries}"
    )
    return folder


def files(count: int, seed: int) -> tuple[list[File], dict[str, Totals]]:
    """`count` files over the tenants in random order, and what must come of them.

    Each order is sent three times with growing versions in three files that arrive in any order.
    """
    dice = random.Random(seed)
    made: list[File] = []
    totals = {}
    for tenant in TENANTS:
        each = count // len(TENANTS)
        orders, orders_totals = _orders(tenant, each // 2, dice)
        events, events_totals = _events(tenant, each - each // 2, dice)
        made += orders + events
        totals[tenant] = Totals(*orders_totals, *events_totals)
    dice.shuffle(made)
    return made, totals


def _orders(tenant: str, count: int, dice: random.Random) -> tuple[list[File], tuple[int, Decimal]]:
    newest: dict[str, tuple[datetime, Decimal]] = {}
    made = []
    for number in range(count):
        lines = ["order_id,updated_at,amount"]
        for row in range(4):
            # Neighbouring files tell of the same orders; the moment differs in every line.
            order = f"{tenant}-{(number + row) // 3}"
            at = START + timedelta(minutes=dice.randrange(60 * 24 * 90), seconds=number % 60, microseconds=row)
            amount = Decimal(dice.randrange(1, 10**6)) / 100
            lines.append(f"{order},{at.isoformat(sep=' ', timespec='microseconds')},{amount:.2f}")
            if order not in newest or newest[order][0] < at:
                newest[order] = (at, amount)
        made.append(File(tenant, f"raw/orders/{number:05d} +%é.csv", ("\n".join(lines) + "\n").encode()))
    return made, (len(newest), sum((amount for _, amount in newest.values()), Decimal(0)))


def _events(tenant: str, count: int, dice: random.Random) -> tuple[list[File], tuple[int, Decimal]]:
    made, rows, total = [], 0, Decimal(0)
    for number in range(count):
        lines = ["event_id,at,amount"]
        for row in range(dice.randrange(1, 6)):
            at = START + timedelta(minutes=dice.randrange(60 * 24 * 60))
            amount = Decimal(dice.randrange(1, 10**6)) / 100
            lines.append(f"{tenant}-{number}-{row},{at.isoformat(sep=' ')},{amount:.2f}")
            rows, total = rows + 1, total + amount
        made.append(File(tenant, f"raw/events/{number:05d}.csv", ("\n".join(lines) + "\n").encode()))
    return made, (rows, total)


@dataclass(frozen=True)
class Lake:
    """The command line against one state folder, as an operator uses it."""

    home: Path
    tenants: Path

    @property
    def variables(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAKE_"))}
        return {**clean, "LAKE_HOME": str(self.home), "LAKE_TENANTS": str(self.tenants)}

    def __call__(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.app", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.variables, capture_output=True, text=True, timeout=seconds, check=False
        )

    def ok(self, *arguments: str, seconds: float = 300) -> str:
        done = self(*arguments, seconds=seconds)
        assert done.returncode == 0, f"lake {' '.join(arguments)}: {done.returncode}\n{done.stderr}\n{done.stdout}"
        return done.stdout

    def rows(self, tenant: str, sql: str) -> list[dict[str, Any]]:
        return json.loads(self.ok("query", tenant, sql, "--json"))

    def answers(self, tenant: str) -> Totals:
        (orders,) = self.rows(tenant, "select count(*) as n, sum(amount) as amount from orders")
        (events,) = self.rows(tenant, "select count(*) as n, sum(amount) as amount from events")
        return Totals(orders["n"], Decimal(orders["amount"]), events["n"], Decimal(events["amount"]))

    def states(self, tenant: str) -> dict[str, str]:
        return {file["key"]: file["state"] for file in json.loads(self.ok("files", tenant, "--limit", "0", "--json"))}

    def processes(self) -> list[psutil.Process]:
        """The supervisor, if it lives, and everything below it."""
        try:
            supervisor = psutil.Process(load(self.home).pid)
            return [supervisor, *supervisor.children(recursive=True)]
        except (LocalCloudError, psutil.NoSuchProcess):
            return []

    def s3(self) -> Any:
        variables = load(self.home).environment()
        session = boto3.Session(
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=variables["AWS_REGION"],
        )
        quick = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "max_attempts": 1})
        return session.client(
            "s3", endpoint_url=variables["AWS_ENDPOINT_URL"], verify=variables["AWS_CA_BUNDLE"], config=quick
        )


def put_all(lake: Lake, made: list[File], *, within: float, threads: int = 4) -> None:
    """Each file once, however often a put has to be tried."""
    end = time.monotonic() + within
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: _put(lake, part, end), [made[start::threads] for start in range(threads)]))


def _put(lake: Lake, made: list[File], end: float) -> None:
    client: Any = None
    for file in made:
        while True:
            assert time.monotonic() < end, f"{file.tenant} {file.key}: could not be put in time"
            try:
                client = client or lake.s3()
                _put_once(client, file)
            except (BotoCoreError, ClientError, LocalCloudError, OSError):
                client = None  # the cloud is down, or came back at another port
                time.sleep(0.5)
            else:
                break


def _put_once(client: Any, file: File) -> None:
    bucket = f"soak-{file.tenant}-local-datalake"
    try:
        # The condition tells what a put did whose answer got lost: a second version would be a second file.
        client.put_object(Bucket=bucket, Key=file.key, Body=file.body, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise


def until(done: Callable[[], bool], *, within: float, pause: float = 2.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(pause)
    return False


def kind_of(process: psutil.Process) -> str:
    """What a process is, for the report of what was killed."""
    command = " ".join(process.cmdline())
    marks = (
        ("local_cloud.host", "supervisor"),
        ("local_cloud.athena", "athena"),
        ("ministack", "emulator"),
        ("_worker.py", "function"),
        ("java", "jvm"),
    )
    return next((kind for mark, kind in marks if mark in command), "job")


def victims(lake: Lake) -> Iterator[tuple[str, psutil.Process]]:
    for process in lake.processes():
        try:
            yield kind_of(process), process
        except psutil.NoSuchProcess:
            continue
