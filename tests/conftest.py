"""What holds for every test: no call to S3 that our own code makes may reach a bucket of another account."""

import pytest

from tests.bucket_owners import Watch


@pytest.fixture(scope="session")
def s3_calls():
    with Watch() as watch:
        yield watch


@pytest.fixture(autouse=True)
def _buckets_have_an_expected_owner(s3_calls):
    s3_calls.careless.clear()
    yield
    assert s3_calls.careless == []
