"""A tenant is suspended and resumed: what its roles may do in a cloud as `lake up` starts it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.isolation.attempts import ATTEMPTS, OWN, Attempt
from tests.local_cloud.isolation.calls import ANALYST, JOB, Scene
from tests.local_cloud.isolation.conftest import Site, Tenant, is_refused

pytestmark = pytest.mark.cloud

ON_ITS_OWN_THINGS = [attempt for attempt in ATTEMPTS if attempt.twin == OWN]
STATE = "id: acme-eu, "


@pytest.fixture(scope="module")
def actors(site: Site, tenants: dict[str, Tenant]):
    """Credentials that were handed out while both tenants were active."""
    return {(tenant.id, kind): site.actor(tenant.role(kind)) for tenant in tenants.values() for kind in (JOB, ANALYST)}


@pytest.fixture(scope="module")
def while_suspended(site: Site, tenants: dict[str, Tenant], actors):
    """Who is refused what while acme-eu is suspended; after that it is active again."""
    file = site.registry / "tenants.yaml"
    active = file.read_text()
    file.write_text(active.replace(STATE, f"{STATE}state: suspended, "))
    try:
        site.deploy("acme-eu")
        return {
            (name, str(attempt)): on_its_own(site, tenants[name], actors, attempt)
            for name in ("acme", "acme-eu")
            for attempt in ON_ITS_OWN_THINGS
        }
    finally:
        file.write_text(active)
        site.deploy("acme-eu")


def is_shut(call: Any) -> bool:
    """Athena says in its own words that the role of the workgroup is denied, or that the workgroup is off."""
    try:
        return is_refused(call)
    except ClientError as error:
        said = str(error)
        if "MetadataException" in said and "AccessDenied" in said:
            return True
        if "InvalidRequestException" in said and "is disabled" in said:
            return True
        raise


def on_its_own(site: Site, tenant: Tenant, actors, attempt: Attempt) -> bool:
    """Whether a role is refused at what is its own."""
    return is_shut(lambda: attempt.call(Scene(site, actors[tenant.id, attempt.role], tenant, tenant)))


@pytest.mark.parametrize("attempt", ON_ITS_OWN_THINGS, ids=str)
def test_the_roles_of_a_suspended_tenant_are_refused_at_its_own_things_and_those_of_another_are_not(
    while_suspended, attempt: Attempt
):
    assert while_suspended["acme-eu", str(attempt)]
    assert not while_suspended["acme", str(attempt)]


@pytest.mark.parametrize("attempt", ON_ITS_OWN_THINGS, ids=str)
def test_when_it_is_resumed_they_may_again_what_they_might_before(
    site: Site, tenants: dict[str, Tenant], actors, while_suspended, attempt: Attempt
):
    assert not on_its_own(site, tenants["acme-eu"], actors, attempt)
