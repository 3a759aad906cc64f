"""What holds for every test: no call to S3 that our own code makes may reach a bucket of another account."""

import functools
import gc

import botocore.session
import pytest

from tests.bucket_owners import Watch

# Each session reads the descriptions of its services anew, which a test that makes a client pays for: half of its time.
botocore.session.create_loader = functools.lru_cache(botocore.session.create_loader)


def pytest_collection_finish():
    """Thousands of tests are there to the end: nothing of them is looked through for garbage any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session")
def s3_calls():
    with Watch() as watch:
        yield watch


@pytest.fixture(autouse=True)
def _buckets_have_an_expected_owner(s3_calls):
    s3_calls.careless.clear()
    yield
    assert s3_calls.careless == []
