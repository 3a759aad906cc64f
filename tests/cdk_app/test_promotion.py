"""Promotion: what is deployed in one environment is deployed in the next, and only its values are others."""

import json
import re

import pytest

from cdk_app.values import TenantValues
from tenants.registry import load
from tests.templates import committed, write_registry

ACCOUNTS = {"dev": "111122223333", "hom": "444455556666", "prod": "777788889999"}
# Whether data stays behind when its stack, or whatever holds it, is deleted.
KEPT = {"DeletionPolicy", "UpdateReplacePolicy", "RecursiveDeleteOption", "DeletionProtectionEnabled"}


def without_values(environment):
    """Templates by stack in which the environment's name and account stand as what they are."""
    text = json.dumps(committed(environment), sort_keys=True)
    text = text.replace(ACCOUNTS[environment], "<account>")
    return json.loads(re.sub(rf"(?<![a-zA-Z0-9]){environment}(?![a-zA-Z0-9])", "<environment>", text))


def structure(value):
    """A template without what says how long its resources outlive their stack."""
    if isinstance(value, list):
        return [structure(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: structure(each) for key, each in value.items() if key not in KEPT}


@pytest.fixture(scope="module")
def environments():
    return {name: without_values(name) for name in ACCOUNTS}


def test_the_same_stacks_are_deployed_everywhere(environments):
    assert set(environments["dev"]) == set(environments["hom"]) == set(environments["prod"])


def test_hom_and_prod_differ_in_nothing_but_name_and_account(environments):
    assert environments["hom"] == environments["prod"]


def test_ceilings_on_retention_reach_the_templates(tmp_path):
    registry = write_registry(tmp_path / "tenants")
    file = registry / "environments.yaml"
    file.write_text(file.read_text().replace("prod: {", "prod: {retention: {raw: 30 days, processed: 60 days}, "))
    loaded = load(registry)

    active = (tenant.model_copy(update={"state": "active"}) for tenant in loaded.tenants)
    acme, acme_eu = (TenantValues.of(tenant, loaded, "prod") for tenant in active)

    assert (acme.raw_days, acme.processed_days, acme.quarantine_days) == (30, 60, 30)
    assert (acme_eu.raw_days, acme_eu.processed_days) == (7, 60)
    assert TenantValues.of(loaded.tenants[0], loaded, "local").raw_days == 90


def test_dev_differs_from_prod_only_in_what_outlives_a_stack(environments):
    for stack, template in environments["dev"].items():
        assert structure(template) == structure(environments["prod"][stack]), stack
    assert environments["dev"] != environments["prod"]
