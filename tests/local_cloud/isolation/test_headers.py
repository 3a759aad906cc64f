"""A request is what its caller signed: a header that is there twice gets nobody another's rights."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_cloud.state import REGION
from tests.local_cloud.isolation.calls import ANALYST, JOB
from tests.local_cloud.isolation.conftest import Site, Tenant

pytestmark = pytest.mark.cloud


def sent(
    site: Site, role: str, endpoint: str, target: str, call: dict[str, Any], *more: tuple[str, str]
) -> tuple[int, str]:
    """A call signed for `target`, with further headers before and after the signed ones."""
    given = site.root("sts").assume_role(RoleArn=role, RoleSessionName="intruder")["Credentials"]
    keys = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    body = json.dumps(call).encode()
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"{endpoint}/", headers=headers, data=body)
    SigV4Auth(keys, "glue" if "Glue" in target else "athena", REGION).add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    connection.putrequest("POST", "/", skip_accept_encoding=True)
    for name, value in (*more, *request.headers.items(), *more):
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.parametrize("spelling", ["X-Amz-Target", "x-amz-target"])
def test_a_second_target_does_not_turn_a_permitted_call_into_another(
    site: Site, tenants: dict[str, Tenant], spelling: str
):
    own, other = tenants["acme"], tenants["acme-eu"]
    table = {"DatabaseName": own.database, "Name": "probe"}
    runs = table | {"JobName": other.names.job("raw_to_processed"), "JobRunIds": ["jr_x"]}
    where, role = site.cloud.glue_endpoint, own.role(JOB)

    assert sent(site, role, where, "AWSGlue.GetTable", table)[0] == 200
    status, answer = sent(site, role, where, "AWSGlue.GetTable", runs, (spelling, "AWSGlue.BatchStopJobRun"))
    assert (status, "given twice" in answer) == (400, True)


def test_a_second_key_beside_the_signature_makes_nobody_root(site: Site, tenants: dict[str, Tenant]):
    own, other = tenants["acme"], tenants["acme-eu"]
    where, target = site.cloud.athena_endpoint, "AmazonAthena.ListTableMetadata"
    forged = ("authorization", "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/athena/aws4_request")
    call = {"CatalogName": "AwsDataCatalog", "DatabaseName": own.database, "WorkGroup": own.workgroup}

    assert sent(site, own.role(ANALYST), where, target, call)[0] == 200
    foreign = {"CatalogName": "AwsDataCatalog", "DatabaseName": other.database}
    status, answer = sent(site, own.role(ANALYST), where, target, foreign, forged)
    assert (status, "given twice" in answer) == (400, True)
