"""Templates as they are deployed: the flags of cdk.json, and tenants of which one's id begins another's."""

import json
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cdk_app.node import prepare

PROJECT = Path(__file__).resolve().parents[1]
prepare(os.environ, PROJECT)

from cdk_app.app import build  # noqa: E402  (Node has to be known before)
from cdk_app.guardrails import Agreed, agreed  # noqa: E402  (likewise)
from tenants.registry import load  # noqa: E402  (likewise)

TENANTS = """
organization: mycompany
tiers:
  standard: {workers: 2, worker_type: G.1X, max_concurrent_runs: 2, query_bytes_limit: 100 GB}
  premium: {workers: 10, worker_type: G.2X, max_concurrent_runs: 8, query_bytes_limit: 1 TB}
tenants:
  - id: acme
    name: Acme GmbH
    owner: data@acme.example
    datasets: [orders]
  - id: acme-eu
    name: Acme Europe
    owner: data@acme.example
    tier: premium
    state: suspended
    retention: {raw: 7 days}
    datasets: [orders, {name: returns, contract: orders}]
"""
GLOBEX = """
  - id: globex
    name: Globex
    owner: it@globex.example
    datasets: [orders]
"""
ENVIRONMENTS = """
environments:
  local: {account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false, max_wait: 0}
  prod: {account: "777788889999", region: eu-central-1, notification: platform@mycompany.example,
         webhook: {parameter: /lake/chat, format: teams}}
"""
ORDERS = """
apiVersion: v3.0.2
kind: DataContract
id: orders
name: Orders
version: 1.0.0
status: active
customProperties:
  - property: lake.queries
    value:
      - {name: newest, description: The newest orders, sql: "SELECT * FROM {table} LIMIT 10"}
schema:
  - name: orders
    physicalType: table
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)"}
"""

Templates = dict[str, dict[str, Any]]
"""By stack name."""


def flags() -> dict[str, Any]:
    return json.loads((PROJECT / "cdk.json").read_text())["context"]


def write_registry(folder: Path, *more: str) -> Path:
    (folder / "contracts").mkdir(parents=True)
    (folder / "tenants.yaml").write_text(TENANTS + "".join(more))
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    (folder / "contracts" / "orders.yaml").write_text(ORDERS)
    return folder


@cache
def synthesised(environment: str, *more: str) -> Templates:
    """Made once per process; who changes them takes a copy."""
    with TemporaryDirectory() as folder:
        return synthesise(Path(folder), write_registry(Path(folder) / "tenants", *more), environment)


@cache
def agreed_of(environment: str, *more: str) -> dict[str, Agreed]:
    """What the registry of `synthesised` says of each stack."""
    with TemporaryDirectory() as folder:
        return agreed(load(write_registry(Path(folder) / "tenants", *more)), environment)


def write_cells(folder: Path) -> Path:
    """A registry whose environment prod has a further cell, b, in the same account: acme-eu is placed there."""
    write_registry(folder)
    placed = TENANTS.replace("tier: premium", "tier: premium\n    cells: {prod: b}")
    cells = 'region: eu-central-1, cells: {b: {account: "777788889999", region: eu-west-1}}'
    (folder / "tenants.yaml").write_text(placed)
    (folder / "environments.yaml").write_text(ENVIRONMENTS.replace("region: eu-central-1", cells))
    return folder


@cache
def synthesised_in_cells() -> Templates:
    with TemporaryDirectory() as folder:
        return synthesise(Path(folder), write_cells(Path(folder) / "tenants"), "prod")


@cache
def agreed_in_cells() -> dict[str, Agreed]:
    with TemporaryDirectory() as folder:
        return agreed(load(write_cells(Path(folder) / "tenants")), "prod")


@cache
def committed(environment: str) -> Templates:
    """Templates of the tenants that stand in tenants/tenants.yaml."""
    with TemporaryDirectory() as folder:
        return synthesise(Path(folder), PROJECT / "tenants", environment)


def synthesise(folder: Path, registry: Path, environment: str) -> Templates:
    app = build(
        load(registry),
        environment,
        folder,
        outdir=str(folder / "cdk.out"),
        context=flags(),
        builtin_cloud_formation_validation=False,
    )
    assembly = Path(app.synth().directory)
    return {
        path.name.removesuffix(".template.json"): json.loads(path.read_text())
        for path in assembly.glob("*.template.json")
    }
