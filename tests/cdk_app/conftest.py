"""Stacks as they are deployed: the flags of cdk.json, two environments, and a tenant whose id begins another's."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdk_app.node import prepare

PROJECT = Path(__file__).resolve().parents[2]
prepare(os.environ, PROJECT)

import aws_cdk as cdk  # noqa: E402 - Node has to be known before
from aws_cdk.assertions import Template  # noqa: E402 - Node has to be known before

from cdk_app.app import build  # noqa: E402 - Node has to be known before
from cdk_app.values import Site  # noqa: E402 - Node has to be known before
from tenants.model import Environment  # noqa: E402 - Node has to be known before
from tenants.registry import load  # noqa: E402 - Node has to be known before

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

Resources = dict[str, dict[str, Any]]


def flags() -> dict[str, Any]:
    return json.loads((PROJECT / "cdk.json").read_text())["context"]


def write_registry(folder: Path, *more: str) -> Path:
    (folder / "contracts").mkdir(parents=True)
    (folder / "tenants.yaml").write_text(TENANTS + "".join(more))
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    (folder / "contracts" / "orders.yaml").write_text(ORDERS)
    return folder


def synthesise(folder: Path, environment: str, *more: str) -> dict[str, dict[str, Any]]:
    """Templates by stack name."""
    folder.mkdir()
    registry = load(write_registry(folder / "tenants", *more))
    app = build(
        registry,
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


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return synthesise(tmp_path_factory.mktemp("local") / "a", "local")


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return synthesise(tmp_path_factory.mktemp("prod") / "a", "prod")


@pytest.fixture(scope="session")
def prod_with_globex(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return synthesise(tmp_path_factory.mktemp("globex") / "a", "prod", GLOBEX)


@pytest.fixture(scope="session")
def site() -> Site:
    prod = Environment(
        name="prod",
        account="777788889999",
        region="eu-central-1",
        notification="platform@mycompany.example",
    )
    return Site.of("mycompany", prod)


@pytest.fixture
def stack(site: Site) -> cdk.Stack:
    """A bare stack to stand a construct in."""
    app = cdk.App(context=flags(), builtin_cloud_formation_validation=False)
    return cdk.Stack(app, "Bare", env=site.cdk_environment)


@pytest.fixture
def found() -> Callable[[cdk.Stack, str], list[dict[str, Any]]]:
    """Properties of every resource of a type in a stack."""

    def find(stack: cdk.Stack, kind: str) -> list[dict[str, Any]]:
        return [each["Properties"] for each in Template.from_stack(stack).find_resources(kind).values()]

    return find
