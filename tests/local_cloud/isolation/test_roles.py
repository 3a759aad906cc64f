"""The roles of one tenant, taken through STS, reach for another's things in a cloud as `lake up` starts it."""

import json

import pytest
import urllib3

from local_cloud.state import ACCOUNT
from tests.local_cloud.isolation.attempts import ATTEMPTS, OWN, Attempt
from tests.local_cloud.isolation.calls import ANALYST, JOB, Scene
from tests.local_cloud.isolation.conftest import KEY, Site, Tenant, is_refused

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def actors(site: Site, tenants: dict[str, Tenant]):
    return {(tenant.id, kind): site.actor(tenant.role(kind)) for tenant in tenants.values() for kind in (JOB, ANALYST)}


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
@pytest.mark.parametrize("pair", [("acme", "acme-eu"), ("acme-eu", "acme")], ids="-to-".join)
def test_a_role_is_refused_at_its_neighbours_and_the_call_itself_is_right(
    site: Site, tenants: dict[str, Tenant], actors, attempt: Attempt, pair: tuple[str, str]
):
    own, other = pair
    intruder = actors[own, attempt.role]

    assert is_refused(lambda: attempt.call(Scene(site, intruder, tenants[own], tenants[other])))

    if attempt.twin == OWN:
        allowed = Scene(site, intruder, tenants[own], tenants[own])
    else:
        allowed = Scene(site, site.root, tenants[own], tenants[other])
    assert not is_refused(lambda: attempt.call(allowed))


def test_the_cloud_checks_rights_without_being_asked_to(site: Site, tenants: dict[str, Tenant]):
    nobody = site.bare_role("nobody")
    reader = site.bare_role("reader", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    address = f"{site.cloud.endpoint}/{tenants['acme'].bucket}/{KEY}"
    unsigned = urllib3.PoolManager(ca_certs=site.cloud.ca_bundle).request("GET", address)

    assert is_refused(lambda: nobody("s3").get_object(Bucket=tenants["acme"].bucket, Key=KEY))
    assert not is_refused(lambda: reader("s3").get_object(Bucket=tenants["acme"].bucket, Key=KEY))
    assert unsigned.status == 403


@pytest.mark.parametrize("kind", [JOB, ANALYST])
def test_the_boundary_holds_whatever_a_role_is_given(site: Site, tenants: dict[str, Tenant], actors, kind: str):
    own, other = tenants["acme"], tenants["acme-eu"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    unbounded = site.bare_role(f"unbounded-{kind}", everything)
    role = own.role(kind).rpartition("/")[2]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    calls = (
        lambda of, at: of("s3").get_object(Bucket=at.bucket, Key=KEY),
        lambda of, at: of("glue").get_tables(DatabaseName=at.database),
        lambda of, at: of("athena").list_query_executions(WorkGroup=at.workgroup),
        lambda of, at: of("sts").assume_role(RoleArn=at.role(ANALYST), RoleSessionName="intruder"),
    )

    site.root("iam").put_role_policy(RoleName=role, PolicyName="too-much", PolicyDocument=policy)
    try:
        refused = [is_refused(lambda call=call: call(actors["acme", kind], other)) for call in calls]
        of_own = [is_refused(lambda call=call: call(actors["acme", kind], own)) for call in calls[:3]]
    finally:
        site.root("iam").delete_role_policy(RoleName=role, PolicyName="too-much")

    assert refused == [True] * len(calls)
    assert of_own == [False] * 3
    assert not any(is_refused(lambda call=call: call(unbounded, other)) for call in calls)


def test_a_key_serves_whom_its_own_right_names(site: Site, tenants: dict[str, Tenant]):
    """Rights on one tenant's key, not bound to S3 as those of its roles are, are of no use with the other's."""
    own, other = tenants["acme"], tenants["acme-eu"]
    key = f"arn:aws:kms:{site.cloud.region}:{ACCOUNT}:key/{own.key}"
    holder = site.bare_role("holder", {"Effect": "Allow", "Action": "kms:*", "Resource": key})
    sealed = {
        tenant.id: site.root("kms").encrypt(KeyId=tenant.key, Plaintext=b"x")["CiphertextBlob"]
        for tenant in (own, other)
    }

    assert not is_refused(lambda: holder("kms").decrypt(CiphertextBlob=sealed[own.id]))
    assert not is_refused(lambda: holder("kms").generate_data_key(KeyId=own.key, KeySpec="AES_256"))
    assert is_refused(lambda: holder("kms").decrypt(CiphertextBlob=sealed[other.id]))
    assert is_refused(lambda: holder("kms").generate_data_key(KeyId=other.key, KeySpec="AES_256"))


def test_the_primary_workgroup_runs_nothing_for_anybody(site: Site, actors):
    query = {"QueryString": "SELECT 1", "WorkGroup": "primary"}

    assert is_refused(lambda: actors["acme", ANALYST]("athena").start_query_execution(**query))
    refusal = site.root("athena").exceptions.InvalidRequestException
    with pytest.raises(refusal, match="has no query role"):
        site.root("athena").start_query_execution(**query)
