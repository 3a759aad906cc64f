"""Constructs alone, and stacks as they are deployed."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.templates import GLOBEX, Templates, flags, synthesised

import aws_cdk as cdk  # isort: skip  (tests.templates has told it where Node is)
from aws_cdk.assertions import Template  # isort: skip

from cdk_app.values import Site
from tenants.model import Environment


@pytest.fixture(scope="session")
def local() -> Templates:
    return synthesised("local")


@pytest.fixture(scope="session")
def prod() -> Templates:
    return synthesised("prod")


@pytest.fixture(scope="session")
def prod_with_globex() -> Templates:
    return synthesised("prod", GLOBEX)


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
