from lineage.openlineage import Profile, events
from tests.lineage.builders import RAW, a_file, begin, merge, process

PROFILE = Profile(
    producer="https://example.com/tenantlake",
    bucket="lake-acme-dev-datalake",
    database="lake_acme_dev",
    region="eu-central-1",
    account="123456789012",
)


def test_a_completed_run_is_told_by_start_and_complete(ledger):
    ledger.receive(a_file(), RAW)
    run = process(ledger, rows=5, rejected=1)

    start, complete = events(ledger, "acme", run.run, PROFILE)

    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert complete["run"]["runId"] == run.run
    assert (complete["job"]["namespace"], complete["job"]["name"]) == ("lake/acme", "raw_to_processed.sales")
    assert [(one["namespace"], one["name"]) for one in complete["inputs"]] == [
        ("s3://lake-acme-dev-datalake", "raw/sales")
    ]
    assert complete["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"] == 6
    assert [one["name"] for one in complete["outputs"]] == ["processed/sales"]
    assert complete["outputs"][0]["outputFacets"]["outputStatistics"] == {
        "_producer": "https://example.com/tenantlake",
        "_schemaURL": "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json"
        "#/$defs/OutputStatisticsOutputDatasetFacet",
        "rowCount": 5,
        "fileCount": 1,
    }


def test_a_table_is_told_with_its_name_in_the_catalog(ledger):
    ledger.receive(a_file(), RAW)
    process(ledger)
    run = merge(ledger)

    [_, complete] = events(ledger, "acme", run.run, PROFILE)

    [symlink] = complete["outputs"][0]["facets"]["symlinks"]["identifiers"]
    assert symlink == {
        "namespace": "arn:aws:glue:eu-central-1:123456789012",
        "name": "table/lake_acme_dev/sales",
        "type": "TABLE",
    }


def test_a_failed_run_tells_why(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    ledger.fail(run, "out of memory")

    [_, failed] = events(ledger, "acme", run.run, PROFILE)

    assert failed["eventType"] == "FAIL"
    assert failed["run"]["facets"]["errorMessage"]["message"] == "out of memory"


def test_a_fenced_run_is_aborted_and_an_open_one_only_started(ledger, clock):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)

    assert [event["eventType"] for event in events(ledger, "acme", run.run, PROFILE)] == ["START"]

    clock.move(minutes=6)
    ledger.recover()

    assert [event["eventType"] for event in events(ledger, "acme", run.run, PROFILE)] == ["START", "ABORT"]
