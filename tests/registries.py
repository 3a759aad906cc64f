"""Registries with many tenants: of few shapes, with ids, tiers, states, retentions and owners that go to the limits."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from tests.templates import ENVIRONMENTS, ORDERS, write_registry

HEAD = """
organization: mycompany
tiers:
  standard: {workers: 2, worker_type: G.1X, max_concurrent_runs: 2, query_bytes_limit: 100 GB}
  premium: {workers: 299, worker_type: R.8X, max_concurrent_runs: 200, query_bytes_limit: 123456789 TB}
  tiny: {workers: 2, worker_type: G.1X, max_concurrent_runs: 1, query_bytes_limit: 10 MB}
tenants:
"""
DATASETS = (
    "[orders]",
    "[orders, {name: returns, contract: orders}]",
    "[{name: a, contract: orders}]",
    "[" + ", ".join(f"{{name: {letter * 40}, contract: orders}}" for letter in "abcdefgh") + "]",
    "[{name: returns, contract: orders}, orders]",
    "[flights]",
)
FLIGHTS = ORDERS.replace("orders", "flights").replace(
    "SELECT * FROM {table} LIMIT 10", "SELECT 'Ünï \\\\ \\U0001F680 %' AS s, 7310000001 FROM {table} -- \\t\\u2028"
)
NAMES = (
    "Acme GmbH",
    'The "Corner" \\ Bookshop',
    "${Token[TOKEN.1]}",
    "{{resolve:ssm:x}}",
    "日本 🚀",
    "qzhole-owner-qz",
    "'); --",
)
OWNERS = (
    "a@b.c",
    "o'neil+lake&x=%7B~!#*/?^_.{}@acme.example".replace("{}", "-"),
    "x" * 60 + "@" + "y" * 50 + ".example",
    "qzhole-bucket-qz@acme.example",
    "7310259481630001@acme.example",
)


def ids(random_: random.Random) -> Iterator[str]:
    """Of 3 to 20 characters, some of which begin others."""
    yield from ("abc", "abc-d", "abc-d-e", "z" * 20, "a" + "-b" * 9, "qzhole", "qzhole-owner-qz", "true", "null")
    taken = {"abc"}
    while True:
        parts = (
            "".join(random_.choices("abcdefghijkmnopqrtuvwxyz0123456789", k=random_.randint(1, 6))) for _ in range(3)
        )
        name = "t" + "-".join(list(parts)[: random_.randint(1, 3)])[:18].rstrip("-")
        if (
            len(name) >= 3
            and name not in taken
            and not any(part.startswith(("dev", "prod")) for part in name.split("-"))
        ):
            taken.add(name)
            yield name


def tenants(count: int, seed: int = 6) -> str:
    """tenants.yaml."""
    random_ = random.Random(seed)
    found = ids(random_)
    return HEAD + "".join(tenant(next(found), random_) for _ in range(count))


LEAVING = "    offboarding: {requested_by: jane@acme.example, export: none}\n"


def tenant(name: str, random_: random.Random) -> str:
    state = random_.choice(("active", "suspended", "offboarding"))
    raw = random_.choice((1, 7, 90, 36_500))
    processed = random_.choice([days for days in (1, 90, 365, 36_500) if days >= raw])
    return (
        f"  - id: {json.dumps(name, ensure_ascii=False)}\n"
        f"    name: {json.dumps(random_.choice(NAMES), ensure_ascii=False)}\n"
        f"    owner: {json.dumps(random_.choice(OWNERS), ensure_ascii=False)}\n"
        f"    tier: {random_.choice(('standard', 'premium', 'tiny'))}\n"
        f"    state: {state}\n{LEAVING if state == 'offboarding' else ''}"
        f"    retention: {{raw: {raw} days, processed: {processed} days, quarantine: {random_.randint(1, 36_500)} days}}\n"
        f"    datasets: {random_.choice(DATASETS)}\n"
    )


def write(folder: Path, text: str) -> Path:
    """A registry of such tenants, with the contracts that they name."""
    write_registry(folder)
    (folder / "tenants.yaml").write_text(text)
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    (folder / "contracts" / "flights.yaml").write_text(FLIGHTS)
    return folder
