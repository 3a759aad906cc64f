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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Who shares a cloud or a Spark session stays in one process, where a run has several (`-n 2`)."""
    for item in items:
        folder = item.path.parent
        item.add_marker(pytest.mark.xdist_group(str(folder if folder.name == "loop" else item.path)))
