from dataclasses import replace

from lineage.holds import Holds
from tests.lineage.builders import RAW, a_dataset, enter


def test_an_entry_is_read_as_it_was_written(ledger):
    entry = replace(
        ledger.tenant("acme"),
        max_in_flight=5,
        retention={"raw": 30, "analytics-ready": 400},
        topic="arn:aws:sns:us-east-1:000000000000:lake-acme-dev-alerts",
        errand_job="lake-acme-dev-maintain",
    )
    ledger.put_tenant(entry)

    assert ledger.tenant("acme") == entry
    assert ledger.tenants() == [entry]


def test_what_an_entry_has_no_more_is_gone(ledger):
    entry = ledger.tenant("acme")
    ledger.put_tenant(replace(entry, topic="arn", errand_job="lake-acme-dev-maintain", retention={"raw": 30}))

    ledger.put_tenant(entry)

    assert ledger.tenant("acme") == entry


def test_a_glue_job_of_errands_is_known_as_the_tenants(ledger):
    enter(ledger, "acme", errand_job="lake-acme-dev-maintain")

    assert ledger.owner_of_glue_job("lake-acme-dev-maintain") == ("acme", "maintain")
    assert next(iter(ledger.tenant("acme").jobs)) == RAW
    assert "maintain" not in ledger.tenant("acme").jobs


def test_a_deploy_leaves_an_operators_hold_as_it_is(ledger, clock):
    Holds(ledger).hold("acme", "the partner changes its schema tonight")

    enter(ledger, "acme", max_in_flight=7)

    for entry in (ledger.tenant("acme"), ledger.tenants()[0]):
        assert (entry.held_since, entry.held_reason, entry.max_in_flight) == (
            clock(),
            "the partner changes its schema tonight",
            7,
        )


def test_a_plan_and_a_schedule_are_nothing_that_a_job_could_write(ledger):
    """The role of a tenant's jobs is denied every write under this prefix (OwnDescription)."""
    ledger.put_dataset(a_dataset(dataset="returns"))

    stored = ledger.store.connection.client.scan(TableName=ledger.store.name)["Items"]
    described = [item["PK"]["S"] for item in stored if item["kind"]["S"].startswith("dataset")]
    assert described
    assert all(pk.startswith("T#acme#META") for pk in described)


def test_a_datasets_schedule_is_kept(ledger):
    entry = a_dataset(dataset="returns", schedule={"rate_s": 86400})
    ledger.put_dataset(entry)

    assert ledger.dataset("acme", "returns") == entry
    assert ledger.dataset("acme", "sales").schedule is None
